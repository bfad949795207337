"""How SQLite is asked to open a file without writing to it, or without locks: as URIs, and as URLs of SQLAlchemy."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, quote

from sqlalchemy.engine import URL

_WITHOUT_LOCKS = "unix-none"  # https://sqlite.org/vfs.html


def read_only_uri(file: Path) -> str:
    """Return the URI with which SQLite reads a registry without writing anything.

    While a writer is at work its ``-wal`` and ``-shm`` files stand there and are read along; else SQLite would
    have to make them, unless the caller states that nobody writes. A ``-journal`` may hold what must be undone first.
    """
    at_rest = not any(Path(f"{file}{end}").exists() for end in ("-wal", "-journal"))
    return f"file:{quote(str(file))}?mode=ro{'&immutable=1' if at_rest else ''}"


def alone_uri(file: Path) -> str:
    """Return the URI with which SQLite opens a file that this process alone knows, without locks."""
    return f"file:{quote(str(file))}?vfs={_WITHOUT_LOCKS}"


def url_of(uri: str) -> URL:
    """Return the URL with which SQLAlchemy opens what SQLite opens by a URI."""
    name, _, query = uri.partition("?")
    return URL.create("sqlite", database=name, query={**dict(parse_qsl(query)), "uri": "true"})


def is_read_only(url: URL) -> bool:
    """Return whether a URL is of `read_only_uri`."""
    return url.get_backend_name() == "sqlite" and url.query.get("mode") == "ro"


def is_alone(url: URL) -> bool:
    """Return whether a URL is of `alone_uri`."""
    return url.query.get("vfs") == _WITHOUT_LOCKS
