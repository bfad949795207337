"""Options of a simulated night: each limit is named with its option, its value and what to choose."""

import math
from datetime import date, datetime
from pathlib import Path

import pytest

from contimg.simulate import GainErrors, NightOptions, SimulationError
from contimg.simulate.options import CORRUPT_KINDS, RFI_KINDS
from contimg.simulate.validation import parse_date, parse_start, required_declination_deg, validate

OUT_OF_RANGE = [
    ({"tiles": 0}, "--tiles 0", "1 to 1000"),
    ({"tiles": 1001}, "--tiles 1001", "1 to 1000"),
    ({"integrations": 1}, "--integrations 1", "2 to 240"),
    ({"declination_deg": -41.0}, "--declination -41", "-40 to 85"),
    ({"declination_deg": 85.5}, "--declination 85.5", "-40 to 85"),
    ({"declination_offset_deg": 5.1}, "--declination-offset 5.1", "-5 to 5"),
    ({"transit_tile": 3}, "--transit-tile 3", "0 to 2"),
    ({"transit_tile": -1}, "--transit-tile -1", "0 to 2"),
    ({"transit_offset_s": 155.0}, "--transit-offset 155", "-154.619 to 154.619"),
    ({"restarts": (3,)}, "--restart 3", "0 to 2"),
    ({"gaps": ((0, 10.0),)}, "--gap tile 0", "1 to 2"),
    ({"gaps": ((1, 86401.0),)}, "--gap seconds 86401", "0 to 86400"),
    ({"gaps": ((1, -1.0),)}, "--gap seconds -1", "0 to 86400"),
    ({"sources": -1}, "--sources -1", "0 to 5000"),
    ({"seed": -1}, "--seed -1", "0 to 9.22337e+18"),
    ({"gains": GainErrors(amplitude=0.6)}, "--gain-amplitude 0.6", "0 to 0.5"),
    ({"gains": GainErrors(delay_ns=-1)}, "--gain-delay -1", "0 to 1000"),
    ({"gains": GainErrors(bandpass=0.4)}, "--gain-bandpass 0.4", "0 to 0.3"),
    ({"gains": GainErrors(drift_phase_deg=361)}, "--drift-phase 361", "0 to 360"),
    ({"gains": GainErrors(drift_amplitude=math.nan)}, "--drift-amplitude nan", "0 to 0.3"),
    ({"missing": ((3, 0),)}, "--missing tile 3", "0 to 2"),
    ({"late": ((0, 16),)}, "--late subband 16", "0 to 15"),
    ({"corrupt": ((-1, 0, "nan"),)}, "--corrupt tile -1", "0 to 2"),
    ({"rfi": ((16, "line"),)}, "--rfi subband 16", "0 to 15"),
]
NOT_POSITIVE = [
    ({"calibrator_flux_jy": 0.0}, "--calibrator-flux 0"),
    ({"flux_min_jy": -1.0}, "--flux-min -1"),
    ({"sefd_jy": 0.0}, "--sefd 0"),
    ({"rfi_jy": math.nan}, "--rfi-strength nan"),
]
OTHERWISE_WRONG = [
    ({"channels": 7}, "--channels 7 does not divide the correlator's 384 raw channels"),
    ({"channels": 0}, "--channels 0 does not divide"),
    ({"max_baseline_m": 0.0}, "--max-baseline 0 must be a positive length in metres."),
    ({"max_baseline_m": math.nan}, "--max-baseline nan must be a positive length in metres."),
    ({"calibrator": "3C286", "declination_deg": 30.0}, "--declination and --calibrator 3C286 exclude each other"),
    ({"calibrator": "none"}, "--calibrator none needs a pointing: add --declination."),
    ({"calibrator": "synthetic"}, "--calibrator synthetic needs a pointing: add --declination."),
    ({"date": "11.2.2026"}, "--date 11.2.2026 is not a date: write it as YYYY-MM-DD."),
    ({"date": "1972-12-31"}, "--date 1972-12-31 is before Earth orientation was measured: choose 1973 or later."),
    ({"start": "2026-02-11 06:00"}, "--start 2026-02-11 06:00 is not a UTC time"),
    ({"start": "2026-02-30T06:00:00"}, "--start 2026-02-30T06:00:00 is not a UTC time"),
    ({"start": "1950-01-01T00:00:00"}, "--start 1950-01-01T00:00:00 is before Earth orientation was measured"),
    ({"start": "2026-02-11T06:00:00", "cross_midnight": True}, "--start fixes the time"),
    ({"start": "2026-02-11T06:00:00", "cross_ra0": True}, "--start fixes the time"),
    ({"flux_min_jy": 2.0, "flux_max_jy": 1.0}, "--flux-max 1 is below --flux-min 2: exchange them."),
    ({"sky_file": Path("/nowhere/sky.csv")}, "--sky /nowhere/sky.csv is not a file: give a CSV with"),
    ({"corrupt": ((0, 1, "burnt"),)}, f"--corrupt kind 'burnt' is unknown: use one of {', '.join(CORRUPT_KINDS)}."),
    ({"rfi": ((3, "wifi"),)}, f"--rfi kind 'wifi' is unknown: use one of {', '.join(RFI_KINDS)}."),
    (
        {"missing": ((0, 1),), "late": ((0, 1),)},
        "--missing 0:1 is also asked for by --late or --corrupt: name it once.",
    ),
    ({"missing": ((2, 9),), "corrupt": ((2, 9, "nan"),)}, "--missing 2:9 is also asked for by --late or --corrupt"),
]


