"""Writing Measurement Sets: weights, flags, room on the disk, tiles, and the subtables' numbers."""

import errno

import numpy as np
import pytest
from casacore import tables

from contimg import measurement_set
from contimg.measurement_set.coordinates import Coordinates
from contimg.measurement_set.writing import rows_of_tile
from tests.support.small_tiles import complex_noise, small_tile

CHANGED = {"history": [], "synthetic": False, "array_position_m": None}


@pytest.fixture(scope="module")
def tile():
    return small_tile(antennas=4, times=2)


def rewritten(tile, **change):
    bulk = ("data", "flag", "weight")
    return Coordinates(**({key: value for key, value in vars(tile).items() if key not in bulk} | change))


def written(path, coordinates, weight=None):
    data = complex_noise(coordinates.shape).astype(np.complex64)
    with measurement_set.create(path, coordinates) as writer:
        writer.put(0, data, np.ones(data.shape, np.float32) if weight is None else weight)
        writer.put_flags(0, np.zeros(data.shape, bool))
    return data


def column(path, name):
    with tables.table(str(path), ack=False) as table:
        return table.getcol(name)


def test_weight_and_sigma_are_of_the_channels_that_were_received(tile, tmp_path):
    nrow, nchan, npol = tile.shape
    weight = np.zeros(tile.shape, np.float32)
    weight[:, 0], weight[:, 1] = 4, 12  # of all channels only two were received: (4 + 12) / 2
    weight[1:, :, 1] = 0  # nothing of the second polarisation
    weight[0, :, 1] = 25
    written(tmp_path / "a.ms", tile, weight)
    expected = np.full((nrow, npol), 8.0)
    expected[0, 1], expected[1:, 1] = 25, 0
    assert nchan > 2
    assert column(tmp_path / "a.ms", "WEIGHT") == pytest.approx(expected)
    sigma = np.full((nrow, npol), 8**-0.5)
    sigma[0, 1], sigma[1:, 1] = 0.2, 0
    assert column(tmp_path / "a.ms", "SIGMA") == pytest.approx(sigma)


def test_one_weight_for_all_rows_is_as_good_as_each_rows(tile, tmp_path):
    _, nchan, npol = tile.shape
    first = np.arange(1, 1 + nchan * npol, dtype=np.float32).reshape(nchan, npol)
    second = 3 * first
    data = complex_noise(tile.shape).astype(np.complex64)
    with measurement_set.create(tmp_path / "a.ms", tile) as writer:
        writer.put(0, data[:5], first)
        writer.put(5, data[5:10], first)  # the same again, worked out once
        writer.put(10, data[10:], second)  # another weight
        writer.put_flags(0, np.zeros(data.shape, bool))
    spectrum = column(tmp_path / "a.ms", "WEIGHT_SPECTRUM")
    assert np.array_equal(spectrum[:10], np.repeat(first[None], 10, axis=0))
    assert np.array_equal(spectrum[10:], np.repeat(second[None], len(data) - 10, axis=0))
    mean = column(tmp_path / "a.ms", "WEIGHT")
    assert mean[:10] == pytest.approx(np.repeat(first.mean(0)[None], 10, axis=0))
    assert mean[10:] == pytest.approx(np.repeat(second.mean(0)[None], len(data) - 10, axis=0))
    assert column(tmp_path / "a.ms", "SIGMA") == pytest.approx(mean**-0.5)
    assert np.array_equal(column(tmp_path / "a.ms", "DATA"), data)


def test_a_row_is_flagged_where_all_is(tile, tmp_path):
    flag = np.zeros(tile.shape, bool)
    flag[3] = True
    flag[4] = True
    flag[4, -1, -1] = False
    with measurement_set.create(tmp_path / "a.ms", tile) as writer:
        writer.put(0, np.zeros(tile.shape, np.complex64), np.ones(tile.shape, np.float32))
        writer.put_flags(0, flag)
    assert np.array_equal(column(tmp_path / "a.ms", "FLAG"), flag)
    assert np.flatnonzero(column(tmp_path / "a.ms", "FLAG_ROW")).tolist() == [3]


