"""The sources of an image: islands of bright pixels, fitted with Gaussians.

A source is fitted with the beam's shape, which gives flux and position with the least error. Where a fit with free
shape shows it to be larger than the beam by more than `RESOLVED_SIGMA` errors, that fit is used. Maxima of
one island are fitted together. Time grows with the number of pixels and of sources, memory with the number of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.crossmatch.gaussian_fit import PLACE, Fit, Pixels, fit, total_flux
from contimg.crossmatch.islands import Islands, SkyImage, find_islands, pixels_of

PEAK_SIGMA = 5.0
"""Least fitted peak of a source, in local rms."""
ISLAND_SIGMA = 3.0
"""Level that bounds the island of pixels of a source, in local rms."""
CANDIDATE_SIGMA = 4.0
"""Least pixel value (in local rms) of a fitted maximum: the peak between pixels may be higher."""
RESOLVED_SIGMA = 3.0
"""A source is resolved where its total flux exceeds its peak by this many errors."""
BAD_FIT_SIGMA = 4.0
"""Residual (in local rms) above which components of the beam's shape are refitted with free shapes."""
MOST_FREE = 4
"""Largest number of components of an island with free shapes in one fit."""
MOST_TOGETHER = 12
"""Largest number of components in one fit; the maxima of larger islands are fitted in groups, brightest first."""


@dataclass(frozen=True)
class Component:
    """A fitted source in pixels of an image.

    Attributes
    ----------
    x, y : float
        Column and row (0-based).
    place_covariance : (2, 2) float64
        Of x and y, pixels^2.
    peak_jy, e_peak_jy : float
        Jy/beam.
    total_jy, e_total_jy : float
        Jy, with pixels of one solid angle; the peak's where it is not resolved.
    shape : (2, 2) float64
        Covariance in (x, y), pixels^2; the beam's where it is not resolved.
    rms_jy : float
        Local noise at its peak.
    alone : bool
        The only component of its island.
    resolved : bool
    compactness : float
        Peak over total flux of a fit with a free shape: 1 for a point source, less where it is smeared; NaN where none
        was made. Too uncertain in one faint source, it tells in the mean of many what happened to the beam.
    """

    x: float
    y: float
    place_covariance: NDArray[np.float64]
    peak_jy: float
    e_peak_jy: float
    total_jy: float
    e_total_jy: float
    shape: NDArray[np.float64]
    rms_jy: float
    alone: bool
    resolved: bool
    compactness: float


def find_components(image: SkyImage) -> list[Component]:
    """Find and fit the sources of an image whose fitted peak is at least 5 sigma."""
    islands = find_islands(image, CANDIDATE_SIGMA, ISLAND_SIGMA)
    found: list[Component] = []
    for island in islands.found:
        alone = len(island.peaks) == 1
        for start in range(0, len(island.peaks), MOST_TOGETHER):
            peaks = island.peaks[start : start + MOST_TOGETHER]
            found += _fit_together(image, islands, island.label, peaks, alone)
    return found


def _fit_together(
    image: SkyImage, islands: Islands, label: int, peaks: NDArray[np.int64], alone: bool
) -> list[Component]:
    """Fit maxima of one island, leaving out those that turn out to be fainter than 5 sigma."""
    while len(peaks):
        pixels = pixels_of(image, islands, label, peaks)
        start = np.column_stack([image.data[tuple(peaks.T)], peaks[:, 1], peaks[:, 0]]).astype(np.float64)
        noise = image.rms[tuple(peaks.T)].astype(np.float64)
        fitted = fit(pixels, start)
        if fitted is None or not _is_near(fitted, peaks, image.fwhm_px):
            fitted = _fixed_places(pixels, start)
        strong = fitted.parameters[:, 0] >= PEAK_SIGMA * noise
        if strong.all():
            return _components(pixels, fitted, noise, alone, image.fwhm_px, peaks)
        faintest = np.arange(len(peaks)) != np.argmin(fitted.parameters[:, 0] / noise)
        peaks = peaks[strong | (faintest & (len(peaks) > 1))]
    return []


def _is_near(fitted: Fit, peaks: NDArray[np.int64], fwhm_px: float) -> bool:
    """Return whether all components stayed within half a beam of their maxima."""
    moved = np.hypot(fitted.parameters[:, 1] - peaks[:, 1], fitted.parameters[:, 2] - peaks[:, 0])
    return bool((moved <= 0.5 * fwhm_px).all())


def _fixed_places(pixels: Pixels, start: NDArray[np.float64]) -> Fit:
    """Return components with the values of their brightest pixels, known to the rms and half a beam.

    For sources of a few pixels at the image's edge, whose positions cannot be fitted.
    """
    covariance = np.zeros((start.size, start.size))
    for i, component in enumerate(start):
        nearest = int(np.argmin(np.hypot(pixels.x - component[1], pixels.y - component[2])))
        part = slice(PLACE * i + 1, PLACE * i + 3)
        covariance[PLACE * i, PLACE * i] = pixels.rms[nearest] ** 2
        covariance[part, part] = pixels.beam
    return Fit(start, covariance, np.zeros(len(pixels.x)))


def _components(
    pixels: Pixels, fitted: Fit, noise: NDArray[np.float64], alone: bool, fwhm_px: float, peaks: NDArray[np.int64]
) -> list[Component]:
    """Return fitted components, with shapes of their own where they are resolved."""
    free = None
    if len(fitted.parameters) == 1 or (
        len(fitted.parameters) <= MOST_FREE and np.abs(fitted.residual).max() > BAD_FIT_SIGMA
    ):
        shape = np.array([pixels.beam[0, 0], pixels.beam[0, 1], pixels.beam[1, 1]])
        free = fit(pixels, np.column_stack([fitted.parameters, np.tile(shape, (len(noise), 1))]))
        if free is not None and not (_is_near(free, peaks, fwhm_px) and (free.parameters[:, 0] > 0).all()):
            free = None
    return [_component(pixels, fitted, free, i, float(noise[i]), alone) for i in range(len(noise))]


def _component(pixels: Pixels, fitted: Fit, free: Fit | None, i: int, rms_jy: float, alone: bool) -> Component:
    """Return one component: of the fit with free shapes where it is resolved, else of the one with the beam's."""
    parameters, covariance = fitted.parameters[i], fitted.errors(i)
    peak, error = float(parameters[0]), float(np.sqrt(covariance[0, 0]))
    total, e_total, shape, resolved, compactness = peak, error, pixels.beam, False, float("nan")
    if free is not None:
        own, own_covariance = free.parameters[i], free.errors(i)
        flux, e_flux, e_excess = total_flux(own, own_covariance, pixels.beam)
        compactness = float(own[0] / flux)
        if flux - own[0] > RESOLVED_SIGMA * e_excess:
            parameters, covariance, resolved = own, own_covariance, True
            peak, error, total, e_total = float(own[0]), float(np.sqrt(covariance[0, 0])), flux, e_flux
            shape = np.array([[own[3], own[4]], [own[4], own[5]]])
    return Component(
        x=float(parameters[1]),
        y=float(parameters[2]),
        place_covariance=covariance[1:3, 1:3],
        peak_jy=peak,
        e_peak_jy=error,
        total_jy=total,
        e_total_jy=e_total,
        shape=shape,
        rms_jy=rms_jy,
        alone=alone,
        resolved=resolved,
        compactness=compactness,
    )
