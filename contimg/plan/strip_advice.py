"""Strips that no calibrator of the list crosses: how they are calibrated, and what the plan says of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from contimg.config import Config
from contimg.plan.model import PlannedCalibration, PlannedTile, Waiting
from contimg.sky import calibrator_lists
from contimg.sky.strip_calibrators import is_crossed, strip_advice
from contimg.sky.transits import DriftScan


def strips_without(config: Config) -> Callable[[PlannedTile], bool]:
    """Return a function that tells whether the bandpass of a tile is solved on the catalogue's sky.

    It is where no calibrator of the list ever crosses the strip, whatever files are there: so that plans agree.
    """
    found: dict[float, bool] = {}

    def is_without(tile: PlannedTile) -> bool:
        if config.sky.catalogue is None or not config.calibration.field_bandpass:
            return False
        strip = round(tile.dec_app_deg, 2)
        if strip not in found:
            known = calibrator_lists.load(config.calibration.calibrators)
            found[strip] = not is_crossed(known, scan_of(tile), config.beam, config.calibration)
        return found[strip]

    return is_without


def note_on_strip(planned: PlannedCalibration, tiles: Mapping[str, PlannedTile], config: Config) -> str | None:
    """Return why a bandpass is solved on the catalogue's sky, and which calibrators there would be; None for others."""
    if planned.type != "bandpass" or planned.calibrator is not None or planned.tile not in tiles:
        return None
    known = calibrator_lists.load(config.calibration.calibrators)
    said = strip_advice(known, scan_of(tiles[planned.tile]), config.beam, config.calibration)
    return f"{planned.id} is solved on the catalogue's sky: {said}"


def with_advice(waiting: Waiting, tiles: Mapping[str, PlannedTile], config: Config) -> Waiting:
    """Add to what waits for a bandpass that no calibrator of the list ever crosses its strip, and what would."""
    tile = tiles.get(waiting.since)
    if waiting.code != "no_bandpass" or tile is None:
        return waiting
    known = calibrator_lists.load(config.calibration.calibrators)
    advice = strip_advice(known, scan_of(tile), config.beam, config.calibration)
    return waiting if advice is None else replace(waiting, message=f"{waiting.message}; {advice}")


def scan_of(tile: PlannedTile) -> DriftScan:
    """Return the drift scan of a tile, whose times are the centres of integrations."""
    half_days = tile.integration_s / 2 / 86400
    return DriftScan(
        math.radians(tile.dec_app_deg),
        tile.start_mjd - half_days,
        tile.end_mjd + half_days,
        tile.longitude_rad,
        tile.latitude_rad,
    )
