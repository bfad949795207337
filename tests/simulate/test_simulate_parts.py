"""Parts of the simulator against closed forms: array, band, beam, schedule, gains, interference, correlator faults."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.testing import assert_allclose

from contimg.simulate import GainErrors, NightOptions, SimulationError, array, band, beam, interference, receptors
from contimg.simulate import constants as c
from contimg.simulate.gains import make_gains
from contimg.simulate.randomness import generator
from contimg.simulate.schedule import crosses_midnight, isoformat, make_tiles, plain_start, run_length_s, tile_offsets_s
from contimg.simulate.telescope import CorrelatorErrors

# --- array ------------------------------------------------------------------------------------------------------


def test_the_frame_of_the_site_has_its_x_on_the_meridian():
    """A point on the equator at the site's longitude is on x; the pole is z; east of the site is y."""
    longitude = c.SITE_LONGITUDE_RAD
    points = [[math.cos(longitude), math.sin(longitude), 0], [-math.sin(longitude), math.cos(longitude), 0], [0, 0, 1]]
    assert_allclose(array.local_positions(np.array(points)), np.eye(3), atol=1e-15)


@pytest.mark.parametrize("declination_deg", [-20.0, 0.0, 37.0, 90.0])
def test_uvw_of_the_meridian_are_a_rotation(declination_deg):
    """East is u at any declination; the direction of the source is w, of the same length."""
    declination = math.radians(declination_deg)
    axes = array.meridian_uvw(np.eye(3), declination)
    assert_allclose(axes @ axes.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert_allclose(axes[1], [1, 0, 0])
    towards = np.array([math.cos(declination), 0, math.sin(declination)])
    assert_allclose(array.meridian_uvw(towards, declination), [0, 0, 1], atol=1e-15)


def test_turning_u_and_v_leaves_w_and_the_length():
    uvw = np.array([[3.0, 4.0, 5.0], [1.0, 0.0, -2.0]])
    turned = array.rotate_uv(uvw, math.pi / 2)
    assert_allclose(turned, [[-4, 3, 5], [0, 1, -2]], atol=1e-15)
    assert_allclose(array.rotate_uv(turned, -math.pi / 2), uvw, atol=1e-15)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_baselines_have_every_pair_once_and_each_antenna_with_itself(count):
    first, second = array.baseline_pairs(count)
    assert len(first) == count * (count + 1) // 2 and np.all(first <= second)
    assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == len(first)
    assert np.count_nonzero(first == second) == count


def test_the_order_of_the_correlator_is_a_permutation_that_subsets_keep():
    every = tuple(range(1, c.TELESCOPE_STATIONS + 1))
    order = array.correlator_order(every)
    assert sorted(order) == list(every) and order != every
    some = (5, 24, 103, 117)
    assert array.correlator_order(some) == tuple(one for one in order if one in some)


@pytest.mark.parametrize(("count", "limit"), [(2, None), (97, None), (4, 6.0), (0, None)])
def test_antennas_that_the_array_does_not_have_are_refused(count, limit):
    with pytest.raises(SimulationError, match=rf"^--antennas {count} is out of range: choose 3 to \d+"):
        array.choose_stations(count, limit)


def test_the_longest_baseline_of_a_choice_is_within_its_limit():
    chosen = array.choose_stations(10, 300.0)
    assert len(set(chosen)) == 10 and array.longest_baseline_m(chosen) <= 300.0
    assert set(chosen) <= set(array.active_stations())


# --- band and beam ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 8, 48, 384])
def test_the_band_is_without_gaps_at_any_width_of_channels(channels):
    frequencies = band.band_frequencies(channels).ravel()
    assert_allclose(-np.diff(frequencies), band.channel_width_hz(channels), rtol=1e-9)
    top = frequencies[0] + band.channel_width_hz(channels) / 2
    assert top == pytest.approx((1530 - (1024 - 0.5) * 250 / 8192) * 1e6, abs=1e-3)
    assert frequencies.mean() == pytest.approx(band.band_frequencies(48).mean(), abs=1e-3)


def test_a_dish_without_blockage_has_the_nulls_of_the_airy_pattern():
    """J1 has its zeros at 3.8317 and 7.0156: sin(theta) = zero * lambda / (pi D)."""
    wavelength = c.SPEED_OF_LIGHT_M_S / 1.4e9
    for zero in (3.8317059702, 7.0155866698):
        angle = math.asin(zero * wavelength / (math.pi * 4.65))
        assert beam.power_beam(np.array(angle), np.array(1.4e9), 4.65, 1e-9) == pytest.approx(0, abs=1e-12)
    assert beam.power_beam(np.array(0.0), np.array(1.4e9)) == 1


def test_the_first_sidelobe_of_a_dish_without_blockage_is_at_17_6_db():
    angles = np.radians(np.linspace(3.2, 6.0, 4000))
    peak = beam.power_beam(angles, np.array(1.4e9), 4.65, 1e-9).max()
    assert 10 * math.log10(peak) == pytest.approx(-17.57, abs=0.01)


def test_the_beam_scales_with_wavelength_and_ends_at_eight_degrees():
    angles = np.radians(np.linspace(0, 3, 50))
    halved = beam.voltage_beam(np.arcsin(np.sin(angles) / 2), np.array(2.8e9))
    assert_allclose(halved, beam.voltage_beam(angles, np.array(1.4e9)), atol=1e-12)
    assert beam.power_beam(np.radians([7.9, 8.1]), np.array(1.4e9))[1] == 0


# --- schedule ---------------------------------------------------------------------------------------------------


def test_tiles_follow_each_other_but_for_the_gaps_asked_for():
    options = NightOptions(tiles=4, integrations=24, gaps=((2, 600.0),))
    tile_s = 24 * c.INTEGRATION_S
    assert_allclose(tile_offsets_s(options), [0, tile_s, 2 * tile_s + 600, 3 * tile_s + 600])
    assert run_length_s(options) == pytest.approx(4 * tile_s + 600)


def test_a_tile_has_the_centres_of_its_integrations_and_is_named_by_the_first():
    options = NightOptions(tiles=2, integrations=3, start="2026-02-11T06:00:00")
    start = plain_start(options)
    first, second = make_tiles(options, start)
    seconds = (first.times_jd - start) * 86400
    assert_allclose(seconds, c.INTEGRATION_S * np.array([0.5, 1.5, 2.5]), atol=1e-4)
    assert first.tile_id == "2026-02-11T06:00:06" and second.tile_id == "2026-02-11T06:00:45"
    assert first.middle_jd == pytest.approx(start + 1.5 * c.INTEGRATION_S / 86400, abs=1e-9)
    assert first.file_name(7, "_incomplete").endswith("_sb07_incomplete.hdf5")


@pytest.mark.parametrize("restart", [False, True])
def test_names_of_files_lead_the_data_by_what_the_telescope_does(restart):
    """1 to 2 s within 0 to 2 s of each other; after a restart about 105 s, spread over 13 to 22 s."""
    options = NightOptions(tiles=20, integrations=24, restarts=tuple(range(20)) if restart else ())
    for tile in make_tiles(options, plain_start(options)):
        names = [datetime.fromisoformat(name).replace(tzinfo=UTC).timestamp() for name in tile.file_times]
        spread = max(names) - min(names)
        begin = (tile.start_jd - 2_440_587.5) * 86400
        assert (13 <= spread <= 22) if restart else (0 <= spread <= 3)
        assert (80 <= begin - max(names) <= 106) if restart else (0 <= begin - max(names) <= 3)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01T00:00:00"), (0.999, "1970-01-01T00:00:00"), (86400 * 365, "1971-01-01T00:00:00")],
)
def test_a_julian_date_is_floored_to_a_second(seconds, text):
    assert isoformat(2_440_587.5 + (seconds + 1e-4) / 86400) == text


