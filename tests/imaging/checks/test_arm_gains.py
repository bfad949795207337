"""The arms of the array: a delay, phase or gain of one of them is measured and named, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.imaging.checks.arm_gains import ARMS, PAIRS, arm_numbers, arm_sums, pairs_of_arms

FREQ = np.linspace(1.493e9, 1.317e9, 16)
NAMES = [str(i) for i in (*range(1, 13), *range(60, 70), *range(103, 107))]
ALL = ["east-west arm", "north-south arm", "outriggers"]


def numbers(
    delay_ns=0.0,
    phase_deg=0.0,
    gain=1.0,
    *,
    arm="north-south arm",
    names=NAMES,
    noise=1.0,
    seed=1,
    power=2e4,
    dead=None,
):
    """Return the numbers of an array with one arm late, turned or louder; of every pair of antennas equally much."""
    rng = np.random.default_rng(seed)
    one, two = np.triu_indices(len(names), 1)
    swap = rng.uniform(size=len(one)) < 0.5  # baselines come in either order
    one, two = np.where(swap, two, one), np.where(swap, one, two)
    pair = pairs_of_arms(names, one.astype(np.int32), two.astype(np.int32))
    turn = np.exp(1j * (2 * np.pi * delay_ns * 1e-9 * (FREQ - FREQ.mean()) + np.radians(phase_deg)))
    gains = np.array([gain * turn if name.isdecimal() and int(name) in ARMS[arm] else np.ones(16) for name in names])
    each = power / len(one)
    cross = each * gains[one] * gains[two].conj()
    cross = cross + noise * np.sqrt(each) * (rng.normal(size=cross.shape) + 1j * rng.normal(size=cross.shape))
    product, powers = np.zeros((PAIRS + 1, 16), complex), np.zeros((PAIRS + 1, 16))
    np.add.at(product, pair, cross)
    np.add.at(powers, pair, np.full((len(pair), 16), each))
    if (
        dead is not None
    ):  # averaged channels of short baselines, which are within arms, stand for a subband without data
        across = [one for one in range(PAIRS) if one % (len(ARMS) + 1)]
        product[np.ix_(across, dead)], powers[np.ix_(across, dead)] = 0, 0
    return arm_numbers(arm_sums(product, powers, FREQ))


def test_stations_are_in_their_arms():
    """Of the telescope's table: 1-51, 52-102 and 103-117; other names are in none."""
    names = ["1", "51", "52", "102", "103", "117", "118", "0", "DSA"]
    pair = pairs_of_arms(names, np.arange(9, dtype=np.int32), np.zeros(9, np.int32))
    assert pair.tolist() == [0, 0, 3, 3, 6, 6, PAIRS, PAIRS, PAIRS]


def test_the_simulated_stations_are_in_these_arms():
    from contimg.simulate.array import load_stations

    known = {"east-west": "east-west arm", "north-south": "north-south arm", "outrigger": "outriggers"}
    for station in load_stations():
        assert station.number in ARMS[known[station.arm]]


@pytest.mark.parametrize("seed", range(8))
def test_a_right_array(seed):
    found = numbers(seed=seed)
    for key, ideal, small in (("arm_delay_ns", 0.0, 0.06), ("arm_phase_deg", 0.0, 1.5), ("arm_gain", 1.0, 0.03)):
        assert found[key] == pytest.approx(ideal, abs=4 * found[f"e_{key}"])
        assert found[f"e_{key}"] < small


@pytest.mark.parametrize("delay", [-30.0, -1.0, 0.4, 3.3, 10.0, 25.0])
@pytest.mark.parametrize("arm", ALL)
def test_a_delay_is_measured_and_its_arm_named(delay, arm):
    found = numbers(delay, arm=arm, seed=3)
    assert found["arm_delay_ns"] == pytest.approx(delay, abs=4 * found["e_arm_delay_ns"])
    assert found["arm_delay_ns_of"] == f"the {arm} against the others"
    assert found["arm_phase_deg"] == pytest.approx(0, abs=4 * found["e_arm_phase_deg"])
    assert found["arm_gain"] == pytest.approx(1, abs=4 * found["e_arm_gain"])


@pytest.mark.parametrize("phase", [-170.0, -40.0, 25.0, 90.0])
def test_a_phase(phase):
    found = numbers(phase_deg=phase)
    assert found["arm_phase_deg"] == pytest.approx(phase, abs=4 * found["e_arm_phase_deg"])
    assert found["arm_delay_ns"] == pytest.approx(0, abs=4 * found["e_arm_delay_ns"])
    assert found["arm_phase_deg_of"] == "the north-south arm against the others"


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.15, 2.0])
@pytest.mark.parametrize("arm", ALL)
def test_a_gain(gain, arm):
    found = numbers(gain=gain, arm=arm)
    assert found["arm_gain"] == pytest.approx(gain, abs=4 * found["e_arm_gain"])
    assert found["arm_gain_of"] == f"the {arm} against the others"


def test_all_at_once():
    found = numbers(10.0, 60.0, 1.3)
    assert found["arm_delay_ns"] == pytest.approx(10, abs=4 * found["e_arm_delay_ns"])
    assert found["arm_phase_deg"] == pytest.approx(60, abs=4 * found["e_arm_phase_deg"])
    assert found["arm_gain"] == pytest.approx(1.3, abs=4 * found["e_arm_gain"])


@pytest.mark.parametrize("dead", [[0], [7], [2, 11]])
def test_subbands_in_which_only_baselines_within_arms_have_data(dead):
    found = numbers(3.0, dead=dead)
    assert found["arm_delay_ns"] == pytest.approx(3.0, abs=4 * found["e_arm_delay_ns"])
    assert found["arm_delay_ns_of"] == "the north-south arm against the others"


def test_of_two_arms_nothing_tells_which_is_wrong():
    found = numbers(5.0, names=[name for name in NAMES if int(name) < 103])
    assert abs(found["arm_delay_ns"]) == pytest.approx(5.0, abs=4 * found["e_arm_delay_ns"])
    assert found["arm_delay_ns_of"] == "the north-south arm against the east-west arm"


def test_errors_are_honest():
    """The residuals of 60 arrays over their errors have unit width."""
    found = [numbers(2.0, 10.0, seed=seed) for seed in range(60)]
    for key, truth in (("arm_delay_ns", 2.0), ("arm_phase_deg", 10.0)):
        unit = np.array([(one[key] - truth) / one[f"e_{key}"] for one in found])
        assert abs(unit.mean()) < 0.5 and 0.7 < unit.std() < 1.4


@pytest.mark.parametrize(
    "changes",
    [{"power": 0.1}, {"names": [str(i) for i in range(1, 20)]}, {"names": ["a", "b", "c", "d"]}],
    ids=["faint", "one arm", "no arm"],
)
def test_nothing_is_measured_without_signal_or_arms(changes):
    found = numbers(10.0, **changes)
    assert set(found.values()) == {None}
    assert {"arm_delay_ns", "e_arm_delay_ns", "arm_delay_ns_of", "arm_gain"} <= set(found)
