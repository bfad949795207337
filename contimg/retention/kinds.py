"""The kinds of files that grow with time, and where each of them stands."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contimg.naming import Layout
from contimg.storage.filesystem import walk

OF_GROUPS = ("ms", "calibrated", "image", "logs", "benchmarks")
"""Removed group by group, once settled (`contimg.operations.prune`)."""

BY_AGE = ("snakemake", "cache", "quarantine", "raw")
"""Removed file by file: convenience is lost with them, or data for which no calibrator came."""

_SNAKEMAKE_FOLDERS = ("log", "scripts", "slurm_logs", "auxiliary")


@dataclass(frozen=True)
class Aged:
    """A file that may be removed: its kind, path, size on disk (bytes) and modification time [Unix s]."""

    kind: str
    path: Path
    bytes: int
    mtime: float


def files_of(kind: str, layout: Layout, work: Path) -> Iterator[Aged]:
    """Yield the files of a kind of `BY_AGE` that may be removed when they are old enough.

    Of Snakemake's records only those of products that are gone: without the others it would make products again.
    """
    if kind == "cache":
        yield from _below(kind, layout.cache)
    elif kind in ("quarantine", "raw"):
        yield from _below(kind, layout.stage / kind)
    else:
        for name in _SNAKEMAKE_FOLDERS:
            yield from _below(kind, work / ".snakemake" / name)
        yield from _below(kind, work / "logs" / "watch")
        records = work / ".snakemake" / "metadata"
        for item in _below(kind, records):
            product = _product_of_record(item.path, records)
            if product is not None and not os.path.lexists(work / product):
                yield item


def _below(kind: str, folder: Path) -> Iterator[Aged]:
    """Yield the regular files below a folder; symlinks are not followed."""
    for place, _, names in walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            yield Aged(kind, path, status.st_blocks * 512, status.st_mtime)


def _product_of_record(path: Path, records: Path) -> str | None:
    """Return the product that a record of Snakemake is about: its path in base 64, in folders where it is long."""
    text = "".join(part.removeprefix("@") for part in path.relative_to(records).parts)
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
