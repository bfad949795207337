"""A tile against the catalogue: fluxes and positions from forced fits at the catalogue's sources, median and tails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.grid import TileGrid
from contimg.sky.catalogue import Catalogue
from contimg.sky.restoring_beam import RestoringBeam
from contimg.statistics import best_explanation, robust_fit

# Sources are compared above this expected signal-to-noise ratio, without a neighbour of a fifth of their flux within
# this distance.
MIN_SNR = 20.0
_APART_BEAMS, _NEIGHBOUR = 3.0, 0.2
# The fit uses the pixels at which the beam is above a third.
_FIT_LEVEL = 1 / 3
_ITERATIONS = 20
_LARGEST_SHIFT_BEAMS = 1.5
OUTLIER = 0.3
KEYS = (
    "median_flux_ratio", "flux_ratio_p05", "flux_ratio_p95", "flux_outliers",
    "median_offset_beams", "offset_p95_beams", "median_dra_arcsec", "median_ddec_arcsec",
)  # fmt: skip
FITTED = (
    "flux_scale", "e_flux_scale", "shift_beams", "e_shift_beams", "beam_width_error", "e_beam_width_error", "diagnosis",
)  # fmt: skip
"""Numbers of `CatalogueComparison.systematics`."""
_FIT_SOURCES = 10
"""Least number of sources for those: scatter and slope are then known."""
# Systematic errors of single sources, added in quadrature: of fluxes, and of positions in beams.
_FLUX_FLOOR, _POSITION_FLOOR_BEAMS = 0.01, 0.01


@dataclass(frozen=True)
class CatalogueComparison:
    """Measured and catalogued fluxes and positions of sources; all arrays (n,).

    Attributes
    ----------
    beam
        Effective beam at each source.
    catalogue_jy, ratio
        Expected flux density at the image's frequency, and measured over expected.
    east_arcsec, north_arcsec
        Measured minus catalogue.
    e_log_ratio
        Standard error of ln `ratio`: of the noise and, where the catalogue gives it, of its fluxes.
    width_arcsec : float
        Geometric mean of the restoring beam's axes.
    """

    beam: NDArray[np.float64]
    catalogue_jy: NDArray[np.float64]
    ratio: NDArray[np.float64]
    east_arcsec: NDArray[np.float64]
    north_arcsec: NDArray[np.float64]
    e_log_ratio: NDArray[np.float64]
    width_arcsec: float

    def numbers(self, min_matches: int) -> dict[str, Any]:
        """Return `KEYS` and `FITTED`, None with too few sources, and the number of sources, for the twin's ``qa``."""
        if len(self.ratio) < max(1, min_matches):
            return {"n_compared": len(self.ratio)} | dict.fromkeys((*KEYS, *FITTED))
        offset = np.hypot(self.east_arcsec, self.north_arcsec) / self.width_arcsec
        median = float(np.median(self.ratio))
        values = (
            median, *np.percentile(self.ratio, [5, 95]), np.mean(np.abs(self.ratio / median - 1) > OUTLIER),
            np.median(offset), np.percentile(offset, 95), np.median(self.east_arcsec), np.median(self.north_arcsec),
        )  # fmt: skip
        rounded = (round(float(value), 5) for value in values)
        return {"n_compared": len(self.ratio)} | dict(zip(KEYS, rounded, strict=True)) | self.systematics()

    def systematics(self) -> dict[str, Any]:
        """Return flux scale, shift and width of the primary beam with their errors, and what explains fluxes best.

        A true beam wider by the factor k than assumed makes flux ratios ``A^(1/k^2 - 1)`` at the beam response A.
        `FITTED`; None with fewer than 10 sources.
        """
        use = self.ratio > 0
        n = int(use.sum())
        if n < _FIT_SOURCES:
            return dict.fromkeys(FITTED)
        log_ratio, log_beam = np.log(self.ratio[use]), np.log(self.beam[use])
        error, one = np.hypot(self.e_log_ratio[use], _FLUX_FLOOR), np.ones((n, 1))
        flux = robust_fit(one, log_ratio, error)
        slope = robust_fit(np.stack([np.ones(n), log_beam], axis=1), log_ratio, error)
        e_place = np.full(n, _POSITION_FLOOR_BEAMS * self.width_arcsec)
        east, north = (robust_fit(one, offset[use], e_place) for offset in (self.east_arcsec, self.north_arcsec))
        scale = math.exp(flux.coefficients[0])
        shift = math.hypot(east.coefficients[0], north.coefficients[0])
        values = (
            scale, scale * flux.errors[0], shift / self.width_arcsec,
            max(east.errors[0], north.errors[0]) / self.width_arcsec, -slope.coefficients[1] / 2, slope.errors[1] / 2,
        )  # fmt: skip
        patterns = {"flux scale": np.ones(n), "beam width": -2 * log_beam}
        best = best_explanation(patterns, log_ratio, error * flux.inflation)
        words = None
        if best is not None and best.name == "flux scale":
            words = f"a flux scale of {math.exp(best.value):.3f} ± {best.error:.3f}"
        elif best is not None:
            words = f"a primary beam wider by {best.value:+.1%} ± {best.error:.1%} than assumed"
        return dict(zip(FITTED, (*(round(float(value), 6) for value in values), words), strict=True))


