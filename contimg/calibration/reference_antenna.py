"""The choice of the reference antenna from the data, with its reason in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.errors import ConfigError
from contimg.measurement_set import Visibilities

_LISTED = 8  # reference antennas handed to CASA, which takes the first that has data
_ENOUGH = 0.95  # of the usable data of the best antenna


@dataclass(frozen=True)
class ReferenceAntenna:
    """Reference antennas, best first, and the reason for the first."""

    names: tuple[str, ...]
    reason: str


def usable_fraction(vis: Visibilities) -> NDArray[np.float64]:
    """Return the fraction (nant,) of each antenna's visibilities that are received and not flagged."""
    good = (~vis.flag & (vis.weight > 0)).mean((1, 2))
    count = len(vis.antenna_names)
    total = np.bincount(vis.antenna1, good, count) + np.bincount(vis.antenna2, good, count)
    rows = np.bincount(vis.antenna1, minlength=count) + np.bincount(vis.antenna2, minlength=count)
    return np.divide(total, rows, out=np.zeros(count), where=rows > 0)


def coherence(vis: Visibilities) -> NDArray[np.float64]:
    """Return the signal-to-noise ratio (nant,) with which each antenna sees the source at the phase centre.

    The median, over baselines, channels and polarisations, of the amplitude of the time-averaged visibility over its
    standard error, from the scatter of the integrations. For an antenna that receives no sky it is near 1.
    """
    ntime = len(vis.times_mjd_s)
    nbl = len(vis.uvw_m) // ntime
    step = max(1, len(vis.freq_hz) // 32)
    data = vis.data[:, ::step].reshape(ntime, nbl, -1, len(vis.polarisations))
    good = (~vis.flag[:, ::step] & (vis.weight[:, ::step] > 0)).reshape(data.shape)
    count = good.sum(0)
    mean = np.where(good, data, 0).sum(0) / np.maximum(count, 1)
    spread = np.where(good, np.abs(data - mean) ** 2, 0).sum(0)
    noise = np.sqrt(spread / np.maximum(count - 1, 1) / np.maximum(count, 1))
    usable = (count > 1) & (noise > 0)
    ratio = np.where(usable, np.abs(mean) / np.where(noise > 0, noise, 1), np.nan)
    one, two = vis.antenna1[:nbl], vis.antenna2[:nbl]
    result = np.zeros(len(vis.antenna_names))
    for antenna in range(len(result)):
        mine = ratio[(one == antenna) | (two == antenna)]
        if np.isfinite(mine).any():
            result[antenna] = np.nanmedian(mine)
    return result


def choose(vis: Visibilities, wanted: str, *, point_source: bool) -> ReferenceAntenna:
    """Choose the reference antennas.

    Parameters
    ----------
    vis : Visibilities
    wanted : str
        ``auto``, or the name of an antenna that comes first if it has data.
    point_source : bool
        True when a strong source stands at the phase centre: antennas that do not see it are left out.

    Notes
    -----
    Of the antennas with at least 95 % of the best one's usable data, and at least half of the median
    sensitivity to the calibrator, the one nearest to the middle (median position) of the array, then
    the next nearest.

    Raises
    ------
    ConfigError
        If `wanted` is not an antenna's name.
    """
    if wanted != "auto" and wanted not in vis.antenna_names:
        raise ConfigError(f"calibration.refant '{wanted}' is not an antenna of this array: name one, or 'auto'")
    fraction = usable_fraction(vis)
    candidates = fraction >= _ENOUGH * fraction.max()
    if point_source:
        seen = coherence(vis)
        candidates &= seen >= 0.5 * np.median(seen[fraction > 0])
    working = fraction > 0
    middle = np.median(vis.antenna_positions_m[working], axis=0)
    distance = np.linalg.norm(vis.antenna_positions_m - middle, axis=1)
    order = [int(i) for i in np.lexsort((np.arange(len(distance)), distance)) if candidates[i]]
    if wanted != "auto":
        index = vis.antenna_names.index(wanted)
        if working[index]:
            order = [index, *(i for i in order if i != index)]
            reason = f"named in calibration.refant; {fraction[index]:.1%} of its data usable"
        else:
            reason = f"{wanted}, named in calibration.refant, has no usable data; {_why(fraction, distance, order[0])}"
    else:
        reason = _why(fraction, distance, order[0])
    return ReferenceAntenna(tuple(vis.antenna_names[i] for i in order[:_LISTED]), reason)


def _why(fraction: NDArray[np.float64], distance: NDArray[np.float64], index: int) -> str:
    return (
        f"{fraction[index]:.1%} of its data usable (best antenna {fraction.max():.1%}), "
        f"{distance[index]:.0f} m from the middle of the array"
    )
