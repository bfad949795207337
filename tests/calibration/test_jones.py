"""The response on a tile's axes: closed forms of K, B and G, antennas and channels in another order, what is lost."""

import numpy as np
import pytest

from contimg.calibration.caltables import Solutions
from contimg.calibration.jones import Correction, correct, on_one_reference, steady_response
from tests.support.small_tiles import complex_noise, small_tile


def solutions(kind, values, tile, *, flag=None, names=None, freq=None, times=None):
    """Return solutions: values (ntime, nant, nchan, npol)."""
    values = np.asarray(values)
    return Solutions(
        kind,
        np.atleast_1d(tile.times_mjd_s.mean()) if times is None else np.asarray(times, float),
        values,
        np.zeros(values.shape, bool) if flag is None else flag,
        np.full(values.shape, 99.0),
        (tile.freq_hz if kind == "B" else tile.freq_hz.mean(keepdims=True)) if freq is None else freq,
        tile.antenna_names if names is None else names,
    )


@pytest.fixture
def tile():
    return small_tile()


def test_a_delay_turns_the_phase_about_its_reference_frequency(tile):
    """10 ns over 11.7 MHz are 0.117 turns."""
    delays = np.zeros((1, 6, 1, 2))
    delays[0, 2] = 10.0
    response, lost = steady_response(tile, solutions("K", delays, tile), None)
    turns = np.angle(response[2, 1:, 0] * response[2, :-1, 0].conj()) / (2 * np.pi)
    assert np.allclose(turns, 0.117) and np.allclose(np.abs(response), 1) and not lost.any()
    assert np.angle(response[2, :, 0].sum()) == pytest.approx(0, abs=1e-9)
    assert (response[[0, 1, 3, 4, 5]] == 1).all()


def test_solutions_are_found_by_name_and_frequency_whatever_their_order(tile):
    rng = np.random.default_rng(3)
    values = rng.uniform(0.5, 2, (1, 6, 8, 2)) * np.exp(1j * rng.uniform(-3, 3, (1, 6, 8, 2)))
    order, channels = rng.permutation(6), np.arange(8)[::-1]
    shuffled = solutions(
        "B", values[:, order][:, :, channels], tile, names=[tile.antenna_names[i] for i in order],
        freq=tile.freq_hz[channels],
    )  # fmt: skip
    response, lost = steady_response(tile, None, shuffled)
    assert np.array_equal(response, values[0]) and not lost.any()


def test_channels_that_a_bandpass_lacks_are_lost(tile):
    values = np.ones((1, 6, 7, 2), complex)
    _, lost = steady_response(tile, None, solutions("B", values, tile, freq=np.delete(tile.freq_hz, 3)))
    assert np.flatnonzero(lost.all((0, 2))).tolist() == [3] and lost.sum() == 12
    near = solutions("B", np.ones((1, 6, 8, 2), complex), tile, freq=tile.freq_hz + 0.4 * tile.channel_width_hz)
    assert not steady_response(tile, None, near)[1].any()


def test_of_several_times_the_nearest_that_is_not_flagged(tile):
    middle = tile.times_mjd_s.mean()
    values = np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1) * np.ones((3, 6, 8, 2), complex)
    flag = np.zeros(values.shape, bool)
    flag[1, 0] = True
    flag[:, 4] = True
    bandpass = solutions("B", values, tile, flag=flag, times=middle + np.array([-100, 0, 300]))
    response, lost = steady_response(tile, None, bandpass)
    assert (response[1] == 2).all() and (response[0] == 1).all()
    assert np.flatnonzero(lost.any((1, 2))).tolist() == [4]


def test_corrupted_data_are_corrected_and_what_has_no_solution_is_flagged(tile):
    """``V_observed = J_p conj(J_q) V_true`` with one J for each receptor, channel and time."""
    rng = np.random.default_rng(5)
    bandpass = rng.uniform(0.5, 2, (1, 6, 8, 2)) * np.exp(1j * rng.uniform(-3, 3, (1, 6, 8, 2)))
    gains = rng.uniform(0.9, 1.1, (4, 6, 1, 2)) * np.exp(1j * rng.uniform(-0.3, 0.3, (4, 6, 1, 2)))
    delays = rng.normal(0, 5, (1, 6, 1, 2))
    truth = complex_noise(tile.shape)
    response = bandpass[0] * np.exp(2e-9j * np.pi * delays[0] * (tile.freq_hz - tile.freq_hz.mean())[:, None])
    time = np.repeat(np.arange(4), 15)
    full = response[None] * gains
    tile.data[:] = truth * full[time, tile.antenna1] * full[time, tile.antenna2].conj()
    lost = np.zeros((1, 6, 8, 2), bool)
    lost[0, 2, 5, 1] = True
    tables = (
        solutions("K", delays, tile), solutions("B", bandpass, tile, flag=lost),
        solutions("G", gains, tile, times=tile.times_mjd_s),
    )  # fmt: skip
    correct(tile, tables[0], tables[1], [tables[2]])
    expected = np.zeros(tile.shape, bool)
    expected[(tile.antenna1 == 2) | (tile.antenna2 == 2), 5, 1] = True
    assert np.array_equal(tile.flag, expected)
    assert np.allclose(tile.data[~expected], truth[~expected], rtol=1e-5)


def test_flags_that_were_there_stay_and_a_response_of_zero_is_lost(tile):
    tile.flag[7] = True
    values = np.ones((1, 6, 8, 2), complex)
    values[0, 1, 0, 0] = 0
    correction = Correction(tile, None, solutions("B", values, tile), [])
    rows = slice(0, 15)
    correction.apply(tile.data[rows], tile.flag[rows], rows)
    expected = np.zeros((15, 8, 2), bool)
    expected[7] = True
    expected[(tile.antenna1[rows] == 1) | (tile.antenna2[rows] == 1), 0, 0] = True
    assert np.array_equal(tile.flag[rows], expected)
    assert np.isfinite(tile.data).all()


def test_no_tables_change_nothing(tile):
    before = tile.data.copy()
    correct(tile, None, None, [])
    assert np.array_equal(tile.data, before) and not tile.flag.any()


def test_sets_are_turned_to_the_reference_of_the_first(tile):
    """The second set refers X to an antenna whose phase differs by 2 rad, Y to another by -1 rad."""
    rng = np.random.default_rng(8)
    base = np.exp(1j * rng.uniform(-3, 3, (1, 6, 1, 2)))
    first = solutions("G", base, tile, times=[0.0])
    second = solutions("G", base * np.exp(1j * np.array([2.0, -1.0])), tile, times=[600.0])
    earlier, later = on_one_reference([second, first])
    assert np.allclose(earlier.values, base) and np.allclose(later.values, base)
    nothing = solutions("G", base, tile, flag=np.ones(base.shape, bool), times=[600.0])
    assert np.array_equal(on_one_reference([first, nothing])[1].values, base)
