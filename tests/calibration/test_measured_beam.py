"""The beam measured while a calibration is solved, against the one that the simulator observed with."""

import pytest

from contimg.calibration.solve_calibration import solve_calibration
from contimg.config import BeamOptions, CalibrationOptions
from contimg.simulate.telescope import BeamErrors, TelescopeErrors
from tests.support.calibration_nights import make_night

OPTIONS, AUTO = CalibrationOptions(), BeamOptions(offset_deg="auto", fwhm_scale="auto")
EAST, NORTH, WIDTH = 0.06, 0.125, 1.1


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """3C286 and a hundred sources through a beam 0.139 deg off and 10 per cent wide."""
    return make_night(
        tmp_path_factory.mktemp("beam"), tiles=1, sources=100, flux_min_jy=0.2, flux_max_jy=1.0, antennas=24, seed=9,
        telescope=TelescopeErrors(beam=BeamErrors(offset_deg=(EAST, NORTH), width=WIDTH)),
    )  # fmt: skip


def _solve(night, folder, **given):
    asked = {"calibrator": "3C286", "bandpass": None, "options": OPTIONS, "beam": AUTO, "catalogue": night.catalogue}
    return solve_calibration(night.ms(0), night.twin(0), folder, folder.with_suffix(".json"), **(asked | given))


def _check(found):
    assert found["sources"] >= 20
    for value, error, true in zip(
        (*found["offset_deg"], found["fwhm_scale"]), (*found["e_offset_deg"], found["e_fwhm_scale"]),
        (EAST, NORTH, WIDTH), strict=True,
    ):  # fmt: skip
        assert value == pytest.approx(true, abs=3.5 * error)
    assert max(found["e_offset_deg"]) < 0.02 and found["e_fwhm_scale"] < 0.02


def test_on_a_calibrator(night, tmp_path):
    twin = _solve(night, tmp_path / "cal")
    assert twin.verdict == "passed", twin.reasons
    _check(twin.facts["primary_beam"])
    # Its apparent flux is that through this beam.
    true = _solve(night, tmp_path / "true", beam=BeamOptions(offset_deg=[EAST, NORTH], fwhm_scale=WIDTH))
    assert "primary_beam" not in true.facts
    assert twin.facts["apparent_flux_jy"] == pytest.approx(true.facts["apparent_flux_jy"], rel=2e-3)
    assert len(twin.notes) == len(set(twin.notes))


def test_on_the_catalogue_sky(night, tmp_path):
    twin = _solve(night, tmp_path / "cal", calibrator=None)
    assert twin.verdict == "passed", twin.reasons
    _check(twin.facts["primary_beam"])


def test_the_offset_alone(night, tmp_path):
    """With the width given, which is measured by no one."""
    found = _solve(night, tmp_path / "cal", beam=BeamOptions(offset_deg="auto", fwhm_scale=WIDTH)).facts["primary_beam"]
    assert (found["fwhm_scale"], found["e_fwhm_scale"]) == (WIDTH, 0)
    assert found["offset_deg"][1] == pytest.approx(NORTH, abs=3.5 * found["e_offset_deg"][1])


def test_without_enough_sources_the_nominal_beam_stays_and_the_twin_says_why(night, tmp_path):
    few = tmp_path / "few.csv"
    few.write_text("\n".join(night.catalogue.read_text().splitlines()[:9]) + "\n")
    twin = _solve(night, tmp_path / "cal", catalogue=few)
    assert twin.verdict == "passed"
    assert "isolated catalogued sources are bright enough" in twin.facts["primary_beam"]["problem"]
    dark = _solve(night, tmp_path / "dark", catalogue=None)
    assert dark.facts["primary_beam"] == {"problem": "no catalogue is configured (sky.catalogue)"}
