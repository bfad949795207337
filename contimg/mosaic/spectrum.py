"""The spectral index of a mosaic's bright pixels, from the images of the tiles' channel groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic import noise
from contimg.mosaic.coadd import interpolate_smooth
from contimg.mosaic.fourier_image import fourier_image
from contimg.mosaic.grid import MosaicGrid
from contimg.mosaic.tile_images import TileImage
from contimg.products.facts import ImageFacts
from contimg.products.fits_images import read_image
from contimg.sky.restoring_beam import RestoringBeam

MIN_SNR = 5.0
"""Least signal-to-noise ratio, in the mosaic of the whole band, of a pixel whose spectral index is fitted."""
MAX_INDEX_ERROR = 0.5
"""Pixels whose spectral index has a larger error than this are blank, as in the tiles."""


class SpectralSums:
    """Sums over tiles, for each channel group, at a mosaic's bright pixels.

    Parameters
    ----------
    grid : MosaicGrid
    bright : (ny, nx) bool
    groups : int
        Channel groups of every tile.
    """

    def __init__(self, grid: MosaicGrid, bright: NDArray[np.bool_], groups: int) -> None:
        self._shape = bright.shape
        self._row, self._column = np.nonzero(bright)
        ra, dec = grid.wcs().all_pix2world(self._column, self._row, 0)
        self._ra, self._dec = ra, dec
        self._signal, self._weight, self._log_hz = (np.zeros((groups, len(ra))) for _ in range(3))

    def add(self, tile: TileImage, target: RestoringBeam, pb_limit: float) -> None:
        """Add a tile's channel groups; a pixel counts where the beams of all are above `pb_limit`.

        Parameters
        ----------
        tile : TileImage
        target : RestoringBeam
            The common beam, in the tile's frame.
        pb_limit : float
        """
        groups = tile.facts.groups
        added = [self._sample(tile, number, target) for number in range(len(groups))]
        inside = np.logical_and.reduce([response >= pb_limit for _, response, _ in added])
        for number, (value, response, rms_jy) in enumerate(added):
            weight = np.where(inside, response / rms_jy**2, 0)
            self._signal[number] += np.where(inside, weight * value, 0)
            weight = np.where(inside, weight * response, 0)
            self._weight[number] += weight
            self._log_hz[number] += weight * np.log(groups[number].freq_hz)

    def _sample(
        self, tile: TileImage, number: int, target: RestoringBeam
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
        """Return image and beam of one channel group at the bright pixels (NaN outside), and the image's noise."""
        folder, files = tile.image.parent, tile.facts.files
        image, pb = (read_image(folder / files[f"group{number}.{plane}"]) for plane in ("image", "pb"))
        x_step, y_step = image.wcs.pixel_scale_matrix.diagonal()
        smooth = fourier_image(image.data, tile.beam, target, (x_step, y_step))
        x, y = image.wcs.all_world2pix(self._ra, self._dec, 0)
        known = smooth.knows(y, x)
        value, response = (np.full(len(x), np.nan, np.float32) for _ in range(2))
        value[known] = smooth.at(np.column_stack([y[known], x[known]]))
        response[known] = interpolate_smooth(pb.data, y[known], x[known])
        rms_jy = noise.rms_off_sources(smooth.pixels(), pb.data > 0, target.bmaj_deg / abs(x_step))
        return value, response, rms_jy or np.inf

    def index(self) -> NDArray[np.float32]:
        """Return the spectral index as a plane, NaN where it was not fitted or its error is above 0.5.

        Notes
        -----
        The slope of ln(flux) over ln(frequency), fitted with weights (flux / noise)^2; its error follows from the
        noise.
        """
        plane = np.full(self._shape, np.nan, np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            flux, log_hz = self._signal / self._weight, self._log_hz / self._weight
            log_flux, weight = np.log(flux), flux**2 * self._weight
            x = log_hz - (weight * log_hz).sum(0) / weight.sum(0)
            square = (weight * x**2).sum(0)
            known = (flux > 0).all(0) & (square >= MAX_INDEX_ERROR**-2)
            slope = (weight * x * log_flux).sum(0) / square
        plane[self._row[known], self._column[known]] = slope[known]
        return plane


def common_groups(facts: Sequence[ImageFacts]) -> int:
    """Return the number of channel groups that every tile has; 0 where tiles have none, or different numbers."""
    counts = {len(one.groups) for one in facts}
    return counts.pop() if len(counts) == 1 else 0