def refused(changes) -> str:
    with pytest.raises(SimulationError) as error:
        validate(NightOptions(**changes))
    return str(error.value)


@pytest.mark.parametrize(("changes", "value", "limits"), OUT_OF_RANGE, ids=lambda v: v if isinstance(v, str) else "")
def test_a_value_beyond_its_range_is_named_with_the_range(changes, value, limits):
    assert refused(changes) == f"{value} is out of range: choose {limits}."


@pytest.mark.parametrize(("changes", "value"), NOT_POSITIVE, ids=lambda v: v if isinstance(v, str) else "")
def test_what_has_to_be_positive_is_said(changes, value):
    assert refused(changes) == f"{value} must be greater than zero."


@pytest.mark.parametrize(("changes", "sentence"), OTHERWISE_WRONG, ids=lambda v: v if isinstance(v, str) else "")
def test_what_makes_no_sense_is_said_in_one_sentence(changes, sentence):
    said = refused(changes)
    assert said.startswith(sentence) and said.endswith(".") and "\n" not in said


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tiles": 1, "integrations": 2, "channels": 384},
        {"tiles": 1000, "integrations": 240, "channels": 1, "sources": 5000, "seed": 2**63 - 1},
        {"declination_deg": -40.0, "declination_offset_deg": 5.0},
        {"calibrator": "none", "declination_deg": 85.0},
        {"gaps": ((2, 86400.0),), "restarts": (0, 2), "transit_tile": 2},
        {
            "missing": ((0, 0),),
            "late": ((0, 1),),
            "corrupt": tuple((1, n, kind) for n, kind in enumerate(CORRUPT_KINDS)),
        },
        {"rfi": tuple((15, kind) for kind in RFI_KINDS), "gains": GainErrors(0.5, True, 1000.0, 0.3, 360.0, 0.3)},
    ],
)
def test_options_at_the_ends_of_their_ranges_are_accepted(changes):
    validate(NightOptions(**changes))


def test_a_pointing_is_that_of_the_option():
    assert required_declination_deg(NightOptions(declination_deg=54.5)) == 54.5


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-11T06:00:00", datetime(2026, 2, 11, 6)),
        ("1973-01-01T00:00:00.5", datetime(1973, 1, 1, 0, 0, 0, 500_000)),
        ("2024-02-29T23:59:59.999999", datetime(2024, 2, 29, 23, 59, 59, 999_999)),
    ],
)
def test_a_start_is_read_to_the_microsecond(text, moment):
    assert parse_start(text) == moment and moment.tzinfo is None


@pytest.mark.parametrize("text", ["2026-02-11T06:00:00Z", "2026-02-11T06:00:00+01:00", "2026-02-11T6:00:00", "", "now"])
def test_a_start_with_a_zone_or_in_another_form_is_refused(text):
    with pytest.raises(SimulationError, match="is not a UTC time: write it as YYYY-MM-DDTHH:MM:SS"):
        parse_start(text)


def test_a_date_is_a_day_of_the_calendar():
    assert parse_date("2024-02-29") == date(2024, 2, 29)
    for text in ("2026-02-29", "2026-13-01", "yesterday", ""):
        with pytest.raises(SimulationError, match="is not a date"):
            parse_date(text)
