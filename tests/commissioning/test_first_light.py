"""Every fault of the simulated telescope is named, with its number, and nothing else is refuted.

The same at the telescope's 48 channels, on hundreds of files: benchmarks/check.py.
"""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from contimg.simulate import (
    ArrayErrors,
    BeamErrors,
    CorrelatorErrors,
    HeaderErrors,
    HostileSky,
)
from tests.commissioning.conftest import SMALL


def finding(outcome, key):
    return next(one for one in outcome.findings if one.key == key)


def refuted(outcome):
    return {one.key: one for one in outcome.refuted}


def test_clean_files_are_confirmed(clean):
    assert clean.refuted == ()
    open_questions = {one.key for one in clean.findings if one.verdict == "not measurable"}
    assert open_questions == {"receptor_names"}
    assert finding(clean, "sign").value > 0.95 > 0.4 > finding(clean, "sign").details["otherwise"]
    assert finding(clean, "frame").details["otherwise"] < 0.2
    clock, step = finding(clean, "clock"), finding(clean, "integration_time")
    assert abs(clock.value) < 3 * clock.error and clock.error < 3
    assert step.value == pytest.approx(12.884902, abs=0.01) and step.error < 0.005
    east = np.array(list(finding(clean, "positions").details["east_m"].values()))
    assert np.abs(east).max() < 0.3  # drifts of the electronics by degrees in an hour
    for row in finding(clean, "frequencies").details["subbands"]:
        assert abs(row["measured_mhz"] - row["labelled_mhz"]) < 5 * row["error_mhz"] < 5
    assert finding(clean, "channel_order").value == pytest.approx(1, abs=0.1)
    assert finding(clean, "delays").value < 25 and finding(clean, "delays").error < 5


def test_conjugated_data(checked):
    outcome = checked(correlator=CorrelatorErrors(conjugated=True))
    assert set(refuted(outcome)) == {"sign"}
    # All else is measured in the right sense.
    assert abs(finding(outcome, "clock").value) < 5 and finding(outcome, "channel_order").value > 0.9


def test_clock_thirty_seconds_early(checked):
    outcome = checked(correlator=CorrelatorErrors(clock_error_s=-30.0))
    assert set(refuted(outcome)) == {"clock"}
    assert refuted(outcome)["clock"].value == pytest.approx(-30, abs=3)
    assert "early" in refuted(outcome)["clock"].text


def test_two_swapped_antennas(checked):
    outcome = checked(array=ArrayErrors(swapped_antennas=((12, 44),)))
    assert set(refuted(outcome)) == {"swapped_antennas"}
    found = refuted(outcome)["swapped_antennas"]
    assert found.named == ("12", "44") and "12 and 44 are exchanged" in found.text
    assert found.details["coherence"]["12"][0] < 0.5 < 0.9 < found.details["coherence"]["12"][1]


@pytest.mark.parametrize("east", [2.0, 12.0])
def test_one_antenna_moved_to_the_east(checked, east):
    outcome = checked(array=ArrayErrors(moved_antennas=((28, east, 0.0),)))
    assert set(refuted(outcome)) == {"positions"}
    found = refuted(outcome)["positions"]
    assert found.named == ("28",) and found.value == pytest.approx(east, abs=0.3)


def test_antenna_moved_to_the_north_is_not_measurable_and_no_alarm(checked):
    outcome = checked(array=ArrayErrors(moved_antennas=((28, 0.0, 2.0),)))
    assert outcome.refuted == () and "north is known to" in finding(outcome, "positions").text


def test_positions_in_the_local_frame(checked):
    outcome = checked(array=ArrayErrors(local_positions=True))
    assert set(refuted(outcome)) == {"frame"}
    assert "east, north, up" in refuted(outcome)["frame"].text and refuted(outcome)["frame"].details["otherwise"] < 0.2


def test_exchanged_receptors_of_one_antenna(checked):
    outcome = checked(correlator=CorrelatorErrors(swapped_polarisations=(36,)))
    assert {key: one.named for key, one in refuted(outcome).items()} == {"receptors": ("36",)}


def test_packet_loss(checked):
    outcome = checked(correlator=CorrelatorErrors(packet_loss=((36, 0.2),)))
    assert {key: one.named for key, one in refuted(outcome).items()} == {"packet_loss": ("36",)}
    assert refuted(outcome)["packet_loss"].details["mean_loss"]["36"] == pytest.approx(0.2, abs=0.06)


def test_dead_antenna_and_products_in_another_order(checked):
    outcome = checked(options=replace(SMALL, dead=(51,)), correlator=CorrelatorErrors(products=("YY", "XX")))
    assert {key: one.named for key, one in refuted(outcome).items()} == {"boards": ("51",)}
    assert finding(outcome, "polarisations").text.startswith("the file holds YY XX;")


def test_sun_by_day_with_its_flux(checked):
    outcome = checked(
        options=replace(SMALL, stations=(*SMALL.stations, 2, 3, 5), start="2026-02-11T20:00:00"),
        sky=HostileSky(sun_jy=(60.0, 40.0)),
    )
    assert set(refuted(outcome)) == {"sun"}
    xx, yy = refuted(outcome)["sun"].details["apparent_jy"]
    assert (xx, yy) == (pytest.approx(60, rel=0.15), pytest.approx(40, rel=0.15))


