"""Sums of data and model over the channels of each baseline: all that least squares need of antenna gains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.visibilities.baselines import Baselines
from contimg.imaging.visibilities.samples import Samples, usable_data
from contimg.measurement_set import Visibilities


@dataclass(frozen=True)
class BaselineSums:
    """Weighted sums over channels per integration, receptor and baseline.

    Gains that are constant over the channels follow from them by least squares; nothing whose phase changes is
    averaged.

    Attributes
    ----------
    data : (ntime, nreceptor, nant, nant) complex128
        Sums of ``w V conj(M)``, Hermitian.
    power : (ntime, nreceptor, nant, nant) float64
        Sums of ``w |M|^2``, symmetric.
    """

    data: NDArray[np.complex128]
    power: NDArray[np.float64]

    def over_intervals(self, edges: NDArray[np.int64]) -> BaselineSums:
        """Return the sums over solution intervals that start at given integrations."""
        return BaselineSums(np.add.reduceat(self.data, edges), np.add.reduceat(self.power, edges))

    def over_all(self) -> BaselineSums:
        """Return the sums over the tile (1, nreceptor, nant, nant)."""
        return BaselineSums(self.data.sum(0)[None], self.power.sum(0)[None])


@dataclass(frozen=True)
class Summation:
    """How visibilities and a model are summed.

    Attributes
    ----------
    baselines : Baselines
    samples : Samples
    noise_weight : (nrow,) float64
        Inverse variances of samples of weight 1, per row; 1 where the noise was not measured.
    """

    baselines: Baselines
    samples: Samples
    noise_weight: NDArray[np.float64]

    @classmethod
    def of(cls, baselines: Baselines, samples: Samples) -> Summation:
        """Return the summation with the noise that the samples have now."""
        sigma = samples.unit_sigma_jy
        measured = sigma is not None and bool((sigma > 0).all())
        weight = 1 / np.square(sigma) if sigma is not None and measured else np.ones(len(samples.rows))
        return cls(baselines, samples, weight)

    def sums(
        self, vis: Visibilities, model_vis: NDArray[np.complex64], others_vis: NDArray[np.complex64] | None
    ) -> BaselineSums:
        """Return the sums of visibilities and a model.

        Parameters
        ----------
        vis : Visibilities
            XX and YY.
        model_vis : (nrow, width) complex64
            Model of the samples (Jy).
        others_vis : (nrow, width) complex64, optional
            Subtracted from the visibilities before.
        """
        by_time, count = self.baselines.rows_by_time, self.baselines.n_antennas
        shape = (len(by_time), len(vis.polarisations), count, count)
        data, power = np.zeros(shape, np.complex128), np.zeros(shape)
        for time, rows in enumerate(by_time):
            values, weight = usable_data(vis, self.samples.rows[rows])
            model = model_vis[rows]
            if others_vis is not None:
                values = values - others_vis[rows, :, None]
            product = (values * weight * model.conj()[:, :, None]).sum(1).T * self.noise_weight[rows]
            squared = np.einsum("rch,rc->hr", weight, model.real**2 + model.imag**2) * self.noise_weight[rows]
            one, two = self.baselines.antenna1[rows], self.baselines.antenna2[rows]
            # A baseline may have several rows, each a part of the band.
            for receptor in range(len(product)):
                np.add.at(data[time][receptor], (one, two), product[receptor])
                np.add.at(power[time][receptor], (one, two), squared[receptor])
        data += data.conj().swapaxes(-1, -2)
        power += power.swapaxes(-1, -2)
        return BaselineSums(data, power)
