"""Flux scale, shift and their changes over the field: known differences are measured within their errors, and named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contimg.config import QaOptions
from contimg.crossmatch.matching import Match
from contimg.crossmatch.systematics import measure_systematics
from contimg.products import gates
from contimg.sky.catalogue import Catalogue

BEAM = 60.0
DEC = 54.0
CATALOGUE_ERROR = 0.03


def matches(seed: int, n: int = 60) -> Match:
    """Return a right mosaic's matches: a strip 8 x 2.4 deg, catalogue fluxes good to 3 %, places to 1 arcsec."""
    rng = np.random.default_rng(seed)
    dec = DEC + rng.uniform(-1.2, 1.2, n)
    ra = 358 + rng.uniform(-4, 4, n) / np.cos(np.radians(DEC))  # across 0h
    snr = np.exp(rng.uniform(np.log(10), np.log(500), n))
    e_log_ratio = np.hypot(1.5 / snr, CATALOGUE_ERROR)
    ratio = np.exp(rng.normal(size=n) * e_log_ratio)
    dra, ddec = rng.normal(size=(2, n))
    return Match(
        catalogue=Catalogue(
            np.array([f"s{i}" for i in range(n)]), ra % 360, dec, np.ones(n), np.full(n, 0.03), np.full(n, 1.4e9),
            np.full(n, -0.7),
        ),
        flux_jy=np.ones(n), local_rms_jy=1 / snr, expected_snr=snr, isolated=np.ones(n, bool), source=np.arange(n),
        separation_arcsec=np.hypot(dra, ddec), dra_arcsec=dra, ddec_arcsec=ddec, flux_ratio=ratio, peak_ratio=ratio,
        e_log_ratio=e_log_ratio, e_offset_arcsec=np.full(n, 0.3), compared=np.ones(n, bool),
        unmatched=np.array([], int), unmatched_flux_jy=np.array([]),
    )  # fmt: skip


def numbers(found: Match) -> dict:
    return measure_systematics(found, 3, BEAM)


def reasons(found: Match) -> list:
    """Return the reasons of the fits' gates."""
    known = numbers(found) | {"n_compared": 60, "n_expected": 60, "completeness": 1.0, "flux_outliers": 0.0}
    return gates.judge(
        "crossmatch", known | {"median_flux_ratio": 1.0, "median_offset_beams": 0.02}, {"qa": QaOptions()}
    )


def north(found: Match) -> np.ndarray:
    """Return the distance of the sources from the strip's middle to the north, from -1 to 1."""
    dec = found.catalogue.dec_deg
    return (dec - (dec.max() + dec.min()) / 2) / ((dec.max() - dec.min()) / 2)


def test_clean_samples_give_no_reason_and_unit_residuals():
    normalised = []
    for seed in range(300):
        assert reasons(matches(seed)) == []
        found = numbers(matches(seed))
        normalised.append([(found["flux_scale"] - 1) / found["e_flux_scale"]])
        normalised[-1] += [found[key] / found[f"e_{key}"] for key in ("flux_tilt_ra", "flux_tilt_dec", "flux_bow_dec")]
        normalised[-1].append(found["shift_ra_arcsec"] / found["e_shift_arcsec"])
    # Errors are never smaller than those of the single sources say, so that they are rather too large than too small.
    assert (np.abs(np.std(normalised, axis=0) - 0.93) < 0.15).all()


def test_a_few_sources_give_no_slopes():
    found = numbers(matches(1, 8))
    assert found["flux_scale"] == pytest.approx(1, abs=0.06) and found["flux_bow_dec"] is None
    assert set(numbers(matches(1, 1)).values()) == {None}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [0.90, 1.05, 1.10, 1.15])
def test_a_flux_scale(seed, scale):
    clean = matches(seed)
    found = replace(clean, flux_ratio=clean.flux_ratio * scale, peak_ratio=clean.peak_ratio * scale)
    assert numbers(found)["flux_scale"] == pytest.approx(scale, abs=0.025)
    first = reasons(found)[0]
    assert first.code == "flux_scale_off"
    assert f"best explained by a flux scale of {scale:.1f}"[:-2] in first.message


