"""Calibrators of a declination strip: whether a source of a list crosses it, and which list has one otherwise.

The table ``vla_sources.csv`` holds places (J2000, deg) and flux densities (Jy at 1.405 GHz) of the sources above 0.5 Jy
of the VLA calibrator list that are fit for this array, to count those of a strip without the list itself.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from contimg.config import BeamOptions, CalibrationOptions
from contimg.sky.calibrators import Calibrator
from contimg.sky.constants import SIDEREAL_DAYS_PER_DAY
from contimg.sky.transits import DriftScan, transits


def strip_advice(
    listed: Sequence[Calibrator], scan: DriftScan, beam: BeamOptions, options: CalibrationOptions
) -> str | None:
    """Return a sentence if no calibrator of a list crosses a strip within a sidereal day; None if one does.

    Parameters
    ----------
    listed : sequence of Calibrator
    scan : DriftScan
        Any time of the strip; its sidereal day is looked at.
    beam : BeamOptions
    options : CalibrationOptions
        The list's name and the limits that a calibrator must reach.
    """
    if is_crossed(listed, scan, beam, options):
        return None
    day = _sidereal_day(scan)
    dec_deg = math.degrees(scan.dec_app_rad)
    source = "built-in list" if options.calibrators == "builtin" else Path(options.calibrators).name
    shortage = (
        f"no source of the {source} crosses {dec_deg:+.1f} with {options.min_calibrator_jy:g} Jy through the beam"
    )
    if Path(options.calibrators).suffix.lower() == ".txt":
        return f"{shortage}: name a table with one in calibration.calibrators, or lower calibration.min_calibrator_jy"
    count = len(transits(_vla_sources(), day, beam, options))
    if not count:
        return f"{shortage}, nor of the VLA calibrator list: lower calibration.min_calibrator_jy"
    return f"{shortage}; the VLA calibrator list has {count}: name it (.txt) in calibration.calibrators"


def is_crossed(listed: Sequence[Calibrator], scan: DriftScan, beam: BeamOptions, options: CalibrationOptions) -> bool:
    """Return True if a usable calibrator of a list crosses a strip within a sidereal day. Parameters as of above."""
    return bool(transits(listed, _sidereal_day(scan), beam, options))


def _sidereal_day(scan: DriftScan) -> DriftScan:
    """Return the sidereal day that begins with a scan."""
    return replace(scan, end_mjd=scan.start_mjd + 1 / SIDEREAL_DAYS_PER_DAY)


@functools.cache
def _vla_sources() -> tuple[Calibrator, ...]:
    """Return places and flux densities of the VLA calibrator list's sources that are fit for this array."""
    with open(Path(__file__).with_name("vla_sources.csv"), newline="") as file:
        return tuple(
            Calibrator(
                name=f"{row['ra_deg']}{row['dec_deg']}",
                ra_deg=float(row["ra_deg"]),
                dec_deg=float(row["dec_deg"]),
                coefficients=(math.log10(float(row["flux_jy"])),),
                range_hz=None,
                anchor="VLA calibrator list",
            )
            for row in csv.DictReader(file)
        )
