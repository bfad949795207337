"""Layouts of averaged rows: which channels each sample stands for."""

import numpy as np
import pytest

from contimg.imaging.visibilities.channel_averaging import ChannelAveraging

CHANNELS_HZ = 1.3e9 + 1e6 * np.arange(10)


@pytest.fixture
def averaging():
    """Return two layouts of rows of four samples: channels 4 to 7 as they are, and all ten in threes."""
    return ChannelAveraging(CHANNELS_HZ, 4, np.array([4, 0]), np.array([1, 3]), np.array([0, 1, 1]))


def test_frequencies_are_the_means_of_the_channels(averaging):
    found = averaging.freq_hz()
    assert found[0] == pytest.approx(CHANNELS_HZ[4:8])
    assert found[1] == pytest.approx([1.301e9, 1.304e9, 1.307e9, 1.309e9])  # the last one is channel 9 alone


@pytest.mark.parametrize(("layout", "start", "stop", "columns", "covered"), [
    (0, 0, 10, (0, 4), (4, 8)), (0, 6, 10, (2, 4), (6, 8)), (0, 8, 10, (0, 0), (0, 0)), (0, 0, 5, (0, 1), (4, 5)),
    (1, 0, 10, (0, 4), (0, 10)), (1, 3, 9, (1, 3), (3, 9)), (1, 9, 10, (3, 4), (9, 10)),
])  # fmt: skip
def test_columns_of_a_range_of_channels(averaging, layout, start, stop, columns, covered):
    assert averaging.columns(layout, start, stop) == (slice(*columns), slice(*covered))


def test_samples_that_start_within_a_range(averaging):
    assert averaging.starting_within(slice(3, 7)).tolist() == [[True] * 3 + [False], [False, True, True, False]]


def test_means_and_their_transpose(averaging):
    values = np.arange(10.0)
    assert averaging.average(values, 1).tolist() == [1.0, 4.0, 7.0, 9.0]
    assert averaging.average(values, 0) is values
    assert averaging.average(values[:9], 1).tolist() == [1.0, 4.0, 7.0]
    samples = np.array([3.0, 6.0, 9.0, 5.0])
    assert averaging.distribute(samples, 1, 10).tolist() == [1.0] * 3 + [2.0] * 3 + [3.0] * 3 + [5.0]
    assert averaging.distribute(samples, 0, 4) is samples
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(10, 2)), rng.normal(size=(4, 2))
    # <average(x), y> = <x, distribute(y)>
    left = (averaging.average(x, 1) * y).sum()
    assert left == pytest.approx((x * averaging.distribute(y, 1, 10)).sum())


def test_rows_without_averaging_and_a_selection(averaging):
    plain = ChannelAveraging.unaveraged(CHANNELS_HZ, 5)
    assert (plain.width, plain.factor.tolist(), plain.layout_of_row.tolist()) == (10, [1], [0] * 5)
    assert plain.freq_hz()[0] == pytest.approx(CHANNELS_HZ)
    assert averaging.select(np.array([2, 0])).layout_of_row.tolist() == [1, 0]
