"""Notes that may be lost: caches in JSON with the SHA-256 of their content, so that a damaged one counts as lost.

A disk that changes one byte of a number leaves JSON of the right form: what is only checked for its form would be
believed, or end in an error of Python far from the file.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from contimg.storage.atomic import atomic_path
from contimg.storage.json_files import NoPlainFile, parse_json, plain_bytes

_MAY_NOT_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS)


def write_note(path: Path, content: Any) -> None:
    """Write a note, ``{"sha256": ..., "content": ...}``, atomically; raises as `atomic.write_json` does."""
    framed = _framed(json.dumps(content, allow_nan=False).encode())
    with atomic_path(Path(path)) as part:
        part.write_bytes(framed)


def write_note_if_allowed(path: Path, content: Any) -> None:
    """Write a note for the next plan; who may only read writes nothing, and plans all the same.

    Raises
    ------
    OSError
        If the file cannot be written for another reason than want of permission.
    """
    try:
        write_note(path, content)
    except OSError as error:
        if error.errno not in _MAY_NOT_WRITE:
            raise


def read_note(path: Path) -> Any:
    """Return the content of a note; None where it is missing, damaged, or of a contimg of before these notes.

    Raises
    ------
    OSError
        If it is a folder, or cannot be read.
    """
    try:
        found = plain_bytes(path)
    except (FileNotFoundError, NoPlainFile):
        return None
    text = found[len(_framed(b"")) - 2 : -2]
    try:
        return parse_json(text) if found == _framed(text) else None
    except ValueError:  # of a hostile hand, as its digest is right
        return None


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of small files of a folder, by name, for the note that says that they were made."""
    return {name: hashlib.sha256(plain_bytes(folder / name)).hexdigest() for name in names}


def are_whole(folder: Path, digests: Mapping[str, str]) -> bool:
    """Return whether files of a folder are as a note has them (`digests_of`); what cannot be read is not."""
    try:
        return digests_of(folder, digests) == digests
    except (OSError, NoPlainFile):
        return False


def _framed(text: bytes) -> bytes:
    return b'{"sha256": "%s", "content": %s}\n' % (hashlib.sha256(text).hexdigest().encode(), text)
