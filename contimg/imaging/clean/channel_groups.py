"""Channel groups: parts of the band that are deconvolved jointly and imaged separately, for spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contimg.errors import ConfigError
from contimg.imaging.effective_beam import effective_beam
from contimg.imaging.tile_data import TileData
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities.channel_averaging import ChannelAveraging
from contimg.imaging.visibilities.samples import row_blocks
from contimg.statistics import robust_sigma

# Pixels whose spectral index has a larger error than this are blank.
MAX_INDEX_ERROR = 0.5
_ROWS = 256


@dataclass(frozen=True)
class ChannelGroup:
    """A part of the band that is deconvolved jointly with the others.

    Attributes
    ----------
    channels : slice
    gridder : Gridder
        Of its samples alone.
    psf : (size, size) float32
    share : float
        Its fraction of the imaging weight.
    """

    channels: slice
    gridder: Gridder
    psf: NDArray[np.float32]
    share: float


@dataclass(frozen=True)
class GroupImage:
    """The image of a part of the band.

    Attributes
    ----------
    freq_hz, bandwidth_hz : float
        Effective frequency, with the imaging weights, and bandwidth of the unflagged channels.
    image : (size, size), Jy/beam
        Apparent brightness, components restored with the tile's beam.
    pb : (size, size)
        Effective beam.
    """

    freq_hz: float
    bandwidth_hz: float
    image: NDArray[np.floating]
    pb: NDArray[np.float32]


def split(tile: TileData, psf: NDArray[np.float32], epsilon: float) -> list[ChannelGroup]:
    """Return the tile's channel groups in ascending order; those without any weight are left out.

    Raises
    ------
    ConfigError
        If ``image.channel_groups`` is more than the averaged band has samples.
    """
    ranges = channel_ranges(tile.samples.averaging, tile.options.channel_groups)
    if len(ranges) == 1:
        return [ChannelGroup(ranges[0], tile.gridder, psf, 1.0)]
    groups = []
    for channels in ranges:
        gridder = part(tile, tile.gridder, channels)
        if gridder.total > 0:
            groups.append(ChannelGroup(channels, gridder, gridder.psf(epsilon), gridder.total / tile.gridder.total))
    return groups


def part(tile: TileData, gridder: Gridder, channels: slice) -> Gridder:
    """Return a gridder of a part of the band, on the same pixels as another."""
    return Gridder(tile.samples, gridder.weight, gridder.grid, gridder.threads, channels)


def channel_ranges(averaging: ChannelAveraging, count: int) -> list[slice]:
    """Return nearly equal parts of the band that divide no averaged sample.

    Raises
    ------
    ConfigError
        If there are fewer samples than parts.
    """
    nchan, step = len(averaging.channels_hz), int(averaging.factor.max())
    inner = np.rint(np.arange(1, count) * nchan / count / step).astype(int) * step
    edges = [0, *inner.tolist(), nchan]
    if min(np.diff(edges)) <= 0:
        most = -(-nchan // step)
        raise ConfigError(
            f"image.channel_groups {count} are more than the {most} channels of the averaged band: ask for fewer"
        )
    return [slice(low, high) for low, high in pairwise(edges)]


def group_image(tile: TileData, gridder: Gridder, channels: slice, image: NDArray[np.floating]) -> GroupImage:
    """Return the image of a part of the band with its effective frequency, bandwidth and beam."""
    sums = np.zeros_like(tile.sums)
    sums[:, channels] = tile.sums[:, channels]
    coordinates = tile.coordinates
    response = effective_beam(coordinates.pointing_rad, sums, coordinates.freq_hz, gridder.grid, tile.beam)
    if tile.smearing is not None:
        response = tile.smearing.attenuate(response)
    used = np.count_nonzero(sums.any(0))
    freq_hz = float(sums.sum(0) @ coordinates.freq_hz / sums.sum())
    return GroupImage(freq_hz, used * coordinates.channel_width_hz, image, response.image())


def spectral_index(planes: Sequence[GroupImage], pb_limit: float) -> NDArray[np.float64]:
    """Return the spectral index of each pixel, NaN where its error is above `MAX_INDEX_ERROR`.

    Notes
    -----
    The slope of ln(flux) over ln(frequency), fitted with weights (flux / noise)^2; its error follows from
    the noise of the images.
    """
    log_freq = np.log([plane.freq_hz for plane in planes])[:, None, None]
    sigma = np.array([robust_sigma(plane.image) for plane in planes])[:, None, None]
    index = np.full(planes[0].image.shape, np.nan)
    for rows in row_blocks(len(index), _ROWS):
        apparent, beam = (np.stack([getattr(plane, name)[rows] for plane in planes]) for name in ("image", "pb"))
        with np.errstate(divide="ignore", invalid="ignore"):
            log_flux, weight = np.log(apparent / beam), (apparent / sigma) ** 2
            x = log_freq - (weight * log_freq).sum(0) / weight.sum(0)
            square = (weight * x**2).sum(0)
            known = (apparent > 0).all(0) & (beam >= pb_limit).all(0) & (square >= MAX_INDEX_ERROR**-2)
            index[rows][known] = ((weight * x * log_flux).sum(0) / square)[known]
    return index
