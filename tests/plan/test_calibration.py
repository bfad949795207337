"""The choice of calibrations, against an oracle that is written from the rules, not from the code."""

import random
from dataclasses import replace

import pytest

from contimg.config import CalibrationOptions, Config, PathOptions, SkyOptions
from contimg.correlator.setup import CorrelatorSetup
from contimg.plan.calibration import _choose
from contimg.plan.frozen import freeze, frozen_plan, read_previous
from contimg.plan.model import CalibrationRecord, PlannedTile
from contimg.plan.suitability import from_record
from tests.plan.conftest import tile_id

UNKNOWN = CorrelatorSetup()
SETUPS = [
    UNKNOWN,
    CorrelatorSetup("delays", "order", "table"),
    CorrelatorSetup("delays", "order", "another"),
    CorrelatorSetup("others", "order", "table"),
]
SKY = SkyOptions(catalogue="sky.csv")


def record(number, *, mid_mjd, kind="bandpass", dec=30.4, certified=True, bandpass=None, setup=UNKNOWN):
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
        setup,
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


def test_an_unsteady_calibrator_serves_only_where_no_other_is_in_reach(make_night):
    night = make_night(20)
    alone = night.plan(unsteady=(tile_id(14),), sky=SKY)
    assert {c.calibrator for c in alone.calibrations.values() if c.type == "bandpass"} == {"3C454.3"}
    both = night.plan(calibrators=(tile_id(4),), unsteady=(tile_id(14),), sky=SKY)
    bandpass = "cal_" + tile_id(4).replace("-", "").replace(":", "")
    assert {c.bandpass for c in both.choices.values()} == {bandpass}
    other, beside = ("cal_" + tile_id(n).replace("-", "").replace(":", "") for n in (14, 13))
    assert set(both.calibrations) == {bandpass, beside}
    assert (both.calibrations[beside].type, both.calibrations[beside].bandpass) == ("gains", bandpass)
    said = {(name, kind): reason for name, kind, reason in both.choices[tile_id(15)].rejected}
    assert said[other, "bandpass"] == f"its calibrator 3C454.3 varies: {bandpass} on 3C286 is preferred"
    # Out of reach of the steady one in time, the other serves.
    far = night.plan(
        calibrators=(tile_id(4),), unsteady=(tile_id(14),), sky=SKY,
        calibration=CalibrationOptions(bandpass_validity_h=0.6, gain_validity_min=30.0),
    )  # fmt: skip
    assert {far.choices[t].bandpass for t in (tile_id(0), tile_id(19))} == {bandpass, other}


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


def test_gains_that_bracket_a_tile_on_one_bandpass_are_interpolated_and_the_choice_says_so(make_night):
    plan = make_night(20).plan(calibrators=(tile_id(4),), sky=SKY)
    bandpass, gains = sorted(plan.calibrations)
    between = plan.choices[tile_id(9)]
    assert (between.bandpass, between.gains, between.partner) == (bandpass, bandpass, gains)  # a tie: the earlier one
    assert between.calibrations == (bandpass, bandpass, gains)
    assert "interpolated between the two" in between.why[2]
    outside = plan.choices[tile_id(16)]
    assert (outside.gains, outside.partner) == (gains, None)
    assert outside.calibrations == (bandpass, gains)


def test_gains_on_another_bandpass_are_not_interpolated_with(make_night):
    plan = make_night(20).plan(calibrators=(tile_id(4), tile_id(14)))
    choice = plan.choices[tile_id(9)]
    first, second = sorted(plan.calibrations)
    assert (choice.gains, choice.partner) == (first, None)
    said = {(name, kind): reason for name, kind, reason in choice.rejected}[second, "gains"]
    assert "25.8 min later" in said and f"on bandpass {second}, so not to be interpolated with" in said


@pytest.mark.parametrize("place", [0, 1, 2])
def test_another_setup_of_the_correlator_is_refused_with_its_name(make_night, place):
    night = make_night(2, skip=(1,))
    own = ("delays", "order", "table")
    for path, facts in night.facts.items():
        night.facts[path] = replace(facts, setup=own)
    mid = next(iter(night.facts.values())).start_mjd
    other = CorrelatorSetup(*("another" if i == place else value for i, value in enumerate(own)))
    records = [record(1, mid_mjd=mid, setup=other), record(2, mid_mjd=mid - 0.4, setup=CorrelatorSetup(*own))]
    choice = night.plan(records=records).choices[tile_id(0)]
    assert choice.bandpass == records[1].id
    what = ("applied delays", "antenna order", "fringe-stopping table")[place]
    assert (records[0].id, "bandpass", f"correlated with another {what} than the tile") in choice.rejected


def test_gains_are_solved_again_when_their_bandpass_is_withdrawn(make_night):
    night = make_night(10)
    mid = next(iter(night.facts.values())).start_mjd
    middle = "cal_" + tile_id(4).replace("-", "").replace(":", "")
    gone, other = record(1, mid_mjd=mid - 0.3, certified=False), record(2, mid_mjd=mid - 0.4)
    gains = replace(record(3, mid_mjd=mid + 4 * 309.2376 / 86400, kind="gains", bandpass=gone.id), id=middle)
    plan = night.plan(records=[gone, other, gains], sky=SKY)
    assert plan.calibrations[middle].bandpass == other.id
    assert {choice.bandpass for choice in plan.choices.values()} == {other.id}