@pytest.mark.parametrize(
    ("start", "tiles", "crosses"), [("23:58:00", 1, True), ("23:50:00", 1, False), ("23:50:00", 3, True)]
)
def test_midnight_lies_within_a_run_or_not(start, tiles, crosses):
    options = NightOptions(tiles=tiles, integrations=24, start=f"2026-02-11T{start}")
    assert crosses_midnight(plain_start(options), options) is np.bool_(crosses)


def test_a_run_that_is_to_cross_midnight_has_it_in_its_middle():
    options = NightOptions(tiles=2, integrations=24, date="2026-02-11", cross_midnight=True)
    start = plain_start(options)
    middle = start + run_length_s(options) / 2 / 86400
    assert isoformat(middle + 1e-6) == "2026-02-12T00:00:00" and crosses_midnight(start, options)


def test_random_numbers_depend_on_seed_purpose_and_indices_alone():
    draws = [generator(*key).random() for key in ((1, "a"), (1, "b"), (2, "a"), (1, "a", 1), (1, "a", 2), (1, "a"))]
    assert draws[0] == draws[-1] and len(set(draws)) == 5


# --- gains ------------------------------------------------------------------------------------------------------

STATIONS = (3, 17, 50)
FREQUENCIES = band.band_frequencies(4)
TIMES = 2_461_082.75 + np.arange(6).reshape(2, 3) * 0.1


