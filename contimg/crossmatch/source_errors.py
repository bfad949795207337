"""Systematic errors of the sources of a mosaic, which do not average down with the noise, as columns of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contimg.crossmatch.matching import Match
from contimg.crossmatch.sources import Source
from contimg.crossmatch.systematics import FieldFrame
from contimg.products.numbers import CrossmatchQa


def with_systematic_errors(
    sources: Sequence[Source], matched: Match, measured: CrossmatchQa, beam_arcsec: float
) -> list[Source]:
    """Return sources with the systematic errors that the comparison with a catalogue shows.

    Each term is what was measured, and its error, in quadrature: a mosaic is not corrected for them. They are relative
    to the catalogue, whose own scale and frame are not known here.

    Parameters
    ----------
    sources : sequence of Source
    matched : Match
    measured : CrossmatchQa
        Terms that were not measured, for want of sources, stay NaN.
    beam_arcsec : float
        Geometric mean of the beam's axes.

    Notes
    -----
    With x and y from -1 to 1 over the field of the compared sources (`systematics.measure_systematics`):

    scale
        ``S hypot(flux_scale - 1, e_flux_scale)``.
    beam
        ``S sqrt(T_ra^2 x^2 + T_dec^2 y^2 + B^2 y^4)``, T and B being the fluxes' tilts and bow with their errors: what
        a primary beam of another axis or width, or gains that drift, make of it at the source's place.
    position
        ``S hypot(peak_over_total - 1, e_peak_over_total)``: what peaks lose where tiles are shifted against each other.
    place
        ``sqrt(shift^2 + e_shift^2 + distortion^2 (x^2 + y^2))`` (arcsec).
    """
    use = matched.compared & (matched.flux_ratio > 0)
    if not sources or not use.any():
        return list(sources)
    ra, dec = (np.array([getattr(one, key) for one in sources]) for key in ("ra_deg", "dec_deg"))
    x, y = FieldFrame.of(matched, use).places(ra, dec)
    scale, loss = (_off_one(measured, key) for key in ("flux_scale", "peak_over_total"))
    beam = _beam(measured, x, y)
    place = _place_arcsec(measured, beam_arcsec, x, y)
    return [
        replace(
            one,
            e_flux_scale_jy=one.total_flux_jy * scale,
            e_flux_beam_jy=one.total_flux_jy * float(at),
            e_flux_position_jy=one.total_flux_jy * loss,
            e_place_arcsec=float(off),
        )
        for one, at, off in zip(sources, beam, place, strict=True)
    ]


def _off_one(measured: CrossmatchQa, key: str) -> float:
    """Return how far a ratio is from 1, with its error; NaN where it was not measured."""
    value, error = getattr(measured, key), getattr(measured, f"e_{key}")
    return math.nan if value is None or error is None else math.hypot(value - 1, error)


def _size(measured: CrossmatchQa, key: str) -> float:
    """Return the size of a term with its error; NaN where it was not measured."""
    value, error = getattr(measured, key), getattr(measured, f"e_{key}")
    return math.nan if value is None or error is None else math.hypot(value, error)


def _beam(measured: CrossmatchQa, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the relative error of the fluxes at some places (n,)."""
    east, north, bow = (_size(measured, key) for key in ("flux_tilt_ra", "flux_tilt_dec", "flux_bow_dec"))
    return np.asarray(np.sqrt((east * x) ** 2 + (north * y) ** 2 + (bow * y**2) ** 2))


def _place_arcsec(
    measured: CrossmatchQa, beam_arcsec: float, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the systematic error of the positions at some places (n,)."""
    shift, distortion = (beam_arcsec * _size(measured, key) for key in ("shift_beams", "distortion_beams"))
    return np.asarray(np.hypot(shift, distortion * np.hypot(x, y)))
