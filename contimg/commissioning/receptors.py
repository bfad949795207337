"""Receptors: power (autocorrelations), fringes and lost samples of each, and which products are parallel hands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.commissioning.findings import CONFIRMED, REFUTED, Finding, listed, not_measurable
from contimg.commissioning.fringes import Baselines
from contimg.commissioning.transit import Residuals, disturbed

_DEAD, _HOT = 0.1, 10.0
"""Autocorrelation of a dead and of a hot receptor, as fractions of the array's median."""
_LOST = 0.03
_SILENT = 0.25
_CROSS_HAND = 0.25
_LEAST_FRACTION = 0.03


def levels(residuals: Sequence[Residuals]) -> NDArray[np.float64]:
    """Return autocorrelations over the array's median, (npol, nant): median over subbands."""
    stack = np.array([np.median(one.autos, axis=2) for one in residuals])
    usual = np.median(stack, axis=2, keepdims=True)
    return np.asarray(np.median(np.where(usual > 0, stack / np.where(usual > 0, usual, 1), 0.0), axis=0))


def dead_receptors(residuals: Sequence[Residuals]) -> NDArray[np.bool_]:
    """Return a mask (npol, nant) of receptors with almost no power, or far too much."""
    relative = levels(residuals)
    return np.asarray((relative < _DEAD) | (relative > _HOT))


def board_finding(residuals: Sequence[Residuals], names: tuple[str, ...]) -> Finding:
    """Return the finding on dead receptors, from autocorrelations."""
    relative = levels(residuals)
    dead = dead_receptors(residuals)
    in_parts = _dead_in_some(residuals) & ~dead[None]
    details: dict[str, Any] = {
        "level": {name: [round(float(v), 4) for v in relative[:, a]] for a, name in enumerate(names)}
    }
    bad = dead.any(axis=0)
    partly = in_parts.any(axis=(0, 1))
    if not bad.any() and not partly.any() and all((one.autos > 0).any() for one in residuals):
        text = f"{relative.size} receptors have {relative.min():.2f} to {relative.max():.2f} of the median power"
        return Finding("boards", CONFIRMED, text, 0.0, None, "antennas", (), details)
    parts = [
        f"{names[a]}{'' if dead[:, a].all() else ' ' + 'XY'[int(np.argmax(dead[:, a]))]} has "
        f"{relative[:, a].min():.3f} of the median power"
        for a in np.flatnonzero(bad)
    ]
    for a in np.flatnonzero(partly):
        subbands = [
            f"sb{one.header.subband:02d}"
            for one, here in zip(residuals, np.atleast_1d(in_parts[:, :, a].any(axis=1)), strict=True)
            if here
        ]
        parts.append(f"{names[a]} has no power in {listed(subbands, 4)}")
    empty = [f"sb{one.header.subband:02d}" for one in residuals if not (one.autos > 0).any()]
    parts += [f"{name} has no power at all" for name in empty]
    named = tuple(names[a] for a in np.flatnonzero(bad | partly)) + tuple(empty)
    return Finding("boards", REFUTED, listed(parts, 5), float(len(named)), None, "antennas", named, details)


def _dead_in_some(residuals: Sequence[Residuals]) -> NDArray[np.bool_]:
    """Return a mask (nsubband, npol, nant) of receptors with almost no power in a subband."""
    stack = np.array([np.median(one.autos, axis=2) for one in residuals])
    usual = np.median(stack, axis=2, keepdims=True)
    return np.asarray(stack < _DEAD * usual)


def fringe_power(residuals: Sequence[Residuals], baselines: Baselines, count: int) -> NDArray[np.float64]:
    """Return the steady fringe's fraction of each receptor's power, (npol, nant): median over baselines and subbands.

    NaN for antennas without a baseline.
    """
    fraction = np.median([one.fraction for one in residuals], axis=0)
    power = np.full((len(fraction), count), np.nan)
    for antenna in np.flatnonzero(baselines.reached(count)):
        mine = (baselines.one == antenna) | (baselines.two == antenna)
        power[:, antenna] = np.median(fraction[:, mine], axis=1)
    return power


