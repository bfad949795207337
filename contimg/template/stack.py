"""The arithmetic of a template: a mosaic brought to its grid and beam, and running weighted means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic import noise
from contimg.mosaic.coadd import row_blocks
from contimg.mosaic.common_beam import turned
from contimg.mosaic.fourier_image import fourier_image
from contimg.mosaic.grid import MosaicGrid, extended, footprint_of
from contimg.mosaic.pixel_map import pixel_map
from contimg.sky.restoring_beam import RestoringBeam

_LEAST_NOISE = 0.5
"""Least fraction of a measured rms that remains after confusion is subtracted in quadrature."""


@dataclass(frozen=True)
class MosaicPlanes:
    """One epoch's mosaic.

    Attributes
    ----------
    image, rms : (ny, nx) array
        Jy/beam, and the rms from its weights; NaN outside the footprint.
    wcs : astropy.wcs.WCS
    centre_deg : (float, float)
        Its reference point.
    beam : RestoringBeam
        In the frame of its pixels.
    """

    image: NDArray[np.floating]
    rms: NDArray[np.floating]
    wcs: Any
    centre_deg: tuple[float, float]
    beam: RestoringBeam


@dataclass(frozen=True)
class Stack:
    """A template.

    Attributes
    ----------
    grid : MosaicGrid
    beam : RestoringBeam
        In the frame of its pixels.
    image : (ny, nx) float32
        Weighted mean (Jy/beam), NaN where there is none.
    weights : (ny, nx) float32
        Sum of 1 / rms^2 without confusion (1/Jy^2). Image times weights are the sums that an update goes on from.
    epochs : (ny, nx) int16
        Mosaics that cover a pixel.
    """

    grid: MosaicGrid
    beam: RestoringBeam
    image: NDArray[np.float32]
    weights: NDArray[np.float32]
    epochs: NDArray[np.int16]

    def expected_rms(self, confusion_jy: float) -> NDArray[np.float32]:
        """Return the noise expected of the mean (Jy/beam): that of its weights, and confusion, which stays."""
        with np.errstate(divide="ignore"):
            rms = np.sqrt(1 / self.weights + np.float32(confusion_jy**2))
        return np.where(self.weights > 0, rms, np.nan).astype(np.float32)


def empty_stack(mosaic: MosaicPlanes, margin: float) -> Stack:
    """Return a template without any epoch, on a mosaic's grid and of its beam, wider by a margin (fraction).

    Later mosaics can go into it as long as their beams are not wider than its own.
    """
    cell_deg = abs(float(mosaic.wcs.wcs.cdelt[0]))
    crpix = tuple(round(float(one)) for one in mosaic.wcs.wcs.crpix)
    ny, nx = mosaic.image.shape
    grid = MosaicGrid(mosaic.centre_deg, cell_deg, (crpix[0], crpix[1]), (ny, nx))
    # A cylinder's reference pixel lies on the equator, its centre does not.
    beam = RestoringBeam(mosaic.beam.bmaj_rad * (1 + margin), mosaic.beam.bmin_rad * (1 + margin), mosaic.beam.bpa_rad)
    return Stack(grid, beam, *_blank((ny, nx)))


def _blank(shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int16]]:
    return np.full(shape, np.nan, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.int16)


def emptied(stack: Stack) -> Stack:
    """Return a template without any epoch, of the pixels and the beam of another."""
    return Stack(stack.grid, stack.beam, *_blank(stack.grid.shape))


def holds(stack: Stack, mosaic: MosaicPlanes) -> bool:
    """Return whether a mosaic's beam is nowhere wider than the template's."""
    own = turned(mosaic.beam, stack.grid.north_deg(mosaic.centre_deg[0]))
    return bool(np.linalg.eigvalsh(stack.beam.covariance() - own.covariance())[0] > -1e-9 * stack.beam.bmaj_rad**2)


def grown(stack: Stack, mosaic: MosaicPlanes, max_size_px: int) -> Stack:
    """Return the template with an array that holds a mosaic's footprint too.

    Raises
    ------
    ConfigError
        If it would be larger than `max_size_px`, or stretched by more than 0.3 % somewhere.
    """
    grid = extended(stack.grid, footprint_of(mosaic.wcs, np.isfinite(mosaic.image)), max_size_px)
    if grid == stack.grid:
        return stack
    image, weights, epochs = _blank(grid.shape)
    left, top = grid.crpix[0] - stack.grid.crpix[0], grid.crpix[1] - stack.grid.crpix[1]
    place = (slice(top, top + stack.grid.shape[0]), slice(left, left + stack.grid.shape[1]))
    image[place], weights[place], epochs[place] = stack.image, stack.weights, stack.epochs
    return Stack(grid, stack.beam, image, weights, epochs)


@dataclass(frozen=True)
class Epoch:
    """A mosaic on the grid and at the beam of a template; (ny, nx) float32, NaN outside its footprint.

    Attributes
    ----------
    image : float32
        Jy/beam.
    rms : float32
        Measured local rms without confusion (Jy/beam).
    """

    image: NDArray[np.float32]
    rms: NDArray[np.float32]


def bring(stack: Stack, mosaic: MosaicPlanes, confusion_jy: float) -> Epoch:
    """Convolve a mosaic to the template's beam, measure its local rms there, and interpolate both.

    Parameters
    ----------
    stack : Stack
        Which holds the mosaic's beam and footprint.
    mosaic : MosaicPlanes
    confusion_jy : float
        Confusion noise at the template's beam (Jy/beam): part of the measured rms, but the same at each epoch.
    """
    cell_deg = abs(float(mosaic.wcs.wcs.cdelt[0]))
    target = turned(stack.beam, -stack.grid.north_deg(mosaic.centre_deg[0]))
    smooth = fourier_image(mosaic.image, mosaic.beam, target, (-cell_deg, cell_deg))
    pixels = smooth.pixels()
    local, factors = noise.local_rms(pixels, mosaic.rms, target.bmaj_deg / cell_deg)
    if not factors.size:
        local = mosaic.rms.astype(np.float32)
    local = np.sqrt(np.maximum(local**2 - np.float32(confusion_jy**2), (_LEAST_NOISE * local) ** 2))
    image, rms = (np.full(stack.grid.shape, np.nan, np.float32) for _ in range(2))
    places = pixel_map(stack.grid, mosaic.wcs)
    insides, ys, xs = [], [], []
    for rows in row_blocks(stack.grid.shape[0]):
        y, x = places.rows(rows)
        inside = smooth.knows(y.ravel(), x.ravel()).reshape(y.shape)
        insides.append(inside)
        ys.append(y[inside])
        xs.append(x[inside])
    there, mask = np.column_stack([np.concatenate(ys), np.concatenate(xs)]), np.concatenate(insides)
    image[mask] = smooth.at(there)
    nearest = np.rint(there).astype(np.intp)  # the rms changes little from pixel to pixel
    rms[mask] = local[nearest[:, 0], nearest[:, 1]]
    known = np.isfinite(image) & (rms > 0)
    image[~known], rms[~known] = np.nan, np.nan
    return Epoch(image, rms)


def add(stack: Stack, epoch: Epoch) -> Stack:
    """Return the template with one more epoch: mean = sum(I / rms^2) / sum(1 / rms^2)."""
    known = np.isfinite(epoch.image)
    weight = np.where(known, epoch.rms, np.inf).astype(np.float64) ** -2
    before = stack.weights.astype(np.float64)
    signal = np.where(before > 0, stack.image, 0) * before + np.where(known, epoch.image, 0) * weight
    total = before + weight
    image = np.full(total.shape, np.nan, np.float32)
    np.divide(signal, total, out=image, where=total > 0, casting="same_kind")
    return replace(
        stack,
        image=image,
        weights=total.astype(np.float32),
        epochs=(stack.epochs + known).astype(np.int16),
    )


def difference(stack: Stack, epoch: Epoch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return epoch minus template (Jy/beam) and its expected noise; NaN where either is not known.

    The template must not hold the epoch. Confusion is the same in both, and not in the difference.
    """
    known = np.isfinite(epoch.image) & (stack.weights > 0)
    with np.errstate(divide="ignore"):
        sigma = np.sqrt(epoch.rms**2 + 1 / stack.weights)
    return (
        np.where(known, epoch.image - stack.image, np.nan).astype(np.float32),
        np.where(known, sigma, np.nan).astype(np.float32),
    )
