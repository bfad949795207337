"""Whether a calibration and a tile belong together, and how far apart in time they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contimg.correlator import setup
from contimg.correlator.setup import CorrelatorSetup

# Codes of the reasons for the items of a setup that must be equal.
_CODES = {
    "applied_delays_sha256": "delays_disagree",
    "antenna_order_sha256": "antennas_disagree",
    "fs_table": "fringe_stopping_disagrees",
    "n_channels": "channels_disagree",
}


def setup_differences(facts: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return in what the correlator's setup differs between two twins, as (code of the reason, what differs)."""
    one, two = CorrelatorSetup.of_facts(facts), CorrelatorSetup.of_facts(other)
    return [(_CODES[key], what) for key, what in setup.setup_differences(one, two, strict=True).items()]


def dec_difference_deg(facts: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Return the distance between the declination strips of two twins [deg]."""
    return abs(facts["dec_app_deg"] - other["dec_app_deg"])


def seconds_later(calibration_mid_mjd: float, tile_mid_mjd: float) -> int:
    """Return how much later than a tile a calibration is, from the middle of one tile to that of the other.

    Whole seconds, so that the rounding of MJDs decides nothing: the one definition of this time, by which the plan
    chooses and of which pages and notes speak.
    """
    return round((calibration_mid_mjd - tile_mid_mjd) * 86400)


def time_apart(calibration_mid_mjd: float, tile_mid_mjd: float) -> str:
    """Return how far a calibration is from a tile in time, in words: ``20.6 min earlier``."""
    ahead_min = seconds_later(calibration_mid_mjd, tile_mid_mjd) / 60
    return f"{abs(ahead_min):.1f} min {'later' if ahead_min > 0 else 'earlier'}"
