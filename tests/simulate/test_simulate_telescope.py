"""Each difference of the telescope from its headers, against a closed form."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from contimg.simulate import (
    ArrayErrors,
    BeamErrors,
    CorrelatorErrors,
    GainErrors,
    HeaderErrors,
    HostileSky,
    NightOptions,
    SimulationError,
    TelescopeErrors,
    simulate_night,
)
from contimg.simulate.beam import power_beam, tapered_voltage
from contimg.simulate.far_sources import ATEAM, ionospheric_shift_rad

C = 299792458.0
SIDEREAL = 7.292115146706979e-5
SEFD = 5800.0
DEC = np.radians(40.0)
STATIONS = (1, 50, 80, 108)
IDEAL = NightOptions(
    tiles=1,
    stations=STATIONS,
    channels=2,
    integrations=5,
    declination_deg=40.0,
    sources=0,
    noise=False,
    gains=GainErrors.none(),
    missing=tuple((0, subband) for subband in range(1, 16)),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a function that simulates one file (sb00) and reads it; ideal files are made once."""
    known = {}

    def write(options=IDEAL, **errors):
        options = replace(options, telescope=TelescopeErrors(**errors))
        if options not in known:
            out = tmp_path_factory.mktemp("telescope") / "night"
            record = simulate_night(out, options)
            known[options] = read(record)
        return known[options]

    return write


def read(record):
    with h5py.File(record.files[0].path) as file:
        header = {name: value[()] for name, value in file["Header"].items() if isinstance(value, h5py.Dataset)}
        extra = {name: value[()] for name, value in file["Header/extra_keywords"].items()}
        pairs = np.stack([header["ant_1_array"], header["ant_2_array"]], axis=1)[: header["Nbls"]] + 1
        data = file["Data/visdata"][()] * 220.0  # Jy
    shape = (header["Ntimes"], header["Nbls"], header["Nfreqs"], header["Npols"])
    return SimpleNamespace(
        record=record,
        header=header,
        extra=extra,
        data=data.reshape(shape),
        pairs=[tuple(pair) for pair in pairs.tolist()],
        frequencies=header["freq_array"][0],
        seconds=(np.arange(shape[0]) - (shape[0] - 1) / 2) * 12.884901888,
    )


def phase_turns(changed, ideal, pair):
    """Return the phase of one baseline against the ideal, turns in (-1/2, 1/2], (integrations, channels)."""
    row = ideal.pairs.index(pair)
    assert changed.pairs == ideal.pairs
    return np.angle(changed.data[:, row, :, 0] / ideal.data[:, row, :, 0]) / (2 * np.pi)


def pair_with(file, station):
    """Return a cross-correlation with the station, as antenna 2 where there is one."""
    pairs = [pair for pair in file.pairs if station in pair and pair[0] != pair[1]]
    return next((pair for pair in pairs if pair[1] == station), pairs[0])


def test_default_is_the_ideal_telescope(written):
    assert written().data is written(beam=BeamErrors(), sky=HostileSky()).data
    assert TelescopeErrors() == NightOptions().telescope


# Values of the simulator before it knew these options.
BEFORE = [14.600699424743652 - 0.2200191617012024j, 0.15554799139499664 + 7.0421977043151855j, 4841.3291015625]


def test_ideal_visibilities_are_those_of_before(tmp_path):
    options = NightOptions(tiles=1, antennas=6, channels=4, integrations=3, sources=5, seed=8, smearing=True,
                           declination_deg=54.57, missing=IDEAL.missing)  # fmt: skip
    data = read(simulate_night(tmp_path / "night", options)).data
    assert [complex(data[index]) for index in ((0, 1, 0, 0), (1, 7, 2, 1), (2, 20, 3, 0))] == pytest.approx(
        BEFORE, rel=1e-6
    )


