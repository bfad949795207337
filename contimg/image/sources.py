"""The list of a tile's bright sources."""

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

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Forget the sources that are not in a mask."""
        for key in ("east", "north", "flux_jy", "index"):
            setattr(self, key, getattr(self, key)[which])
        for key in ("index_from", "name"):
            setattr(self, key, [value for value, yes in zip(getattr(self, key), which, strict=True) if yes])
