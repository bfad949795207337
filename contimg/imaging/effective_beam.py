"""The effective primary beam of a tile: the weighted mean of the power beam over its integrations and channels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.sky.beam_cube import read_cube

if TYPE_CHECKING:
    from scipy.interpolate import RectBivariateSpline

    from contimg.config import BeamOptions
    from contimg.imaging.grid import TileGrid
from contimg.sky.primary_beam import airy_response, beam_axes

# Steps of the tables behind `effective_beam`: a degree is the scale on which the beam changes; with
# quintic and cubic splines these keep the interpolation error below 1e-5 (measured in the tests).
_COARSE_STEP_RAD = math.radians(0.15)


_RADIAL_STEP_RAD = math.radians(0.02)


def effective_beam(
    pointing_rad: NDArray[np.float64],
    weights: NDArray[np.float64],
    freq_hz: NDArray[np.float64],
    grid: TileGrid,
    options: BeamOptions,
) -> EffectiveBeam:
    """Return the effective power beam of a tile: its mean over integrations and channels with the imaging weights.

    The sky drifts through the beam during a tile, and the beam shrinks with frequency. The apparent flux of a source
    in the image is its flux density times the mean of the beam over the samples, with their imaging weights.

    Parameters
    ----------
    pointing_rad : (ntime, 2)
        ICRS direction of the beam's axis at each time (rad).
    weights : (ntime, nchan)
        Sums of the imaging weights of each time and channel; 0 where flagged.
    freq_hz : (nchan,)
    grid : contimg.imaging.grid.TileGrid
    options : contimg.config.BeamOptions

    Raises
    ------
    ValueError
        If nothing has a weight, or the grid reaches beyond a hemisphere.
    InputError
        If ``beam.cube`` cannot be used.
    """
    from scipy.interpolate import CubicSpline, RectBivariateSpline

    total = weights.sum()
    if not total > 0:
        raise ValueError("the effective beam of a tile without unflagged data is not defined")
    edge = grid.reach_rad
    if not 2 * edge**2 < 1:
        raise ValueError(f"an image {2 * edge:.2f} rad wide reaches beyond the sky: choose a smaller image")
    axes = beam_axes(pointing_rad, options)
    node = _nodes(edge)
    sky = grid.vectors(node[None, :], node[:, None])
    if options.cube is not None:
        cube = read_cube(options.cube)
        cube.check_band(options.cube, freq_hz)
        coarse = sum(
            cube.response(sky, axis, freq_hz, options.width) @ share
            for axis, share in zip(axes, weights / total, strict=True)
        )
        return EffectiveBeam(grid, RectBivariateSpline(node, node, coarse, kx=5, ky=5))
    # All angles from the axis that occur, up to the farthest corner at any time.
    corners = grid.vectors(np.array([edge, edge, -edge, -edge]), np.array([edge, -edge, edge, -edge]))
    reach = float(np.arccos(np.clip(corners @ axes.T, -1, 1)).max()) + 2 * _COARSE_STEP_RAD
    angle = np.linspace(0, reach, max(16, math.ceil(reach / _RADIAL_STEP_RAD)))
    power = airy_response(angle[:, None], freq_hz[None, :], options)
    profiles = power @ weights.T / total  # (nangle, ntime): contribution of each time to the mean
    coarse = np.zeros((len(node), len(node)))
    for axis, profile in zip(axes, profiles.T, strict=True):
        separation = np.arccos(np.clip(sky @ axis, -1, 1))
        coarse += CubicSpline(angle, profile, bc_type=((1, 0.0), "not-a-knot"))(separation)
    return EffectiveBeam(grid, RectBivariateSpline(node, node, coarse, kx=5, ky=5))


def _nodes(edge: float) -> NDArray[np.float64]:
    """Return the nodes of a spline from -edge to edge (rad)."""
    return np.linspace(-edge, edge, max(8, math.ceil(2 * edge / _COARSE_STEP_RAD) + 1))


@dataclass(frozen=True)
class EffectiveBeam:
    """A power beam over a tile's image, as a spline that is defined between the pixels too."""

    grid: TileGrid
    spline: RectBivariateSpline

    def image(self) -> NDArray[np.float32]:
        """Return the beam at each pixel, ``[y, x]``."""
        from scipy.interpolate import RectBivariateSpline

        grid, spline = self.grid, self.spline
        if any(grid.slant):  # directions of a row of pixels are on no line: another spline, over the plane
            node = _nodes(grid.edge_rad)
            east, north = grid.on_sky(node[None, :], node[:, None])
            spline = RectBivariateSpline(node, node, self.at(east, north), kx=5, ky=5)
        along = (np.arange(grid.size_px) - grid.middle) * grid.cell_rad
        return spline(along, -along[::-1])[:, ::-1].astype(np.float32)

    def at(self, east: ArrayLike, north: ArrayLike) -> NDArray[np.float64]:
        """Return the beam at direction cosines within the image."""
        return self.spline.ev(north, east)

    def peak(self) -> tuple[float, float]:
        """Return the direction cosines (l, m) of the beam's maximum within the image."""
        from scipy.optimize import minimize

        index = np.arange(0, self.grid.size_px, max(1, self.grid.size_px // 64))
        east, north = (axis.ravel() for axis in self.grid.cosines(*np.meshgrid(index, index)))
        best = int(self.at(east, north).argmax())
        edge = self.grid.reach_rad
        found = minimize(
            lambda p: -float(self.at(p[0] * edge, p[1] * edge)),
            (east[best] / edge, north[best] / edge),
            method="Nelder-Mead",
            bounds=[(-1, 1), (-1, 1)],
            options={"xatol": 1e-7, "fatol": 1e-15},
        ).x
        return float(found[0] * edge), float(found[1] * edge)
