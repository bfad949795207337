"""The list of a tile's bright sources, and how their places are corrected."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class BrightSources:
    """Sources with positions, true fluxes at the image's frequency, and spectral indices.

    Attributes
    ----------
    east, north : (n,) float64
        Direction cosines.
    flux_jy : (n,) float64
    index : (n,) float64
        ``S(f) = flux_jy (f / freq_hz) ** index``.
    index_from : list of str
        ``fitted``, ``catalogue`` or ``assumed``.
    name : list of str or None
        Of the catalogue's source it was matched with.
    freq_hz : float
    """

    freq_hz: float
    east: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    north: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    flux_jy: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    index: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    index_from: list[str] = field(default_factory=list)
    name: list[str | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.east)

    def add(self, east: float, north: float, flux_jy: float, index: float, index_from: str, name: str | None) -> None:
        """Add a source."""
        values = {"east": east, "north": north, "flux_jy": flux_jy, "index": index}
        for key, value in values.items():
            setattr(self, key, np.append(getattr(self, key), value))
        self.index_from.append(index_from)
        self.name.append(name)

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Forget the sources that are not in a mask."""
        for key in ("east", "north", "flux_jy", "index"):
            setattr(self, key, getattr(self, key)[which])
        for key in ("index_from", "name"):
            setattr(self, key, [value for value, yes in zip(getattr(self, key), which, strict=True) if yes])


class Corrections:
    """The last corrections of positions in a series of refinements, and those that led nowhere.

    Corrections converge by leaps. One after which more is left than before led nowhere: a neighbour that no
    source stands for, or the artefacts of another, draws the source away.

    Attributes
    ----------
    shift : (n, 2) float64, pixels
    dipole_jy : (n,) float64
        What the position had left before that (Jy/beam).
    held : (n,) bool
        Positions that are not corrected any more.
    """

    def __init__(self, count: int) -> None:
        self.shift, self.dipole_jy = np.zeros((count, 2)), np.full(count, np.inf)
        self.held = np.zeros(count, bool)

    def next(self, shift: NDArray[np.float64], dipole_jy: NDArray[np.float64]) -> None:
        """Take the next corrections; those that led nowhere are taken back instead."""
        nowhere = ~self.held & (dipole_jy > self.dipole_jy)
        back = -self.shift[nowhere]
        self.held |= nowhere
        self.shift, self.dipole_jy = np.where(self.held[:, None], 0, shift), dipole_jy
        self.shift[nowhere] = back

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Forget the sources that are not in a mask."""
        self.shift, self.dipole_jy, self.held = self.shift[which], self.dipole_jy[which], self.held[which]
