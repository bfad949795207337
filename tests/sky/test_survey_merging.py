"""Surveys merged into one catalogue: fluxes and indices at 1.4 GHz of sources whose spectra are known."""

import numpy as np
import pytest

from contimg.sky.survey_merging import merge_surveys
from contimg.sky.survey_sources import SurveySources
from contimg.sky.surveys import SURVEYS

ARCSEC = 1 / 3600


def sources(key, rows, *, error=0.01, notes=()):
    """Return sources of a survey from (name, ra, dec, flux)."""
    name, ra, dec, flux = (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.empty(0)] * 4
    flux = flux.astype(float)
    return SurveySources(SURVEYS[key], name.astype(str), ra, dec, flux, error * flux, notes)


def power_law(key, s14, index):
    return s14 * (SURVEYS[key].freq_hz / 1.4e9) ** index


@pytest.mark.parametrize("others", [("tgss",), ("vlass",), ("racs", "tgss"), ("lotss", "racs-high", "vlass", "first")])
@pytest.mark.parametrize("index", [-1.2, -0.7, 0.0, 0.8])
def test_a_power_law_is_recovered(others, index):
    surveys = [sources(key, [("A", 10.0, 30.0, power_law(key, 0.4, index))]) for key in (*others, "nvss")]
    found = merge_surveys(surveys)
    assert found.name.tolist() == ["A"]
    assert found.spectral_index == pytest.approx(index, abs=1e-9)
    assert found.flux_jy == pytest.approx(0.4, rel=1e-9)
    assert found.ref_freq_hz.tolist() == [1.4e9]


def test_a_survey_alone_keeps_its_fluxes_and_errors_and_has_no_index():
    found = merge_surveys([sources("nvss", [("A", 10.0, 30.0, 0.4), ("B", 11.0, 30.0, 0.1)], error=0.03)])
    assert found.flux_jy == pytest.approx([0.4, 0.1])
    assert found.flux_err_jy == pytest.approx([0.012, 0.003])
    assert np.isnan(found.spectral_index).all()


def test_one_of_another_frequency_is_carried_to_1_4_ghz_with_the_index_that_readers_assume():
    found = merge_surveys([sources("racs", [("A", 10.0, 30.0, 1.0)])])
    assert found.flux_jy == pytest.approx((1400 / 887.5) ** -0.7)
    assert found.flux_err_jy == pytest.approx(0.01 * found.flux_jy)
    assert np.isnan(found.spectral_index).all()


def test_the_flux_near_1_4_ghz_is_that_of_the_surveys_there_for_a_curved_spectrum():
    found = merge_surveys([sources("nvss", [("A", 10.0, 30.0, 1.0)]), sources("tgss", [("A", 10.0, 30.0, 1.0)]),
                           sources("vlass", [("A", 10.0, 30.0, 0.3)])])  # fmt: skip
    assert found.flux_jy == pytest.approx(1.0)
    assert -0.7 < found.spectral_index[0] < 0


def test_an_index_of_no_known_population_is_not_believed():
    found = merge_surveys([sources("nvss", [("A", 10.0, 30.0, 1.0)]), sources("vlass", [("A", 10.0, 30.0, 0.01)])])
    assert np.isnan(found.spectral_index).all()
    assert found.flux_jy == pytest.approx(1.0)


def test_components_within_the_beam_are_added_up():
    lobes = [(name, 10.0 + east * ARCSEC, 30.0, power_law("vlass", flux, -0.8))
             for name, east, flux in (("W", -10, 0.3), ("E", 12, 0.1))]  # fmt: skip
    found = merge_surveys([sources("nvss", [("A", 10.0, 30.0, 0.4)]), sources("vlass", lobes)])
    assert found.name.tolist() == ["A"]
    assert found.spectral_index == pytest.approx(-0.8, abs=1e-9)
    assert found.notes == ("2 of 2 sources of VLASS are in the catalogue",)


def test_a_wider_beam_that_joins_two_sources_gives_neither_an_index():
    pair = [("A", 10.0, 30.0, 0.4), ("B", 10.0, 30.0 + 8 * ARCSEC, 0.3)]
    found = merge_surveys([sources("racs-mid", pair), sources("tgss", [("AB", 10.0, 30.0, 3.0)])])
    assert found.name.tolist() == ["A", "B"]
    assert np.isnan(found.spectral_index).all()


@pytest.mark.parametrize(("apart_arcsec", "matched"), [(20, True), (25, False)])
@pytest.mark.parametrize("dec", [0.0, 70.0])
def test_sources_match_within_half_of_the_wider_beam(apart_arcsec, matched, dec):
    place = 10.0 + apart_arcsec * ARCSEC / np.cos(np.radians(dec))
    found = merge_surveys([sources("nvss", [("A", 10.0, dec, 1.0)]), sources("tgss", [("T", place, dec, 5.0)])])
    assert len(found) == 1
    assert bool(np.isfinite(found.spectral_index[0])) == matched


def test_sources_of_a_deeper_survey_count_only_where_the_better_one_does_not_look():
    lofar = [("seen", 10.0, 30.5, 1.0), ("beyond", 10.0, 40.0, 1.0)]
    found = merge_surveys([sources("nvss", [("A", 10.0, 30.0, 1.0)]), sources("lotss", lofar)])
    assert found.name.tolist() == ["A", "beyond"]
    assert found.notes == ("1 of 2 sources of LoTSS are in the catalogue",)


def test_files_of_one_survey_are_joined_and_rows_that_stand_twice_merged():
    first = sources("nvss", [("A", 10.0, 30.0, 1.0), ("B", 11.0, 30.0, 1.0)], notes=("1 row of a was skipped",))
    found = merge_surveys([first, sources("nvss", [("B", 11.0, 30.0, 1.0), ("C", 12.0, 30.0, 1.0)])])
    assert found.name.tolist() == ["A", "B", "C"]
    assert found.notes[0] == "1 row of a was skipped"
    assert found.notes[1].startswith("1 duplicate rows of NVSS")


def test_across_right_ascension_0():
    found = merge_surveys([sources("nvss", [("A", 359.9999, 30.0, 1.0)]), sources("vlass", [("A", 0.0001, 30.0, 0.6)])])
    assert len(found) == 1
    assert np.isfinite(found.spectral_index).all()


def test_an_empty_survey_changes_nothing():
    found = merge_surveys([sources("nvss", []), sources("tgss", [("T", 10.0, 30.0, 5.0)]), sources("vlass", [])])
    assert found.name.tolist() == ["T"]


@pytest.mark.parametrize(("ra", "dec", "name"), [
    (202.784533, 30.509155, "NVSS J133108+303032"), (0.0, -0.5, "NVSS J000000-003000"),
])  # fmt: skip
def test_a_source_without_a_name_is_called_by_its_place(ra, dec, name):
    assert merge_surveys([sources("nvss", [("", ra, dec, 1.0)])]).name.tolist() == [name]


def test_an_error_that_is_not_known_stays_so():
    found = merge_surveys(
        [sources("nvss", [("A", 10.0, 30.0, 1.0)], error=np.nan), sources("tgss", [("A", 10.0, 30.0, 5.0)])]
    )
    assert np.isnan(found.flux_err_jy).all()
    assert np.isfinite(found.spectral_index).all()
