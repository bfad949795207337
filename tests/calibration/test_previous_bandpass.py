"""A bandpass compared with the one before it, on tables made by hand."""

import numpy as np
import pytest

from contimg.calibration.caltables import read_solutions
from contimg.calibration.previous_bandpass import NOT_COMPARED, BandpassAndGains, compare_with_previous
from contimg.config import CalibrationOptions
from contimg.products import gates
from tests.support.calibration_tables import ANTENNAS, FREQ, NAMES, write_table

OPTIONS = CalibrationOptions()
# The numbers of a calibration that are good whatever it is compared with.
SOLVED = {
    "flagged_fraction": 0.0, "lost_antennas_fraction": 0.0, "snr_median": 100.0, "gain_phase_scatter_deg": 1.0,
    "bandpass_phase_step_deg": 1.0, "amplitude_range": 2.0,
}  # fmt: skip


def write_set(folder, *, level=1.0, changed=(), ripple=0.0, dead=(), names=NAMES, snr=1e6):
    """Write B and G; bandpasses differ by receptor, and `ripple` adds a cosine of that amplitude over channels."""
    folder.mkdir()
    dice = np.random.default_rng(5)
    shape = 0.07 * dice.uniform(0.7, 1.3, (ANTENNAS, 1, 2)) * dice.uniform(0.9, 1.1, (1, len(FREQ), 1))
    shape = shape * (1 + ripple * np.cos(2 * np.pi * 4 * np.arange(len(FREQ)) / len(FREQ)))[None, :, None]
    phases = np.random.default_rng(len(folder.name)).uniform(-3, 3, shape.shape)
    shape = shape * np.exp(1j * phases)  # which do not matter
    for antenna in changed:
        shape[antenna] *= 1.6
    flag = np.zeros(shape.shape, bool)
    flag[list(dead)] = True
    write_table(folder / "B.cal", "B", shape * level, flag, snr, names)
    write_table(folder / "G.cal", "G", np.ones((ANTENNAS, 1, 2)), flag[:, :1], snr, names)
    return folder


def solved(folder):
    return BandpassAndGains(read_solutions(folder / "B.cal"), read_solutions(folder / "G.cal"))


def compare(tmp_path, **changes):
    old = write_set(tmp_path / "old", snr=changes.get("snr", 1e6))
    qa = compare_with_previous(solved(write_set(tmp_path / "newer", **changes)), solved(old), OPTIONS)
    return qa, gates.judge("calibration", SOLVED | (qa or NOT_COMPARED), {"calibration": OPTIONS})


def test_the_same_array_on_another_day_gives_no_reason(tmp_path):
    qa, reasons = compare(tmp_path)
    assert (qa["gain_level_ratio"], qa["changed_antennas"], qa["bandpass_change_rms"]) == (1.0, [], 0.0)
    assert set(qa["gain_change_by_antenna"].values()) == {1.0}
    assert reasons == []


def test_a_common_gain_is_a_change_of_level_and_of_nothing_else(tmp_path):
    """Half the amplitude is a quarter of the flux."""
    qa, (reason,) = compare(tmp_path, level=0.5)
    assert (reason.code, reason.severity) == ("gain_level_changed", "warning")
    assert (reason.measured, reason.threshold) == (0.25, 1.5)
    assert "calibration.max_level_change" in reason.message
    assert (qa["changed_antennas"], qa["bandpass_change_rms"]) == ([], 0.0)


def test_antennas_that_changed_are_named_and_many_are_a_reason(tmp_path):
    qa, reasons = compare(tmp_path, changed=(2, 3, 4))
    assert qa["changed_antennas"] == [NAMES[i] for i in (2, 3, 4)] and reasons == []
    assert qa["gain_change_by_antenna"][NAMES[3]] == pytest.approx(1.6)
    (tmp_path / "more").mkdir()
    qa, (reason,) = compare(tmp_path / "more", changed=(2, 3, 4, 5))
    assert (reason.code, reason.measured) == ("antennas_changed", 0.4)


def test_a_ripple_is_a_change_of_shape(tmp_path):
    """A cosine of 20 per cent has an rms of 0.2 / sqrt(2), with n - 1 degrees of freedom."""
    qa, reasons = compare(tmp_path, ripple=0.2)
    assert [reason.code for reason in reasons] == ["bandpass_changed", "subband_changed"]
    assert qa["bandpass_change_rms"] == pytest.approx(0.2 / np.sqrt(2) * np.sqrt(64 / 63), abs=1e-4)


def test_the_noise_of_the_solutions_is_no_change(tmp_path):
    """At a signal-to-noise ratio of 10, 14 per cent are noise."""
    qa, _ = compare(tmp_path, ripple=0.2, snr=10)
    assert qa["bandpass_change_rms"] == pytest.approx(np.sqrt(0.02 * 64 / 63 - 0.02), abs=1e-4)


def test_antennas_without_solutions_are_left_out_and_without_common_ones_nothing_is_compared(tmp_path):
    qa, reasons = compare(tmp_path, dead=(0, 1))
    assert list(qa["gain_change_by_antenna"]) == NAMES[2:] and reasons == []
    (tmp_path / "others").mkdir()
    qa, reasons = compare(tmp_path / "others", names=[f"x{name}" for name in NAMES])
    assert qa is None and reasons == []
