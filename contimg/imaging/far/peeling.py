"""Sources in far sidelobes taken out of a tile's visibilities, baseline by baseline.

The dishes' far sidelobes differ from dish to dish, in phase too, and change along the band: there is no beam to
multiply a flux with. Towards the source, though, each baseline has one complex amplitude a correlation and part of
the band. It is fitted to the fringe of the source, whose quick turns in time and frequency nothing in the main beam
follows, and subtracted where the fringe stands out. The mirror image of the source about the phase centre, whose
fringe turns as fast the other way, tells how much of the field and the noise such a fringe picks up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.far.fringes import FarFringe
from contimg.imaging.far.near_field import NearField
from contimg.imaging.visibilities.averaging import Averaged
from contimg.imaging.visibilities.samples import usable_data
from contimg.sky.far_sources import FAR_SOURCES

NEAREST_RAD = math.radians(6.0)
"""Sources closer to the phase centre are in the beam or its near sidelobes, and among the bright sources."""
_PARTS = 16
"""Of the band: a sidelobe of a dish at 40 deg changes twice along it."""
_RATIO = {1: 5.0, 4: 3.5, _PARTS: 2.5}
"""Power of the fringe over its mirror image's from which a baseline has the source, by the number of parts that it is
divided into: the more numbers, the less likely is noise (one of 14, 120 and 6000 baselines of noise alone)."""
_LEAST_LEFT = 0.02
"""Baselines on which smearing and the disc leave less of the source are not looked at."""
_DISTINCT = 0.02
"""Largest squared correlation of the source's fringe with the phase centre's, of which subtracting takes as much, and
with its mirror image's."""
_LEAST_BASELINES, _LEAST_SHARE, _SIGNIFICANCE = 10, 0.1, 3.0
"""A source is seen by so many baselines more than its mirror image, by this share of those that could, and by so many
sigma of counting: what another source leaves is seen by a few of many."""
_OF_FIELD = 0.45
"""Least amplitude of a source over that of a field of which nothing is known: a tenth to a quarter of a calibrator's of
20 Jy off the phase centre was taken for a far source's."""
_BLOCK = 1_000_000  # samples at a time


@dataclass(frozen=True)
class Peeled:
    """A source in far sidelobes, as found in a tile.

    Attributes
    ----------
    name : str
    apparent_jy : (npol,) float64
        Flux density through the far sidelobes of each correlation, rms over the baselines.
    baselines : int
        Number of baselines that it was subtracted from.
    left_out : int
        Number of baselines whose fringes are too slow to tell the source from the field: they are flagged.
    """

    name: str
    apparent_jy: NDArray[np.float64]
    baselines: int
    left_out: int

    def facts(self) -> dict[str, Any]:
        """Return it for the twin."""
        return {
            "name": self.name,
            "apparent_jy": [round(float(one), 3) for one in self.apparent_jy],
            "baselines": self.baselines,
            "left_out": self.left_out,
        }


def peel_far_sources(vis: Averaged, near: NearField | None) -> list[Peeled]:
    """Subtract the sources that stand out in far sidelobes, in place; return them, brightest first.

    Parameters
    ----------
    vis : Averaged
        Calibrated; its data change, and the weights and flags of baselines that are left out.
    near : NearField or None
        The brightest sources in the beam, which are not there while others are looked for; without them only sources
        are believed whose amplitude is at least 0.45 times the field's.
    """
    found: dict[str, Peeled] = {}
    for _ in range(2):  # a strong source may hide another
        field = None if near is None else near.fit(vis)
        if field is not None:
            field.add(vis, -1)
        more = _peel_others(vis, found, _OF_FIELD if field is None else 0.0)
        if field is not None:
            field.add(vis, 1)
        if not more:
            break
        found |= more
    return sorted(found.values(), key=lambda one: -float(one.apparent_jy.max()))


def _peel_others(vis: Averaged, found: Mapping[str, Peeled], of_field: float) -> dict[str, Peeled]:
    """Subtract those far sources that were not found before; return what was subtracted, by name."""
    more: dict[str, Peeled] = {}
    for source in FAR_SOURCES:
        if source.name in found:
            continue
        fringe = FarFringe.of(source, vis)
        if not fringe.up.any() or fringe.separation_rad < NEAREST_RAD:
            continue
        one = _peel(source.name, fringe, vis, of_field)
        if one is not None:
            more[source.name] = one
    return more


def _peel(name: str, fringe: FarFringe, vis: Averaged, of_field: float) -> Peeled | None:
    """Subtract one source; None where it is not seen, or has less than a part of the field's amplitude."""
    chosen = _Chosen.of(vis, fringe)
    if chosen.count < _LEAST_BASELINES:
        return None
    sums = _sums(vis, fringe, chosen)
    baselines = _Fits.of(sums)
    if not baselines.significant or (of_field and baselines.rms_jy < of_field * _field_jy(vis, chosen)):
        return None
    slow = _subtract(vis, fringe, chosen, sums, baselines)
    return Peeled(name, baselines.apparent_jy, int(baselines.seen.sum()), slow)


