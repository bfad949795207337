"""Transforms between visibilities and images by w-gridding, with ducc0 (Arras et al. 2021, A&A 646, A58).

Where an image is as accurate without the w terms that pixels parallel to the array leave, they are left out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.grid import TileGrid
from contimg.imaging.visibilities.samples import Samples
from contimg.sky.constants import C_M_S

# Relative accuracies of the transforms: the finest is the smallest that ducc0 allows in single precision.
EPSILON = 1.0e-5
COARSEST = 1.0e-3
# Of residual images in which sources are looked for: its errors are 0.3 % of the image's scatter, 2 % at most.
SEARCH = 1.0e-2
# Errors of the transforms may be this fraction of the noise.
_ERROR_SIGMA = 0.02
# Errors by neglecting what is left of w may be so many times those of the gridding: a tenth of the noise.
_W_ERRORS = 5.0


def accuracy(noise_jy: float, peak_jy: float) -> float:
    """Return the relative accuracy that an image of a given peak needs for errors well below its noise."""
    return min(max(_ERROR_SIGMA * noise_jy / peak_jy, EPSILON), COARSEST) if peak_jy > 0 else COARSEST


class Gridder:
    """Dirty images, PSF and model visibilities of one set of samples and weights.

    Images are (size, size) float32, ``[y, x]`` as `TileGrid` says. Intensities are not divided by n: a
    point source of S Jy has a peak of S Jy/beam wherever it is. Visibilities are (nrow, width)
    complex64, as the samples have them, whatever part of the band is imaged.
    """

    def __init__(
        self,
        samples: Samples,
        weight: NDArray[np.float32],
        grid: TileGrid,
        threads: int,
        channels: slice | None = None,
    ) -> None:
        """Prepare.

        Parameters
        ----------
        samples : Samples
        weight : (nrow, width) float32
            Imaging weights.
        grid : TileGrid
        threads : int
        channels : slice, optional
            The part of the band that is imaged, without dividing an averaged sample. All of it by default.
        """
        from ducc0.misc import resize_thread_pool, thread_pool_size

        # ducc0 never uses more threads than its pool has, which OMP_NUM_THREADS (1 here) sets at import.
        if thread_pool_size() < threads:
            resize_thread_pool(threads)
        self.grid = grid
        self.weight = weight
        self.threads = threads
        self._even = grid.size_px + grid.size_px % 2  # the w-gridder takes even sizes only
        averaging = samples.averaging
        uvw, layout = _above_plane(samples.uvw_m, grid), averaging.layout_of_row
        self._w_error = _error_without_w(uvw, weight, samples, grid)
        used = np.ones((len(averaging.first_channel), averaging.width), bool)
        self._chosen: NDArray[np.bool_] | None = None
        if channels is not None:
            used = averaging.starting_within(channels)
            self._chosen = used[layout]
            in_part: NDArray[np.bool_] = np.asarray(used.any(axis=1))  # layouts with samples in the part of the band
            uvw, layout = uvw[in_part[layout]], layout[in_part[layout]]
            layout = (np.cumsum(in_part) - 1)[layout]
        own_hz = averaging.channels_hz[channels or slice(None)]
        self.band_hz = float(own_hz[0]), float(own_hz[-1])
        self._wgt = self._flat(weight)
        self.total = float(self._wgt.sum(dtype=np.float64))
        # ducc0's x increases against east, as that of FITS, but its y against north: flip_v.
        self._common: dict[str, Any] = {
            "uvw": uvw,
            "freqlist_id": layout.astype(np.uint64),
            "freqlist_nfreqs": used.sum(1)[used.any(1)].astype(np.uint64),
            "freqlist_freqs": averaging.freq_hz()[used],
            "pixsize_x": grid.cell_rad,
            "pixsize_y": grid.cell_rad,
            "divide_by_n": False,
            "flip_v": True,
            "nthreads": threads,
        }

    def dirty(self, vis: NDArray[np.complex64], epsilon: float = EPSILON) -> NDArray[np.float32]:
        """Return the dirty image of visibilities (Jy/beam): their weighted mean, phased to each pixel."""
        from ducc0.wgridder.experimental import vis2dirty_bda

        image = np.empty((self._even, self._even), np.float32)
        vis2dirty_bda(vis=self._flat(vis), wgt=self._wgt, dirty=image, **self._with_accuracy(epsilon))
        first = self._even - self.grid.size_px
        image *= np.float32(1 / self.total)
        return np.ascontiguousarray(image.T[first:, first:])

    def psf(self, epsilon: float = EPSILON) -> NDArray[np.float32]:
        """Return the point spread function: the dirty image of a source of 1 Jy at the phase centre."""
        return self.dirty(np.ones(self.weight.shape, np.complex64), epsilon)

    def predict(self, model: NDArray[np.float32], epsilon: float = EPSILON) -> NDArray[np.complex64]:
        """Return the visibilities of an image of point sources (Jy/pixel); 0 outside the part of the band."""
        from ducc0.wgridder.experimental import dirty2vis_bda

        first = self._even - self.grid.size_px
        image = np.zeros((self._even, self._even), np.float32)
        image[first:, first:] = model.T
        flat: NDArray[np.complex64] = dirty2vis_bda(dirty=image, **self._with_accuracy(epsilon))
        if self._chosen is None:
            return flat.reshape(self.weight.shape)
        vis = np.zeros(self.weight.shape, np.complex64)
        vis[self._chosen] = flat
        return vis

    def _with_accuracy(self, epsilon: float) -> dict[str, Any]:
        """Return the arguments of a transform; the w terms take four fifths of its time, where they are needed."""
        return self._common | {"epsilon": epsilon, "do_wgridding": self._w_error > _W_ERRORS * epsilon}

    def _flat(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the values (nrow, width) of the samples that are imaged, as one array."""
        return values.ravel() if self._chosen is None else values[self._chosen]


def _above_plane(uvw_m: NDArray[np.float64], grid: TileGrid) -> NDArray[np.float64]:
    """Return baselines with w (m) above the plane that the grid is parallel to, which is what its pixels need of w."""
    xi, eta = grid.slant
    return np.column_stack([uvw_m[:, :2], uvw_m[:, 2] + xi * uvw_m[:, 0] + eta * uvw_m[:, 1]])


def _error_without_w(
    uvw_m: NDArray[np.float64], weight: NDArray[np.float32], samples: Samples, grid: TileGrid
) -> float:
    """Return the error of an image without w terms, over its peak: that of a source at its edge.

    Each baseline has an error of its own in phase, the same in all integrations and channels: in the image their sum
    falls as the square root of the number of baselines.
    """
    share = weight.sum(1, dtype=np.float64)
    if not share.any():
        return 0.0
    rms_m = math.sqrt(float(share @ uvw_m[:, 2] ** 2 / share.sum()))
    turns = rms_m * float(samples.freq_hz.mean()) / C_M_S * (1 - math.sqrt(max(0.0, 1 - grid.edge_rad**2)))
    of_one_time = samples.uvw_m[samples.time_index == samples.time_index[0]]
    return 2 * math.pi * turns / math.sqrt(len(np.unique(of_one_time, axis=0)))
