"""Simulated files against the layout of the correlator's HDF5 files, key by key."""

from __future__ import annotations

import re

import h5py
import numpy as np
import pytest

from contimg.simulate import array, band

ROWS, CHANNELS = 4 * 36, 4  # four integrations, 8 antennas with their autocorrelations

HEADER = {
    "latitude": ("f8", ()),
    "longitude": ("f8", ()),
    "altitude": ("f8", ()),
    "telescope_name": ("S", ()),
    "instrument": ("S", ()),
    "object_name": ("S", ()),
    "history": ("S", ()),
    "phase_type": ("S", ()),
    "phase_center_app_dec": ("f8", ()),
    "Nants_data": ("i8", ()),
    "Nants_telescope": ("i8", ()),
    "antenna_names": ("S4", (117,)),
    "antenna_numbers": ("i8", (117,)),
    "antenna_positions": ("f8", (117, 3)),
    "antenna_diameters": ("f8", (117,)),
    "ant_1_array": ("i8", (ROWS,)),
    "ant_2_array": ("i8", (ROWS,)),
    "Nbls": ("i8", ()),
    "Nblts": ("i8", ()),
    "Ntimes": ("i8", ()),
    "Nfreqs": ("i8", ()),
    "Npols": ("i8", ()),
    "Nspws": ("i8", ()),
    "uvw_array": ("f4", (ROWS, 3)),
    "time_array": ("f8", (ROWS,)),
    "integration_time": ("f8", (ROWS,)),
    "freq_array": ("f8", (1, CHANNELS)),
    "channel_width": ("f8", ()),
    "spw_array": ("i8", (1,)),
    "polarization_array": ("i8", (2,)),
    "extra_keywords/phase_center_dec": ("f8", ()),
    "extra_keywords/ha_phase_center": ("f8", ()),
    "extra_keywords/phase_center_epoch": ("O", ()),
    "extra_keywords/fs_table": ("S", ()),
    "extra_keywords/applied_delays_ns": ("S", ()),
}
DATA = {
    "visdata": ("c8", (ROWS, 1, CHANNELS, 2)),
    "flags": ("?", (ROWS, 1, CHANNELS, 2)),
    "nsamples": ("f4", (ROWS, 1, CHANNELS, 2)),
}


@pytest.fixture
def file(small_night, subband_file):
    with h5py.File(subband_file(small_night, 0, 0)) as opened:
        yield opened


def test_every_key_has_its_dtype_and_shape_and_there_is_no_other(file):
    wanted = {f"Header/{name}": kind for name, kind in HEADER.items()}
    wanted |= {f"Data/{name}": kind for name, kind in DATA.items()}
    found = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    assert set(found) == set(wanted)
    for name, (dtype, shape) in wanted.items():
        actual = found[name].dtype
        assert (actual.kind if dtype in "SO?" else actual.str[1:]) == dtype.replace("?", "b"), name
        assert found[name].shape == shape, name


def test_values_of_the_header(file):
    head = file["Header"]
    assert head["latitude"][()] == pytest.approx(37.2334051, abs=1e-12)
    assert np.radians(head["longitude"][()]) == pytest.approx(-2.064427799136453, abs=1e-15)
    assert head["altitude"][()] == 1188.0519
    assert (head["telescope_name"][()], head["instrument"][()]) == (b"OVRO_MMA", b"DSA")
    assert (head["object_name"][()], head["phase_type"][()]) == (b"search", b"drift")
    assert b"simulated" in head["history"][()] and b"contimg simulate" in head["history"][()]
    assert (head["Nants_data"][()], head["Nants_telescope"][()]) == (8, 117)
    assert (head["Nbls"][()], head["Nblts"][()], head["Ntimes"][()]) == (36, ROWS, 4)
    assert (head["Nfreqs"][()], head["Npols"][()], head["Nspws"][()]) == (4, 2, 1)
    assert head["antenna_names"][0] == b"1" and head["antenna_names"][116] == b"117"
    assert np.array_equal(head["antenna_numbers"], np.arange(117))
    assert set(head["antenna_diameters"][:]) == {4.65}
    assert set(head["integration_time"][:]) == {12.884902000427246}
    assert head["channel_width"][()] == 11.71875e6 / 4
    assert list(head["polarization_array"]) == [-5, -6] and list(head["spw_array"]) == [1]
    extra = head["extra_keywords"]
    assert extra["phase_center_dec"][()] == head["phase_center_app_dec"][()]
    assert extra["ha_phase_center"][()] == 0 and extra["phase_center_epoch"][()] == b"HADEC"
    delays = np.array(extra["applied_delays_ns"][()].split(), dtype=int).reshape(117, 2)
    assert delays.min() == 0 and delays.max() <= 16376
    assert not delays[[9, 20, 21, 22, *range(51, 67), 116]].any()
    assert not file["Data/flags"][:].any() and set(file["Data/nsamples"][:].ravel()) == {96.0}


