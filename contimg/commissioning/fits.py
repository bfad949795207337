"""Robust least squares: values of antennas from those of baselines, and straight lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contimg.commissioning.fringes import Baselines
from contimg.statistics import robust_sigma

_ROUNDS, _SETTLED = 30, 1e-3
"""Rounds of weighting end when no weight changes by more than this."""
_HUBER = 1.345
"""Residuals beyond this many sigma weigh less (95 % efficiency for Gaussian errors; Huber 1981)."""


def regress(
    design: NDArray[np.float64],
    values: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
    jackknife: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Fit a linear model robustly (Huber's weights).

    Parameters
    ----------
    design : (n, k) float64
    values : (n,) float64
    weights : (n,) float64, optional
        Prior weights; a weight of 0 leaves a value out.
    jackknife : bool
        Errors no smaller than those from leaving out one value at a time, for fits that few values decide.

    Returns
    -------
    coefficients, errors : (k,) float64
        The errors follow from the scatter of the residuals; infinite where values do not determine a coefficient.
    sigma : float
        Robust scatter of the residuals.
    """
    prior = np.ones(len(values)) if weights is None else weights
    used = prior > 0
    count, unknowns = int(used.sum()), design.shape[1]
    if count <= unknowns or np.linalg.matrix_rank(design[used]) < unknowns:
        return np.full(unknowns, np.nan), np.full(unknowns, np.inf), float("inf")
    coefficients, robust, sigma = _huber(design, values, prior)
    normal = (design * (prior * robust)[:, None]).T @ design
    scale = sigma**2 * prior[used].mean()
    errors = np.sqrt(np.diag(np.linalg.inv(normal)) * scale)
    if jackknife:
        places = np.flatnonzero(used)
        others = []
        for place in places:
            rest = prior.copy()
            rest[place] = 0
            if np.linalg.matrix_rank(design[rest > 0]) == unknowns:
                others.append(_huber(design, values, rest)[0])
        if len(others) > 1:
            spread = np.sqrt((len(others) - 1) * np.var(others, axis=0))
            errors = np.maximum(errors, spread)
    return coefficients, errors, sigma


def _huber(
    design: NDArray[np.float64], values: NDArray[np.float64], prior: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return coefficients, Huber's weights and the scatter of the residuals, by iterated weighting."""
    used = prior > 0
    count, unknowns = int(used.sum()), design.shape[1]
    robust = np.ones(len(values))
    sigma = 0.0
    for _ in range(_ROUNDS):
        root = np.sqrt(prior * robust)
        coefficients = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
        residual = values - design @ coefficients
        sigma = max(robust_sigma(residual[used]) * float(np.sqrt(count / (count - unknowns))), 1e-12)
        before = robust
        robust = np.minimum(1.0, _HUBER * sigma / np.maximum(np.abs(residual), 1e-300))
        if np.abs(robust - before).max() < _SETTLED:
            break
    return np.asarray(coefficients, np.float64), robust, sigma


def antenna_values(
    values: NDArray[np.float64], baselines: Baselines, count: int, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return values of antennas (count,) whose differences, second less first, are those of the baselines.

    Their median is 0. NaN for an antenna that fewer than three baselines of positive weight reach, counted over the
    largest connected part of the array.

    Parameters
    ----------
    values, weights : (nbl,) float64
    baselines : Baselines
    count : int
    """
    robust = np.ones(len(values))
    reached = _reached(baselines, count, weights > 0)
    inside = reached[baselines.one] & reached[baselines.two] & (weights > 0)
    found = np.full(count, np.nan)
    if not inside.any():
        return found
    one, two, measured = baselines.one[inside], baselines.two[inside], values[inside]
    for _ in range(_ROUNDS):
        weight = (weights * robust)[inside]
        laplacian, right = np.zeros((count, count)), np.zeros(count)
        for rows, columns, sign in ((one, one, 1), (two, two, 1), (one, two, -1), (two, one, -1)):
            np.add.at(laplacian, (rows, columns), sign * weight)
        np.add.at(right, two, weight * measured)
        np.add.at(right, one, -weight * measured)
        solved = np.linalg.lstsq(laplacian, right, rcond=1e-10)[0]
        residual = measured - (solved[two] - solved[one])
        sigma = max(robust_sigma(residual), 1e-12)
        before = robust[inside]
        robust[inside] = np.minimum(1.0, _HUBER * sigma / np.maximum(np.abs(residual), 1e-300))
        if np.abs(robust[inside] - before).max() < _SETTLED:
            break
    found[reached] = solved[reached] - np.median(solved[reached])
    return found


def _reached(baselines: Baselines, count: int, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the antennas of the largest connected part whose members have three or more baselines within it."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keep = used.copy()
    while True:
        degree = np.bincount(np.r_[baselines.one[keep], baselines.two[keep]], minlength=count)
        weak = (degree > 0) & (degree < min(3, count - 1))
        if not weak.any():
            break
        keep &= ~(weak[baselines.one] | weak[baselines.two])
    if not keep.any():
        return np.zeros(count, bool)
    graph = coo_array((np.ones(int(keep.sum())), (baselines.one[keep], baselines.two[keep])), shape=(count, count))
    _, parts = connected_components(graph, directed=False)
    reached = (parts == np.bincount(parts[degree > 0]).argmax()) & (degree > 0)
    return np.asarray(reached)
