"""The field of view of one integration in one channel against the closed form of an Airy pattern."""

import math

import pytest

from contimg.config import BeamOptions
from contimg.imaging.field_of_view import field_radius, fitting_size
from contimg.imaging.grid import TileGrid
from tests.support.small_tiles import small_tile

# [2 J1(x) / x]^2 = 1/2 at x = 1.61633995; x = pi D sin(theta) / lambda.
DISH_M, FREQ_HZ, C_M_S = 4.65, 1.31e9, 299792458.0
HALF_POWER = 1.61633995 * C_M_S / FREQ_HZ / (math.pi * DISH_M)  # sine of the angle
BEAM = BeamOptions(dish_diameter_m=DISH_M, blockage_diameter_m=0.0)


@pytest.fixture(scope="module")
def tile():
    return small_tile(antennas=3, times=1, channels=1)


def grid_of(tile, half_width):
    return TileGrid(200, half_width / 100, tuple(tile.phase_centre_rad))


def test_the_radius_at_half_power(tile):
    found = field_radius(tile, grid_of(tile, 0.035), BEAM, 0.5)
    step = 2 * 0.035 / 80
    assert math.asin(HALF_POWER - step) <= found <= math.asin(HALF_POWER)


def test_an_image_within_the_beam_is_covered_to_its_corners(tile):
    assert field_radius(tile, grid_of(tile, 0.01), BEAM, 0.5) == pytest.approx(math.asin(math.sqrt(2) * 0.01))


@pytest.mark.parametrize("cell_arcsec", [3.0, 6.0, 11.0])
def test_the_smallest_image_that_covers_half_power(tile, cell_arcsec):
    cell = math.radians(cell_arcsec / 3600)
    size = fitting_size(tile, cell, BEAM, 0.5)
    assert 2 * HALF_POWER / cell <= size <= 1.06 * 2 * HALF_POWER / cell  # a step of the raster, and the next fast size
    left = size
    for prime in (2, 3, 5, 7, 11):
        while left % prime == 0:
            left //= prime
    assert left == 1 and size % 4 == 0


def test_a_lower_limit_reaches_farther(tile):
    sizes = [fitting_size(tile, math.radians(6 / 3600), BEAM, limit) for limit in (0.9, 0.5, 0.2, 0.05)]
    assert sizes == sorted(sizes) and len(set(sizes)) == 4
