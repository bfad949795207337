"""Which job begins first: the oldest group's, and of these the one nearest to the mosaic."""

import re

import pytest

from contimg.operations.priorities import OF_GROUPS, STEPS, priorities
from contimg.plan.model import Choice, Group, Plan, PlannedCalibration
from tests.workflow.conftest import ROOT

# Two groups that share their middle tile; gains are solved on the second tile, on top of the bandpass of the fourth.
TILES = [f"2026-02-11T0{number}:00:00" for number in range(5)]
STEMS = [f"20260211T0{number}0000" for number in range(5)]
BANDPASS, GAINS, OLD = "cal_20260211T030000", "cal_20260211T010000", "cal_20260101T000000"


@pytest.fixture
def order():
    def calibration(name, tile, bandpass=None):
        kind = "gains" if bandpass else "bandpass"
        return PlannedCalibration(name, kind, tile, 61082.0, 37.0, None if bandpass else "3C286", bandpass)

    plan = Plan(
        groups={TILES[0]: Group(TILES[0], tuple(TILES[:3])), TILES[2]: Group(TILES[2], tuple(TILES[2:]))},
        calibrations={BANDPASS: calibration(BANDPASS, TILES[3]), GAINS: calibration(GAINS, TILES[1], BANDPASS)},
        choices={
            TILES[0]: Choice(GAINS, GAINS, (), ()),
            TILES[2]: Choice(BANDPASS, BANDPASS, (), ()),
            TILES[4]: Choice(OLD, None, (), ()),  # of a settled night
        },
    )
    found = priorities(plan)
    return sorted(found, key=lambda job: -found[job])


def test_the_older_group_comes_first_with_all_that_it_waits_for(order):
    of_newer = [job for job in order if job[1] == STEMS[4] or (job[0] in OF_GROUPS and job[1] == STEMS[2])]
    of_newer += [(rule, STEMS[3]) for rule in ("apply_calibration", "image_tile")]
    of_older = [job for job in order if job not in of_newer]
    assert max(map(order.index, of_older)) < min(map(order.index, of_newer))
    assert {("convert_tile", STEMS[3]), ("solve_calibration", STEMS[3])} < set(of_older)


def test_in_a_group_what_is_nearest_to_the_mosaic_comes_first(order):
    older = [rule for rule, name in order if name == STEMS[0]]
    assert older == [rule for rule in reversed(STEPS) if rule != "solve_calibration"]
    solve = order.index(("solve_calibration", STEMS[1]))
    assert order.index(("apply_calibration", STEMS[0])) < solve < order.index(("convert_tile", STEMS[1]))


def test_tiles_to_solve_on_are_converted_before_the_others(order):
    converted = [name for rule, name in order if rule == "convert_tile"]
    assert set(converted[:2]) == {STEMS[1], STEMS[3]} and set(converted[2:4]) == {STEMS[0], STEMS[2]}


def test_calibrations_of_settled_nights_are_not_made(order):
    assert {name for rule, name in order if rule == "solve_calibration"} == {STEMS[1], STEMS[3]}


def test_each_rule_has_its_own_priority():
    """A job without one would wait for all others."""
    found = {}
    for file in (ROOT / "rules").glob("*.smk"):
        for text in re.split(r"^rule ", file.read_text(), flags=re.MULTILINE)[1:]:
            found[text.partition(":")[0]] = re.findall(r'priority: priority_of\("(\w+)"\)', text)
    assert found == {rule: [rule] for rule in STEPS}
