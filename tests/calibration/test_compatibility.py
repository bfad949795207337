"""Whether tile and calibration belong together, and how far apart: one definition for plan, notes and pages."""

import pytest

from contimg.calibration.compatibility import dec_difference_deg, seconds_later, setup_differences, time_apart
from contimg.config import CalibrationOptions
from contimg.plan.model import CalibrationRecord
from contimg.plan.suitability import bandpass_refusal

SETUP = {"applied_delays_sha256": "d", "antenna_order_sha256": "a", "fs_table": "t"}


def test_the_setup_differs_where_a_key_does():
    assert setup_differences(SETUP, dict(SETUP)) == []
    assert setup_differences(SETUP, SETUP | {"fs_table": "u"}) == [
        ("fringe_stopping_disagrees", "fringe-stopping table")
    ]
    assert [code for code, _ in setup_differences(SETUP, {})] == [
        "delays_disagree", "antennas_disagree", "fringe_stopping_disagrees",
    ]  # fmt: skip
    assert dec_difference_deg({"dec_app_deg": -0.5}, {"dec_app_deg": 1.0}) == pytest.approx(1.5)


@pytest.mark.parametrize(("tiles", "words"), [(4, "20.6 min later"), (-4, "20.6 min earlier"), (1, "5.2 min later")])
def test_time_from_tile_to_calibration_is_between_their_middles_in_whole_seconds(tiles, words):
    """Tiles start every 309 s; the rounding of an MJD near 61000 is below a microsecond and decides nothing."""
    middle = 61081.5
    assert seconds_later(middle + tiles * 309 / 86400, middle) == tiles * 309
    assert time_apart(middle + tiles * 309 / 86400, middle) == words


def test_the_plan_states_the_same_time():
    record = CalibrationRecord("cal_b", "bandpass", "b", 61081.5 + 1.2, 30.0, True, "", "3C286", None)
    facts = {"tile": "a", "start_mjd": 61081.499, "end_mjd": 61081.501, "dec_app_deg": 30.0}
    reason = bandpass_refusal(facts, record, CalibrationOptions())
    assert reason == f"outside its validity of 1440 min, {time_apart(61081.5 + 1.2, 61081.5)}"
