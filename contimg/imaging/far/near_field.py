"""The brightest catalogued sources in the beam, set aside while sources in far sidelobes are looked for.

On some baselines the fringe of a calibrator of 20 Jy off the phase centre is like that of a far source; with a tenth of
its amplitude it would be taken for one. The sources together are one pattern, with the primary beam of each time and
channel; its complex amplitude is fitted on each baseline, so that neither the catalogue's fluxes nor the gains matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions
from contimg.imaging.far.fringes import FarFringe
from contimg.imaging.visibilities.averaging import Averaged
from contimg.imaging.visibilities.samples import baseline_numbers, row_blocks, usable_data
from contimg.sky.catalogue import Catalogue
from contimg.sky.far_sources import FarSource
from contimg.sky.predict import attenuation

_MOST = 3
_LEAST_SHARE = 0.05
"""Apparent flux of a source over the brightest one's from which it is in the pattern."""
_BLOCK = 1_000_000  # samples at a time


@dataclass(frozen=True)
class NearField:
    """The pattern of the brightest sources in the beam.

    Attributes
    ----------
    fringes : tuple of FarFringe
    apparent_jy : (n, ntime, nchan) float64
    """

    fringes: tuple[FarFringe, ...]
    apparent_jy: NDArray[np.float64]

    @classmethod
    def of(cls, catalogue: Catalogue, vis: Averaged, beam: BeamOptions) -> NearField | None:
        """Return the pattern of a tile; None where the catalogue has nothing in its beam."""
        if not len(catalogue):
            return None
        middle = float(np.median(vis.freq_hz))
        power = attenuation(vis, np.radians(catalogue.ra_deg), np.radians(catalogue.dec_deg), beam)
        apparent = catalogue.flux_at(middle)[:, 0] * power.mean((1, 2))
        brightest = np.argsort(-apparent, kind="stable")[:_MOST]
        chosen = brightest[apparent[brightest] > _LEAST_SHARE * max(float(apparent[brightest[0]]), 0.0)]
        if not len(chosen):
            return None
        places = (FarSource("", 0.0, (float(catalogue.ra_deg[i]), float(catalogue.dec_deg[i]))) for i in chosen)
        flux = catalogue.select(chosen).flux_at(vis.freq_hz)
        return cls(tuple(FarFringe.of(one, vis) for one in places), power[chosen] * flux[:, None, :])

    def fit(self, vis: Averaged) -> FittedField:
        """Return the pattern with an amplitude for each baseline and correlation."""
        number = baseline_numbers(vis.antenna1, vis.antenna2)
        size, npol = int(number.max()) + 1, vis.data.shape[2]
        data, power = np.zeros((size, npol), np.complex128), np.zeros((size, npol))
        pattern = np.empty(vis.data.shape[:2], np.complex64)
        for block in row_blocks(len(vis.data), _BLOCK // vis.data.shape[1]):
            rows = np.arange(block.start, min(block.stop, len(vis.data)))
            values, weight = usable_data(vis, rows)
            one = pattern[rows] = self.of_rows(vis, rows)
            for product in range(npol):
                row_sum = (weight[..., product] * values[..., product] * one.conj()).sum(1, dtype=np.complex128)
                data[:, product] += np.bincount(number[rows], row_sum.real, size)
                data[:, product] += 1j * np.bincount(number[rows], row_sum.imag, size)
                square = (weight[..., product] * np.abs(one) ** 2).sum(1, dtype=np.float64)
                power[:, product] += np.bincount(number[rows], square, size)
        amplitude = np.where(power > 0, data / np.where(power > 0, power, 1.0), 0)
        return FittedField(pattern, number, amplitude.astype(np.complex64))

    def of_rows(self, vis: Averaged, rows: NDArray[np.int64]) -> NDArray[np.complex64]:
        """Return the pattern (n, width) on some rows."""
        freq_hz = vis.averaging.freq_hz()[vis.averaging.layout_of_row[rows]]
        channel = np.clip(np.searchsorted(vis.freq_hz, freq_hz), 0, len(vis.freq_hz) - 1)
        time = np.searchsorted(vis.times_mjd_s, vis.time_mjd_s[rows] - vis.integration_s / 2)
        pattern = np.zeros(freq_hz.shape, np.complex64)
        for fringe, apparent_jy in zip(self.fringes, self.apparent_jy, strict=True):
            pattern += fringe.of_rows(vis, rows, freq_hz) * apparent_jy[time[:, None], channel].astype(np.float32)
        return pattern


@dataclass(frozen=True)
class FittedField:
    """A pattern with its amplitudes.

    Attributes
    ----------
    pattern : (nrow, width) complex64
    baseline : (nrow,) int
        Number of each row's baseline.
    amplitude : (nbase, npol) complex64
    """

    pattern: NDArray[np.complex64]
    baseline: NDArray[np.int64]
    amplitude: NDArray[np.complex64]

    def add(self, vis: Averaged, sign: int) -> None:
        """Add the pattern to the data, in place; `sign` is -1 to subtract it."""
        for block in row_blocks(len(vis.data), _BLOCK // vis.data.shape[1]):
            rows = np.arange(block.start, min(block.stop, len(vis.data)))
            amplitude = np.complex64(sign) * self.amplitude[self.baseline[rows]]
            vis.data[rows] += self.pattern[rows][..., None] * amplitude[:, None, :]