@dataclass(frozen=True)
class _Chosen:
    """Rows on which a source may be seen, ordered by baseline, and the number of each row's baseline."""

    rows: NDArray[np.int64]
    baseline: NDArray[np.int64]
    count: int

    @classmethod
    def of(cls, vis: Averaged, fringe: FarFringe) -> _Chosen:
        pair = vis.antenna1.astype(np.int64) * (int(vis.antenna2.max()) + 1) + vis.antenna2
        pairs, number = np.unique(pair, return_inverse=True)
        left = fringe.left(vis, np.arange(len(pair)))
        most = np.zeros(len(pairs))
        np.maximum.at(most, number, left)
        wanted = (most > _LEAST_LEFT) & (np.bincount(number, vis.antenna1 == vis.antenna2, len(pairs)) == 0)
        rows = np.flatnonzero(wanted[number])
        rows = rows[np.argsort(number[rows], kind="stable")]
        kept = np.cumsum(wanted) - 1
        return cls(rows, kept[number[rows]], int(wanted.sum()))

    def blocks(self, width: int) -> Iterator[slice]:
        """Yield parts of the rows."""
        step = max(1, _BLOCK // width)
        return (slice(start, start + step) for start in range(0, len(self.rows), step))


@dataclass(frozen=True)
class _Sums:
    """Sums over the samples of each baseline and part of the band.

    Attributes
    ----------
    source, mirror : (nbase, parts, npol) complex128
        Of weight times data times the conjugate fringe, and the fringe.
    weight : (nbase, parts, npol) float64
        Of weight times the fringe squared.
    field, square : (nbase, parts) complex128
        Of weight times fringe, and times its square.
    power, total : (nbase, parts) float64
        Of weight times the fringe's absolute square, and of the weights.
    """

    source: NDArray[np.complex128]
    mirror: NDArray[np.complex128]
    weight: NDArray[np.float64]
    field: NDArray[np.complex128]
    square: NDArray[np.complex128]
    power: NDArray[np.float64]
    total: NDArray[np.float64]

    def merged(self, parts: int) -> _Sums:
        """Return the sums over wider parts of the band."""
        every = (getattr(self, one.name) for one in fields(self))
        return _Sums(*(one.reshape(len(one), parts, -1, *one.shape[2:]).sum(2) for one in every))

    def alike(self) -> NDArray[np.float64]:
        """Return the squared correlation (nbase,) of the fringe with the phase centre's or its mirror image's."""
        norm, total = (np.where(self.power > 0, one, 1.0) for one in (self.power, self.total))
        centre = np.abs(self.field) ** 2 / (norm * total)
        larger = np.maximum(centre, np.abs(self.square) ** 2 / norm**2)
        return np.asarray((larger * self.power).sum(1) / np.maximum(self.power.sum(1), 1e-300))


def _cells(
    vis: Averaged, rows: NDArray[np.int64], baseline: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the cell (baseline and part of the band) and the frequency of each sample of some rows (n, width)."""
    freq_hz = vis.averaging.freq_hz()[vis.averaging.layout_of_row[rows]]
    low, high = vis.freq_hz[0] - vis.channel_width_hz / 2, vis.freq_hz[-1] + vis.channel_width_hz / 2
    part = np.clip(((freq_hz - low) / (high - low) * _PARTS).astype(np.int64), 0, _PARTS - 1)
    return baseline[:, None] * _PARTS + part, freq_hz


def _sums(vis: Averaged, fringe: FarFringe, chosen: _Chosen) -> _Sums:
    """Return the sums of all baselines."""
    size, npol = chosen.count * _PARTS, vis.data.shape[2]
    source, mirror = np.zeros((2, size, npol), np.complex128)
    weight, power, total = np.zeros((size, npol)), np.zeros(size), np.zeros(size)
    field, square = np.zeros((2, size), np.complex128)

    def add(into: NDArray[np.complex128], cell: NDArray[np.int64], values: NDArray[np.complex64]) -> None:
        flat = cell.ravel()
        into.real += np.bincount(flat, values.real.ravel(), size)
        into.imag += np.bincount(flat, values.imag.ravel(), size)

    for block in chosen.blocks(vis.data.shape[1]):
        rows = chosen.rows[block]
        cell, freq_hz = _cells(vis, rows, chosen.baseline[block])
        one = fringe.of_rows(vis, rows, freq_hz)
        data, weights = usable_data(vis, rows)
        for product in range(npol):
            weighted = data[..., product] * weights[..., product]
            add(source[:, product], cell, weighted * one.conj())
            add(mirror[:, product], cell, weighted * one)
            weight[:, product] += np.bincount(cell.ravel(), (weights[..., product] * np.abs(one) ** 2).ravel(), size)
        both = weights.sum(2)
        add(field, cell, both * one)
        add(square, cell, both * one**2)
        power += np.bincount(cell.ravel(), (both * np.abs(one) ** 2).ravel(), size)
        total += np.bincount(cell.ravel(), both.ravel(), size)
    shape, with_products = (chosen.count, _PARTS), (chosen.count, _PARTS, npol)
    return _Sums(
        source=source.reshape(with_products),
        mirror=mirror.reshape(with_products),
        weight=weight.reshape(with_products),
        field=field.reshape(shape),
        square=square.reshape(shape),
        power=power.reshape(shape),
        total=total.reshape(shape),
    )


def _field_jy(vis: Averaged, chosen: _Chosen) -> float:
    """Return the rms amplitude of what neighbouring samples of the band have in common: of the field, without noise."""
    power = weights = 0.0
    for block in chosen.blocks(vis.data.shape[1]):
        data, weight = usable_data(vis, chosen.rows[block])
        both = weight[:, 1:] * weight[:, :-1]
        power += float((both * (data[:, 1:] * data[:, :-1].conj()).real).sum(dtype=np.float64))
        weights += float(both.sum(dtype=np.float64))
    return math.sqrt(max(power, 0.0) / weights) if weights > 0 else 0.0


@dataclass(frozen=True)
class _Fits:
    """What the sums say of each baseline.

    Attributes
    ----------
    parts : (nbase,) int
        Into how many parts of the band it is divided: the most whose fringes are distinct; 0 where even the
        whole band's is not.
    seen : (nbase,) bool
        The source is seen on it, and distinct.
    significant : bool
        More baselines see the source than its mirror image, by far.
    apparent_jy : (npol,) float64
    """

    parts: NDArray[np.int64]
    seen: NDArray[np.bool_]
    significant: bool
    apparent_jy: NDArray[np.float64]

    @property
    def rms_jy(self) -> float:
        """Amplitude of the source over the correlations."""
        return float(np.sqrt(np.mean(self.apparent_jy**2)))

    @classmethod
    def of(cls, sums: _Sums) -> _Fits:
        parts = np.zeros(len(sums.total), np.int64)
        power, mirror = np.zeros((2, len(parts)))
        spread, weights = np.zeros((2, len(parts), sums.weight.shape[2]))
        for count in _RATIO:
            merged = sums.merged(count)
            good = (merged.alike() < _DISTINCT) & (merged.power.sum(1) > 0)
            over = np.where(merged.weight > 0, merged.weight, 1.0)
            one, other = np.abs(merged.source) ** 2 / over, np.abs(merged.mirror) ** 2 / over
            parts[good] = count
            power[good], mirror[good] = one.sum((1, 2))[good], other.sum((1, 2))[good]
            spread[good], weights[good] = (one - other).sum(1)[good], merged.weight.sum(1)[good]
        used = parts > 0
        ratio = np.select([parts == count for count in _RATIO], list(_RATIO.values()), 1.0)
        more, less = used & (power > ratio * mirror), used & (mirror > ratio * power)
        excess, both = int(more.sum()) - int(less.sum()), int(more.sum()) + int(less.sum())
        least = max(_LEAST_BASELINES, _LEAST_SHARE * int(used.sum()))
        significant = excess >= least and excess > _SIGNIFICANCE * math.sqrt(both)
        apparent = np.sqrt(np.maximum(spread[used].sum(0), 0) / np.maximum(weights[used].sum(0), 1e-300))
        return cls(parts, more, significant, apparent)


def _subtract(vis: Averaged, fringe: FarFringe, chosen: _Chosen, sums: _Sums, fits: _Fits) -> int:
    """Subtract the source from baselines that see it, and flag those that cannot tell; return the number of these."""
    amplitude = np.zeros(sums.source.shape, np.complex64)
    for count in _RATIO:
        mine = fits.seen & (fits.parts == count)
        merged = sums.merged(count)
        found = merged.source / np.where(merged.weight > 0, merged.weight, 1.0)
        amplitude[mine] = np.repeat(found, _PARTS // count, axis=1)[mine]
    slow = (fits.parts == 0) & (sums.total.sum(1) > 0)
    flat = amplitude.reshape(-1, vis.data.shape[2])
    for block in chosen.blocks(vis.data.shape[1]):
        number = chosen.baseline[block]
        out = chosen.rows[block][slow[number]]
        vis.weight[out], vis.flag[out] = 0, True
        seen = fits.seen[number]
        rows = chosen.rows[block][seen]
        cell, freq_hz = _cells(vis, rows, number[seen])
        vis.data[rows] -= fringe.of_rows(vis, rows, freq_hz)[..., None] * flat[cell]
    return int(slow.sum())
