"""A tile against the catalogue: forced fits of its sources on covered pixels; fluxes and places, median and tails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.grid import Grid
from contimg.imaging.restoring_beam import RestoringBeam
from contimg.sky.catalogue import Catalogue

# Sources enter above this expected signal-to-noise ratio, and without a neighbour of a fifth of their flux this near.
MIN_SNR = 20.0
_APART_BEAMS, _NEIGHBOUR = 3.0, 0.2
# The fit reaches as far as the beam is above a third.
_FIT_LEVEL = 1 / 3
_ITERATIONS = 20
_LARGEST_SHIFT_BEAMS = 1.5
OUTLIER = 0.3
KEYS = (
    "median_flux_ratio", "flux_ratio_p05", "flux_ratio_p95", "flux_outliers",
    "median_offset_beams", "offset_p95_beams", "median_dra_arcsec", "median_ddec_arcsec",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Catalogue sources as the tile shows them; all arrays (n,).

    Attributes
    ----------
    beam : response at each source
    catalogue_jy, ratio
        Expected flux density at the image's frequency, and measured over expected.
    east_arcsec, north_arcsec
        Measured minus catalogue.
    width_arcsec : float
        Geometric mean of the restoring beam's axes.
    """

    beam: NDArray[np.float64]
    catalogue_jy: NDArray[np.float64]
    ratio: NDArray[np.float64]
    east_arcsec: NDArray[np.float64]
    north_arcsec: NDArray[np.float64]
    width_arcsec: float

    def numbers(self, min_matches: int) -> dict[str, Any]:
        """Return what goes into the twin's ``qa``: `KEYS`, None with fewer sources than asked for, and their number."""
        if len(self.ratio) < max(1, min_matches):
            return {"n_compared": len(self.ratio)} | dict.fromkeys(KEYS)
        offset = np.hypot(self.east_arcsec, self.north_arcsec) / self.width_arcsec
        median = float(np.median(self.ratio))
        values = (
            median, *np.percentile(self.ratio, [5, 95]), np.mean(np.abs(self.ratio / median - 1) > OUTLIER),
            np.median(offset), np.percentile(offset, 95), np.median(self.east_arcsec), np.median(self.north_arcsec),
        )  # fmt: skip
        rounded = (round(float(value), 5) for value in values)
        return {"n_compared": len(self.ratio)} | dict(zip(KEYS, rounded, strict=True))


def compare(
    image: NDArray[np.floating],
    pb: NDArray[np.floating],
    grid: Grid,
    beam: RestoringBeam,
    rms_jy: float,
    freq_hz: float,
    pb_limit: float,
    catalogue: Catalogue,
) -> Comparison:
    """Measure the catalogue's isolated sources of 20 sigma where the beam is above its limit.

    Peak and place of a Gaussian of the restoring beam's shape are fitted at each; a source that is not there gives
    what is there, no matter how little: nothing is left out for its result.

    Parameters
    ----------
    image, pb : (size, size)
        Apparent brightness (Jy/beam) and effective beam.
    grid : Grid
    beam : RestoringBeam
    rms_jy : float
    freq_hz : float
        Frequency of the image.
    pb_limit : float
    catalogue : Catalogue
    """
    width_px = math.sqrt(beam.bmaj_rad * beam.bmin_rad) / grid.cell_rad
    reach = _reach(beam, grid.cell_rad)
    known = catalogue.within(*grid.centre_rad, math.sqrt(2) * grid.size_px * grid.cell_rad)
    ra, dec = np.radians(known.ra_deg), np.radians(known.dec_deg)
    east, north = grid.radec_cosines(ra, dec)
    x, y = grid.pixels(east, north)
    rim = reach + math.ceil(_LARGEST_SHIFT_BEAMS * width_px)
    inside = (np.minimum(x, y) > rim) & (np.maximum(x, y) < grid.size_px - 1 - rim)
    flux = known.flux_at(freq_hz)[:, 0]
    response = np.zeros(len(known))
    response[inside] = pb[np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)]
    usable = inside & (response >= pb_limit) & (flux * response > MIN_SNR * rms_jy)
    rows = []
    for i in np.flatnonzero(usable):
        apart = np.hypot(x - x[i], y - y[i])
        near = (apart < _APART_BEAMS * width_px) & (flux > _NEIGHBOUR * flux[i])
        if np.count_nonzero(near) == 1:
            peak, px, py = fit(image, float(x[i]), float(y[i]), beam, grid.cell_rad)
            rows.append((response[i], flux[i], peak / response[i] / flux[i], -(px - x[i]), py - y[i]))
    beam_at, flux, ratio, dx, dy = np.array(rows).reshape(-1, 5).T
    arcsec = math.degrees(grid.cell_rad) * 3600
    return Comparison(beam_at, flux, ratio, dx * arcsec, dy * arcsec, width_px * arcsec)


def _reach(beam: RestoringBeam, cell_rad: float) -> int:
    return max(2, math.ceil(beam.bmaj_rad / cell_rad / 2 * math.sqrt(math.log(1 / _FIT_LEVEL) / math.log(2))))


def fit(
    image: NDArray[np.floating], x: float, y: float, beam: RestoringBeam, cell_rad: float
) -> tuple[float, float, float]:
    """Fit a Gaussian of the restoring beam's shape; return its peak (Jy/beam) and place (pixels).

    Gauss-Newton steps in peak and place; the place stays within 1.5 beams of where it starts.
    """
    reach, a_b_c = _reach(beam, cell_rad), beam.exponents()
    a, b, c = (value * cell_rad**2 for value in a_b_c)
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
