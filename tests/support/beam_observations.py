"""Fluxes of sources in the tiles of a group, seen through a known beam by direct summation: no code of the pipeline."""

from __future__ import annotations

import math

import numpy as np

from contimg.sky.beam_fit import TileFluxes
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


def observe(seed, n=150, snr=60.0, scatter=0.05, gains=0.01, divided_north=0.0, **beam):
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
        divided = divided_by(ra, dec, middle, divided_north)
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


def divided_by(ra_deg, dec_deg, middle_deg, north=0.0):
    """Return the mean of the nominal beam, which the image is divided by."""
    total = np.zeros(len(ra_deg))
    for hours in (np.arange(24) + 0.5) / 24 - 0.5:
        ra = math.radians(middle_deg + hours * MINUTES / 4 * 1.0027379)
        distance = skies.distance(np.radians(ra_deg), np.radians(dec_deg), ra, math.radians(DEC_DEG + north))
        total += skies.airy(distance[:, None], BAND_HZ).mean(1)
    return total / 24
