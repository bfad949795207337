"""What an imager returns: the planes of a tile, or the fact that there is no image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.clean.channel_groups import GroupImage
from contimg.sky.restoring_beam import RestoringBeam


@dataclass(frozen=True)
class ImagerResult:
    """The planes of a tile; arrays are (size, size), ``[y, x]``.

    Attributes
    ----------
    image, residual : Jy/beam
        Apparent brightness: not divided by the power beam.
    model : Jy/pixel
        CLEAN components and bright sources.
    psf
        Peak 1.
    beam : RestoringBeam
    diverged : bool
    facts : dict
        For the twin: cycles, components, bright sources.
    notes : list of str
    gains : dict
        Gains of parts of the data over the bright sources' model, for the twin's ``qa``; empty where not measured.
    groups : list of GroupImage
        The channel groups' images, if there are several.
    """

    image: NDArray[np.floating]
    residual: NDArray[np.floating]
    model: NDArray[np.floating]
    psf: NDArray[np.floating]
    beam: RestoringBeam
    diverged: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    gains: dict[str, Any] = field(default_factory=dict)
    groups: list[GroupImage] = field(default_factory=list)


@dataclass(frozen=True)
class NoRestoringBeam:
    """There is no image, as no restoring beam can be fitted to the point spread function.

    Attributes
    ----------
    facts : dict
        For the twin.
    """

    facts: dict[str, Any] = field(default_factory=dict)
