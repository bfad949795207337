"""The text of a manifest, which lists files with their SHA-256 as ``sha256sum`` does, and what it does not list."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from contimg.errors import InputError

MANIFEST = "manifest-sha256.txt"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_LONGEST = 1024  # bytes of a name with its folders: it has to fit into a path (4096) behind any root


def format_manifest(digests: Mapping[str, str]) -> bytes:
    """Return the manifest of files (relative name -> SHA-256), sorted by name.

    Raises
    ------
    InputError
        If a name would not be read back: it holds a line break of any kind or a backslash, is not UTF-8, or is no
        relative name that a file can have.
    """
    for name in digests:
        if "\\" in name or any("\ud800" <= one <= "\udfff" for one in name) or not _is_name(name):
            raise InputError(f"{name!a} cannot be listed in a manifest: rename it without line break and backslash")
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def parse_manifest(content: bytes, what: str = MANIFEST) -> dict[str, str]:
    """Read a manifest: relative name -> SHA-256; `what` is its name, for messages.

    Raises
    ------
    InputError
        If a line is not one of a manifest, names a file twice, or leads out of the bundle.
    """
    digests: dict[str, str] = {}
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        name = "" if match is None else match[2]
        if match is None or name in digests or not _is_name(name):
            raise InputError(f"line {number} of {what} is not one of a manifest: restore it from a copy")
        digests[name] = match[1]
    return digests


def _is_name(name: str) -> bool:
    """Return whether a file below a bundle can have a name, which is one line, relative, and leads nowhere else.

    A torn page or a hostile hand leaves others: zero bytes, and parts that no filesystem holds.
    """
    parts = PurePosixPath(name).parts
    plain = "/".join(parts) == name and ".." not in parts and name.splitlines() == [name] and "\0" not in name
    return plain and len(name.encode()) <= _LONGEST and all(len(part.encode()) <= 255 for part in parts)


def unlisted(present: Iterable[str], listed: Collection[str]) -> list[str]:
    """Return what stands in a bundle and is not listed, sorted; a folder without anything that is listed as one.

    Parameters
    ----------
    present, listed : collections of str
        Names relative to the bundle; among the listed ones is one that stands in no folder, such as the manifest's.
    """
    kept = {folder for name in listed for folder in PurePosixPath(name).parents}
    found = (PurePosixPath(name) for name in set(present).difference(listed))
    return sorted({str(next((one for one in reversed(name.parents) if one not in kept), name)) for name in found})
