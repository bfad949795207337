"""The choice of calibrations, against an oracle that is written from the rules, not from the code."""

import random
from dataclasses import replace

import pytest

from contimg.config import CalibrationOptions, SkyOptions
from contimg.plan import CalibrationRecord
from contimg.plan.calibration import _choose, _from_record
from contimg.plan.model import Tile
from tests.plan.conftest import tile_id

SKY = SkyOptions(catalogue="sky.csv")


def record(number, *, mid_mjd, kind="bandpass", dec=30.4, certified=True, bandpass=None):
    name = f"cal_20260211T{number:06d}"
    return CalibrationRecord(
        name,
        kind,
        tile_id(0),
        mid_mjd,
        dec,
        certified,
        "passed" if certified else "snr: too low",
        "3C286",
        bandpass,
    )


def test_a_transit_calibrates_the_tiles_in_reach_of_its_gains(make_night):
    plan = make_night(10).plan(calibrators=(tile_id(4),), sky=SKY)
    assert set(plan.calibrations) == {"cal_" + tile_id(4).replace("-", "").replace(":", "")}
    assert {(c.bandpass, c.gains) for c in plan.choices.values()} == {(next(iter(plan.calibrations)),) * 2}


def test_a_group_without_transit_solves_gains_on_its_middle_tile(make_night):
    plan = make_night(20).plan(calibrators=(tile_id(4),), sky=SKY)
    kinds = {c.tile: (c.type, c.calibrator, c.bandpass) for c in plan.calibrations.values()}
    bandpass = "cal_" + tile_id(4).replace("-", "").replace(":", "")
    assert kinds == {tile_id(4): ("bandpass", "3C286", None), tile_id(14): ("gains", None, bandpass)}
    last = plan.choices[tile_id(19)]
    assert last.bandpass == bandpass
    assert last.calibrations == (bandpass, "cal_" + tile_id(14).replace("-", "").replace(":", ""))


def test_without_a_catalogue_the_bandpass_alone_is_applied_and_the_choice_says_so(make_night):
    choice = make_night(20).plan(calibrators=(tile_id(4),)).choices[tile_id(19)]
    assert choice.gains is None
    assert "bandpass only" in choice.why[1]


def test_a_group_without_any_bandpass_waits(make_night):
    plan = make_night(10).plan(sky=SKY)
    assert not plan.groups and not plan.tiles
    assert [(w.code, w.id) for w in plan.waiting] == [("no_bandpass", "mosaic_20260211T002650")]


def test_a_failed_set_is_never_used_and_the_next_plan_goes_round_it(make_night):
    night = make_night(10)
    names = (tile_id(2), tile_id(7))
    first = night.plan(calibrators=names)
    assert len(first.calibrations) == 2
    bad = next(iter(first.calibrations))
    failed = CalibrationRecord(bad, "bandpass", tile_id(2), 61082.0, 30.4, False, "snr: 1 below 3", "3C286", None)
    second = night.plan(calibrators=names, records=[failed])
    assert set(second.calibrations) == set(first.calibrations) - {bad}
    assert all((bad, "any", "snr: 1 below 3") in c.rejected for c in second.choices.values())


def test_another_strip_is_refused(make_night):
    night = make_night(10, dec_deg=30.4)
    mid = next(iter(night.facts.values())).start_mjd
    plan = night.plan(records=[record(1, mid_mjd=mid, dec=33.1)])
    assert [w.code for w in plan.waiting] == ["no_bandpass"]


@pytest.mark.parametrize(("policy", "chosen"), [("nearest", 2), ("causal", 1)])
def test_causal_never_uses_the_future(make_night, policy, chosen):
    night = make_night(1)
    start = next(iter(night.facts.values())).start_mjd
    records = [record(1, mid_mjd=start - 0.3), record(2, mid_mjd=start + 0.1)]
    plan = night.plan(records=records, calibration=CalibrationOptions(policy=policy))
    assert plan.choices[tile_id(0)].bandpass == records[chosen - 1].id


def test_ten_thousand_random_timelines_agree_with_the_oracle():
    dice = random.Random(20260211)
    differences = 0
    for _ in range(10_000):
        policy = dice.choice(["nearest", "causal"])
        options = CalibrationOptions(
            policy=policy,
            bandpass_validity_h=dice.choice([1.0, 24.0]),
            gain_validity_min=dice.choice([10.0, 30.0, 90.0]),
        )
        tile = Tile(
            tile_id(0),
            tile_id(0),
            (),
            (),
            (),
            (),
            61082.0,
            61082.0,
            12.9,
            dice.choice([30.4, 54.6]),
            0.0,
            0.0,
            False,
        )
        records = [
            record(
                n,
                mid_mjd=61082 + dice.randint(-60, 60) * dice.choice([1, 30]) / 1440,
                kind=dice.choice(["bandpass", "gains"]),
                dec=dice.choice([30.4, 30.9, 54.6]),
                certified=dice.random() < 0.8,
            )
            for n in range(dice.randint(0, 8))
        ]
        names = [r.id for r in records] + ["cal_gone"]
        records = [replace(r, bandpass=dice.choice(names)) if r.type == "gains" else r for r in records]
        got = _choose(tile, [_from_record(r) for r in records if r.certified], [], options)
        expected = oracle(tile, records, options)
        if (None if got is None else (got.bandpass, got.gains)) != expected:
            differences += 1
    assert differences == 0


def oracle(tile, records, options):
    """Sort every record by distance, time and id, walk along, take the first that every rule admits."""

    def seconds(r):
        return round((r.mid_mjd - 61082.0) * 86400)

    def serves(r, limit_s):
        future = options.policy == "causal" and seconds(r) > 0
        strip = abs(r.dec_app_deg - tile.dec_app_deg) <= 1.0
        return r.certified and strip and not future and abs(seconds(r)) <= limit_s

    ordered = sorted(records, key=lambda r: (abs(seconds(r)), seconds(r), r.id))
    day_s, gain_s = options.bandpass_validity_h * 3600, options.gain_validity_min * 60
    bandpasses = [r.id for r in ordered if r.type == "bandpass" and serves(r, day_s)]
    for r in ordered:
        brings = r.id if r.type == "bandpass" else r.bandpass
        if serves(r, gain_s) and brings in bandpasses:
            return brings, r.id
    return (bandpasses[0], None) if bandpasses else None
