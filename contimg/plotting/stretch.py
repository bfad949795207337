"""The colours of every picture of the sky: asinh from -3 to 120 times the noise, linear within 4."""

from __future__ import annotations

from typing import Any

COLOURS = "inferno"
BLANK = "#e9e9ee"
LOW_SIGMA, LINEAR_SIGMA, HIGH_SIGMA = -3.0, 4.0, 120.0


def norm_of(rms: float) -> Any:
    """Return matplotlib's norm of these colours for a noise: noise, faint and bright sources are seen together."""
    from matplotlib.colors import AsinhNorm

    return AsinhNorm(linear_width=LINEAR_SIGMA * rms, vmin=LOW_SIGMA * rms, vmax=HIGH_SIGMA * rms)


def dark_edge(width: float) -> list[Any]:
    """Return the path effects of what is white: a dark edge (width in points), seen on bright and light ground."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground="black")]
