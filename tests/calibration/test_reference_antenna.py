"""The choice of the reference antenna, on tiles whose best antenna is known."""

import numpy as np
import pytest

from contimg.calibration.reference_antenna import choose, coherence, usable_fraction
from contimg.errors import ConfigError
from tests.support.small_tiles import complex_noise, small_tile


@pytest.fixture
def tile():
    """Seven antennas, the last without baselines; a source of 5 sigma at the phase centre."""
    tile = small_tile(antennas=7, times=24, channels=32, with_data=6)
    tile.data[:] = 5 + complex_noise(tile.shape)
    return tile


def of(tile, antenna):
    return (tile.antenna1 == antenna) | (tile.antenna2 == antenna)


def nearest_to_the_middle(tile, antennas):
    middle = np.median(tile.antenna_positions_m[list(antennas)], axis=0)
    distance = np.linalg.norm(tile.antenna_positions_m - middle, axis=1)
    return [tile.antenna_names[i] for i in sorted(antennas, key=lambda i: distance[i])]


def test_usable_fraction_counts_what_is_received_and_not_flagged(tile):
    tile.flag[of(tile, 2), :8] = True
    tile.weight[:, 31] = 0
    fraction = usable_fraction(tile)
    assert fraction[6] == 0
    assert fraction[2] == pytest.approx(23 / 32)
    # One of five baselines of the others is that with antenna 2.
    assert np.allclose(fraction[[0, 1, 3, 4, 5]], (4 * 31 + 23) / (5 * 32))


def test_coherence_is_the_signal_to_noise_ratio_of_the_mean_over_time(tile):
    """|V| is 5, the noise of a sample sqrt(2), of the mean over 24 of them sqrt(2/24): 17.3."""
    seen = coherence(tile)
    assert np.allclose(seen[:6], 5 / np.sqrt(2 / 24), rtol=0.1) and seen[6] == 0


def test_an_antenna_that_sees_nothing_has_a_coherence_near_one(tile):
    deaf = of(tile, 3)
    tile.data[deaf] = complex_noise(tile.data[deaf].shape, seed=5)
    assert coherence(tile)[3] == pytest.approx(0.85, abs=0.15)  # median of the Rayleigh distribution: 0.83


def test_the_nearest_to_the_middle_of_those_with_data_comes_first(tile):
    order = nearest_to_the_middle(tile, range(6))
    chosen = choose(tile, "auto", point_source=False)
    assert list(chosen.names) == order
    assert chosen.reason.startswith("100.0% of its data usable (best antenna 100.0%)")
    assert "m from the middle of the array" in chosen.reason


def test_antennas_with_less_data_or_without_signal_are_left_out(tile):
    first = tile.antenna_names.index(nearest_to_the_middle(tile, range(6))[0])
    tile.flag[of(tile, first)] = True
    order = nearest_to_the_middle(tile, set(range(6)) - {first})
    assert list(choose(tile, "auto", point_source=True).names) == order
    deaf = of(tile, tile.antenna_names.index(order[0]))
    tile.data[deaf] = complex_noise(tile.data[deaf].shape, seed=6)
    assert list(choose(tile, "auto", point_source=True).names) == order[1:]
    assert list(choose(tile, "auto", point_source=False).names) == order


def test_the_antenna_that_is_asked_for_comes_first_if_it_has_data(tile):
    order = nearest_to_the_middle(tile, range(6))
    chosen = choose(tile, order[4], point_source=False)
    assert list(chosen.names) == [order[4], *order[:4], order[5]]
    assert chosen.reason == "named in calibration.refant; 100.0% of its data usable"
    without = choose(tile, "7", point_source=False)
    assert list(without.names) == order
    assert without.reason.startswith("7, named in calibration.refant, has no usable data; 100.0% of its data usable")


def test_an_unknown_name_is_an_error_of_the_configuration(tile):
    with pytest.raises(
        ConfigError, match=r"calibration\.refant 'pad9' is not an antenna of this array: name one, or 'auto'"
    ):
        choose(tile, "pad9", point_source=True)


def test_at_most_eight_are_listed():
    tile = small_tile(antennas=12)
    assert len(choose(tile, "auto", point_source=False).names) == 8
