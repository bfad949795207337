"""The fitted beam against sources observed through a known one."""

import math
from dataclasses import replace

import numpy as np
import pytest

from contimg.config import BeamOptions
from contimg.errors import InputError
from contimg.sky.beam_fit import MIN_SOURCES, fit_beam, sources_of, tile_response
from tests.support.beam_observations import catalogue_of, divided_by, observe


def test_the_response_of_a_tile_is_the_mean_over_its_times_and_channels():
    tiles, known = observe(1)
    tile = tiles[2]
    mean = tile_response(tile, known.ra_deg, known.dec_deg, BeamOptions()).mean((1, 2))
    truth = divided_by(known.ra_deg, known.dec_deg, tile.centre_deg[0])
    assert np.abs(mean - truth)[truth > 0.3].max() < 1e-3  # eleven times and five channels for 24 and 16


@pytest.mark.parametrize(
    ("east", "north", "width"),
    [(0.0, 0.0, 1.0), (0.0, 0.125, 1.0), (0.125, 0.0, 1.0), (0.0, 0.0, 1.1), (0.1, -0.12, 1.1), (-0.3, 0.3, 0.8)],
)
def test_offset_and_width_are_found_within_their_errors(east, north, width):
    tiles, known = observe(7, east=east, north=north, width=width)
    fit = fit_beam(tiles, known, BeamOptions())
    for found, error, true in (
        (fit.east_deg, fit.e_east_deg, east), (fit.north_deg, fit.e_north_deg, north),
        (fit.fwhm_scale, fit.e_fwhm_scale, width), (fit.flux_scale, fit.e_flux_scale, 1.0),
    ):  # fmt: skip
        assert abs(found - true) < 3.5 * error
    assert fit.e_north_deg < 0.012 and fit.e_east_deg < 0.03 and fit.e_fwhm_scale < 0.01 and fit.e_flux_scale < 0.02


def test_errors_are_those_of_many_trials():
    fits = [fit_beam(*observe(seed, n=100), BeamOptions()) for seed in range(30)]
    for name, true in (("east_deg", 0.0), ("north_deg", 0.0), ("fwhm_scale", 1.0), ("flux_scale", 1.0)):
        pulls = np.array([(getattr(fit, name) - true) / getattr(fit, f"e_{name}") for fit in fits])
        assert 0.6 < np.sqrt((pulls**2).mean()) < 1.4  # 30 trials know it to 13 %


def test_variable_sources_count_little():
    tiles, known = observe(3, north=0.125)
    odd = np.arange(0, len(known), 12)
    flux = known.flux_jy.copy()
    flux[odd] *= 4
    fit = fit_beam(tiles, catalogue_of(known.ra_deg, known.dec_deg, flux), BeamOptions())
    assert abs(fit.north_deg - 0.125) < 3.5 * fit.e_north_deg and fit.e_north_deg < 0.03


def test_a_flux_scale_is_no_beam():
    tiles, known = observe(5)
    fit = fit_beam(tiles, catalogue_of(known.ra_deg, known.dec_deg, known.flux_jy / 1.2), BeamOptions())
    assert fit.flux_scale == pytest.approx(1.2, abs=3.5 * fit.e_flux_scale)
    assert abs(fit.fwhm_scale - 1) < 3.5 * fit.e_fwhm_scale


def test_blended_entries_of_the_catalogue_are_not_used():
    tiles, known = observe(5)
    whole = fit_beam(tiles, known, BeamOptions()).n_sources
    near = catalogue_of(
        np.concatenate([known.ra_deg, known.ra_deg[:40]]), np.concatenate([known.dec_deg, known.dec_deg[:40] + 0.02]),
        np.concatenate([known.flux_jy, known.flux_jy[:40]]),
    )  # fmt: skip
    assert fit_beam(tiles, near, BeamOptions()).n_sources < whole - 10


def test_few_sources_are_said():
    tiles, known = observe(5)
    few = known.select(np.arange(MIN_SOURCES - 8))
    with pytest.raises(InputError, match=r"only \d+ isolated catalogued sources.*add tiles"):
        fit_beam(tiles, few, BeamOptions())
    with pytest.raises(InputError, match="only 0 isolated"):
        fit_beam(tiles, known.select(np.array([], int)), BeamOptions())


def test_the_drift_alone_gives_the_offset_to_the_east_and_the_width():
    tiles, _ = observe(7, east=0.125, north=0.05, width=1.1)
    fit = fit_beam(tiles, None, BeamOptions())
    assert abs(fit.east_deg - 0.125) < 3.5 * fit.e_east_deg < 0.2
    assert abs(fit.fwhm_scale - 1.1) < 3.5 * fit.e_fwhm_scale < 0.06
    assert fit.north_deg == 0 and math.isinf(fit.e_north_deg) and math.isnan(fit.flux_scale)


def test_what_is_not_fitted_stays():
    tiles, known = observe(7, north=0.125, width=1.1)
    start = BeamOptions(fwhm_scale=1.1)
    fit = fit_beam([_begun(one, BeamOptions()) for one in tiles], known, start, fitted=(True, False))
    assert (fit.fwhm_scale, fit.e_fwhm_scale) == (1.1, 0)
    assert abs(fit.north_deg - 0.125) < 3.5 * fit.e_north_deg


def _begun(tile, beam):
    return replace(tile, divided_by=beam)


def test_the_sources_of_tiles_stand_once():
    tiles, _ = observe(7)
    own = sources_of(tiles)
    places = {(round(ra, 4), round(dec, 4)) for one in tiles for ra, dec in zip(one.ra_deg, one.dec_deg, strict=True)}
    assert len(own) == len(places) < sum(len(one.ra_deg) for one in tiles)
