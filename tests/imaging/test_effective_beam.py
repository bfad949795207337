"""The effective beam of one integration or two against the closed form of an Airy pattern."""

import math

import numpy as np
import pytest
from scipy.special import j1

from contimg.config import BeamOptions
from contimg.imaging.effective_beam import effective_beam
from contimg.imaging.grid import TileGrid

DISH_M, C_M_S = 4.65, 299792458.0
FREQ_HZ = np.array([1.31e9, 1.49e9])
BEAM = BeamOptions(dish_diameter_m=DISH_M, blockage_diameter_m=0.0)
CENTRE = (1.0, 0.5)
GRID = TileGrid(200, 0.04 / 100, CENTRE)


def airy(sine, freq_hz):
    """Return [2 J1(x) / x]^2 of an unblocked aperture, x = pi D sin(theta) / lambda."""
    x = np.pi * DISH_M * freq_hz / C_M_S * np.maximum(sine, 1e-9)
    return (2 * j1(x) / x) ** 2


def beam_of(pointing, weights, grid=GRID):
    return effective_beam(np.array(pointing), np.array(weights, float), FREQ_HZ, grid, BEAM)


def test_one_integration_and_channel_is_the_airy_pattern():
    east = np.array([0.0, 0.01, 0.02, -0.02, 0.0, 0.015])
    north = np.array([0.0, 0.0, 0.0, 0.0, 0.03, -0.02])
    found = beam_of([CENTRE], [[1, 0]]).at(east, north)
    assert found == pytest.approx(airy(np.hypot(east, north), FREQ_HZ[0]), abs=2e-5)


def test_channels_count_by_their_weights():
    found = beam_of([CENTRE], [[3, 1]]).at(np.array([0.02]), np.array([0.0]))
    assert found == pytest.approx(0.75 * airy(0.02, FREQ_HZ[0]) + 0.25 * airy(0.02, FREQ_HZ[1]), abs=2e-5)


def test_integrations_count_by_their_weights():
    """The axis stands at the centre for one third and 0.01 rad north of it for two thirds of the weight."""
    north_of = (CENTRE[0], CENTRE[1] + 0.01)
    found = beam_of([CENTRE, north_of], [[1, 0], [2, 0]]).at(np.zeros(2), np.array([0.0, math.sin(0.01)]))
    other = airy(math.sin(0.01), FREQ_HZ[0])
    assert found == pytest.approx([1 / 3 + 2 / 3 * other, 2 / 3 + 1 / 3 * other], abs=2e-5)


def test_without_weights_or_beyond_the_sky_there_is_none():
    with pytest.raises(ValueError, match="without unflagged data is not defined"):
        beam_of([CENTRE], [[0, 0]])
    with pytest.raises(ValueError, match=r"an image 1\.50 rad wide reaches beyond the sky"):
        beam_of([CENTRE], [[1, 1]], TileGrid(200, 0.75 / 100, CENTRE))


def test_the_map_on_slant_pixels_is_the_beam_in_their_directions():
    grid = TileGrid(200, 0.04 / 100, CENTRE, (0.05, -0.4))
    found = beam_of([CENTRE], [[1, 0]], grid)
    x, y = np.meshgrid(np.arange(0, 200, 7), np.arange(0, 200, 7))
    east, north = grid.cosines(x, y)
    assert found.image()[y, x] == pytest.approx(airy(np.hypot(east, north), FREQ_HZ[0]), abs=3e-5)
    assert found.peak() == pytest.approx((0, 0), abs=1e-5)
