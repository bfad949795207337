"""The manifest of a product: its files with size and SHA-256, listed in its twin and verified by each reader.

It shows whether a file was edited, lost or exchanged after the product was judged. It is made before the product is
renamed to its final name, and is part of the twin's digest, by which later products name their inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from contimg.errors import InputError
from contimg.products.twin import FileRecord, Input, Twin, input_from_twin
from contimg.storage.atomic import file_sha256

# Products that are Measurement Sets; the twin of ``<stem>.ms`` is ``<stem>.json``.
_MS_KINDS = frozenset({"ms", "calibrated"})
# casacore writes these when a table is opened, even for reading.
_CHANGED_BY_READING = frozenset({"table.lock"})


class AlteredProduct(InputError):
    """A file of a product is missing, or is not the file that was judged."""


def product_files(place: Path) -> Iterator[str]:
    """Give the names of a product's files, relative to its folder, in order.

    Hidden files (Snakemake's time stamp) and lock files of tables are no part of a product.
    """
    for path in sorted(Path(place).rglob("*")):
        name = path.relative_to(place)
        if path.is_file() and path.name not in _CHANGED_BY_READING and not any(p.startswith(".") for p in name.parts):
            yield name.as_posix()


def make_manifest(place: Path) -> dict[str, FileRecord]:
    """Return size and SHA-256 of every file of a product, by its name relative to the product's folder."""
    return {
        name: FileRecord(size=(place / name).stat().st_size, sha256=file_sha256(place / name))
        for name in product_files(place)
    }


def file_states(place: Path, names: Mapping[str, FileRecord]) -> dict[str, list[int]]:
    """Return modification time [ns since 1970] and inode number of a product's files, by name.

    A file that has kept size, time and inode counts as unchanged without being read again.
    """
    states = {name: (place / name).stat() for name in names}
    return {name: [state.st_mtime_ns, state.st_ino] for name, state in states.items()}


def product_of(twin_path: Path, kind: str) -> Path:
    """Return the folder of the product that a twin stands beside."""
    return Path(twin_path).with_suffix(".ms" if kind in _MS_KINDS else "")


def read_product(twin_path: Path, place: Path | None = None) -> tuple[Twin, Input]:
    """Read a twin, verify the files of its product, and return the record that names it as an input.

    Parameters
    ----------
    twin_path : Path
    place : Path or None
        Where the product stands; None: beside its twin.

    Raises
    ------
    InputError
        If the twin is missing or unreadable.
    AlteredProduct
        If a file of the product is missing or was altered after the product was made.
    """
    twin, record = input_from_twin(twin_path)
    verify_product(twin_path, twin, place)
    return twin, record


def lost_file(twin_path: Path, twin: Twin) -> str | None:
    """Return what is missing of a product's files, or not of its size, without reading any; None if all are there."""
    place = product_of(twin_path, twin.kind)
    for name, record in (twin.files or {}).items():
        try:
            size = (place / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return f"{place / name} is missing"
        if size != record.size:
            return f"{place / name} has {size} bytes instead of {record.size}"
    return None


def verify_product(twin_path: Path, twin: Twin, place: Path | None = None, *, read_all: bool = False) -> None:
    """Compare a product's files with the manifest in its twin.

    Parameters
    ----------
    twin_path : Path
    twin : Twin
    place : Path or None
        Where the product stands; None: beside its twin.
    read_all : bool
        Read every byte, also of files whose size, modification time and inode are those of the twin.

    Raises
    ------
    AlteredProduct
        If a file is missing or differs, or the twin holds no manifest.
    """
    place = place or product_of(twin_path, twin.kind)
    remedy = f"make it again with: rm -r {place} {twin_path}; then rerun snakemake"
    if twin.files is None:
        raise AlteredProduct(f"{twin_path} lists no files, as it is of an earlier version of contimg: {remedy}")
    states = twin.run.get("file_states", {})
    for name, record in twin.files.items():
        path = place / name
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise AlteredProduct(f"{path} is missing, which belongs to {twin.kind} {twin.id}: {remedy}") from None
        untouched = states.get(name) == [found.st_mtime_ns, found.st_ino]
        if found.st_size == record.size and ((untouched and not read_all) or file_sha256(path) == record.sha256):
            continue
        raise AlteredProduct(f"{path} was altered after {twin.kind} {twin.id} was made and judged: {remedy}")