def test_headers_on_the_grid_and_of_a_host_without_a_board(checked):
    outcome = checked(header=HeaderErrors(declination_grid=True, host_delays=(4,), host_declination=(6,)))
    assert {key: one.named for key, one in refuted(outcome).items()} == {"header_agreement": ("sb04",)}
    grid = finding(outcome, "declination")
    assert grid.verdict == "not measurable" and grid.value == pytest.approx(0, abs=1e-9)
    assert finding(outcome, "header_agreement").value == pytest.approx(2e-5, rel=0.1)  # arcsec


def test_hostile_sky_refutes_nothing(checked):
    sky = HostileSky(ateam_response=1e-3, satellites=((4, "starlink"), (8, "iridium")), ionosphere_arcsec=2.0)
    beam = BeamErrors(offset_deg=(0.1, -0.1), width=1.1, antenna_offset_deg=0.1, antenna_width=0.03)
    outcome = checked(options=replace(SMALL, rfi=((6, "line"), (12, "broad"))), sky=sky, beam=beam)
    assert outcome.refuted == ()


def test_exchanged_subbands(checked):
    def exchange(files):
        with h5py.File(files[4], "r+") as one, h5py.File(files[10], "r+") as other:
            kept = one["Data/visdata"][()]
            one["Data/visdata"][...] = other["Data/visdata"][()]
            other["Data/visdata"][...] = kept

    outcome = checked(exchange)
    assert set(refuted(outcome)) == {"frequencies"}
    assert refuted(outcome)["frequencies"].text.startswith("sb04 holds sb10, sb10 holds sb04")


def test_reversed_channels(checked):
    def reverse(files):
        for path in files.values():
            with h5py.File(path, "r+") as file:
                file["Data/visdata"][...] = file["Data/visdata"][()][:, :, ::-1]

    outcome = checked(reverse)
    assert set(refuted(outcome)) == {"channel_order"}
    assert refuted(outcome)["channel_order"].value == pytest.approx(-1, abs=0.2)


def test_antenna_numbers_one_too_low(checked):
    def shift(files):
        for path in files.values():
            with h5py.File(path, "r+") as file:
                for key in ("ant_1_array", "ant_2_array"):
                    file[f"Header/{key}"][...] = file[f"Header/{key}"][()] - 1

    options = replace(SMALL, stations=tuple(station for station in SMALL.stations if station > 1))
    outcome = checked(shift, options=options)
    assert set(refuted(outcome)) == {"station_order"}
    assert "one station further than the header says" in refuted(outcome)["station_order"].text


def test_integrations_stated_too_long(checked):
    def stretch(files):
        for path in files.values():
            with h5py.File(path, "r+") as file:
                times = file["Header/time_array"]
                times[...] = times[()].mean() + (times[()] - times[()].mean()) * 1.01
                file["Header/integration_time"][...] = file["Header/integration_time"][()] * 1.01

    outcome = checked(stretch)
    assert set(refuted(outcome)) == {"integration_time"}
    assert refuted(outcome)["integration_time"].value == pytest.approx(12.8849, abs=0.02)


def test_without_a_calibrator_only_headers_and_autocorrelations_speak(checked, transit, config_of):
    outcome = checked(options=replace(SMALL, calibrator="none"), correlator=CorrelatorErrors(conjugated=True))
    assert outcome.refuted == () and outcome.files.calibrator is None
    assert finding(outcome, "sign").verdict == "not measurable"
    assert "no calibrator of the list transits" in finding(outcome, "sign").text
    assert finding(outcome, "boards").verdict == "confirmed"


def test_noise_alone_is_no_fringe(checked):
    outcome = checked(options=replace(SMALL, calibrator_flux_jy=0.01, sources=0))
    assert outcome.refuted == ()
    assert finding(outcome, "sign").verdict == "not measurable" and "no fringes" in finding(outcome, "sign").text


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("spoil", ["nothing but zeros", "not finite", "one subband of zeros", "no autocorrelations"])
def test_damaged_data_are_a_verdict(checked, spoil):
    def damage(files):
        for path in list(files.values())[: 1 if spoil == "one subband of zeros" else None]:
            with h5py.File(path, "r+") as file:
                data = file["Data/visdata"][()]
                if spoil == "no autocorrelations":
                    data[file["Header/ant_1_array"][()] == file["Header/ant_2_array"][()]] = 0
                else:
                    data[...] = np.nan if spoil == "not finite" else 0
                file["Data/visdata"][...] = data

    tiny = replace(
        SMALL, integrations=8, stations=SMALL.stations[::2], missing=tuple((0, s) for s in range(16) if s % 5)
    )
    outcome = checked(damage, options=tiny)
    assert set(refuted(outcome)) == {"boards"}
    signs = {"one subband of zeros": "confirmed", "no autocorrelations": "confirmed"}
    assert finding(outcome, "sign").verdict == signs.get(spoil, "not measurable")


def test_two_of_eight_antennas_swapped(checked):
    stations = (1, 12, 28, 44, 51, 92, 103, 116)
    errors = ArrayErrors(swapped_antennas=((1, 116),))
    outcome = checked(options=replace(SMALL, stations=stations, integrations=24), array=errors)
    assert {key: one.named for key, one in refuted(outcome).items()} == {"swapped_antennas": ("1", "116")}


def test_three_antennas_and_two_integrations_are_too_few(checked):
    tiny = replace(SMALL, stations=(1, 51, 108), channels=1, integrations=2)
    assert checked(options=tiny).refuted == ()
