"""Ranking of calibrators by the expected error of the gains solved on each.

Three errors add in quadrature: that of the calibrator's flux density (`Calibrator.flux_error`: standards are steadier
than entries of a list, these than blazars), the receivers' noise against its apparent flux density, and the error of
the field's model against it, which follows from the calibrator's share of the field's apparent flux.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np

from contimg.config import BeamOptions
from contimg.sky.calibrators import Calibrator
from contimg.sky.catalogue import Catalogue

# Noise of one antenna's solution in one channel (Jy): SEFD / sqrt(2 df dt n) with 6 kJy, 0.24 MHz, 300 s, 95 antennas.
SOLUTION_NOISE_JY = 0.05
# If a list sets a shortest baseline, the many short baselines of this array are not used, and the noise is larger.
_LONG_BASELINES, _LONG_BASELINES_NOISE = 1.0, 3.0
# Calibrators whose flux density may be off by this fraction are used only where no other is in reach.
UNSTEADY_ERROR = 0.25
# Fraction of the field's flux density that its model misses: errors of catalogue, indices and beam.
FIELD_ERROR = 0.1
# The field within which flux adds up: beyond it the beam is below 2 per cent.
_FIELD_RADIUS_DEG = 3.5
_SAME_SOURCE_DEG = 30 / 3600


def expected_error(calibrator: Calibrator, apparent_jy: float, dominance: float | None) -> float:
    """Return the fractional error that gains solved on a calibrator can be expected to have.

    Parameters
    ----------
    calibrator : Calibrator
    apparent_jy : float
        Its flux density through the beam.
    dominance : float or None
        Its share of the field's apparent flux density (`dominance`); None where it is not known, which counts as 1.
    """
    noise_jy = SOLUTION_NOISE_JY * (_LONG_BASELINES_NOISE if calibrator.min_klambda > _LONG_BASELINES else 1.0)
    share = 1.0 if dominance is None else dominance
    others = FIELD_ERROR * (1 - share) / share if share > 0 else math.inf
    return math.hypot(calibrator.flux_error, noise_jy / apparent_jy, others) if apparent_jy > 0 else math.inf


def is_unsteady(calibrator: Calibrator) -> bool:
    """Return True for a calibrator that is used only where no other is in reach: a known blazar, or marked W."""
    return calibrator.flux_error >= UNSTEADY_ERROR


def dominance(
    calibrator: Calibrator, apparent_jy: float, offset_deg: float, catalogue: Path, beam: BeamOptions, freq_hz: float
) -> float:
    """Return a calibrator's share of its field's apparent flux density at transit.

    Parameters
    ----------
    calibrator : Calibrator
    apparent_jy : float
        Its flux density through the beam.
    offset_deg : float
        Declination of the calibrator less that of the beam.
    catalogue : Path
        Of the strip; the calibrator's own entry (within 30 arcsec) is left out.
    beam : BeamOptions
    freq_hz : float
    """
    from contimg.sky.airy_beam import airy_power
    from contimg.sky.spherical import separation

    axis_deg = (calibrator.ra_deg, calibrator.dec_deg - offset_deg)
    field = _field(catalogue, catalogue.stat().st_mtime_ns, round(axis_deg[0], 2), round(axis_deg[1], 1))
    ra, dec = np.radians(field.ra_deg), np.radians(field.dec_deg)
    away = separation(ra, dec, *np.radians(axis_deg))
    own = separation(ra, dec, *np.radians([calibrator.ra_deg, calibrator.dec_deg])) <= np.radians(_SAME_SOURCE_DEG)
    response = airy_power(away, freq_hz, beam.dish_diameter_m, beam.blockage_diameter_m)
    others_jy = float((field.flux_at(freq_hz)[:, 0] * response)[~own].sum())
    return apparent_jy / (apparent_jy + others_jy)


@functools.lru_cache(maxsize=64)
def _field(catalogue: Path, _modified_ns: int, ra_deg: float, dec_deg: float) -> Catalogue:
    """Return the catalogue's sources round a direction; the modification time is part of the cache's key."""
    from contimg.sky.catalogue import read_catalogue

    return read_catalogue(catalogue, near=(ra_deg, dec_deg, _FIELD_RADIUS_DEG))