def test_moved_antenna_turns_the_phase_by_its_east_offset_times_the_hour_angle(written):
    ideal, moved = written(), written(array=ArrayErrors(moved_antennas=((50, 2.0, 0.0),)))
    hour_angle = SIDEREAL * ideal.seconds
    path_m = -2.0 * np.cos(DEC) * np.sin(hour_angle)
    expected = path_m[:, None] * ideal.frequencies / C
    assert phase_turns(moved, ideal, pair_with(ideal, 50)) == pytest.approx(expected, abs=2e-5)
    assert np.array_equal(moved.header["antenna_positions"], ideal.header["antenna_positions"])


def test_antenna_moved_north_has_the_phase_of_its_path_to_the_source(written):
    ideal, moved = written(), written(array=ArrayErrors(moved_antennas=((50, 0.0, 2.0),)))
    latitude = 0.6498455107238486
    hour_angle = SIDEREAL * ideal.seconds
    # North of the site is (-sin lat, 0, cos lat) towards (cos dec cos H, ., sin dec).
    path_m = 2.0 * (np.cos(latitude) * np.sin(DEC) - np.sin(latitude) * np.cos(DEC) * np.cos(hour_angle))
    expected = path_m[:, None] * ideal.frequencies / C
    difference = phase_turns(moved, ideal, pair_with(ideal, 50)) - expected
    assert difference - np.rint(difference) == pytest.approx(np.zeros_like(expected), abs=2e-5)


def test_swapped_antennas_have_each_others_fringe_rates(written):
    ideal, swapped = written(), written(array=ArrayErrors(swapped_antennas=((1, 50),)))
    east_m = dict(zip(STATIONS, east_of(STATIONS), strict=True))
    turns = np.unwrap(phase_turns(swapped, ideal, pair_with(ideal, 50)), axis=0, period=1)
    other = pair_with(ideal, 50)[0]
    # Against an unswapped antenna, or from the swapped partner: its own change comes on top.
    wrong_m = (east_m[1] - east_m[50]) * (2 if other == 1 else 1)
    expected = -wrong_m * np.cos(DEC) * np.sin(SIDEREAL * ideal.seconds)[:, None] * ideal.frequencies / C
    measured = turns - turns[2]
    assert (measured - expected) - np.rint(measured - expected) == pytest.approx(np.zeros_like(expected), abs=5e-3)


def east_of(stations):
    from contimg.simulate.array import antenna_positions, local_positions

    return local_positions(antenna_positions())[np.array(stations) - 1, 1]


def test_positions_in_the_local_frame(written):
    ideal, local = written(), written(array=ArrayErrors(local_positions=True))
    assert np.array_equal(ideal.data, local.data)
    east, north, up = local.header["antenna_positions"][101] - local.header["antenna_positions"][51]
    # Stations 52 to 102, the north-south arm: 3.8984e-3 deg of latitude with the meridian's radius of curvature there.
    sine2 = np.sin(np.radians(37.2354)) ** 2
    radius_m = 6378137 * (1 - 0.00669438) / (1 - 0.00669438 * sine2) ** 1.5 + 1182.6
    assert (east, north) == pytest.approx((0.0, np.radians(3.8984e-3) * radius_m), abs=0.002)
    assert up == pytest.approx(0.0, abs=0.05)


def test_clock_error_moves_the_sky_and_not_the_header(written):
    ideal, early = written(), written(correlator=CorrelatorErrors(clock_error_s=-1.8))
    assert np.array_equal(ideal.header["time_array"], early.header["time_array"])
    # The true time is 1.8 s later: the source has moved west by as much.
    from contimg.simulate.array import antenna_positions, local_positions

    one, two = pair_with(ideal, 108)
    x, y, _ = np.diff(local_positions(antenna_positions())[[one - 1, two - 1]], axis=0)[0]
    hour_angle = SIDEREAL * ideal.seconds

    def towards(angle):
        return x * np.cos(DEC) * np.cos(angle) - y * np.cos(DEC) * np.sin(angle)

    path_m = towards(hour_angle + 1.8 * SIDEREAL) - towards(hour_angle)
    difference = phase_turns(early, ideal, (one, two)) - path_m[:, None] * ideal.frequencies / C
    assert difference - np.rint(difference) == pytest.approx(np.zeros_like(difference), abs=2e-4)