def test_times_are_centres_of_contiguous_integrations(small_night, subband_file):
    times = []
    for tile, subband in ((0, 0), (0, 15), (1, 4)):
        with h5py.File(subband_file(small_night, tile, subband)) as file:
            stored = file["Header/time_array"][:].reshape(4, 36)
        assert (stored == stored[:, :1]).all()
        times.append(stored[:, 0])
    assert np.array_equal(times[0], times[1]), "the same on all hosts"
    steps = np.diff(np.concatenate([times[0], times[2]])) * 86400
    assert np.allclose(steps, 12.884901888, atol=1e-4)


def test_rows_run_second_antenna_first_in_correlator_order(small_night, file):
    order = np.array(small_night.stations) - 1
    assert not np.array_equal(order, np.sort(order)), "the correlator's order is not sorted"
    rows = [(order[j], order[i]) for i in range(8) for j in range(i + 1)]
    first, second = file["Header/ant_1_array"][:], file["Header/ant_2_array"][:]
    assert list(zip(first, second, strict=True)) == rows * 4
    assert (first > second).any() and (first < second).any() and (first == second).sum() == 8 * 4


def test_row_order_of_the_golden_four_antennas():
    order = [24, 10, 3, 66]
    names = [f"{order[a]}-{order[b]}" for a, b in zip(*array.baseline_pairs(4), strict=True)]
    assert names == ["24-24", "24-10", "10-10", "24-3", "10-3", "3-3", "24-66", "10-66", "3-66", "66-66"]


def test_frequencies_of_the_real_channelisation():
    for subband, first, last in (
        (0, 1498.643188, 1487.168579),
        (7, 1416.611938, 1405.137329),
        (15, 1322.861938, 1311.387329),
    ):
        mega_hertz = band.subband_frequencies(subband) / 1e6
        assert mega_hertz[[0, -1]] == pytest.approx([first, last], abs=5e-7)
    joined = band.band_frequencies().ravel()
    assert len(joined) == 768 and np.allclose(np.diff(joined), -244140.625, atol=1e-3)


def test_fewer_channels_cover_the_same_band():
    joined = band.band_frequencies(8).ravel()
    assert np.allclose(np.diff(joined), -11.71875e6 / 8, atol=1e-3)
    real = band.band_frequencies(48).reshape(-1, 6).mean(axis=1)
    assert np.allclose(joined, real, atol=1e-3)


def test_size_of_a_complete_real_file_by_arithmetic():
    rows, channels = 24 * 96 * 97 // 2, 48
    bulk = rows * channels * 2 * (8 + 4 + 1)
    per_row = rows * (8 + 8 + 12 + 8 + 8)
    assert bulk + per_row == pytest.approx(145_348_600, rel=0.01)


def test_names_parse_and_keep_the_jitter_of_sixteen_clocks(small_night):
    pattern = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d_sb\d\d\.hdf5")
    for file in small_night.files:
        if file.path is not None and file.fault != "incomplete":
            assert pattern.fullmatch(file.path.name)
    ordinary, restarted = (np.array(tile.file_times, dtype="M8[s]") for tile in small_night.tiles)
    data = np.array([tile.tile_id for tile in small_night.tiles], dtype="M8[s]")
    # tile ids are the centre of the first integration, 6.4 s after the beginning of the data
    assert np.ptp(ordinary).astype(int) <= 2
    assert 6 <= (data[0] - ordinary.max()).astype(int) <= 10
    assert 13 <= np.ptp(restarted).astype(int) <= 22
    assert (data[1] - restarted.min()).astype(int) == pytest.approx(111, abs=2)


def test_shares_of_the_name_spread_are_the_real_ones():
    from contimg.simulate.options import NightOptions
    from contimg.simulate.schedule import make_tiles

    tiles = make_tiles(NightOptions(tiles=1000, integrations=2), 2461082.75)
    spreads = [np.ptp(np.array(tile.file_times, dtype="M8[s]")).astype(int) for tile in tiles]
    assert max(spreads) <= 2 and 0.02 < np.mean(np.array(spreads) == 2) < 0.09
