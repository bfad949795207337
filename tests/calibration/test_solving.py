"""What both ways of solving share, and how each begins and ends, without CASA."""

import numpy as np
import pytest

from contimg import measurement_set
from contimg.calibration.calibration_set import CalibrationSet
from contimg.calibration.caltables import FILES, read_solutions
from contimg.calibration.on_field import _refuse_bandpass
from contimg.calibration.reference_antenna import ReferenceAntenna
from contimg.calibration.solving import SolvingJob, data_cells, has_data, lost_fraction, read_solved, write_scratch
from contimg.config import BeamOptions, CalibrationOptions
from contimg.products.draft import TwinDraft
from contimg.products.twin import Reason, Twin
from tests.support.calibration_tables import ANTENNAS, FREQ, NAMES, write_table
from tests.support.small_tiles import small_tile

ANTENNA = ReferenceAntenna(("23", "21"), "in the middle")


@pytest.fixture
def job(tmp_path):
    part = tmp_path / "part"
    part.mkdir()
    return SolvingJob(tmp_path / "0.ms", part, TwinDraft("calibration"), CalibrationOptions(), BeamOptions(), None)


def values(kind):
    shape = (ANTENNAS, len(FREQ) if kind == "B" else 1, 2)
    dice = np.random.default_rng(4)
    return dice.uniform(0.8, 1.2, shape) * np.exp(1j * dice.uniform(-0.1, 0.1, shape))


def write_set(job, kinds, flag=None, snr=100.0):
    for kind in kinds:
        write_table(job.table(kind), kind, values(kind), flag, snr)


def test_tables_are_read_measured_and_described(job):
    write_set(job, "KBG")
    data = np.ones((ANTENNAS, len(FREQ), 2), bool)
    data[4] = False
    tables = read_solved(job, ANTENNA, data, ("K", "B", "G"))
    assert [table.kind for table in tables] == ["K", "B", "G"]
    assert not any(table.expected[:, 4].any() for table in tables) and tables[1].expected[:, 3].all()
    facts, qa = job.draft.facts, job.draft.qa
    assert (facts["refant"], facts["refant_reason"], facts["refant_list"]) == ("23", "in the middle", ["23", "21"])
    assert facts["files"] == FILES
    assert facts["solutions_sha256"] == {kind: read_solutions(job.table(kind)).sha256 for kind in "KBG"}
    assert (qa["flagged_fraction"], qa["antennas_with_data"], qa["snr_median"]) == (0, ANTENNAS - 1, 100.0)
    assert job.draft.reasons == []


def test_what_was_described_is_what_readers_accept(job):
    write_set(job, "KBG")
    read_solved(job, ANTENNA, np.ones((ANTENNAS, len(FREQ), 2), bool), ("K", "B", "G"))
    time_mjd = read_solutions(job.table("B")).time_mjd_s[0] / 86400
    facts = job.draft.facts | {
        "tile": "t", "start_mjd": time_mjd - 0.001, "end_mjd": time_mjd + 0.001, "n_channels": len(FREQ),
        "band_hz": [FREQ[0], FREQ[-1]],
    }  # fmt: skip
    twin = Twin(kind="calibration", id="cal_t", verdict="passed", synthetic=True, facts=facts)
    one = CalibrationSet(twin, job.part)
    assert [one.solutions(kind).kind for kind in "KBG"] == ["K", "B", "G"]


@pytest.mark.parametrize("absent", ["K", "B", "G"])
def test_a_table_for_which_there_is_no_solution_fails_the_calibration_and_leaves_nothing(job, absent):
    write_set(job, [kind for kind in "KBG" if kind != absent])
    assert read_solved(job, ANTENNA, np.ones((ANTENNAS, len(FREQ), 2), bool), ("K", "B", "G")) == ()
    (reason,) = job.draft.reasons
    assert (reason.code, reason.message) == ("no_solutions", f"CASA found no solution for {absent}")
    assert list(job.part.iterdir()) == [] and "files" not in job.draft.facts


def test_lost_fraction_is_of_the_solutions_that_had_data(job):
    flag = np.zeros((ANTENNAS, 1, 2), bool)
    flag[:3] = True  # two of these had data
    write_set(job, "G", flag)
    data = np.ones((ANTENNAS, len(FREQ), 2), bool)
    data[0] = False
    assert lost_fraction(job.table("G"), data) == pytest.approx(2 / (ANTENNAS - 1))
    assert lost_fraction(job.table("B"), data) == 1.0


def test_cells_that_have_data_by_antenna_channel_and_polarisation():
    tile = small_tile(antennas=5, with_data=4)
    tile.flag[(tile.antenna1 == 2) | (tile.antenna2 == 2), :, 1] = True
    tile.weight[:, 3] = 0
    cells = data_cells(tile)
    expected = np.ones((5, 8, 2), bool)
    expected[4], expected[2, :, 1], expected[:, 3] = False, False, False
    assert np.array_equal(cells, expected)


@pytest.mark.parametrize("how", ["flagged", "not received", "zero"])
def test_a_tile_without_data_is_a_reason(how):
    tile, draft = small_tile(), TwinDraft("calibration")
    assert has_data(tile, draft) and not draft.reasons
    tile.flag[:, :, 0] = True
    assert has_data(tile, draft)
    if how == "flagged":
        tile.flag[:] = True
    elif how == "not received":
        tile.weight[:] = 0
    else:
        tile.data[:] = 0
    assert not has_data(tile, draft)
    assert [(r.code, r.severity) for r in draft.reasons] == [("no_data", "failed")]


def test_the_working_copy_stands_in_a_folder_of_its_own_with_true_weights(job):
    tile = small_tile()
    noise = np.full((15, 2), 2.0)
    scratch = write_scratch(job.part, tile, np.ones(tile.shape[:2], np.complex64), noise)
    assert [path.name for path in job.part.iterdir()] == ["scratch"]
    written = measurement_set.read(scratch / "solve.ms")
    assert np.allclose(written.weight, 0.25)


SETUP = {"applied_delays_sha256": "d", "antenna_order_sha256": "a", "fs_table": "t", "dec_app_deg": 30.0}


@pytest.mark.parametrize(("changes", "verdict", "code", "words"), [
    ({}, "passed", None, ""),
    ({"dec_app_deg": 30.9}, "passed", None, ""),
    ({}, "failed", "bandpass_failed", "bandpass cal_b is failed: made up"),
    ({"applied_delays_sha256": "x", "fs_table": "y"}, "passed", "bandpass_disagrees", "differ in their applied delays"),
    ({"antenna_order_sha256": "x"}, "passed", "bandpass_disagrees", "differ in their antenna order"),
    ({"fs_table": "x"}, "passed", "bandpass_disagrees", "differ in their fringe-stopping table"),
    ({"dec_app_deg": 31.5}, "passed", "declination_strip", "from a strip 1.50 deg away"),
])  # fmt: skip
def test_a_bandpass_that_must_not_be_used_is_a_reason(job, changes, verdict, code, words):
    reasons = [Reason(code="bad", severity="failed", message="made up")] if verdict == "failed" else []
    base = Twin(kind="calibration", id="cal_b", verdict=verdict, reasons=reasons, synthetic=True, facts=SETUP | changes)
    job.draft.facts |= SETUP
    assert _refuse_bandpass(job, base) == (code is not None)
    assert [r.code for r in job.draft.reasons] == ([] if code is None else [code])
    assert words in "".join(r.message for r in job.draft.reasons)


def test_names_of_antennas_come_from_the_table(job):
    write_set(job, "G")
    assert read_solutions(job.table("G")).antenna_names == NAMES