@dataclass(frozen=True)
class ApparentImage:
    """An image of apparent brightness with what is needed to measure fluxes in it.

    Attributes
    ----------
    image, pb : (size, size)
        Apparent brightness (Jy/beam) and effective beam.
    grid : TileGrid
    beam : RestoringBeam
    rms_jy : float
        Noise (Jy/beam).
    freq_hz : float
        Effective frequency.
    """

    image: NDArray[np.floating]
    pb: NDArray[np.floating]
    grid: TileGrid
    beam: RestoringBeam
    rms_jy: float
    freq_hz: float

    @property
    def width_px(self) -> float:
        """Geometric mean of the restoring beam's axes (pixels)."""
        return math.sqrt(self.beam.bmaj_rad * self.beam.bmin_rad) / self.grid.cell_rad


def compare(plane: ApparentImage, pb_limit: float, catalogue: Catalogue) -> CatalogueComparison:
    """Measure the isolated catalogue sources of 20 sigma or more where the beam is above its limit.

    The peak and position of a Gaussian with the shape of the restoring beam are fitted at each source, whatever is
    there: no source is left out because of the result.

    Parameters
    ----------
    plane : ApparentImage
    pb_limit : float
    catalogue : Catalogue
    """
    grid, width_px = plane.grid, plane.width_px
    known = catalogue.within(*grid.centre_rad, math.sqrt(2) * grid.size_px * grid.cell_rad)
    east, north = grid.radec_cosines(np.radians(known.ra_deg), np.radians(known.dec_deg))
    x, y = grid.pixels(east, north)
    margin = _fit_radius(plane.beam, grid.cell_rad) + math.ceil(_LARGEST_SHIFT_BEAMS * width_px)
    inside = (np.minimum(x, y) > margin) & (np.maximum(x, y) < grid.size_px - 1 - margin)
    flux = known.flux_at(plane.freq_hz)[:, 0]
    response = np.zeros(len(known))
    response[inside] = plane.pb[np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)]
    usable = inside & (response >= pb_limit) & (flux * response > MIN_SNR * plane.rms_jy)
    rows = []
    for i in np.flatnonzero(usable):
        apart = np.hypot(x - x[i], y - y[i])
        near = (apart < _APART_BEAMS * width_px) & (flux > _NEIGHBOUR * flux[i])
        if np.count_nonzero(near) == 1:
            shape = grid.beam_at(plane.beam, east[i], north[i])
            peak, px, py = fit_peak(plane.image, (float(x[i]), float(y[i])), shape, grid.cell_rad)
            relative = np.nan_to_num(known.flux_err_jy[i] / known.flux_jy[i], nan=0.0)
            e_log = math.hypot(plane.rms_jy / (flux[i] * response[i]), relative)
            rows.append((response[i], flux[i], peak / response[i] / flux[i], -(px - x[i]), py - y[i], e_log))
    beam_at, flux, ratio, dx, dy, error = np.array(rows).reshape(-1, 6).T
    arcsec = math.degrees(grid.cell_rad) * 3600
    return CatalogueComparison(beam_at, flux, ratio, dx * arcsec, dy * arcsec, error, width_px * arcsec)


def _fit_radius(beam: RestoringBeam, cell_rad: float) -> int:
    """Return how far from the peak the fit extends (pixels)."""
    return max(2, math.ceil(beam.bmaj_rad / cell_rad / 2 * math.sqrt(math.log(1 / _FIT_LEVEL) / math.log(2))))


def fit_peak(
    image: NDArray[np.floating], pixel: tuple[float, float], beam: RestoringBeam, cell_rad: float
) -> tuple[float, float, float]:
    """Fit a Gaussian with the shape of the restoring beam; return its peak (Jy/beam) and position x, y (pixels).

    Gauss-Newton steps in peak and position, which stays within 1.5 beams of where it starts.
    """
    x, y = pixel
    reach = _fit_radius(beam, cell_rad)
    a, b, c = (value * cell_rad**2 for value in beam.exponents())
    x0, y0 = round(x), round(y)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    spot = image[y0 - reach : y0 + reach + 1, x0 - reach : x0 + reach + 1].astype(np.float64)
    use = np.exp(-(a * dx**2 - 2 * b * dx * dy + c * dy**2)) > _FIT_LEVEL  # east is -x
    dx, dy, spot = dx[use], dy[use], spot[use]
    largest = _LARGEST_SHIFT_BEAMS * math.sqrt(beam.bmaj_rad * beam.bmin_rad) / cell_rad
    peak, px, py = float(image[y0, x0]), x - x0, y - y0
    start = np.array([px, py])
    for _ in range(_ITERATIONS):
        ex, ey = dx - px, dy - py
        shape = np.exp(-(a * ex**2 - 2 * b * ex * ey + c * ey**2))
        slopes = peak * shape * np.stack([2 * a * ex - 2 * b * ey, 2 * c * ey - 2 * b * ex])
        step = np.linalg.lstsq(np.stack([shape, *slopes], axis=1), spot - peak * shape, rcond=None)[0]
        peak += float(step[0])
        px, py = (float(value) for value in start + np.clip([px + step[1], py + step[2]] - start, -largest, largest))
        if np.abs(step[1:]).max() < 1e-4:
            break
    return peak, x0 + px, y0 + py
