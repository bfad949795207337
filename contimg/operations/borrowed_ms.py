"""Access to the Measurement Set of a tile after it was removed: MSs are temporary, their twins stay."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from contimg import naming
from contimg.errors import InputError
from contimg.products.manifest import lost_file
from contimg.products.twin import read_twin
from contimg.storage.atomic import remove
from contimg.storage.process import is_orphan, part_name


@contextlib.contextmanager
def borrowed_ms(ms_twin: Path) -> Iterator[Path]:
    """Yield the path of the MS that a twin describes, converted again for the time of the block if it is not whole.

    The MS cannot be an input of the rule `solve_calibration`: Snakemake does not treat a missing input as `ancient`, so
    that an MS made again for another rule would start the calibration, and every tile that uses it, anew. A run keeps
    the MSs that its calibrations are solved on where no other rule reads them afterwards (`targets.wanted_products`).

    Parameters
    ----------
    ms_twin : Path
        The twin; the MS stands beside it if it is still there.

    Raises
    ------
    InputError
        If a subband file that the MS was made from is gone, or is another one now.
    """
    ms = ms_twin.with_suffix(".ms")
    if lost_file(ms_twin, read_twin(ms_twin)) is None:
        yield ms
        return
    name = f"{ms_twin.stem}.borrowed"
    for left in ms_twin.parent.glob(f".{name}.*"):
        if is_orphan(left):
            remove(left)
    folder = ms_twin.parent / part_name(name)
    folder.mkdir()
    try:
        yield _convert_again(ms_twin, folder)
    finally:
        remove(folder)


def _convert_again(ms_twin: Path, folder: Path) -> Path:
    """Convert a tile's files into a folder with the recorded options; raise InputError where the result differs."""
    from contimg.config import FlagOptions, IngestOptions
    from contimg.convert.convert_tile import convert_tile

    before = read_twin(ms_twin)
    files = [Path(item.path) for item in before.inputs if item.kind == "subband_file"]
    gone = next((file for file in files if not file.exists()), None)
    if gone is not None:
        raise InputError(
            f"{gone} is gone, and the MS of {before.id} with it: restore the file, then type the same command again"
        )
    made, twin = folder / f"{ms_twin.stem}.ms", folder / ms_twin.name
    convert_tile(
        files,
        made,
        twin,
        tile_id=naming.iso(before.id),
        ingest=IngestOptions(**before.parameters["ingest"]),
        flag=FlagOptions(**before.parameters["flag"]),
    )
    again = read_twin(twin)
    if (again.inputs, again.facts, again.qa) != (before.inputs, before.facts, before.qa):
        raise InputError(
            f"{ms_twin} cannot be made again as it was (its files or the conversion changed): remove it, then type the "
            "same snakemake command again"
        )
    return made
