"""AOFlagger on the baselines of a tile, in memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray


class AOFlagger:
    """AOFlagger with the strategy of this package (``dsa110.lua``), for baselines of one size.

    Parameters
    ----------
    n_times, n_channels : int
    """

    def __init__(self, n_times: int, n_channels: int) -> None:
        import aoflagger

        flagger = aoflagger.AOFlagger()
        with resources.as_file(resources.files("contimg.flagging") / "dsa110.lua") as path:
            self._strategy = flagger.load_strategy_file(str(path))
        self._images = flagger.make_image_set(n_times, n_channels, 1)
        self._mask = flagger.make_flag_mask(n_times, n_channels)

    def run(self, amplitude: NDArray[np.float32], baselines: Sequence[int] | NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return the samples in which AOFlagger finds interference on some baselines of a block.

        Parameters
        ----------
        amplitude : (n_times, nbaselines, nchan, npol) float32
            In units of the baseline's median, so that 1 is typical; NaN where flagged.
        baselines : sequence of int
            Those to search. Their polarisations are averaged before.

        Returns
        -------
        (n_times, nbaselines, nchan) bool
        """
        result = np.zeros(amplitude.shape[:3], bool)
        for baseline in baselines:
            planes = amplitude[:, baseline]
            usable = np.isfinite(planes)
            weight = _sum_over_pols(usable.view(np.int8))
            plane = _sum_over_pols(np.where(usable, planes - 1, 0)) / np.maximum(weight, 1)
            missing = weight == 0
            self._images.set_image_buffer(0, np.ascontiguousarray(plane.T, np.float32))
            self._mask.set_buffer(np.ascontiguousarray(missing.T))
            result[:, baseline] = self._strategy.run(self._images, self._mask).get_buffer().T & ~missing
        return result


def _sum_over_pols(values: NDArray[Any]) -> NDArray[Any]:
    """Return the sum over the last axis; numpy's own is slow over an axis of two."""
    return functools.reduce(np.add, np.moveaxis(values, -1, 0))
