"""One tile from its subband files to a flagged Measurement Set with one phase centre.

One pass over the data, a block of baselines at a time through all subbands: read, turn to the tile's phase
centre, flag, write. Memory is that of one block, whatever the size of the tile. Autocorrelations are left out:
neither calibration nor imaging uses them, they measure the power of each receptor and so find dead antennas.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from contimg import naming
from contimg.config import FlagOptions, IngestOptions
from contimg.convert.stream import fill
from contimg.convert.subbands import Tile, UnreadableSubband, choose
from contimg.convert.summary import Outcome, report_rejected
from contimg.products.draft import TwinDraft
from contimg.products.twin import Input, Reason, Twin
from contimg.storage.atomic import file_sha256, remove

__all__ = ["convert_tile"]


def convert_tile(
    subband_files: Sequence[Path],
    ms: Path,
    twin: Path,
    *,
    tile_id: str,
    ingest: IngestOptions,
    flag: FlagOptions,
) -> Twin:
    """Convert the subband files of one tile to a Measurement Set and its twin.

    The phase centre is the ICRS direction whose apparent place is (HA 0, header declination) at the middle of
    the tile and at the header's location; all integrations are turned to it. The frequency axis always
    has all ``ingest.subbands``; channels of a missing subband keep their frequencies, are flagged and have
    weight 0. A subband that is unreadable, contradicts the others (start beyond 1 ms, pointing, antennas,
    delays) or holds nothing but zeros counts as missing and is a warning; fewer than ``ingest.min_subbands``
    are a failed verdict and an empty directory.

    Parameters
    ----------
    subband_files : sequence of Path
    ms, twin : Path
        Where the Measurement Set and the JSON go.
    tile_id : str
        The tile's id: UTC of the first integration.
    ingest, flag : options

    Returns
    -------
    Twin
        Kind ``ms``. ``qa.flagged_fraction`` is that of received cross-correlations;
        ``qa.flagged_by_reason`` shares it out, each sample under the first reason that applied.

    Raises
    ------
    OSError
        If the machine failed: a file vanished, a disk is full.
    InputError
        For a date beyond the installed Earth-orientation tables.
    """
    draft = TwinDraft("ms", naming.iso(tile_id))
    files = sorted(Path(path) for path in subband_files)
    tile = choose(files, tile_id, ingest)
    with ThreadPoolExecutor(1) as pool:  # hashlib releases the interpreter's lock
        hashes = pool.map(file_sha256, files)
        with draft.product(Path(ms)) as part:
            outcome = _convert(part, tile, ingest, flag)
            draft.inputs += [
                Input(path=str(path), kind="subband_file", id=path.name, sha256=digest)
                for path, digest in zip(files, hashes, strict=True)
            ]
    draft.reasons, draft.notes, draft.facts, draft.qa = outcome.reasons, outcome.notes, outcome.facts, outcome.qa
    draft.synthetic = any(header.synthetic for header in tile.headers.values())
    return draft.write(
        twin,
        parameters={"ingest": ingest.model_dump(mode="json"), "flag": flag.model_dump(mode="json")},
        libraries=("h5py", "python-casacore", "pyerfa", "astropy-iers-data", "aoflagger", "numpy"),
    )


def _convert(part: Path, tile: Tile, ingest: IngestOptions, flag: FlagOptions) -> Outcome:
    """Fill the directory; retry without a subband whose data turn out to be unreadable."""
    while True:
        remove(part)
        if len(tile.headers) < ingest.min_subbands:
            part.mkdir()
            return _too_few(tile, len(tile.headers), ingest)
        try:
            outcome = fill(part, tile, ingest, flag)
        except UnreadableSubband as error:
            tile.rejected[error.subband] = str(error)
            del tile.headers[error.subband]
            continue
        if outcome.facts["n_subbands"] < ingest.min_subbands:
            remove(part)
            part.mkdir()
            return _too_few(tile, outcome.facts["n_subbands"], ingest)
        return outcome


def _too_few(tile: Tile, usable: int, ingest: IngestOptions) -> Outcome:
    outcome = Outcome(facts={"n_subbands": usable})
    report_rejected(outcome, tile)
    message = f"only {usable} of {ingest.subbands} subbands hold usable data"
    outcome.reasons.append(
        Reason(
            code="too_few_subbands", severity="failed", message=message, measured=usable,
            threshold=ingest.min_subbands,
        )
    )  # fmt: skip
    return outcome
