"""Checks by subband: exchanged frequencies and changed gains, in closed form."""

import numpy as np
import pytest

from contimg.calibration.caltables import Solutions
from contimg.calibration.previous_bandpass import BandpassAndGains, compare_with_previous
from contimg.calibration.quality import SolvedTable, measure
from contimg.calibration.subband_checks import (
    amplitude_changes,
    largest,
    named_above,
    phase_offsets_deg,
    subband_numbers,
)  # fmt: skip
from contimg.config import CalibrationOptions
from contimg.correlator.band import SUBBAND_WIDTH_HZ, subband_frequencies
from contimg.products import gates

OPTIONS = CalibrationOptions()
PER_SUBBAND, ANTENNAS = 4, 60
FREQ = np.sort(np.concatenate([subband_frequencies(number, PER_SUBBAND) for number in range(16)]))
NUMBER = subband_numbers(FREQ)
NAMES = [str(i) for i in range(ANTENNAS)]
DELAY_S = 5e-9


def bandpass(values, snr=1e6):
    shape = values[None].shape
    return Solutions("B", np.zeros(1), values[None], np.zeros(shape, bool), np.full(shape, snr), FREQ, NAMES)


def solved(seed=3, *, ripple=0.05, exchanged=(), factors=None, receptor_delays=True):
    """Return a bandpass after delays were removed, with ripples of this rms, and subbands exchanged or scaled."""
    dice = np.random.default_rng(seed)
    axis = np.linspace(0, 1, len(FREQ))[None, :, None]
    phases = dice.uniform(0, 2 * np.pi, (2, ANTENNAS, 1, 2))
    waves = np.sqrt(2) * ripple * np.sin(2 * np.pi * 1.5 * axis + phases)
    values = (1 + waves[0]) * np.exp(1j * waves[1])
    delays = dice.normal(0, DELAY_S, (ANTENNAS, 1, 2))
    label = np.arange(len(FREQ))
    for one, two in exchanged:
        low, high = np.flatnonzero(one == NUMBER), np.flatnonzero(two == NUMBER)
        label[low], label[high] = high, low
    # The data of channel `label` stand at the frequency FREQ: their delay's phase is not all removed.
    values = values[:, label] * np.exp(2j * np.pi * delays * (FREQ[label] - FREQ)[None, :, None])
    for number, factor in (factors or {}).items():
        values[:, number == NUMBER] *= factor
    return bandpass(values)


def test_channels_belong_to_their_subbands():
    assert NUMBER.tolist() == sorted(list(range(16)) * PER_SUBBAND, reverse=True)


def test_phases_of_a_good_bandpass_are_continuous_from_subband_to_subband():
    offsets = phase_offsets_deg(solved())
    assert list(offsets) == [f"sb{n:02d}" for n in range(1, 15)]  # the ends have one neighbour only
    assert max(offsets.values()) < 3
    assert max(phase_offsets_deg(solved(ripple=0.0)).values()) == 0


@pytest.mark.parametrize(("one", "two"), [(5, 6), (5, 7), (3, 12), (0, 8)])
def test_two_subbands_whose_frequencies_were_exchanged_stand_out(one, two):
    """The phase is that of the delay over their distance; a neighbour's is off by half as much."""
    offsets = phase_offsets_deg(solved(exchanged=[(one, two)]))
    inside = [f"sb{n:02d}" for n in (one, two) if 0 < n < 15]
    assert min(offsets[name] for name in inside) > OPTIONS.max_subband_phase_deg
    far = [value for name, value in offsets.items() if min(abs(int(name[2:]) - n) for n in (one, two)) > 1]
    assert max(far) < 3


def test_the_size_of_the_offset_is_that_of_the_delays():
    """Neighbours exchanged: 1.5 times 2 pi tau 11.7 MHz, for 5 ns 31.6 degrees."""
    offsets = phase_offsets_deg(solved(ripple=0.0, exchanged=[(5, 6)]))
    expected = 1.5 * 360 * DELAY_S * SUBBAND_WIDTH_HZ
    assert offsets["sb05"] == pytest.approx(expected, rel=0.2) and expected == pytest.approx(31.6, abs=0.1)
    assert offsets["sb04"] == pytest.approx(expected / 3, rel=0.2)


def test_subbands_without_solutions_have_no_offset():
    one = solved()
    one.flag[:, :, NUMBER == 7] = True
    one.flag[:, :3, NUMBER == 3] = True  # of some receptors only: the others tell
    offsets = phase_offsets_deg(one)
    assert set(offsets) == {f"sb{n:02d}" for n in range(1, 15)} - {"sb06", "sb07", "sb08"}
    one.flag[:] = True
    assert phase_offsets_deg(one) == {} and largest({}) is None


def judged(new, old=None):
    """Return numbers, notes and reasons of a bandpass, and of its comparison with another."""
    qa, notes = measure([SolvedTable(new, np.ones(new.flag.shape, bool))], OPTIONS)
    if old is not None:
        shape = (1, ANTENNAS, 1, 2)
        ones = np.ones(shape, complex), np.zeros(shape, bool), np.full(shape, 1e6)
        gains = Solutions("G", np.zeros(1), *ones, FREQ[:1], NAMES)
        qa |= compare_with_previous(BandpassAndGains(new, gains), BandpassAndGains(old, gains), OPTIONS)
    return qa, notes, [r.code for r in gates.judge("calibration", qa, {"calibration": OPTIONS})]


def test_exchanged_frequencies_are_a_warning_that_names_them():
    assert judged(solved())[2] == []
    qa, notes, codes = judged(solved(exchanged=[(4, 9)]))
    assert "subband_phases" in codes and qa["subband_phase_offset_deg"] > 20
    (note,) = notes
    assert "sb04 (" in note and "sb09 (" in note and "exchanged frequencies?" in note


def test_a_subband_whose_gain_changed_since_the_night_before_is_a_warning():
    """1.3 in amplitude: 0.3 of the receptor's median, which the others set."""
    qa, _, codes = judged(solved(factors={6: 1.3}), solved())
    assert codes == ["subband_changed"]
    assert qa["bandpass_change_by_subband"]["sb06"] == pytest.approx(0.3, abs=0.001) == qa["subband_change"]
    assert max(value for name, value in qa["bandpass_change_by_subband"].items() if name != "sb06") < 0.001
    assert named_above(qa["bandpass_change_by_subband"], 0.1, ".0%") == "sb06 (30%)"


def test_the_same_receivers_on_another_night_give_no_reason():
    qa, _, codes = judged(solved(), solved())
    assert codes == [] and qa["subband_change"] == 0


def test_the_noise_of_solutions_is_no_change_of_a_subband():
    """Noise of 10 % of each solution, 5 % in the mean over four channels, is expected and subtracted."""
    dice = np.random.default_rng(5)
    ratio = 1 + 0.1 * dice.standard_normal((4000, len(FREQ)))
    changes = amplitude_changes(ratio, np.full(ratio.shape, 0.1), FREQ)
    assert len(changes) == 16 and max(changes.values()) < 0.015
    without = amplitude_changes(ratio, np.zeros(ratio.shape), FREQ)
    assert np.allclose(list(without.values()), 0.05, rtol=0.05)


def test_subbands_without_any_ratio_are_left_out():
    ratio = np.ones((5, len(FREQ)))
    ratio[:, NUMBER == 2] = np.nan
    ratio[0, NUMBER == 3] = np.nan
    changes = amplitude_changes(ratio, np.zeros(ratio.shape), FREQ)
    assert "sb02" not in changes and changes["sb03"] == 0