def gains(errors, dead=(), seed=3):
    return make_gains(errors, STATIONS, dead, FREQUENCIES, TIMES, seed)


def test_without_errors_every_gain_is_one():
    made = gains(GainErrors.none())
    assert_allclose(made.of(1, 5), np.ones((3, 3, 4, 2)))


def test_a_dead_antenna_has_a_twentieth_of_the_amplitude():
    made = gains(GainErrors.none(), dead=(17,)).of(0, 0)
    assert_allclose(np.abs(made[:, 1]), 0.05)
    assert_allclose(np.abs(made[:, [0, 2]]), 1)


def test_a_delay_is_a_slope_of_phase_that_is_zero_at_the_middle_of_the_band():
    made = gains(replace(GainErrors.none(), delay_ns=5.0))
    for antenna in range(3):
        for polarisation in range(2):
            delay = made.delays_s[antenna, polarisation]
            for subband in (0, 15):
                offset = FREQUENCIES[subband] - FREQUENCIES.mean()
                expected = np.exp(2j * np.pi * delay * offset)
                assert_allclose(made.of(0, subband)[0, antenna, :, polarisation], expected, atol=1e-12)


def test_ripples_and_drifts_have_the_rms_that_is_asked_for():
    """Sinusoids of unit rms: over 400 draws the rms of bandpass and drift is that of the options."""
    stations = tuple(range(1, 201))
    many = make_gains(
        replace(GainErrors.none(), bandpass=0.05, drift_phase_deg=4.0),
        stations,
        (),
        band.band_frequencies(48),
        TIMES,
        1,
    )
    assert np.angle(many.bandpass).std() == pytest.approx(0.05, rel=0.1)
    assert np.degrees(np.angle(many.drifts)).std() == pytest.approx(4.0, rel=0.15)


def test_the_truth_of_the_gains_can_be_read_back(tmp_path):
    made = gains(GainErrors())
    made.save(tmp_path / "gains.npz", STATIONS, TIMES, 1 / 220)
    with np.load(tmp_path / "gains.npz") as kept:
        steady = (kept["amplitudes"] * np.exp(1j * kept["phases"]))[:, :, None] * kept["bandpass"][:, :, 2]
        slope = np.exp(
            2j * np.pi * kept["delays_ns"][:, :, None] * 1e-9 * (FREQUENCIES[2] - kept["delay_reference_hz"])
        )
        again = np.einsum("apf,apt->tafp", steady * slope, kept["drifts"][:, :, 1])
        assert_allclose(again, made.of(1, 2), rtol=1e-12)
        assert kept["stations"].tolist() == list(STATIONS) and kept["units_per_jy"] == 1 / 220


