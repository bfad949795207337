"""Flux scales tied to the ensemble of catalogued sources, against the gains that the simulator put in."""

import csv

import numpy as np
import pytest

from contimg.calibration.caltables import FILES
from contimg.calibration.flux_scale import as_catalogue
from contimg.calibration.solve_calibration import solve_calibration
from contimg.config import BeamOptions, CalibrationOptions
from contimg.sky import calibrator_lists, calibrators
from tests.support.calibration_nights import gain_errors, make_night

OPTIONS, BEAM = CalibrationOptions(), BeamOptions()
LISTED = "1200+547"
# One entry of the VLA calibrator list; its flux density is filled in.
LIST = """\
{name}   J2000  A {ra}  {dec}  Jan01
1157+550   B1950  A {ra}  {dec}
-----------------------------------------------------
BAND        A B C D    FLUX(Jy)    UVMIN(kL)  UVMAX(kL)
=====================================================
 20cm    L  P P P P       {flux:.2f}
"""


def _scale(night, tile, folder, twin):
    """Return the flux density that a source of 1 Jy gets with a calibration."""
    tables = {kind: folder / FILES[kind] for kind in "KBG"}
    ratio = gain_errors(night, tile, tables, twin.facts["refant"])
    assert np.degrees(np.sqrt(np.nanmean(np.angle(ratio) ** 2))) < 5
    return 1 / np.nanmean(np.abs(ratio)) ** 2


