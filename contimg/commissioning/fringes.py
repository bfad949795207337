"""The fringe of a calibrator on raw visibilities under assumptions about the telescope, and its coherence in time.

A transit's raw visibility is the calibrator's fringe times a complex gain that is unknown but steady over minutes.
Multiplied by the conjugate fringe of a model, the product must have a constant phase: no calibration is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contimg.sky import geometry


@dataclass(frozen=True)
class FringeModel:
    """Parameters of the calibrator's fringe.

    Attributes
    ----------
    positions_m : (nant, 3) float64
        ITRF, relative to the location, of the antennas in the order of the inputs.
    location : Location
    calibrator_rad : (2,) float64
        ICRS.
    dec_app_rad : float
        Apparent declination of the phase centre, which is at hour angle 0.
    conjugated : bool
        Whether the data are the complex conjugate of the documented sense.
    clock_s : float
        Header time minus true time.
    stretch : float
        True over stated integration time, less 1.
    """

    positions_m: NDArray[np.float64]
    location: geometry.Location
    calibrator_rad: NDArray[np.float64]
    dec_app_rad: float
    conjugated: bool = False
    clock_s: float = 0.0
    stretch: float = 0.0

    def with_position(self, antenna: int, position_m: NDArray[np.float64]) -> FringeModel:
        """Return the model with one antenna elsewhere."""
        positions = self.positions_m.copy()
        positions[antenna] = position_m
        return replace(self, positions_m=positions)

    def change_of_direction(self, times_mjd: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the calibrator's unit vector less the phase centre's in the Earth frame of the site, (ntime, 3)."""
        middle = times_mjd.mean()
        true_mjd = middle + (times_mjd - middle) * (1 + self.stretch) - self.clock_s / 86400
        hour_angle, dec = geometry.apparent_from_icrs(self.calibrator_rad, true_mjd, self.location)
        return geometry.direction(hour_angle, dec) - geometry.direction(0.0, self.dec_app_rad)

    def paths_m(self, times_mjd: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each antenna's path difference between calibrator and phase centre, (ntime, nant) m."""
        local = geometry.site_frame(self.positions_m, self.location.longitude_rad)
        paths = self.change_of_direction(times_mjd) @ local.T
        return -paths if self.conjugated else paths


@dataclass(frozen=True)
class Sample:
    """Visibilities of some channels of one subband.

    Attributes
    ----------
    vis : (ntime, npol, nbl, nchan) complex64
        As stored; what is not finite or flagged is 0.
    freq_hz : (nchan,) float64
        As the header labels the channels.
    subband : int
        Of the file.
    """

    vis: NDArray[np.complex64]
    freq_hz: NDArray[np.float64]
    subband: int


@dataclass(frozen=True)
class Baselines:
    """Baselines by the antennas' places in the order of the inputs: ``one`` and ``two``, each (nbl,)."""

    one: NDArray[np.intp]
    two: NDArray[np.intp]

    def select(self, which: NDArray[np.bool_]) -> Baselines:
        """Return the baselines of a mask."""
        return Baselines(self.one[which], self.two[which])

    def reached(self, count: int) -> NDArray[np.bool_]:
        """Return which of `count` antennas have a baseline."""
        return np.bincount(np.concatenate([self.one, self.two]), minlength=count) > 0


def stopped(
    vis: NDArray[np.complex64],
    paths_m: NDArray[np.float64],
    freq_hz: NDArray[np.float64],
    baselines: Baselines,
) -> NDArray[np.complex64]:
    """Return visibilities (ntime, npol, nbl, nchan) fringe-stopped with a model: times its conjugate fringe."""
    phasors = geometry.phasors(paths_m, freq_hz)
    turn = phasors[:, baselines.two] * phasors[:, baselines.one].conj()
    return vis * turn[:, None]


def coherence(data: NDArray[np.complex64]) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return the coherent fraction of the power of each baseline over time.

    Parameters
    ----------
    data : (ntime, npol, nbl, nchan) complex64
        From `stopped`.

    Returns
    -------
    together : (nbl,) float64
        Mean product of different integrations of one channel, summed over channels and products: free of noise bias,
        and the power of the steady signal where the model is right.
    adjacent : (nbl,) complex128
        Mean product of neighbouring integrations: its modulus is that power as long as the model is nearly right.
    """
    count = len(data)
    total = data.sum(axis=0)
    power = np.einsum("tpbc,tpbc->b", data, data.conj()).real
    together = (np.einsum("pbc,pbc->b", total, total.conj()).real - power) / (count * (count - 1))
    adjacent = np.einsum("tpbc,tpbc->b", data[1:], data[:-1].conj()) / (count - 1)
    return together.astype(np.float64), adjacent.astype(np.complex128)


def mean_coherence(together: NDArray[np.float64], adjacent: NDArray[np.complex128]) -> float:
    """Return the coherence of many baselines, 1 for a right model: powers are summed before they are divided."""
    power = float(np.abs(adjacent).sum())
    return float(together.sum() / power) if power > 0 else 0.0


def model_coherence(
    samples: list[Sample], model: FringeModel, times_mjd: NDArray[np.float64], baselines: Baselines
) -> float:
    """Return the coherence of some samples under a model."""
    paths = model.paths_m(times_mjd)
    sums = [coherence(stopped(one.vis, paths, one.freq_hz, baselines)) for one in samples]
    return mean_coherence(np.concatenate([s[0] for s in sums]), np.concatenate([s[1] for s in sums]))


def signal_to_noise(samples: list[Sample], model: FringeModel, times_mjd: NDArray[np.float64],
                    baselines: Baselines) -> float:  # fmt: skip
    """Return the rms over baselines of the fringe's power over its noise; about 1 where there is only noise."""
    paths = model.paths_m(times_mjd)
    ratios = []
    for one in samples:
        data = stopped(one.vis, paths, one.freq_hz, baselines)
        _, adjacent = coherence(data)
        power = np.einsum("tpbc,tpbc->b", data, data.conj()).real / len(data)  # sum over channels and products
        terms = data.shape[1] * data.shape[3]
        noise = power / np.sqrt(terms * (len(data) - 1))
        ratios.append(np.abs(adjacent) ** 2 / np.where(noise > 0, noise, np.inf) ** 2)
    return float(np.sqrt(np.mean(np.concatenate(ratios))))