def test_conjugated_visibilities(written):
    assert np.array_equal(np.conj(written().data), written(correlator=CorrelatorErrors(conjugated=True)).data)


def test_exchanged_receptors_lose_the_unpolarised_sky(written):
    ideal, swapped = written(), written(correlator=CorrelatorErrors(swapped_polarisations=(50, 80)))
    for row, (one, two) in enumerate(ideal.pairs):
        if (one in (50, 80)) == (two in (50, 80)):
            assert np.array_equal(ideal.data[:, row], swapped.data[:, row])
        else:
            assert not swapped.data[:, row].any()


def test_packet_loss_shows_in_autocorrelations_as_in_their_products(written):
    ideal, lossy = written(), written(correlator=CorrelatorErrors(packet_loss=((50, 0.2), (80, 0.1))))
    ratio = lossy.data.real / np.where(ideal.data == 0, 1, np.abs(ideal.data))
    kept = {station: ratio[:, ideal.pairs.index((station, station)), 0, 0] for station in STATIONS}
    assert kept[1] == pytest.approx(np.ones(5)) and kept[108] == pytest.approx(np.ones(5))
    assert 0.6 < kept[50].min() < kept[50].max() <= 1 and kept[80].min() > 0.8
    one, two = next(pair for pair in ideal.pairs if set(pair) == {50, 80})
    cross = np.abs(lossy.data / ideal.data)[:, ideal.pairs.index((one, two)), 0, 0]
    assert cross == pytest.approx(kept[50] * kept[80], rel=1e-5)


@pytest.mark.parametrize(
    ("products", "codes"), [(("YY", "XX"), [-6, -5]), (("XX", "XY", "YX", "YY"), [-5, -7, -8, -6]), (("XX",), [-5])]
)
def test_products_stand_in_the_order_asked_for(written, products, codes):
    noisy = replace(IDEAL, noise=True)
    ideal, other = written(noisy), written(noisy, correlator=CorrelatorErrors(products=products))
    assert other.header["polarization_array"].tolist() == codes
    assert other.data.shape[-1] == len(products)
    for place, name in enumerate(products):
        if name in ("XX", "YY"):
            assert np.array_equal(other.data[..., place], ideal.data[..., ("XX", "YY").index(name)])
        else:  # noise of a radiometer: SEFD / sqrt(2 bandwidth time) in each part
            sigma = SEFD / np.sqrt(2 * 11.71875e6 / 2 * 12.884901888)
            assert np.std(other.data[..., place].real) == pytest.approx(sigma, rel=0.25)


def test_header_declination_on_the_grid_while_the_dishes_stand_between(written):
    options = replace(IDEAL, declination_deg=40.1)
    ideal, grid = written(options), written(options, header=HeaderErrors(declination_grid=True))
    for value in (grid.header["phase_center_app_dec"], grid.extra["phase_center_dec"]):
        assert np.degrees(value) == pytest.approx(40.0, abs=1e-12)
    assert np.degrees(ideal.header["phase_center_app_dec"]) == pytest.approx(40.1, abs=1e-12)
    row = ideal.pairs.index(pair_with(ideal, 50))
    assert np.abs(grid.data[2, row]) == pytest.approx(np.abs(ideal.data[2, row]), rel=1e-6)  # the beam stays
    turns = phase_turns(grid, ideal, pair_with(ideal, 108))
    assert np.abs(turns).max() > 0.01  # the phase centre does not


