"""The check of a calibrator's tile on behalf of its calibration: a summary for the calibration's twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contimg.commissioning.check import FirstLight, check_files
from contimg.commissioning.tile import TransitFiles, brightest, read_tile
from contimg.config import BeamOptions, CalibrationOptions
from contimg.errors import InputError
from contimg.products.twin import read_twin
from contimg.sky import calibrator_lists


def first_light_of_tile(
    ms_twin: Path, calibrator: str | None, options: CalibrationOptions, beam: BeamOptions
) -> dict[str, Any] | None:
    """Check the raw files that a tile was converted from.

    Parameters
    ----------
    ms_twin : Path
        The tile's twin, whose inputs are the files.
    calibrator : str or None
        The calibrator that transits in the tile; without one nothing is checked.
    options, beam : CalibrationOptions, BeamOptions

    Returns
    -------
    dict or None
        The verdict, text and number of every finding, and which are refuted; ``unchecked`` with the reason instead,
        where the files are gone or can no longer be read. None without a calibrator.
    """
    if calibrator is None:
        return None
    paths = [Path(record.path) for record in read_twin(ms_twin).inputs if record.kind == "subband_file"]
    present = [path for path in paths if path.is_file()]
    if len(present) < len(paths) or not present:
        return {"unchecked": f"{len(paths) - len(present)} of the tile's {len(paths)} raw files are gone"}
    try:
        headers, faults = read_tile(present)
        known = [calibrator_lists.find(calibrator_lists.load(options.calibrators), calibrator)]
        found, flux_jy = brightest(headers[0], known, beam, options)
        return summary(check_files(TransitFiles(headers, faults, found, flux_jy)))
    except InputError as error:  # a file that was changed after the conversion
        return {"unchecked": str(error)}


def summary(outcome: FirstLight) -> dict[str, Any]:
    """Return a check for a twin: the details of single antennas are on the page of `contimg check`."""
    keys = ("key", "verdict", "text", "value", "error", "unit", "named")
    findings = [one.as_json() for one in outcome.findings]
    return {
        "refuted": [one.key for one in outcome.refuted],
        "findings": [{key: one[key] for key in keys} for one in findings],
    }
