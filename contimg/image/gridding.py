"""Between visibilities and images: ducc0's w-gridder (Arras et al. 2021, A&A 646, A58)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contimg.image.grid import Grid
from contimg.image.samples import Samples

# Relative accuracy of the transforms; the smallest that ducc0 allows in single precision.
EPSILON = 1.0e-5


class Gridder:
    """Dirty images, PSF and model visibilities of one set of samples and weights.

    Images are (size, size) float32, ``[y, x]`` as `Grid` says. Intensities are not divided by n: a
    point source of S Jy has a peak of S Jy/beam wherever it is.
    """

    def __init__(self, samples: Samples, weight: NDArray[np.float32], grid: Grid, threads: int) -> None:
        self.grid = grid
        self.weight = weight
        self.total = float(weight.sum(dtype=np.float64))
        self._even = grid.size_px + grid.size_px % 2  # the w-gridder takes even sizes only
        # ducc0's x runs against east, as FITS' does, but its y against north: flip_v.
        self._common = {
            "uvw": samples.uvw_m,
            "freq": samples.freq_hz,
            "pixsize_x": grid.cell_rad,
            "pixsize_y": grid.cell_rad,
            "epsilon": EPSILON,
            "do_wgridding": True,
            "divide_by_n": False,
            "flip_v": True,
            "nthreads": threads,
        }

    def dirty(self, vis: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return the weighted mean of the visibilities towards each pixel (Jy/beam)."""
        from ducc0.wgridder import vis2dirty

        image = vis2dirty(vis=vis, wgt=self.weight, npix_x=self._even, npix_y=self._even, **self._common)
        first = self._even - self.grid.size_px
        return np.ascontiguousarray(image.T[first:, first:]) / np.float32(self.total)

    def psf(self) -> NDArray[np.float32]:
        """Return the dirty image of a source of 1 Jy at the phase centre."""
        return self.dirty(np.broadcast_to(np.complex64(1), self.weight.shape))

    def predict(self, model: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Return the visibilities of an image of point sources (Jy/pixel)."""
        from ducc0.wgridder import dirty2vis

        first = self._even - self.grid.size_px
        image = np.zeros((self._even, self._even), np.float32)
        image[first:, first:] = model.T
        return dirty2vis(dirty=image, **self._common)