def test_a_bandpass_is_compared_with_the_certified_one_before_it(make_night, tmp_path):
    night = make_night(10)
    mid = next(iter(night.facts.values())).start_mjd
    records = [record(1, mid_mjd=mid - 3), record(2, mid_mjd=mid - 0.9), record(3, mid_mjd=mid - 0.5, dec=54.6),
               record(4, mid_mjd=mid - 0.4, certified=False), record(5, mid_mjd=mid + 0.5)]  # fmt: skip
    plan = night.plan(calibrators=(tile_id(4),), records=records)
    assert [c.previous for c in plan.calibrations.values()] == [records[1].id]
    config = Config(paths=PathOptions(**{name: tmp_path / name for name in PathOptions.model_fields}))
    freeze(plan, config)
    (planned,) = plan.calibrations
    own, other, before = (config.layout.twin("calibration", c) for c in (planned, "cal_20200101T000000", records[1].id))
    assert read_previous(config.layout.frozen_plan, own) == before
    assert read_previous(config.layout.frozen_plan, other) is None
    assert frozen_plan(config) == plan


@pytest.mark.parametrize(("policy", "chosen"), [("nearest", 2), ("causal", 1)])
def test_causal_never_uses_the_future(make_night, policy, chosen):
    night = make_night(1)
    start = next(iter(night.facts.values())).start_mjd
    records = [record(1, mid_mjd=start - 0.3), record(2, mid_mjd=start + 0.1)]
    plan = night.plan(records=records, calibration=CalibrationOptions(policy=policy))
    assert plan.choices[tile_id(0)].bandpass == records[chosen - 1].id


def test_twenty_thousand_random_timelines_agree_with_the_oracle():
    dice = random.Random(20260211)
    differences = interpolated = silent = 0
    for _ in range(20_000):
        policy = dice.choice(["nearest", "causal"])
        options = CalibrationOptions(
            policy=policy,
            bandpass_validity_h=dice.choice([1.0, 24.0]),
            gain_validity_min=dice.choice([10.0, 30.0, 90.0]),
        )
        tile = PlannedTile(
            tile_id(0),
            tile_id(0),
            (),
            (),
            (),
            (),
            61082.0,
            61082.0,
            12.9,
            dice.choice([30.4, 30.4, 54.6]),
            0.0,
            0.0,
            False,
            dice.choice(SETUPS[:2]),
        )
        records = [
            record(
                n,
                mid_mjd=61082 + dice.randint(-60, 60) * dice.choice([1, 1, 30]) / 1440,
                kind=dice.choice(["bandpass", "gains", "gains"]),
                dec=dice.choice([30.4, 30.4, 30.9, 54.6]),
                certified=dice.random() < 0.9,
                setup=dice.choice(SETUPS[:1] * 6 + SETUPS),
            )
            for n in range(dice.randint(0, 14))
        ]
        bandpasses = [r.id for r in records if r.type == "bandpass"]
        names = bandpasses[:1] * 4 + bandpasses + ["cal_gone"]
        records = [replace(r, bandpass=dice.choice(names)) if r.type == "gains" else r for r in records]
        got = _choose(tile, [from_record(r) for r in records if r.certified], [], options)
        expected = oracle(tile, records, options)
        if (None if got is None else (got.bandpass, got.gains, got.partner)) != expected:
            differences += 1
        if got is not None:
            interpolated += got.partner is not None
            told = {(name, kind) for name, kind, _ in got.rejected}
            certified = {r.id for r in records if r.certified}
            silent += told != {(name, "bandpass") for name in certified - {got.bandpass}} | {
                (name, "gains") for name in certified - {got.gains, got.partner}
            }
    assert (differences, silent) == (0, 0)
    assert interpolated > 500  # the dice do throw brackets


def oracle(tile, records, options):
    """Sort every record by distance, time and id, walk along, take the first that every rule admits."""

    def seconds(r):
        return round((r.mid_mjd - 61082.0) * 86400)

    def serves(r, limit_s):
        future = options.policy == "causal" and seconds(r) > 0
        strip = abs(r.dec_app_deg - tile.dec_app_deg) <= 1.0
        alike = UNKNOWN in (tile.setup, r.setup) or r.setup == tile.setup
        return r.certified and strip and alike and not future and abs(seconds(r)) <= limit_s

    ordered = sorted(records, key=lambda r: (abs(seconds(r)), seconds(r), r.id))
    day_s, gain_s = options.bandpass_validity_h * 3600, options.gain_validity_min * 60
    bandpasses = [r.id for r in ordered if r.type == "bandpass" and serves(r, day_s)]
    for r in ordered:
        brings = r.id if r.type == "bandpass" else r.bandpass
        if serves(r, gain_s) and brings in bandpasses:
            # Walk on: the first that serves, rests on the same bandpass and stands on the other side.
            later = seconds(r) > 0
            for other in ordered:
                rests_on = other.id if other.type == "bandpass" else other.bandpass
                across = seconds(other) < 0 if later else seconds(other) > 0
                if seconds(r) != 0 and across and rests_on == brings and serves(other, gain_s):
                    return brings, r.id, other.id
            return brings, r.id, None
    return (bandpasses[0], None, None) if bandpasses else None
