"""Dead receptors, steps and exchanged cables in weeks of gains and delays that are known."""

import numpy as np
import pytest

from contimg.monitoring.trend_events import find_events

NAMES = ["1X", "1Y", "2X", "2Y", "10X"]
CALIBRATIONS = [f"cal_202602{day:02d}T010000" for day in range(1, 21)]


@pytest.fixture
def weeks():
    """Gains of 1 to 2 % and delays of 3 ns to 0.05 ns of scatter: a quiet array."""
    rng = np.random.default_rng(3)
    gain = np.exp(rng.normal(0, 0.02, (20, 5)))
    delay = np.array([-4.0, 2.0, 7.0, -1.0, 0.5]) + rng.normal(0, 0.05, (20, 5))
    return gain, delay


def found(gain, delay):
    return find_events(CALIBRATIONS, NAMES, gain, delay)


def test_a_quiet_array_has_no_events(weeks):
    assert found(*weeks) == []


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_is_no_step(seed):
    rng = np.random.default_rng(seed)
    many = [f"{number}X" for number in range(200)]
    events = find_events(CALIBRATIONS, many, np.exp(rng.normal(0, 0.05, (20, 200))), rng.normal(0, 0.5, (20, 200)))
    assert events == []


def test_a_receptor_that_died_and_one_that_never_lived(weeks):
    gain, delay = weeks
    gain[12:, 1] = np.nan
    gain[:, 4] = np.nan
    first, second = found(gain, delay)
    assert (first.kind, first.receptors, first.since) == ("dead", ("1Y",), CALIBRATIONS[12])
    assert (second.kind, second.receptors, second.since) == ("dead", ("10X",), None)
    assert "in any of 20 calibrations" in second.message


@pytest.mark.parametrize(
    ("died", "where"), [([1, 4], "look at what they have in common"), ([0, 1, 2], "that calibration")]
)
def test_receptors_that_died_together_are_one_line(weeks, died, where):
    gain, delay = weeks
    gain[12:, died] = np.nan
    (event,) = found(gain, delay)
    assert event.receptors == tuple(NAMES[number] for number in died) and event.since == CALIBRATIONS[12]
    assert event.message.startswith(f"{len(died)} of 5 receptors have no solution since cal_20260213T010000")
    assert where in event.message


def test_one_that_came_back_is_not_dead(weeks):
    gain, delay = weeks
    gain[5:9, 1] = np.nan
    assert found(gain, delay) == []


@pytest.mark.parametrize(("place", "step"), [(2, 5.0), (10, -1.5), (19, 3.0)])
def test_a_step_of_a_delay_has_its_place_and_size(weeks, place, step):
    gain, delay = weeks
    delay[place:, 2] += step
    (event,) = found(gain, delay)
    assert (event.kind, event.receptors, event.since) == ("delay_step", ("2X",), CALIBRATIONS[place])
    assert event.size == pytest.approx(step, abs=0.15)


def test_a_small_step_is_not_told(weeks):
    gain, delay = weeks
    delay[10:, 2] += 0.8  # clear, but below what a person should run for
    assert found(gain, delay) == []


def test_exchanged_cables_are_one_event(weeks):
    gain, delay = weeks
    delay[8:, [0, 2]] = delay[8:, [2, 0]]
    (event,) = found(gain, delay)
    assert (event.kind, event.receptors, event.since) == ("exchange", ("1X", "2X"), CALIBRATIONS[8])
    assert event.size == pytest.approx(11.0, abs=0.2)


def test_two_steps_at_once_that_do_not_exchange_are_two_events(weeks):
    gain, delay = weeks
    delay[8:, 0] += 3
    delay[8:, 2] += 4
    assert sorted(event.kind for event in found(gain, delay)) == ["delay_step", "delay_step"]


def test_a_step_of_an_amplitude_is_a_ratio(weeks):
    gain, delay = weeks
    gain[15:, 3] *= 0.5
    (event,) = found(gain, delay)
    assert (event.kind, event.receptors, event.since) == ("gain_step", ("2Y",), CALIBRATIONS[15])
    assert event.size == pytest.approx(0.5, rel=0.05)
    assert "0.5" in event.message


def test_the_latest_comes_first_and_without_calibrations_there_is_nothing(weeks):
    gain, delay = weeks
    delay[4:, 0] += 5
    gain[16:, 3] *= 2
    assert [event.since for event in found(gain, delay)] == [CALIBRATIONS[16], CALIBRATIONS[4]]
    assert find_events([], NAMES, np.empty((0, 5)), np.empty((0, 5))) == []
