"""Least-squares rows of fluxes whose errors are not independent: sources and tiles have errors of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FluxErrors:
    """Errors of ln flux.

    Attributes
    ----------
    single : (n,) float64
        Of each flux.
    source : (n,) int64
        Which source each flux is of.
    e_source : float
        Error that all fluxes of a source have in common: the catalogue's.
    n_tiles : int
        The last columns of a design are the gains of this many tiles.
    e_tile : float
        Their error.
    """

    single: NDArray[np.float64]
    source: NDArray[np.int64]
    e_source: float
    n_tiles: int
    e_tile: float

    def independent(
        self, design: NDArray[np.float64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return design (n + ntiles, p), values and unit errors in combinations of the fluxes that are independent.

        Rows that hold each tile's gain near the others' come last.
        """
        rows, targets = [], []
        order = np.argsort(self.source, kind="stable")
        for index in np.split(order, np.flatnonzero(np.diff(self.source[order])) + 1):
            covariance = np.diag(self.single[index] ** 2) + self.e_source**2
            whiten = np.linalg.inv(np.linalg.cholesky(covariance))
            rows.append(whiten @ design[index])
            targets.append(whiten @ values[index])
        prior = np.zeros((self.n_tiles, design.shape[1]))
        prior[:, -self.n_tiles :] = np.eye(self.n_tiles) / self.e_tile
        all_rows, all_targets = np.concatenate([*rows, prior]), np.concatenate([*targets, np.zeros(self.n_tiles)])
        return all_rows, all_targets, np.ones(len(all_targets))
