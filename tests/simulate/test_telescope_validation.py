"""Options of the simulated telescope: what is beyond its range is named in one sentence with the range."""

import math

import pytest

from contimg.simulate import SimulationError
from contimg.simulate.telescope import (
    ArrayErrors,
    BeamErrors,
    CorrelatorErrors,
    HeaderErrors,
    HostileSky,
    TelescopeErrors,
)
from contimg.simulate.telescope_validation import check_stations, validate_telescope

# Options, how their value is shown, and the range.
OUT_OF_RANGE = [
    (BeamErrors(offset_deg=(0, 5.5)), "--beam-offset 5.5", "-5 to 5"),
    (BeamErrors(offset_deg=(-5.5, 0)), "--beam-offset -5.5", "-5 to 5"),
    (BeamErrors(width=0.2), "--beam-width 0.2", "0.3 to 3"),
    (BeamErrors(antenna_offset_deg=-0.1), "--antenna-beam-offset -0.1", "0 to 2"),
    (BeamErrors(antenna_width=0.31), "--antenna-beam-width 0.31", "0 to 0.3"),
    (ArrayErrors(moved_antennas=((3, 0, 3001),)), "--moved-antenna 3001", "-3000 to 3000"),
    (ArrayErrors(moved_antennas=((3, -3001, 0),)), "--moved-antenna -3001", "-3000 to 3000"),
    (CorrelatorErrors(clock_error_s=3e6), "--clock-error 3e+06", "-2.592e+06 to 2.592e+06"),
    (CorrelatorErrors(packet_loss=((3, 0.6),)), "--packet-loss 0.6", "0 to 0.5"),
    (HeaderErrors(host_declination=(16,)), "--host-declination 16", "0 to 15"),
    (HeaderErrors(host_delays=(-1,)), "--host-delays -1", "0 to 15"),
    (HostileSky(satellites=((16, "iridium"),)), "--satellite 16", "0 to 15"),
    (HostileSky(sun_jy=(-1, 0)), "--sun -1", "0 to 1e+07"),
    (HostileSky(ateam_response=1.5), "--ateam 1.5", "0 to 1"),
    (HostileSky(satellite_jy=-1), "--satellite-strength -1", "0 to 1e+07"),
    (HostileSky(ionosphere_arcsec=61), "--ionosphere 61", "0 to 60"),
    (HostileSky(ionosphere_arcsec=math.nan), "--ionosphere nan", "0 to 60"),
]
OTHERWISE_WRONG = [
    (ArrayErrors(swapped_antennas=((3, 3),)), "--swapped-antennas 3,3 names one station twice: name two."),
    (CorrelatorErrors(products=("XX", "RR")), "--products 'RR' is unknown: use one of XX, YY, XY, YX."),
    (CorrelatorErrors(products=("XX", "XX")), "--products XX,XX are not one, two or four different products."),
    (CorrelatorErrors(products=()), "--products  are not one, two or four different products."),
    (
        CorrelatorErrors(products=("XX", "YY", "XY")),
        "--products XX,YY,XY are not one, two or four different products.",
    ),
    (
        HostileSky(satellites=((1, "sputnik"),)),
        "--satellite kind 'sputnik' is unknown: use one of iridium, starlink.",
    ),
]
SECTIONS = {
    BeamErrors: "beam", ArrayErrors: "array", CorrelatorErrors: "correlator", HeaderErrors: "header", HostileSky: "sky",
}  # fmt: skip


def of(options) -> TelescopeErrors:
    return TelescopeErrors(**{SECTIONS[type(options)]: options})


def refused(options) -> str:
    with pytest.raises(SimulationError) as error:
        validate_telescope(of(options))
    return str(error.value)


@pytest.mark.parametrize(("options", "value", "limits"), OUT_OF_RANGE, ids=lambda v: v if isinstance(v, str) else "")
def test_a_value_beyond_its_range_is_named_with_the_range(options, value, limits):
    assert refused(options) == f"{value} is out of range: choose {limits}."


@pytest.mark.parametrize(("options", "sentence"), OTHERWISE_WRONG, ids=lambda v: v if isinstance(v, str) else "")
def test_what_makes_no_sense_is_said(options, sentence):
    assert refused(options) == sentence


def test_options_at_the_ends_of_their_ranges_are_accepted():
    validate_telescope(TelescopeErrors())
    for options in (
        BeamErrors((-5.0, 5.0), 3.0, "tapered", 2.0, 0.3), BeamErrors(width=0.3),
        ArrayErrors(((1, 2),), ((3, -3000.0, 3000.0),)),
        CorrelatorErrors(-2.592e6, True, (), ("XY",), ((3, 0.5),)),
        CorrelatorErrors(products=("YY", "XX", "YX", "XY")),
        HeaderErrors(True, (0,), (15,)),
        HostileSky((0.0, 1e7), 1.0, ((0, "iridium"), (15, "starlink")), 1e7, 60.0),
    ):  # fmt: skip
        validate_telescope(of(options))


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (CorrelatorErrors(swapped_polarisations=(9,)), "--swapped-polarisations 9"),
        (CorrelatorErrors(packet_loss=((9, 0.1),)), "--packet-loss 9"),
        (ArrayErrors(moved_antennas=((9, 1, 1),)), "--moved-antenna 9"),
        (ArrayErrors(swapped_antennas=((3, 9),)), "--swapped-antennas 9"),
    ],
)
def test_a_station_that_is_not_simulated_is_named_with_those_that_are(options, option):
    with pytest.raises(SimulationError) as error:
        check_stations(of(options), (50, 3, 17))
    assert str(error.value) == f"{option} is not among the simulated stations: choose from (3, 17, 50)."
    check_stations(of(options), (3, 9))


def test_antennas_have_beams_of_their_own_only_where_their_scatter_says_so():
    assert not BeamErrors((1.0, 1.0), 1.2).differ_between_antennas
    assert BeamErrors(antenna_offset_deg=0.1).differ_between_antennas
    assert BeamErrors(antenna_width=0.1).differ_between_antennas
