"""The rule convert_tile: subband files to a flagged Measurement Set with one phase centre.

The data are read once, a block of baselines at a time through all subbands: read, rotate to the tile's phase centre,
flag, write. The memory does not depend on the number of baselines. Autocorrelations are not written, as neither
calibration nor imaging uses them; their power shows which receptors are dead.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from contimg import naming
from contimg.config import FlagOptions, IngestOptions
from contimg.config.used_keys import used_options
from contimg.convert.stream import fill
from contimg.convert.subbands import TileFiles, UnreadableSubband, choose, fault_of_the_disk
from contimg.convert.summary import ConversionReport, report_rejected
from contimg.products.draft import TwinDraft
from contimg.products.twin import Input, Twin
from contimg.storage.atomic import file_sha256, remove

_LOG = logging.getLogger(__name__)

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
    the tile and at the header's location; all integrations are rotated to it. The frequency axis always
    has all ``ingest.subbands``; channels of a missing subband keep their frequencies, are flagged and have
    weight 0. A subband that is unreadable, contradicts the others (times that are not of the same lattice within
    1 ms, pointing, antennas, delays) or holds nothing but zeros counts as missing and is a warning; fewer than
    ``ingest.min_subbands`` are a failed verdict and an empty directory. The tile has the integrations that at least
    half of its files have; where a file lacks one of them its channels are flagged.

    Parameters
    ----------
    subband_files : sequence of Path
    ms, twin : Path
        The Measurement Set and its twin (JSON) to write.
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
        If the machine failed: a file vanished, a disk is full. A bad disk under an input is a subband left out.
    InputError
        For a date beyond the installed Earth-orientation tables.
    """
    draft = TwinDraft("ms", naming.iso(tile_id))
    files = sorted(Path(path) for path in subband_files)
    tile = choose(files, tile_id, ingest)
    _LOG.info("%d of %d subband files are usable", len(tile.headers), len(files))
    with ThreadPoolExecutor(1) as pool:  # hashlib releases the interpreter's lock
        hashes = pool.map(_digest, files)
        with draft.product(Path(ms)) as part:
            report = _convert(part, tile, ingest, flag)
            draft.inputs += _inputs(tile, dict(zip(files, hashes, strict=True)))
    draft.reasons, draft.notes, draft.facts, draft.qa = report.reasons, report.notes, report.facts, report.qa
    draft.synthetic = any(header.synthetic for header in tile.headers.values())
    return draft.write(
        twin,
        parameters={
            "ingest": used_options("convert_tile", "ingest", ingest),
            "flag": used_options("convert_tile", "flag", flag),
        },
        libraries=("h5py", "python-casacore", "pyerfa", "astropy-iers-data", "aoflagger", "numpy"),
    )


def _digest(path: Path) -> str | OSError:
    """Return the SHA-256 of a file, or the error of the disk that it cannot be read from."""
    try:
        return file_sha256(path)
    except OSError as error:
        fault_of_the_disk(path, error)
        return error


def _inputs(tile: TileFiles, digests: dict[Path, str | OSError]) -> list[Input]:
    """Return the records of the files; one that cannot be read from its disk has none, and must not have been used.

    Raises
    ------
    OSError
        If a file that was used cannot be read again.
    """
    used = {header.path for header in tile.headers.values()}
    inputs = []
    for path, digest in digests.items():
        if isinstance(digest, str):
            inputs.append(Input(path=str(path), kind="subband_file", id=path.name, sha256=digest))
        elif path in used:
            raise digest
    return inputs


def _convert(part: Path, tile: TileFiles, ingest: IngestOptions, flag: FlagOptions) -> ConversionReport:
    """Write the Measurement Set; start again without a subband whose data turn out to be unreadable."""
    while True:
        remove(part)
        if len(tile.headers) < ingest.min_subbands:
            part.mkdir()
            return _too_few(tile, len(tile.headers), ingest)
        try:
            report = fill(part, tile, ingest, flag)
        except UnreadableSubband as error:
            tile.reject(error.subband, str(error))
            continue
        if report.facts["n_subbands"] < ingest.min_subbands:
            remove(part)
            part.mkdir()
            return _too_few(tile, report.facts["n_subbands"], ingest)
        return report


def _too_few(tile: TileFiles, usable: int, ingest: IngestOptions) -> ConversionReport:
    """Return the report of a tile that has too few subbands to be converted."""
    report = ConversionReport(facts={"n_subbands": usable})
    report_rejected(report, tile)
    message = f"only {usable} of {ingest.subbands} subbands hold usable data"
    report.fail("too_few_subbands", message, usable, ingest.min_subbands)
    return report
