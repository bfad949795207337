"""Measured quality of solutions and what is judged from it, on solutions made by hand."""

import numpy as np
import pytest

from contimg.calibration.caltables import Solutions
from contimg.calibration.quality import SolvedTable, flag_statistics, measure
from contimg.config import CalibrationOptions
from contimg.products import gates
from tests.support.calibration_tables import FREQ, NAMES

OPTIONS = CalibrationOptions()


def judged(tables, **options):
    """Return numbers, reasons and notes of tables (solutions, cells that had data)."""
    limits = OPTIONS.model_copy(update=options)
    qa, notes = measure([SolvedTable(*one) for one in tables], limits)
    solved = {"gain_phase_scatter_deg": None, "bandpass_phase_step_deg": None, "amplitude_range": None} | qa
    return qa, gates.judge("calibration", solved, {"calibration": limits}), notes


def test_losses_are_counted_by_antenna_polarisation_and_subband():
    """One dead receptor; half a subband of a third of the working receptors; a whole antenna without data."""
    shape = (1, 4, len(FREQ), 2)
    flag, expected = np.zeros(shape, bool), np.ones(shape, bool)
    flag[0, 0, :, 1] = True  # dead: counts for its antenna only
    flag[0, 1, :2, 0] = True  # the lowest two channels of sb15
    flag[0, 3] = True
    expected[0, 3] = False
    solutions = Solutions("B", np.zeros(1), np.ones(shape, complex), flag, np.full(shape, 100.0), FREQ, NAMES[:4])
    qa, reasons, _ = judged([(solutions, expected)])
    assert qa["lost_by_antenna"] == {NAMES[0]: 0.5, NAMES[1]: round(2 / 128, 6), NAMES[2]: 0.0}
    assert qa["lost_by_polarisation"] == {"X": round(2 / (3 * 64), 6), "Y": 0.0}
    assert qa["lost_by_subband"]["sb15"] == round(2 / (5 * 4), 6)
    assert sum(qa["lost_by_subband"].values()) == qa["lost_by_subband"]["sb15"]
    assert qa["amplitude_range"] == 1.0
    assert [r.code for r in reasons] == ["antennas_lost"]


def test_a_subband_that_lost_its_solutions_is_named():
    shape = (1, 4, len(FREQ), 2)
    flag = np.zeros(shape, bool)
    flag[:, :, 4 * 8 : 4 * 9] = True  # ascending: the ninth from below is sb07
    solutions = Solutions("B", np.zeros(1), np.ones(shape, complex), flag, np.full(shape, 100.0), FREQ, NAMES[:4])
    qa, reasons, notes = judged([(solutions, np.ones(shape, bool))])
    assert {name: share for name, share in qa["lost_by_subband"].items() if share} == {"sb07": 1.0}
    assert reasons == [] and notes == ["subbands that lost their solutions: sb07 (100%)"]


def test_wide_amplitudes_rough_and_scattered_phases_are_warnings():
    shape = (1, 4, len(FREQ), 2)
    values = np.ones(shape, complex)
    values[0, 1] *= 25
    values[0, :, 1::2] *= np.exp(1j * np.radians(21))
    times = np.exp(1j * np.radians([[31.0], [-31.0]]))[:, :, None, None] * np.ones((2, 4, 1, 2))
    bandpass = Solutions("B", np.zeros(1), values, np.zeros(shape, bool), np.full(shape, 99.0), FREQ, NAMES[:4])
    good, snr = np.zeros(times.shape, bool), np.full(times.shape, 99.0)
    gains = Solutions("G", np.arange(2.0), times, good, snr, FREQ[:1], NAMES[:4])
    qa, reasons, _ = judged([(bandpass, np.ones(shape, bool)), (gains, np.ones(times.shape, bool))])
    assert [(r.code, r.severity) for r in reasons] == [
        ("phase_scatter", "warning"), ("phase_steps", "warning"), ("amplitude_range", "warning")
    ]  # fmt: skip
    assert (qa["gain_phase_scatter_deg"], qa["bandpass_phase_step_deg"]) == (31.0, 21.0)
    assert qa["amplitude_range"] == 25.0


C6_ROWS = np.repeat(np.arange(117), 16)


@pytest.mark.parametrize(("flagged", "dead", "antennas", "fraction", "working"), [
    ([], 0, 0, 0, 234),
    ([(slice(5 * 16, 6 * 16), 0)], 1, 1, 0, 233),
    ([(slice(5 * 16, 6 * 16), slice(None))], 2, 1, 0, 232),
    ([(slice(0, 116 * 16, 16), slice(None))], 0, 0, 116 * 2 * 48 / 179_712, 234),
])  # fmt: skip
def test_flag_statistics(flagged, dead, antennas, fraction, working):
    flag = np.zeros((1872, 48, 2), bool)
    for rows, pol in flagged:
        flag[rows, :, pol] = True
    found = flag_statistics(flag, C6_ROWS)
    assert (found.dead_receptors, found.affected_antennas, found.working_receptors) == (dead, antennas, working)
    assert found.fraction == pytest.approx(fraction)


def test_flag_statistics_half_a_receptor_and_the_real_table():
    flag = np.zeros((1872, 48, 2), bool)
    flag[:16, ::2, 0] = True
    found = flag_statistics(flag, C6_ROWS)
    assert (found.dead_receptors, found.flagged, found.cells) == (0, 384, 179_712)
    # The table of 2026-01-25: 63 dead receptors of 35 antennas, and 1368 cells of the others.
    flag[:] = False
    flag[: 28 * 16] = True
    flag[28 * 16 : 35 * 16, :, 0] = True
    cells = np.flatnonzero(~flag.reshape(1872, -1)[-16 * 60 :].any(1))
    block = flag[-16 * 60 :]
    block[cells[: 1368 // 2], 0] = True
    found = flag_statistics(flag, C6_ROWS)
    assert flag.sum() == 49_752
    assert (found.dead_receptors, found.affected_antennas) == (63, 35)
    assert (found.flagged, found.cells) == (1368, 131_328)
    assert found.fraction == pytest.approx(0.010417, abs=1e-6)