def test_headers_of_single_hosts(tmp_path):
    errors = HeaderErrors(host_declination=(0,), host_delays=(1,), spectral_line_files=True)
    options = replace(
        IDEAL, missing=tuple((0, subband) for subband in range(3, 16)), telescope=TelescopeErrors(header=errors)
    )
    record = simulate_night(tmp_path / "night", options)
    heads = []
    for file in record.files[:3]:
        with h5py.File(file.path) as opened:
            extra = opened["Header/extra_keywords"]
            heads.append((extra["phase_center_dec"][()], extra["applied_delays_ns"][()].split()))
    assert heads[0][0] - heads[2][0] == pytest.approx(1e-10, rel=1e-4) and heads[1][0] == heads[2][0]
    changed = [index for index, pair in enumerate(zip(heads[1][1], heads[2][1], strict=True)) if pair[0] != pair[1]]
    assert changed == [0, 1, 98, 99, 158, 159]  # X and Y of stations 1, 50 and 80
    assert {heads[1][1][index] for index in changed} == {b"0"} and heads[0][1] == heads[2][1]
    twins = sorted(path.name for path in (record.out / "incoming").glob("*_spl.hdf5"))
    assert twins == sorted(f"{file.path.stem}_spl.hdf5" for file in record.files[:3])


def test_files_of_96_integrations(tmp_path):
    record = simulate_night(tmp_path / "night", replace(IDEAL, integrations=96))
    file = read(record)
    assert file.header["Ntimes"] == 96 and len(file.data) == 96
    length_s = np.ptp(file.header["time_array"]) * 86400
    assert length_s == pytest.approx(95 * 12.884901888, abs=1e-3)


def test_beam_offset_and_width(written):
    ideal = written()
    wide = written(beam=BeamErrors(offset_deg=(0.3, -0.4), width=1.1))
    row = ideal.pairs.index(pair_with(ideal, 50))
    ratio = np.abs(wide.data[2, row, :, 0] / ideal.data[2, row, :, 0])  # at transit: 0.5 deg from the axis
    expected = power_beam(np.radians(0.5) / 1.1, ideal.frequencies)
    assert ratio == pytest.approx(expected, rel=2e-5)
    # 32 s later the source is 0.1 deg further west of the axis, which lies east.
    later = np.abs(wide.data[4, row, 0, 0] / ideal.data[4, row, 0, 0])
    west = np.degrees(np.cos(DEC) * SIDEREAL * ideal.seconds[4])
    centred = power_beam(np.radians(west), ideal.frequencies[:1])[0]
    offset = power_beam(np.radians(np.hypot(0.3 + west, 0.4)) / 1.1, ideal.frequencies[:1])[0]
    assert later == pytest.approx(offset / centred, rel=2e-4)


def test_a_night_through_the_tapered_beam(written):
    ideal = written()
    tapered = written(beam=BeamErrors(offset_deg=(0.3, -0.4), pattern="tapered"))
    row = ideal.pairs.index(pair_with(ideal, 50))
    ratio = np.abs(tapered.data[2, row, :, 0] / ideal.data[2, row, :, 0])  # at transit: 0.5 deg from the axis
    assert ratio == pytest.approx(tapered_voltage(np.radians(0.5), ideal.frequencies) ** 2, rel=2e-5)
    with pytest.raises(SimulationError, match="--beam-pattern 'square' is unknown: use one of airy, tapered"):
        written(beam=BeamErrors(pattern="square"))


def test_beams_of_single_antennas_multiply(written):
    ideal = written()
    several = written(beam=BeamErrors(antenna_offset_deg=0.3, antenna_width=0.05))
    loss = {pair: abs(several.data[2, row, 0, 0]) / abs(ideal.data[2, row, 0, 0])
            for row, pair in enumerate(ideal.pairs) if pair[0] != pair[1]}  # fmt: skip
    by_set = {frozenset(pair): value for pair, value in loss.items()}
    a, b, c, d = STATIONS
    # v_a v_b v_c v_d in two ways.
    assert by_set[frozenset({a, b})] * by_set[frozenset({c, d})] == pytest.approx(
        by_set[frozenset({a, c})] * by_set[frozenset({b, d})], rel=1e-5
    )
    assert np.std(list(by_set.values())) > 0.005


