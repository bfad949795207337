"""The bright sources of a tile, and the corrections of their positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def _empty() -> NDArray[np.float64]:
    return np.empty(0)


@dataclass(frozen=True)
class BrightSources:
    """Sources with positions, flux densities at the image's frequency, and spectral indices.

    Attributes
    ----------
    freq_hz : float
    east, north : (n,) float64
        Direction cosines about the phase centre.
    flux_jy : (n,) float64
        Not attenuated by the primary beam.
    index : (n,) float64
        ``S(f) = flux_jy (f / freq_hz) ** index``.
    index_from : tuple of str
        ``fitted``, ``catalogue`` or ``assumed``.
    name : tuple of str or None
        Of the catalogue's source at the position; None if there is none.
    """

    freq_hz: float
    east: NDArray[np.float64] = field(default_factory=_empty)
    north: NDArray[np.float64] = field(default_factory=_empty)
    flux_jy: NDArray[np.float64] = field(default_factory=_empty)
    index: NDArray[np.float64] = field(default_factory=_empty)
    index_from: tuple[str, ...] = ()
    name: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.east)

    def extended(self, others: Sequence[BrightSources]) -> BrightSources:
        """Return these sources followed by others of the same frequency."""
        parts = (self, *others)
        return BrightSources(
            freq_hz=self.freq_hz,
            east=np.concatenate([one.east for one in parts]),
            north=np.concatenate([one.north for one in parts]),
            flux_jy=np.concatenate([one.flux_jy for one in parts]),
            index=np.concatenate([one.index for one in parts]),
            index_from=tuple(origin for one in parts for origin in one.index_from),
            name=tuple(name for one in parts for name in one.name),
        )

    def select(self, mask: NDArray[np.bool_]) -> BrightSources:
        """Return the sources of a mask (n,)."""
        return BrightSources(
            freq_hz=self.freq_hz,
            east=self.east[mask],
            north=self.north[mask],
            flux_jy=self.flux_jy[mask],
            index=self.index[mask],
            index_from=tuple(origin for origin, kept in zip(self.index_from, mask, strict=True) if kept),
            name=tuple(name for name, kept in zip(self.name, mask, strict=True) if kept),
        )


@dataclass(frozen=True)
class PositionCorrections:
    """The last corrections of positions in a series of refinements, and the positions that they did not improve.

    Corrections converge quickly. A position whose residual has grown after one is not that of a point source:
    a neighbour without a source of its own, or the artefacts of another, attracts it. It goes back and is held.

    Attributes
    ----------
    shift : (n, 2) float64
        Along x and y (pixels).
    dipole_jy : (n,) float64
        Residual of a misplaced source before the correction: largest value of the dipole it leaves (Jy/beam).
    held : (n,) bool
        Positions that are not corrected any more.
    """

    shift: NDArray[np.float64]
    dipole_jy: NDArray[np.float64]
    held: NDArray[np.bool_]

    @classmethod
    def none(cls, count: int) -> PositionCorrections:
        """Return the start of a series."""
        return cls(np.zeros((count, 2)), np.full(count, np.inf), np.zeros(count, bool))

    def following(self, shift: NDArray[np.float64], dipole_jy: NDArray[np.float64]) -> PositionCorrections:
        """Return the next corrections; a correction that made the dipole larger is reversed instead."""
        worse = ~self.held & (dipole_jy > self.dipole_jy)
        held = self.held | worse
        following = np.where(held[:, None], 0, shift)
        following[worse] = -self.shift[worse]
        return PositionCorrections(following, dipole_jy, held)

    def select(self, mask: NDArray[np.bool_]) -> PositionCorrections:
        """Return the corrections of the sources of a mask (n,)."""
        return PositionCorrections(self.shift[mask], self.dipole_jy[mask], self.held[mask])