def receptor_finding(power: NDArray[np.float64], dead: NDArray[np.bool_], names: tuple[str, ...],
                     explained: set[str]) -> Finding:  # fmt: skip
    """Return the finding on live receptors without fringes.

    Parameters
    ----------
    power : (npol, nant) float64
        From `fringe_power`.
    dead : (npol, nant) bool
    names : tuple of str
    explained : set of str
        Antennas at a wrong place, for which the fringe model does not hold.
    """
    usual = np.nanmedian(power, axis=1, keepdims=True)
    if usual.max() < _LEAST_FRACTION:
        return not_measurable("receptors", f"the fringe is {usual.max():.3f} of the power on the median baseline")
    lit = usual > _CROSS_HAND * usual.max()  # a cross hand has no fringes on any antenna
    silent = lit & (power < _SILENT * usual) & ~dead
    bad = [a for a in np.flatnonzero(silent.any(axis=0)) if names[a] not in explained]
    weakest = float(np.nanmin(power / np.maximum(usual, 1e-12)))
    details = {"fringe_power": {name: [round(float(v), 3) for v in power[:, a]] for a, name in enumerate(names)}}
    if not bad:
        alive = int((~dead & np.isfinite(power)).sum())
        return Finding("receptors", CONFIRMED, f"{alive} live receptors have fringes", weakest, None, "of the median",
                       (), details)  # fmt: skip
    parts = []
    for a in bad:
        if silent[:, a].all():
            parts.append(f"{names[a]} in both products: X and Y exchanged, or not coherent")
        else:
            parts.append(f"{names[a]} {'XY'[int(np.argmax(silent[:, a]))]}")
    return Finding("receptors", REFUTED, f"no fringes on {listed(parts, 4)}", weakest, None, "of the median",
                   tuple(names[a] for a in bad), details)  # fmt: skip


def packet_finding(residuals: Sequence[Residuals], names: tuple[str, ...], dead: NDArray[np.bool_]) -> Finding:
    """Return the finding on lost samples: autocorrelations that drop for single integrations of single subbands."""
    drops, means = [], []
    quiet = ~disturbed(residuals)
    if not quiet.any():
        return not_measurable("packet_loss", "interference in all subbands")
    for one in (one for one, good in zip(residuals, quiet, strict=True) if good):
        drops.append(np.where(dead, 0.0, 1 - one.course.min(axis=2)))
        means.append(np.where(dead, 0.0, 1 - one.course.mean(axis=2) / one.course.max(axis=2)))
    drop, mean = np.array(drops), np.array(means)
    worst = drop.max(axis=1)  # subband, antenna
    bad = np.flatnonzero((worst > _LOST).any(axis=0))
    largest = float(worst.max())
    if not len(bad):
        text = f"autocorrelations drop by {100 * largest:.2g} % at most from one integration to another"
        return Finding("packet_loss", CONFIRMED, text, largest, None, "fraction")
    parts = [
        f"{names[a]} {100 * mean[:, :, a].mean():.0f} % on average, {100 * worst[:, a].max():.0f} % at most"
        for a in bad
    ]
    details = {"mean_loss": {names[a]: float(mean[:, :, a].mean()) for a in bad}}
    return Finding("packet_loss", REFUTED, f"autocorrelations drop: {listed(parts, 4)}", largest, None, "fraction",
                   tuple(names[a] for a in bad), details)  # fmt: skip


def polarisation_findings(power: NDArray[np.float64], products: tuple[str, ...]) -> list[Finding]:
    """Return the findings on the products: parallel hands, and which receptor is X.

    Parameters
    ----------
    power : (npol, nant) float64
        Of XX and YY as the header labels them.
    products : tuple of str
        All that the file holds, in its order.
    """
    usual = np.nanmedian(power, axis=1)
    order = f"the file holds {' '.join(products)}"
    names = not_measurable(
        "receptor_names", "an unpolarised source has the same fringes in X and Y (Stokes I does not need to know)"
    )
    if usual.max() < _LEAST_FRACTION:
        return [not_measurable("polarisations", f"{order}; no fringes to tell parallel hands from cross hands"), names]
    ratio = float(usual.min() / usual.max())
    if ratio < _CROSS_HAND:
        product = ("XX", "YY")[int(np.argmin(usual))]
        text = f"{order}; {product} has {ratio:.2f} of the other's fringe power: a cross hand"
        return [Finding("polarisations", REFUTED, text, ratio, None, "", (product,)), names]
    text = f"{order}; fringe power of XX and YY is {usual[0]:.2f} and {usual[-1]:.2f} of the whole"
    return [Finding("polarisations", CONFIRMED, text, ratio), names]
