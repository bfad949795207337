"""Beams measured in bands against the patterns that fluxes were seen through, which are no Airy patterns."""

import math
from dataclasses import replace

import numpy as np
import pytest

from contimg.config import BeamOptions
from contimg.errors import InputError
from contimg.sky.beam_cube import read_cube
from contimg.sky.beam_cube_fit import fit_band
from contimg.sky.beam_cube_writing import write_beam_cube
from contimg.sky.beam_fit import TileFluxes
from tests.support.beam_observations import DEC_DEG, MINUTES, RA_0, catalogue_of

FREQ_HZ, WIDTH_HZ = 1.4e9, 11.7e6
TILES = 15


def tapered(radius_rad, freq_hz):
    """Return the power of a dish of 4.65 m with an illumination that falls to 0.3 at its edge, over its rings."""
    x = np.pi * 4.65 * freq_hz / 299792458.0 * np.sin(radius_rad)
    radius = np.linspace(0.0874, 1.0, 401)
    rings = radius * (0.3 + 0.7 * (1 - radius**2))
    # J0 by its integral (Abramowitz & Stegun 9.1.18): no library's Bessel function.
    turn = np.linspace(0, np.pi, 201)
    bessel = np.trapezoid(np.cos(x[..., None, None] * radius[:, None] * np.sin(turn)), turn) / np.pi
    return (np.trapezoid(rings * bessel, radius) / np.trapezoid(rings, radius)) ** 2


GRID_RAD = np.radians(np.linspace(0, 3.5, 351))
PROFILE = tapered(GRID_RAD, FREQ_HZ)


def power(east_rad, north_rad, stretch):
    """Return the true beam: the tapered one, wider by a fraction to the east than to the north."""
    return np.interp(np.hypot(east_rad / (1 + stretch), north_rad), GRID_RAD, PROFILE)


def observe(seed, n=150, scatter=0.05, noise=0.01, stretch=0.0):
    """Return the apparent fluxes of sources in fifteen tiles, which drift through the beam, and the catalogue."""
    rng = np.random.default_rng(seed)
    ra = RA_0 + rng.uniform(-2.5, TILES * MINUTES / 4 + 2.5, n) / math.cos(math.radians(DEC_DEG))
    dec = DEC_DEG + rng.uniform(-1.8, 1.8, n)
    flux = 0.3 * rng.pareto(1.2, n) + 0.3
    tiles = []
    for number in range(TILES):
        middle = RA_0 + (number + 0.5) * MINUTES / 4 * 1.0027379
        seen = np.zeros(n)
        for part in (np.arange(24) + 0.5) / 24 - 0.5:
            along = np.radians(ra - middle - part * MINUTES / 4 * 1.0027379)
            tilt = math.radians(DEC_DEG)
            east = np.cos(np.radians(dec)) * np.sin(along)
            north = np.sin(np.radians(dec)) * math.cos(tilt) - np.cos(np.radians(dec)) * math.sin(tilt) * np.cos(along)
            seen += power(east, north, stretch) / 24
        measured = seen * flux * math.exp(0.01 * rng.standard_normal()) + noise * rng.standard_normal(n)
        use = (seen > 0.1) & (measured > 8 * noise)
        start = 61082.0 + number * MINUTES / 1440
        tiles.append(
            TileFluxes(
                f"t{number}", start, start + MINUTES / 1440, (middle % 360, DEC_DEG), FREQ_HZ, WIDTH_HZ, 40.0,
                ra[use] % 360, dec[use], measured[use], np.full(int(use.sum()), noise),
            )
        )  # fmt: skip
    true = catalogue_of(ra, dec, flux * np.exp(scatter * rng.standard_normal(n)))
    return tiles, replace(true, spectral_index=np.zeros(n))


def _fit(scatter, stretch):
    """Return the beam of three nights, each with sources of its own, in one catalogue."""
    nights = [observe(seed, scatter=scatter, stretch=stretch) for seed in (1, 2, 3)]
    bands = [tile for tiles, _ in nights for tile in tiles]
    return fit_band(bands, nights[0][1].followed_by(nights[1][1]).followed_by(nights[2][1]), BeamOptions())


