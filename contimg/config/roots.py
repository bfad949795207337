"""The roots and other paths of a configuration: made absolute, and refused where other programs cannot use them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from contimg.errors import ConfigError

# Characters that CASA or Snakemake interpret, where they occur in a path.
_REFUSED = {
    "::": "which CASA reads as the name of a subtable",
    "{": "which Snakemake reads as a wildcard",
    "}": "which Snakemake reads as a wildcard",
    "<": "which Snakemake reads as a variable of its own",
    ">": "which Snakemake reads as a variable of its own",
    "$": "which CASA reads as an environment variable",
    "\\": "which CASA and Snakemake read as an escape",
}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/", re.ASCII)


def absolute(key: str, place: str | Path, base: Path) -> Path:
    """Return a path of the configuration, absolute and with links followed; ``~`` is the home of a user.

    Raises
    ------
    ConfigError
        If it is empty, a URL, cannot be resolved, or holds characters that CASA or Snakemake interpret.
    """
    text = str(place)
    if not text.strip() or text == ".":
        raise ConfigError(f"config key '{key}' is empty: name a folder or file of its own")
    try:
        path = _followed(base / Path(text).expanduser())
    except RuntimeError as error:  # circular links, or the home of an unknown user
        raise ConfigError(
            f"config key '{key}' names {text!r}, which cannot be followed ({error}): correct it"
        ) from None
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"config key '{key}' names {text!a}, which the locale of this shell cannot write ({error.encoding}): "
            "export LC_ALL=C.UTF-8"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"config key '{key}' names {text!r}, which is no path ({error}): correct it") from None
    if _URL.match(text):
        raise ConfigError(f"config key '{key}' names {text!r}, which is a URL and no folder: choose a local folder")
    for found, meaning in _REFUSED.items():
        if found in str(path) or found in text:
            raise ConfigError(f"config key '{key}' names {text!r} with '{found}', {meaning}: choose another folder")
    if not str(path).isprintable():
        raise ConfigError(f"config key '{key}' names {text!r} with a line end or control character: choose another")
    return path


def _followed(path: Path) -> Path:
    """Return a path with all links followed; from Python 3.13 on, `Path.resolve` leaves a circle of links as it is."""
    found = path.resolve()
    circle = next((one for one in (*reversed(found.parents), found) if os.path.islink(one)), None)
    if circle is not None:
        raise RuntimeError(f"Symlink loop from '{circle}'")
    return found


def refuse_nested(roots: Mapping[str, Path]) -> None:
    """Check that no root is the same folder as another root, or below it.

    Raises
    ------
    ConfigError
        If two roots overlap.
    """
    names = list(roots)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            a, b = roots[one], roots[other]
            if _overlap(a, b):
                raise ConfigError(f"paths.{one} ({a}) and paths.{other} ({b}) overlap: give each its own folder")


def _overlap(one: Path, other: Path) -> bool:
    """Return whether a folder is, holds or is below another one, also where a mount shows it under a second name."""
    if one == other or one in other.parents or other in one.parents:
        return True
    return _is_below(one, other) or _is_below(other, one)


def _is_below(folder: Path, above: Path) -> bool:
    place = _identity(above)
    return place is not None and any(_identity(path) == place for path in (folder, *folder.parents))


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode; None of what is not there, or cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def replica_url(url: str, base: Path) -> str:
    """Return the address of a replica in the one form by which the registry knows its copies.

    A folder is absolute, whatever folder a command is typed in; links are not followed, since a mount may move behind
    one. The prefix of an object store ends in no slash.

    Raises
    ------
    ConfigError
        If an object store's bucket is not named, the address holds a password, or a file's names a host.
    """
    scheme, separator, rest = url.partition("://")
    if separator and re.match("[^/]*:[^/]*@", rest):  # the registry holds the address, and messages show it
        raise ConfigError(
            f"config key 'publish.replicas' holds a password in an address {scheme}://...: leave it out, and give it "
            f"to fsspec (export FSSPEC_{scheme.upper()}_PASSWORD=..., or a file in ~/.config/fsspec)"
        )
    if scheme == "file" and not rest.startswith(("/", "~")):
        raise ConfigError(f"config key 'publish.replicas' names {url!r}: write file:///FOLDER, or only the folder")
    if separator and scheme != "file":
        parts = _parts(rest)
        if not parts or not rest.split("/")[0]:
            raise ConfigError(
                f"config key 'publish.replicas' names {url!r} without a bucket: write {scheme}://bucket/prefix"
            )
        return f"{scheme}://{'/'.join(parts)}"
    absolute("publish.replicas", rest if separator else url, base)
    return str(base / Path(rest if separator else url).expanduser())


_KINDS = {"s3a": "s3", "gcs": "gs"}  # other names of one kind of store


def _nested(one: str, other: str) -> bool:
    """Return whether two prefixes are equal, or one is within the other."""
    return all(a == b for a, b in zip(_parts(one), _parts(other), strict=False))


def _parts(rest: str) -> list[str]:
    return [part for part in rest.split("/") if part]


_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!:memory:)([^?]+)(.*)", re.ASCII | re.DOTALL)


def registry_url(url: str, base: Path) -> str:
    """Return the URL of a registry; of one in an SQLite file with its path absolute, and links followed.

    Else one file had several names, and a relative one were another file in each folder.

    Raises
    ------
    ConfigError
        If the path cannot be followed.
    """
    found = _SQLITE.fullmatch(url)
    if found is None:
        return url
    try:
        path = _followed(base / Path(found[2]).expanduser())
    except (RuntimeError, OSError, ValueError) as error:
        raise ConfigError(f"config key 'registry.url' cannot be followed ({error}): correct it") from None
    return url if "?" in str(path) else f"{found[1]}{path}{found[3]}"


def path_in(url: str) -> str | None:
    """Return the path in the address of a replica or registry that is a folder or file; None where there is none."""
    sqlite = _SQLITE.fullmatch(url)
    if sqlite is not None:
        return sqlite[2]
    scheme, separator, rest = url.partition("://")
    return (rest if scheme == "file" else None) if separator else url


def refuse_replicas_within(roots: Mapping[str, Path], urls: Sequence[str], base: Path) -> None:
    """Check that no replica is, holds or is below a root or another replica: what it no longer keeps is removed.

    Parameters
    ----------
    roots : mapping of str to Path
    urls : sequence of str
        Those of ``publish.replicas``, as `replica_url` gives them.
    base : Path
        What relative folders start from.

    Raises
    ------
    ConfigError
        If two overlap.
    """
    taken = {f"paths.{name}": path for name, path in roots.items()}
    for number, url in enumerate(urls):
        if url in urls[:number]:
            raise ConfigError(f"publish.replicas names {url} twice: name it once")
        scheme, separator, rest = url.partition("://")
        if separator and scheme != "file":
            for other in urls[:number]:
                kind, is_store, prefix = other.partition("://")
                if is_store and _KINDS.get(kind, kind) == _KINDS.get(scheme, scheme) and _nested(rest, prefix):
                    raise ConfigError(f"publish.replicas ({url}) and {other} overlap: give each its own prefix")
            continue
        folder = absolute("publish.replicas", rest if separator else url, base)
        for what, path in taken.items():
            if _overlap(folder, path):
                raise ConfigError(f"publish.replicas ({folder}) and {what} ({path}) overlap: give each its own folder")
        taken[f"another of them, {url}"] = folder
