"""Bandpasses planned on the catalogue's sky, in strips that no calibrator crosses."""

from contimg.config import CalibrationOptions, Config, PathOptions, SkyOptions
from contimg.plan.model import CalibrationRecord
from contimg.plan.strip_advice import strips_without
from tests.plan.conftest import tile_id

SKY = SkyOptions(catalogue="sky.csv")


def _calibration(number):
    return "cal_" + tile_id(number).replace("-", "").replace(":", "")


def _kinds(plan):
    return {c.id: (c.type, c.calibrator, c.bandpass) for c in plan.calibrations.values()}


def test_the_first_group_solves_a_bandpass_on_its_middle_tile_and_the_next_gains_on_top(make_night):
    plan = make_night(20).plan(sky=SKY, without=range(20))
    assert _kinds(plan) == {
        _calibration(4): ("bandpass", None, None),
        _calibration(14): ("gains", None, _calibration(4)),
    }
    assert not plan.waiting
    assert {(c.bandpass, c.gains) for c in (plan.choices[tile_id(n)] for n in range(9))} == {(_calibration(4),) * 2}


def test_where_it_failed_the_nearest_other_tile_is_taken(make_night):
    failed = CalibrationRecord(
        _calibration(4), "bandpass", tile_id(4), 61082.03, 30.4, False, "field_too_faint: 0.2 Jy", None, None
    )
    plan = make_night(10).plan(sky=SKY, without=range(10), records=[failed])
    assert _kinds(plan) == {_calibration(3): ("bandpass", None, None)}


def test_a_certified_one_is_used_and_none_planned_again(make_night):
    first = make_night(10).plan(sky=SKY, without=range(10))
    solved = first.calibrations[_calibration(4)]
    record = CalibrationRecord(
        solved.id, "bandpass", solved.tile, solved.mid_mjd, 30.4, True, "passed", None, None, solved.setup
    )
    again = make_night(10).plan(sky=SKY, without=range(10), records=[record])
    assert again.calibrations == first.calibrations and again.choices == first.choices


def test_none_is_planned_where_a_calibrator_crosses_at_another_time(make_night):
    """Then a bandpass of that calibrator is waited for."""
    plan = make_night(10).plan(sky=SKY)
    assert not plan.calibrations and [w.code for w in plan.waiting] == ["no_bandpass"]


def _config(tmp_path, **calibration):
    return Config(paths=PathOptions(incoming=tmp_path), sky=SKY, calibration=CalibrationOptions(**calibration))


def test_strips_are_told_by_the_list_alone(make_night, tmp_path):
    """3C286 crosses +30.4; nothing of Perley & Butler crosses +71.6."""
    (crossed,) = make_night(1, dec_deg=30.4).plan(calibrators=(tile_id(0),)).tiles.values()
    (empty,) = make_night(1, dec_deg=71.6).plan(calibrators=(tile_id(0),)).tiles.values()
    assert [strips_without(_config(tmp_path))(tile) for tile in (crossed, empty)] == [False, True]
    never = strips_without(_config(tmp_path, field_bandpass=False))
    assert not never(empty)
    assert not strips_without(Config(paths=PathOptions(incoming=tmp_path)))(empty)  # no catalogue