def _errors(fit, stretch):
    """Return places, and errors of ln power there, in eight directions down to a fifth of the peak."""
    radius, angle = np.meshgrid(np.radians(np.linspace(0.05, 1.8, 36)), np.radians(45 * np.arange(8)))
    east, north = radius * np.sin(angle), radius * np.cos(angle)
    true = power(east, north, stretch)
    return radius[true >= 0.2], np.log(fit.power(east, north) / true)[true >= 0.2]


@pytest.mark.parametrize("stretch", [0.0, 0.04])
def test_a_tapered_beam_is_found_to_a_per_cent_down_to_a_fifth_of_the_peak(stretch):
    """Of three nights with a good catalogue; also where it is wider to the east."""
    fit = _fit(0.01, stretch)
    assert np.abs(_errors(fit, stretch)[1]).max() < 0.01
    half_deg = math.degrees(GRID_RAD[np.argmax(PROFILE < 0.5)])
    assert math.degrees(fit.radius_rad(0.5)) == pytest.approx(half_deg * (1 + stretch / 2), rel=0.01)


def test_errors_are_those_of_the_catalogue():
    """Of a catalogue that is 5 per cent off source by source."""
    fit = _fit(0.05, 0.0)
    radius, error = _errors(fit, 0.0)
    assert max(abs(off) / fit.error(place) for place, off in zip(radius, error, strict=True)) < 3
    assert 0.004 < fit.error(fit.radius_rad(0.2)) < 0.02


def test_few_fluxes_are_said():
    tiles, known = observe(1)
    with pytest.raises(InputError, match=r"only \d+ fluxes .* in the band at 1400 MHz, 60 must be: add nights"):
        fit_band(tiles[:1], known.select(np.arange(20)), BeamOptions())
    with pytest.raises(InputError, match="only 0 fluxes"):
        fit_band(tiles, known.select(np.array([], int)), BeamOptions())


def test_the_cube_is_the_fit_and_goes_on_as_the_nominal_pattern(tmp_path):
    tiles, known = observe(1)
    fit = fit_band(tiles, known, BeamOptions())
    bands = [replace(fit, freq_hz=FREQ_HZ + number * WIDTH_HZ) for number in range(5)]
    write_beam_cube(tmp_path / "beam.fits", bands, BeamOptions())
    cube = read_cube(tmp_path / "beam.fits")
    rng = np.random.default_rng(5)
    east, north = np.radians(rng.uniform(-1.2, 1.2, (2, 200)))
    np.testing.assert_allclose(cube.power(east, north, FREQ_HZ + 1.5 * WIDTH_HZ), fit.power(east, north), atol=2e-4)
    far = np.radians(np.linspace(2.0, 7.5, 111))
    beyond = cube.power(far, np.zeros(111), FREQ_HZ)
    assert beyond.min() + 1e-4 >= 0 and beyond[far > np.radians(3.5)].max() < 0.03
    assert np.abs(np.diff(beyond)).max() < 0.06  # no step where the measurement ends


def test_bands_that_are_not_evenly_spaced_are_put_where_they_are(tmp_path):
    """Band 2 of 6 lost its upper half, and band 4 all channels: a beam as wide as the wavelength is long."""
    centres = np.array([0.0, 1.0, 1.75, 3.0, 5.0, 6.0]) * WIDTH_HZ + FREQ_HZ

    def gaussian(radius_rad, freq_hz):
        return np.exp(-4 * math.log(2) * (radius_rad / math.radians(2.5) * freq_hz / FREQ_HZ) ** 2)

    tiles, known = observe(1)
    fit = fit_band(tiles, known, BeamOptions())
    bands = []
    for freq_hz in centres:
        # -ln P = 4 ln 2 (r / width)^2; terms are by r over 2 deg.
        terms = np.zeros(6)
        terms[0] = 4 * math.log(2) * (2.0 / 2.5 * freq_hz / FREQ_HZ) ** 2
        bands.append(replace(fit, freq_hz=float(freq_hz), terms=terms))
    write_beam_cube(tmp_path / "beam.fits", bands[::-1], BeamOptions())
    cube = read_cube(tmp_path / "beam.fits")
    radius = np.radians(np.linspace(0.1, 1.5, 15))
    for freq_hz in (centres[0], centres[2], FREQ_HZ + 4 * WIDTH_HZ, centres[-1]):
        np.testing.assert_allclose(
            cube.power(radius, np.zeros(15), float(freq_hz)), gaussian(radius, freq_hz), atol=4e-4
        )
