"""The fitted beam against sources observed through a known one, by direct summation: no code of the pipeline."""

import math

import numpy as np
import pytest

from contimg.config import BeamOptions
from contimg.crossmatch.beam_fit import MIN_SOURCES, TileFluxes, fit_beam, tile_response
from contimg.errors import InputError
from contimg.sky.catalogue import Catalogue
from tests.support import skies

TILES, DEC_DEG, MINUTES = 6, 34.0, 5.15
BAND_HZ = 1.31125e9 + 1.875e8 * (np.arange(16) + 0.5) / 16
RA_0 = 359.0  # the strip crosses RA 0


def catalogue_of(ra_deg, dec_deg, flux_jy):
    n = len(ra_deg)
    one = np.ones(n)
    return Catalogue(
        np.array([f"s{i}" for i in range(n)]), ra_deg % 360, dec_deg, flux_jy, one * np.nan, 1.4e9 * one, -0.7 * one
    )


def seen_through(ra_deg, dec_deg, flux_jy, middle_deg, *, east=0.0, north=0.0, width=1.0):
    """Return the apparent fluxes over a tile: mean over 24 times and 16 channels of the beam at its true place."""
    total = np.zeros(len(ra_deg))
    for hours in (np.arange(24) + 0.5) / 24 - 0.5:
        ra = math.radians(middle_deg + hours * MINUTES / 4 * 1.0027379)
        dec = math.radians(DEC_DEG)
        off_e, off_n = math.radians(east), math.radians(north)
        # A step along the great circle towards (east, north) from the pointing.
        angle, towards = math.hypot(off_e, off_n), math.atan2(off_e, off_n)
        sin_dec = math.sin(dec) * math.cos(angle) + math.cos(dec) * math.sin(angle) * math.cos(towards)
        axis_dec = math.asin(sin_dec)
        axis_ra = ra + math.atan2(
            math.sin(towards) * math.sin(angle) * math.cos(dec), math.cos(angle) - math.sin(dec) * sin_dec
        )
        distance = skies.distance(np.radians(ra_deg), np.radians(dec_deg), axis_ra, axis_dec)
        power = skies.airy(distance[:, None] / width, BAND_HZ)
        total += (power * flux_jy[:, None] * (BAND_HZ / 1.4e9) ** -0.7).mean(1)
    return total / 24


def observe(seed, n=150, snr=60.0, scatter=0.05, gains=0.01, **beam):
    """Return the tiles of a group seen through a beam and divided by the nominal one, and the catalogue."""
    rng = np.random.default_rng(seed)
    ra = RA_0 + rng.uniform(-2.5, TILES * MINUTES / 4 + 2.5, n) / math.cos(math.radians(DEC_DEG))
    dec = DEC_DEG + rng.uniform(-1.6, 1.6, n)
    flux = 0.05 * rng.pareto(1.2, n) + 0.05
    known = catalogue_of(ra, dec, flux * np.exp(scatter * rng.standard_normal(n)))
    tiles = []
    for number in range(TILES):
        middle = RA_0 + (number + 0.5) * MINUTES / 4 * 1.0027379
        true = seen_through(ra, dec, flux, middle, **beam) * math.exp(gains * rng.standard_normal())
        # The image is divided by the beam without the sources' spectra.
        divided = _plain(ra, dec, middle)
        noise = 0.05 / snr
        measured = true + noise * rng.standard_normal(n)
        use = (divided > 0.3) & (measured > 20 * noise)
        start = 61082.0 + number * MINUTES / 1440
        tiles.append(
            TileFluxes(
                f"t{number}", start, start + MINUTES / 1440, (middle % 360, DEC_DEG), float(BAND_HZ.mean()), 1.875e8,
                40.0, ra[use] % 360, dec[use], (measured / divided)[use], (noise / divided)[use],
            )
        )  # fmt: skip
    return tiles, known


def _plain(ra_deg, dec_deg, middle_deg):
    """Return the mean of the nominal beam, which the image is divided by."""
    total = np.zeros(len(ra_deg))
    for hours in (np.arange(24) + 0.5) / 24 - 0.5:
        ra = math.radians(middle_deg + hours * MINUTES / 4 * 1.0027379)
        distance = skies.distance(np.radians(ra_deg), np.radians(dec_deg), ra, math.radians(DEC_DEG))
        total += skies.airy(distance[:, None], BAND_HZ).mean(1)
    return total / 24


def test_the_response_of_a_tile_is_the_mean_over_its_times_and_channels():
    tiles, known = observe(1)
    tile = tiles[2]
    mean = tile_response(tile, known.ra_deg, known.dec_deg, BeamOptions()).mean((1, 2))
    truth = _plain(known.ra_deg, known.dec_deg, tile.centre_deg[0])
    assert np.abs(mean - truth)[truth > 0.3].max() < 1e-3  # seven times and five channels for 24 and 16


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
