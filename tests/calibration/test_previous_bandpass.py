"""A calibration beside the one before it, and losses by place: all on tables made by hand."""

import numpy as np
import pytest
from casacore import tables

from contimg.calibration.caltables import Solutions
from contimg.calibration.previous_bandpass import compare_with_previous
from contimg.calibration.quality import assess
from contimg.config import CalibrationOptions
from contimg.correlator.band import subband_frequencies
from contimg.products.twin import Twin

ANTENNAS, OPTIONS = 10, CalibrationOptions()
NAMES = [str(station) for station in range(21, 21 + ANTENNAS)]
FREQ = np.sort(np.concatenate([subband_frequencies(number, 4) for number in range(16)]))
BEFORE = Twin(kind="calibration", id="cal_20260210T000000", verdict="passed", synthetic=True)


def write_table(path, kind, values, flag=None, snr=1e6, names=NAMES):
    """Write what `read_solutions` reads: values (nant, nchan, npol), one time."""
    flag = np.zeros(values.shape, bool) if flag is None else flag
    columns = [
        tables.makescacoldesc("TIME", 0.0), tables.makescacoldesc("ANTENNA1", 0),
        tables.makescacoldesc("SPECTRAL_WINDOW_ID", 0), tables.makearrcoldesc("CPARAM", 0j, 2),
        tables.makearrcoldesc("FLAG", False, 2), tables.makearrcoldesc("SNR", 0.0, 2),
    ]  # fmt: skip
    with tables.table(str(path), tables.maketabdesc(columns), nrow=len(values), ack=False) as table:
        table.putinfo({"type": "Calibration", "subType": f"{kind} Jones", "readme": ""})
        table.putcol("TIME", np.full(len(values), 5.2e9))
        table.putcol("ANTENNA1", np.arange(len(values), dtype=np.int32))
        for name, content in (("CPARAM", values.astype(complex)), ("FLAG", flag), ("SNR", np.full(values.shape, snr))):
            table.putcol(name, content)
        freq = FREQ[: values.shape[1]]
        for name, column, cells in (("ANTENNA", "NAME", names), ("SPECTRAL_WINDOW", "CHAN_FREQ", [freq])):
            make = tables.makearrcoldesc(column, 0.0, 1) if column == "CHAN_FREQ" else tables.makescacoldesc(column, "")
            with tables.table(str(path / name), tables.maketabdesc([make]), nrow=len(cells), ack=False) as sub:
                for row, cell in enumerate(cells):
                    sub.putcell(column, row, cell)
                table.putkeyword(name, sub)


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


def compare(tmp_path, **changes):
    old = write_set(tmp_path / "old", snr=changes.get("snr", 1e6))
    return compare_with_previous(write_set(tmp_path / "newer", **changes), old, BEFORE, OPTIONS)


def test_the_same_array_on_another_day_gives_no_reason(tmp_path):
    qa, reasons, notes = compare(tmp_path)
    assert (qa["gain_level_ratio"], qa["changed_antennas"], qa["bandpass_change_rms"]) == (1.0, [], 0.0)
    assert set(qa["gain_change_by_antenna"].values()) == {1.0}
    assert (reasons, notes) == ([], [])


def test_a_common_gain_is_a_change_of_level_and_of_nothing_else(tmp_path):
    """Half the amplitude is a quarter of the flux."""
    qa, (reason,), _ = compare(tmp_path, level=0.5)
    assert (reason.code, reason.severity) == ("gain_level_changed", "warning")
    assert (reason.measured, reason.threshold) == (0.25, 1.5)
    assert (qa["changed_antennas"], qa["bandpass_change_rms"]) == ([], 0.0)


def test_antennas_that_changed_are_named_and_many_are_a_reason(tmp_path):
    qa, reasons, _ = compare(tmp_path, changed=(2, 3, 4))
    assert qa["changed_antennas"] == [NAMES[i] for i in (2, 3, 4)] and reasons == []
    assert qa["gain_change_by_antenna"][NAMES[3]] == pytest.approx(1.6)
    (tmp_path / "more").mkdir()
    qa, (reason,), _ = compare(tmp_path / "more", changed=(2, 3, 4, 5))
    assert (reason.code, reason.measured) == ("antennas_changed", 0.4)


def test_a_ripple_is_a_change_of_shape(tmp_path):
    """A cosine of 20 per cent has an rms of 0.2 / sqrt(2), with n - 1 degrees of freedom."""
    qa, (reason,), _ = compare(tmp_path, ripple=0.2)
    assert reason.code == "bandpass_changed"
    assert qa["bandpass_change_rms"] == pytest.approx(0.2 / np.sqrt(2) * np.sqrt(64 / 63), abs=1e-4)


def test_the_noise_of_the_solutions_is_no_change(tmp_path):
    """At a signal-to-noise ratio of 10, 14 per cent are noise."""
    qa, _, _ = compare(tmp_path, ripple=0.2, snr=10)
    assert qa["bandpass_change_rms"] == pytest.approx(np.sqrt(0.02 * 64 / 63 - 0.02), abs=1e-4)


def test_antennas_without_solutions_are_left_out_and_none_in_common_is_said(tmp_path):
    qa, reasons, _ = compare(tmp_path, dead=(0, 1))
    assert list(qa["gain_change_by_antenna"]) == NAMES[2:] and reasons == []
    (tmp_path / "others").mkdir()
    qa, reasons, notes = compare(tmp_path / "others", names=[f"x{name}" for name in NAMES])
    assert qa["gain_level_ratio"] is None and reasons == [] and "not compared" in notes[0]


def test_losses_are_counted_by_antenna_polarisation_and_subband():
    """One dead receptor; half a subband of a third of the working receptors; a whole antenna without data."""
    shape = (1, 4, len(FREQ), 2)
    flag, expected = np.zeros(shape, bool), np.ones(shape, bool)
    flag[0, 0, :, 1] = True  # dead: counts for its antenna only
    flag[0, 1, :2, 0] = True  # the lowest two channels of sb15
    flag[0, 3] = True
    expected[0, 3] = False
    solutions = Solutions("B", np.zeros(1), np.ones(shape, complex), flag, np.full(shape, 100.0), FREQ, NAMES[:4])
    qa, reasons, _ = assess([solutions], [expected], OPTIONS)
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
    qa, reasons, notes = assess([solutions], [np.ones(shape, bool)], OPTIONS)
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
    cells = [np.ones(shape, bool), np.ones(times.shape, bool)]
    qa, reasons, _ = assess([bandpass, gains], cells, OPTIONS)
    assert [(r.code, r.severity) for r in reasons] == [
        ("phase_scatter", "warning"), ("phase_steps", "warning"), ("amplitude_range", "warning")
    ]  # fmt: skip
    assert (qa["gain_phase_scatter_deg"], qa["bandpass_phase_step_deg"]) == (31.0, 21.0)
    assert qa["amplitude_range"] == 25.0