@pytest.mark.parametrize("seed", range(5))
def test_a_primary_beam_of_another_width(seed):
    """A beam 10 % wider than assumed: fluxes at the strip's edges, a tilt of none, are 20 % high."""
    clean = matches(seed)
    ratio = clean.flux_ratio * np.exp(0.2 * north(clean) ** 2)
    found = replace(clean, flux_ratio=ratio, peak_ratio=ratio)
    assert numbers(found)["flux_bow_dec"] == pytest.approx(0.2, abs=0.06)
    codes = [reason.code for reason in reasons(found)]
    assert "flux_bow_dec_off" in codes and "flux_tilt_dec_off" not in codes
    assert "best explained by another width of the primary beam: fluxes change by +" in reasons(found)[0].message


@pytest.mark.parametrize("seed", range(5))
def test_a_primary_beam_off_in_declination(seed):
    clean = matches(seed)
    ratio = clean.flux_ratio * np.exp(0.15 * north(clean))
    found = replace(clean, flux_ratio=ratio, peak_ratio=ratio)
    assert numbers(found)["flux_tilt_dec"] == pytest.approx(0.15, abs=0.04)
    assert [reason.code for reason in reasons(found)] == ["flux_tilt_dec_off"]
    assert "a primary beam off in declination" in reasons(found)[0].message


@pytest.mark.parametrize("seed", range(5))
def test_a_clock_that_is_off_moves_all_to_the_east(seed):
    clean = matches(seed)
    east = clean.dra_arcsec + 15.041 * np.cos(np.radians(clean.catalogue.dec_deg))  # by 1 s
    found = replace(clean, dra_arcsec=east)
    assert "shift_beams_high" in [reason.code for reason in reasons(found)]
    assert "best explained by a shift to the east of +" in reasons(found)[0].message
    assert numbers(found)["shift_ra_arcsec"] == pytest.approx(15.041 * np.cos(np.radians(DEC)), abs=0.8)


def test_a_shift_to_the_north_and_a_rotation():
    clean = matches(1)
    found = replace(clean, ddec_arcsec=clean.ddec_arcsec - 4)
    assert "a shift of -4" in reasons(found)[0].message or "a shift of -3.9" in reasons(found)[0].message
    turned = replace(clean, dra_arcsec=clean.dra_arcsec + 8 * north(clean))
    assert "distortion_beams_high" in [reason.code for reason in reasons(turned)]
    angle = np.degrees(8 / 3600 / np.radians(1)) / (np.ptp(clean.catalogue.dec_deg) / 2) * np.radians(1)
    assert numbers(turned)["field_rotation_deg"] == pytest.approx(angle, rel=0.15)


def test_smeared_sources():
    clean = matches(2)
    found = replace(clean, peak_ratio=0.8 * clean.flux_ratio)
    assert numbers(found)["peak_over_total"] == pytest.approx(0.8, abs=0.01)
    assert [reason.code for reason in reasons(found)] == ["peak_over_total_off"]


def test_sources_that_the_catalogue_lacks():
    clean = matches(3)
    bright = replace(clean, unmatched=np.arange(20), unmatched_flux_jy=np.full(20, 1.5))
    assert numbers(bright)["unmatched_fraction"] == pytest.approx(20 / 80)
    assert [reason.code for reason in reasons(bright)] == ["unmatched_fraction_high"]
    # Fainter than nine tenths of the catalogue: it is not complete there.
    assert numbers(replace(bright, unmatched_flux_jy=np.full(20, 0.5)))["unmatched_fraction"] == 0


def test_variable_sources_accuse_nobody():
    clean = matches(4)
    ratio = clean.flux_ratio.copy()
    ratio[:6] *= 1.5
    assert "flux_scale_off" not in [reason.code for reason in reasons(replace(clean, flux_ratio=ratio))]
