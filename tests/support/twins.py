"""Twins of products that tests make by hand."""

from pathlib import Path

from contimg.products.manifest import file_states, make_manifest, product_of
from contimg.products.twin import Twin, write_twin


def write_with_manifest(path: Path, twin: Twin) -> None:
    """Write a twin that lists the files of the product beside it, as rules do."""
    place = product_of(path, twin.kind)
    files = make_manifest(place) if place.is_dir() else {}
    run = {"file_states": file_states(place, files)}
    write_twin(path, twin.model_copy(update={"files": files, "run": run}))
