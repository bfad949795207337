"""The twins in a bundle on which its verdict rests."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from contimg.bundle import bundle
from contimg.errors import InputError
from contimg.products.twin import Twin, twin_digest
from contimg.storage import safe_files


def read_twins(path: Path, data_id: str) -> list[Twin]:
    """Return the twins that the bundle's verdict rests on: the mosaic's and, if any, the crossmatch's.

    Raises
    ------
    InputError
        If a twin is missing, invalid, or not the one in the bundle's lineage.
    """
    metadata, path = bundle.read_metadata(path), bundle.payload(path)
    try:
        listed = {entry["sha256"] for entry in metadata["lineage"]["products"]}
    except (KeyError, TypeError):
        raise InputError(f"{path / bundle.METADATA} holds no lineage: restore it from a copy") from None
    twins: list[Twin] = []
    for name in (f"{data_id}.json", f"crossmatch/{data_id}.json"):
        place = PurePosixPath(name)
        try:
            with safe_files.open_folder(path, place.parent) as folder:
                twin = Twin.model_validate_json(bundle.read_file(folder, place.name))
        except FileNotFoundError:
            if twins:
                continue
            raise InputError(f"{path / name} does not exist: name the folder of a bundle") from None
        except ValidationError:
            raise InputError(f"{path / name} is not a valid twin: restore it from a copy") from None
        if twin_digest(twin) not in listed:
            raise InputError(f"{path / name} is not the twin in the bundle's lineage: restore it from a copy")
        twins.append(twin)
    return twins