# --- interference -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 4, 48])
def test_interference_strikes_the_cells_that_its_kind_says(channels):
    requests = ((4, "line"), (5, "burst"), (6, "broad"))
    events = interference.plan_events(requests, 30.0, 3, channels, 8, seed=2)
    assert len(events) == 9
    lines = [one for one in events if one.kind == "line"]
    assert len({one.channels for one in lines}) == 1  # the same all night
    for one in events:
        assert one.describe()["strength_jy"] == 30.0
        assert max(one.channels) < channels and max(one.integrations) < 8
        expected = {"line": max(1, channels // 16), "burst": max(1, channels // 3), "broad": channels}[one.kind]
        assert len(one.channels) == len(set(one.channels)) == expected
        assert len(one.integrations) in {"line": {8}, "burst": {2}, "broad": {1, 2, 3}}[one.kind]


def test_interference_is_added_with_the_phases_of_its_antennas_and_nowhere_else():
    first, second = array.baseline_pairs(4)
    data = np.zeros((5, len(first), 6, 2), np.complex64)
    event = interference.InterferenceEvent(0, 4, "burst", (1, 2), (3,), 100.0)
    coupled = interference.coupling(4, seed=9)
    interference.add_events(data, (event,), coupled, first, second, seed=9)
    outside = data.copy()
    outside[np.ix_([3], range(len(first)), [1, 2])] = 0
    assert np.all(outside == 0)
    struck = data[3][:, [1, 2]]
    pair = np.conj(coupled[first]) * coupled[second]
    levels = struck / pair[:, None, :]
    assert_allclose(levels.imag, 0, atol=1e-4)
    assert np.all((levels.real > 49.9) & (levels.real < 150.1))
    assert_allclose(levels, np.broadcast_to(levels[:1, :, :1], levels.shape), rtol=1e-5)  # one level for all baselines


# --- faults of the correlator -----------------------------------------------------------------------------------


def products(antennas=3, times=2, channels=2):
    """Return unpolarised visibilities that differ on every baseline, and the antennas of each."""
    first, second = array.baseline_pairs(antennas)
    base = np.arange(1, len(first) + 1)[None, :, None, None] * np.array([1.0, 1.5])
    return np.broadcast_to(base, (times, len(first), channels, 2)).astype(np.complex64).copy(), first, second


def test_exchanged_receptors_exchange_products_and_kill_mixed_ones():
    data, first, second = products()
    before = data.copy()
    receptors.swap_receptors(data, np.array([True, False, True]), first, second)
    both = np.isin(first, [0, 2]) & np.isin(second, [0, 2])
    mixed = np.isin(first, [0, 2]) ^ np.isin(second, [0, 2])
    assert np.all(data[:, both] == before[:, both][..., ::-1])
    assert np.all(data[:, mixed] == 0)
    assert np.all(data[:, ~both & ~mixed] == before[:, ~both & ~mixed])


def test_lost_packets_take_their_fraction_of_autocorrelations_and_products():
    data, first, second = products(times=4000, channels=1)
    before = data.copy()
    losses = receptors.losses_of(CorrelatorErrors(packet_loss=((17, 0.3),)), STATIONS)
    assert losses.tolist() == [0, 0.3, 0]
    receptors.lose_packets(data, losses, first, second, np.random.default_rng(1))
    left = (data / before).real.mean(axis=(0, 2, 3))
    for k, (one, other) in enumerate(zip(first, second, strict=True)):
        assert left[k] == pytest.approx(0.7 if 1 in (one, other) else 1.0, abs=0.01)


def test_products_are_arranged_conjugated_and_crossed_as_asked():
    data, first, second = products()
    data = data * (1 + 2j)
    key = (1, 0, 4)
    same = receptors.arrange_products(data, CorrelatorErrors(), first, second, 0.1, key)
    assert same is data
    turned = receptors.arrange_products(
        data, CorrelatorErrors(conjugated=True, products=("YY", "XX")), first, second, 0.1, key
    )
    assert_allclose(turned, np.conj(data)[..., ::-1])
    many, first, second = products(antennas=12, times=40)
    four = receptors.arrange_products(
        many, CorrelatorErrors(products=("XX", "XY", "YX", "YY")), first, second, 0.1, key
    )
    assert_allclose(four[..., [0, 3]], many)
    for crossed in (four[..., 1], four[..., 2]):
        assert crossed.real.std() == pytest.approx(0.1, rel=0.05) and abs(crossed.mean()) < 0.01
    assert not np.allclose(four[..., 1], four[..., 2])