def _perturbed(night, folder, sigma, seed):
    """Return a catalogue of the night whose fluxes have errors of a fraction, every tenth one twice too high."""
    with open(night.folder / "night" / "truth.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(seed)
    for i, row in enumerate(rows):
        row["flux_jy"] = float(row["flux_jy"]) * np.exp(sigma * rng.standard_normal()) * (2 if i % 10 == 9 else 1)
    path = folder / "catalogue.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """A strip without a calibrator: eighty sources of 0.3 to 3 Jy."""
    return make_night(
        tmp_path_factory.mktemp("without"), tiles=1, calibrator="none", declination_deg=71.6, sources=80,
        flux_min_jy=0.3, flux_max_jy=3.0, antennas=24, seed=5,
    )  # fmt: skip


def test_a_strip_without_a_calibrator_has_the_flux_scale_of_its_sources(without, tmp_path):
    """The catalogue is 5 per cent off source by source, and a tenth of its sources has varied by a factor of two."""
    twin = solve_calibration(
        without.ms(0), without.twin(0), tmp_path / "cal", tmp_path / "cal.json", calibrator=None, bandpass=None,
        options=OPTIONS, beam=BEAM, catalogue=_perturbed(without, tmp_path, 0.05, seed=3),
    )  # fmt: skip
    assert twin.verdict == "passed", twin.reasons
    assert (twin.facts["type"], twin.facts["calibrator"], twin.facts["bandpass"]) == ("bandpass", None, None)
    assert twin.facts["flux_scale"] == "ensemble"
    assert twin.qa["ensemble_references"] >= 20
    assert twin.facts["flux_anchor"].startswith(
        f"ensemble of {twin.qa['ensemble_references']} catalogued sources, known to "
    )
    assert twin.facts["flux_anchor"].isascii()  # it stands in the headers of images
    assert _scale(without, 0, tmp_path / "cal", twin) == pytest.approx(1, abs=0.03)
    assert twin.qa["sefd_median_jy"] == pytest.approx(5800, rel=0.1)  # what the simulator was told


def test_few_sources_are_a_warning(tmp_path):
    night = make_night(
        tmp_path, tiles=1, calibrator="none", declination_deg=71.6, sources=12, flux_min_jy=1, flux_max_jy=4, seed=5
    )
    twin = solve_calibration(
        night.ms(0), night.twin(0), tmp_path / "cal", tmp_path / "cal.json", calibrator=None, bandpass=None,
        options=OPTIONS, beam=BEAM, catalogue=night.catalogue,
    )  # fmt: skip
    assert [(r.code, r.severity) for r in twin.reasons] == [("few_references", "warning")]
    assert twin.facts["flux_scale"] == "field"
    assert _scale(night, 0, tmp_path / "cal", twin) == pytest.approx(1, abs=0.03)  # of a catalogue that is right


def test_without_a_catalogue_or_a_bright_field_it_fails(without, tmp_path):
    def solve(name, catalogue, options=OPTIONS):
        return solve_calibration(
            without.ms(0), without.twin(0), tmp_path / name, tmp_path / f"{name}.json", calibrator=None, bandpass=None,
            options=options, beam=BEAM, catalogue=catalogue,
        )  # fmt: skip

    assert [r.code for r in solve("dark", None).reasons] == ["no_sky_model"]
    faint = solve("faint", without.catalogue, OPTIONS.model_copy(update={"min_field_jy": 1000.0}))
    assert [r.code for r in faint.reasons] == ["field_too_faint"]
    assert list((tmp_path / "faint").iterdir()) == []


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A strip whose calibrator of 6 Jy is in the VLA's list alone, with sixty sources of 0.2 to 1 Jy beside it."""
    return make_night(
        tmp_path_factory.mktemp("listed"), tiles=1, calibrator="synthetic", declination_deg=54.6, sources=60,
        calibrator_flux_jy=6.0, flux_min_jy=0.2, flux_max_jy=1.0, antennas=24, seed=6,
    )  # fmt: skip


def _list_of(night, path, factor):
    """Write a list with the night's calibrator, its flux density off by a factor."""
    with open(night.folder / "night" / "truth.csv", newline="") as file:
        row = max(csv.DictReader(file), key=lambda one: float(one["flux_jy"]))
    ra, dec = float(row["ra_deg"]) / 15, float(row["dec_deg"])
    minutes, arcmin = ra % 1 * 60, dec % 1 * 60
    path.write_text(
        LIST.format(
            name=LISTED, ra=f"{int(ra):02d}h{int(minutes):02d}m{minutes % 1 * 60:09.6f}s",
            dec=f"{int(dec):02d}d{int(arcmin):02d}'{arcmin % 1 * 60:09.6f}\"", flux=factor * float(row["flux_jy"]),
        )
    )  # fmt: skip
    return path


@pytest.mark.parametrize("factor", [1.2, 0.8])
def test_a_listed_flux_that_is_wrong_is_tied_to_the_ensemble(listed, tmp_path, factor):
    options = OPTIONS.model_copy(update={"calibrators": str(_list_of(listed, tmp_path / "vla.txt", factor))})
    twin = solve_calibration(
        listed.ms(0), listed.twin(0), tmp_path / "cal", tmp_path / "cal.json", calibrator=LISTED, bandpass=None,
        options=options, beam=BEAM, catalogue=listed.catalogue,
    )  # fmt: skip
    assert twin.verdict == "passed", twin.reasons
    assert twin.facts["flux_scale"] == "ensemble"
    # The field, which holds as much flux as the calibrator, has pulled the amplitudes some of the way already.
    assert 0.5 < np.log(twin.qa["ensemble_scale"]) / np.log(factor) <= 1.02
    listed_as, _, applied = twin.facts["flux_anchor"].partition("(")[2].rstrip(")").rpartition(", x ")
    assert listed_as.startswith(f"{LISTED}, vla.txt: ")
    assert float(applied) == pytest.approx(1 / twin.qa["ensemble_scale"], abs=1e-3)
    assert _scale(listed, 0, tmp_path / "cal", twin) == pytest.approx(1, abs=0.03)
    assert twin.qa["sefd_median_jy"] == pytest.approx(5800, rel=0.05)


def test_a_listed_flux_stays_where_the_field_has_too_few_references(listed, tmp_path):
    """Of a catalogue of five sources the scale is measured, and the list believed."""
    few = tmp_path / "few.csv"
    few.write_text("\n".join(listed.catalogue.read_text().splitlines()[:7]) + "\n")
    options = OPTIONS.model_copy(update={"calibrators": str(_list_of(listed, tmp_path / "vla.txt", 1.2))})
    twin = solve_calibration(
        listed.ms(0), listed.twin(0), tmp_path / "cal", tmp_path / "cal.json", calibrator=LISTED, bandpass=None,
        options=options, beam=BEAM, catalogue=few,
    )  # fmt: skip
    assert twin.facts["flux_scale"] == "list"
    assert _scale(listed, 0, tmp_path / "cal", twin) == pytest.approx(1.2, abs=0.05)


def test_a_standard_is_compared_and_not_changed(tmp_path):
    """A catalogue 15 per cent too low: that is noted, and the standard believed."""
    night = make_night(tmp_path, tiles=1, transit_tile=0, sources=60, flux_min_jy=0.2, flux_max_jy=1.0, antennas=24)
    with open(night.catalogue, newline="") as file:
        rows = list(csv.DictReader(file))
    low = tmp_path / "low.csv"
    with open(low, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"flux_jy": float(row["flux_jy"]) / 1.15} for row in rows)
    twin = solve_calibration(
        night.ms(0), night.twin(0), tmp_path / "cal", tmp_path / "cal.json", calibrator="3C286", bandpass=None,
        options=OPTIONS, beam=BEAM, catalogue=low,
    )  # fmt: skip
    assert (twin.facts["flux_scale"], twin.facts["flux_anchor"]) == ("standard", "Perley & Butler 2017, epoch 2016")
    assert twin.qa["ensemble_scale"] == pytest.approx(1.15, abs=0.03)
    assert any("of their catalogued fluxes on the scale of 3C286" in note for note in twin.notes)
    assert _scale(night, 0, tmp_path / "cal", twin) == pytest.approx(1, abs=0.01)


def test_a_calibrator_as_a_source_has_its_flux_and_spectrum():
    one = calibrator_lists.find(calibrators.builtin(), "3C286")
    source = as_catalogue(one, 1.4e9)
    at = np.array([1.35e9, 1.4e9, 1.45e9])
    np.testing.assert_allclose(source.flux_at(at)[0], one.flux_jy(at), rtol=1e-3)