def test_sun_adds_its_flux_to_the_autocorrelations_by_day_only(written):
    noon, night = (replace(IDEAL, start=f"2026-02-11T{hour}:00:00") for hour in ("20", "08"))
    scale = (written(noon).frequencies / 1.4e9) ** 0.6
    for options, flux in ((noon, np.array([60.0, 40.0])), (night, np.zeros(2))):
        ideal, sunny = written(options), written(options, sky=HostileSky(sun_jy=(60.0, 40.0)))
        row = ideal.pairs.index((50, 50))
        excess = (sunny.data - ideal.data)[:, row].real
        assert excess == pytest.approx(np.broadcast_to(scale[:, None] * flux, excess.shape), abs=2e-3)
        cross = (sunny.data - ideal.data)[:, ideal.pairs.index(pair_with(ideal, 108))]
        assert np.abs(cross).max() < 0.5  # beyond a kilometre the disc is resolved


def test_ateam_in_the_far_sidelobes(written):
    # 2026-02-11 20:00 UTC is LST 21.6 h: Cas A and Cyg A are up, Tau A and Vir A are not.
    options = replace(IDEAL, start="2026-02-11T20:00:00")
    ideal, bright = written(options), written(options, sky=HostileSky(ateam_response=0.01))
    row = ideal.pairs.index((50, 50))
    excess = (bright.data - ideal.data)[:, row, :, 0].real
    up = [
        (flux * (ideal.frequencies / 1.4e9) ** index) for name, _, _, flux, index, _ in ATEAM if name[:3] in "Cas Cyg"
    ]
    assert excess == pytest.approx(np.broadcast_to(0.01 * sum(up), excess.shape), abs=2e-3)


@pytest.mark.parametrize(("kind", "cells"), [("iridium", 3), ("starlink", 6)])
def test_satellites_burst_in_a_few_integrations_and_fade_on_long_baselines(written, kind, cells):
    ideal, hit = written(), written(sky=HostileSky(satellites=((0, kind),), satellite_jy=500.0))
    difference = hit.data - ideal.data
    auto = np.abs(difference[:, ideal.pairs.index((50, 50)), :, 0])
    assert np.count_nonzero(auto) == cells and auto[auto > 0] == pytest.approx(500, abs=0.01)
    assert np.abs(difference[:, ideal.pairs.index(pair_with(ideal, 108))]).max() < 50


def test_ionosphere_shifts_slowly_and_goes_with_wavelength(written):
    times = 2461082.5 + np.arange(0, 86400, 30) / 86400
    shift = np.degrees(ionospheric_shift_rad(2.0, times, times[0], 1)) * 3600
    size = np.linalg.norm(shift, axis=1)
    assert 1.0 < size.max() <= 2.0 and np.abs(np.diff(shift, axis=0)).max() < 0.5
    ideal, shifted = written(), written(sky=HostileSky(ionosphere_arcsec=2.0))
    high, low = phase_turns(shifted, ideal, pair_with(ideal, 108)).T
    assert np.abs(high).max() > 1e-3
    assert high / low == pytest.approx(np.full(5, ideal.frequencies[1] / ideal.frequencies[0]), rel=2e-2)


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ({"array": ArrayErrors(moved_antennas=((3, 2.0, 0.0),))}, "--moved-antenna 3 is not among"),
        ({"array": ArrayErrors(swapped_antennas=((50, 50),))}, "--swapped-antennas 50,50 names one station twice"),
        ({"correlator": CorrelatorErrors(products=("XX", "XX"))}, "--products XX,XX are not"),
        ({"correlator": CorrelatorErrors(products=("RR",))}, "--products 'RR' is unknown"),
        ({"correlator": CorrelatorErrors(packet_loss=((50, 0.9),))}, "--packet-loss 0.9 is out of range"),
        ({"header": HeaderErrors(host_delays=(16,))}, "--host-delays 16 is out of range"),
        ({"sky": HostileSky(satellites=((1, "gps"),))}, "--satellite kind 'gps' is unknown"),
        ({"beam": BeamErrors(width=0.0)}, "--beam-width 0 is out of range"),
    ],
)
def test_what_cannot_be_simulated_is_said(tmp_path, errors, message):
    with pytest.raises(SimulationError, match=message):
        simulate_night(tmp_path / "night", replace(IDEAL, telescope=TelescopeErrors(**errors)))
    assert not (tmp_path / "night").exists()