def test_a_full_disk_is_found_before_anything_is_written(tile, tmp_path):
    rows = np.broadcast_to(np.zeros(3), (10**13, 3))  # no memory is taken: 13 bytes for each sample, 3000 TB and more
    with (
        pytest.raises(OSError, match=r"No space left on device: \d+ MB needed, \d+ MB free") as raised,
        measurement_set.create(tmp_path / "a.ms", rewritten(tile, uvw_m=rows)),
    ):
        pass
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"freq_hz": np.array([1.4e9, 1.4e9])}, "must ascend"),
        ({"channel_width_hz": 0.0}, "channel width be positive"),
        ({"channel_width_hz": -1e6}, "channel width be positive"),
        ({"time_mjd_s": np.array([0.0])}, "not of the year 1859"),
        ({"time_mjd_s": np.array([61082.0])}, "not of the year 1859"),  # days
        ({"time_mjd_s": np.array([1.77e9])}, "not of the year 1915"),  # seconds since 1970
    ],
)
def test_axes_of_another_kind_are_refused(tile, tmp_path, change, message):
    with pytest.raises(ValueError, match=message), measurement_set.create(tmp_path / "a.ms", rewritten(tile, **change)):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("baselines", "times", "nchan", "expected"),
    [
        (4560, 24, 384, 152),  # 1 MiB is 170 rows of 384 channels and two polarisations; 152 divides 4560
        (4560, 24, 8, 4560),  # all of an integration is less than 1 MiB
        (21, 5, 6, 21),
        (101, 5, 2048, 32),  # 101 is a prime: 1 MiB is 32 rows
        (60, 1, 2048, 30),
        (10, 3, 100_000, 5),  # at least 8 rows would do, and 5 divide an integration
        (11, 3, 100_000, 8),
    ],
)
def test_tiles_hold_1_mib_and_divide_an_integration(tile, baselines, times, nchan, expected):
    coordinates = rewritten(
        tile,
        uvw_m=np.broadcast_to(np.zeros(3), (baselines * times, 3)),
        times_mjd_s=np.zeros(times),
        freq_hz=np.zeros(nchan),
    )
    assert rows_of_tile(coordinates) == expected


def test_what_is_not_known_is_left_out(tile, tmp_path):
    written(tmp_path / "a.ms", rewritten(tile, **CHANGED, unknown_positions=(1, 3)))
    with tables.table(f"{tmp_path}/a.ms/OBSERVATION", ack=False) as observation:
        assert "TELESCOPE_LOCATION" not in observation.colnames()
    with tables.table(f"{tmp_path}/a.ms/HISTORY", ack=False) as history:
        assert history.nrows() == 0
    with tables.table(f"{tmp_path}/a.ms/ANTENNA", ack=False) as antenna:
        assert antenna.getcol("FLAG_ROW").tolist() == [False, True, False, True]
    back = measurement_set.read(tmp_path / "a.ms")
    assert (back.history, back.synthetic, back.array_position_m, back.unknown_positions) == ([], False, None, (1, 3))


def test_four_linear_correlations(tile, tmp_path):
    """Numbers of casacore's Stokes.h (XX 9, XY 10, YX 11, YY 12); receptors 0 and 1 are X and Y."""
    names = ("XX", "XY", "YX", "YY")
    written(tmp_path / "a.ms", rewritten(tile, polarisations=names))
    with tables.table(f"{tmp_path}/a.ms/POLARIZATION", ack=False) as polarisation:
        assert polarisation.getcell("NUM_CORR", 0) == 4
        assert polarisation.getcell("CORR_TYPE", 0).tolist() == [9, 10, 11, 12]
        assert polarisation.getcell("CORR_PRODUCT", 0).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    back = measurement_set.read(tmp_path / "a.ms")
    assert back.polarisations == names and back.data.shape == tile.shape[:2] + (4,)


def test_the_numbers_of_the_subtables(tile, tmp_path):
    written(tmp_path / "a.ms", tile)
    nant, times = len(tile.antenna_names), tile.times_mjd_s
    with tables.table(f"{tmp_path}/a.ms/POINTING", ack=False) as pointing:
        assert pointing.nrows() == nant * len(times)
        assert pointing.getcol("ANTENNA_ID").tolist() == [0, 1, 2, 3] * len(times)
        assert np.array_equal(pointing.getcol("TIME"), np.repeat(times, nant))
        assert np.array_equal(pointing.getcol("DIRECTION")[:, 0], np.repeat(tile.pointing_rad, nant, axis=0))
    with tables.table(f"{tmp_path}/a.ms/FEED", ack=False) as feed:
        assert feed.getcol("POLARIZATION_TYPE")["array"] == ["X", "Y"] * nant
        assert np.array_equal(feed.getcol("POL_RESPONSE"), np.tile(np.eye(2), (nant, 1, 1)))
    with tables.table(f"{tmp_path}/a.ms/SPECTRAL_WINDOW", ack=False) as window:
        nchan = len(tile.freq_hz)
        assert window.getcell("TOTAL_BANDWIDTH", 0) == pytest.approx(nchan * tile.channel_width_hz)
        assert window.getcell("REF_FREQUENCY", 0) == pytest.approx((tile.freq_hz[0] + tile.freq_hz[-1]) / 2)
        assert window.getcell("MEAS_FREQ_REF", 0) == 5  # topocentric
    with tables.table(f"{tmp_path}/a.ms/OBSERVATION", ack=False) as observation:
        half = tile.integration_s / 2
        assert observation.getcell("TIME_RANGE", 0) == pytest.approx([times[0] - half, times[-1] + half], abs=1e-6)
