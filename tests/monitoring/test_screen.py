"""Tables and metrics of an overview whose numbers are known."""

import copy

import pytest

from contimg.monitoring.prometheus import write_metrics
from contimg.monitoring.screen import age_words, sections
from contimg.watching.alarms import EVENTS

QUIET = {
    "alarms": {}, "failed": [], "running": [], "waiting": [], "quarantined": {}, "groups": [], "disks": [],
    "antennas": [], "paused": None, "watch": None, "calibration": None, "published_today": 0, "real_time_factor": None,
    "simulated": None,
    "inbox": {"tiles": 0, "files": 0, "newest": None, "age_h": None, "trouble": None},
}  # fmt: skip
ANTENNAS = [
    {"name": "1", "sefd_jy": 7000.0, "flagged": 0.01},
    {"name": "2", "sefd_jy": None, "flagged": 0.9},
    {"name": "3", "sefd_jy": 35000.0, "flagged": None},
]
GROUP = {
    "mosaic": "mosaic_20260211T002649", "tiles": 10, "calibrated": 10, "imaged": 9, "verdict": "warning", "sun": "day",
    "state": "held", "version": 1, "next": "contimg publish approve", "error": None,
}  # fmt: skip


def overview(**changes):
    return copy.deepcopy(QUIET) | changes


def section(content, title):
    (one,) = [one for one in sections(content) if one.title == title]
    return one


def metrics(content, tmp_path):
    """Return the samples of the file for Prometheus: name with labels -> value."""
    place = tmp_path / "collector" / "contimg.prom"
    write_metrics(content, place)
    lines = [line for line in place.read_text().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_quiet_night_shows_its_state_alone():
    (state,) = sections(overview())
    assert (state.title, state.columns) == ("State", ("what", "now"))
    assert state.rows == (
        ("inbox", "0 tiles, 0 files; nothing"),
        ("published today", 0),
        ("real-time factor, last day", "no tile imaged"),
        ("newest calibration", "none"),
    )


def test_the_state_of_a_busy_night():
    content = overview(
        inbox={"tiles": 12, "files": 190, "newest": "2026-02-11T01:00:00", "age_h": 0.52, "trouble": "no catalogue"},
        watch={"alive": True, "state": "running", "message": "9 jobs"}, paused="by ana since 01:00",
        published_today=3, real_time_factor=2.9, calibration={"id": "cal_20260211T002649", "age_h": 0.25},
    )  # fmt: skip
    assert section(content, "State").rows == (
        ("inbox", "12 tiles, 190 files; newest 2026-02-11T01:00:00, 31 min ago"),
        ("plan", "no catalogue"),
        ("watch", "running: 9 jobs"),
        ("pause", "by ana since 01:00"),
        ("published today", 3),
        ("real-time factor, last day", 2.9),
        ("newest calibration", "cal_20260211T002649, 15 min old"),
    )


@pytest.mark.parametrize(
    ("hours", "words"), [(0.0, "0 min"), (0.99, "59 min"), (1.0, "1.0 h"), (47.9, "47.9 h"), (6914.7, "288 days")]
)
def test_ages_are_said_in_the_unit_that_suits_them(hours, words):
    assert age_words(hours) == words


@pytest.mark.parametrize(
    ("growth", "date", "said"),
    [
        (None, None, ("not known yet", "after a day of records")),
        (0.0, None, ("+0.000", "not in ten years")),
        (-0.5, None, ("-0.500", "not in ten years")),
        (3.2, "2026-03-01", ("+3.200", "2026-03-01")),
    ],
)
def test_the_day_on_which_a_disk_is_full_or_why_none_is_named(growth, date, said):
    disk = {"root": "stage", "free_gb": 12.5, "growth_gb_per_day": growth, "full_on": date}
    assert section(overview(disks=[disk]), "Disks").rows == (("stage", 12.5, *said),)


@pytest.mark.parametrize("word", ["simulated", "partly simulated"])
def test_simulated_data_are_named_first(word):
    assert section(overview(simulated=word), "State").rows[0] == ("data", word)


def test_a_watch_that_died_is_not_running():
    content = overview(watch={"alive": False, "state": "running", "message": "9 jobs"})
    assert ("watch", "not running") in section(content, "State").rows


def test_the_most_urgent_comes_first():
    content = overview(
        alarms={"failed": "2 jobs failed"},
        failed=[{"rule": "image_tile", "id": "2026-02-11T00:26:49", "reason": "no room", "log": "a.log"}],
        running=[{"rule": "solve_calibration", "id": "cal_1", "since": "00:30", "expected": None}],
        waiting=[{"what": "tile", "id": "2026-02-11T00:31:58", "message": "12 of 16 subbands"}],
        quarantined={"not_hdf5": 2}, groups=[GROUP], antennas=ANTENNAS,
        disks=[{"root": "stage", "free_gb": 12.5, "growth_gb_per_day": 1.25, "full_on": "2026-03-01"}],
    )  # fmt: skip
    titles = [one.title for one in sections(content)]
    assert titles == [
        "Alarms", "State", "Failed", "Running now", "Waiting", "Set aside", "Groups", "Disks",
        "Antennas, last 7 days",
    ]  # fmt: skip
    assert section(content, "Failed").rows == (("image_tile", "2026-02-11T00:26:49", "no room", "a.log"),)
    assert section(content, "Set aside").rows == (("not_hdf5", 2),)
    assert section(content, "Disks").rows == (("stage", 12.5, "+1.250", "2026-03-01"),)
    assert section(content, "Groups").rows == (
        ("mosaic_20260211T002649", 10, 10, 9, "warning", "day", "held", 1, "contimg publish approve"),
    )
    for one in sections(content):
        assert all(len(row) == len(one.columns) for row in one.rows)


def test_antennas_that_stand_out_come_first_and_what_is_unknown_is_empty():
    rows = section(overview(antennas=ANTENNAS), "Antennas, last 7 days").rows
    assert rows == (("2", None, "90.0%"), ("3", "35000", None), ("1", "7000", "1.0%"))


def test_twelve_antennas_at_most_are_shown():
    many = [{"name": str(number), "sefd_jy": 7000.0, "flagged": number / 100} for number in range(96)]
    rows = section(overview(antennas=many), "Antennas, last 7 days").rows
    assert [row[0] for row in rows] == [str(number) for number in range(95, 83, -1)]


def test_metrics_of_a_quiet_night(tmp_path):
    found = metrics(overview(), tmp_path)
    assert {name: found[f'contimg_alarm{{kind="{name}"}}'] for name in EVENTS} == dict.fromkeys(EVENTS, 0.0)
    assert found["contimg_inbox_tiles"] == found["contimg_waiting"] == found["contimg_paused"] == 0
    for unknown in ("inbox_age_seconds", "real_time_factor", "calibration_age_seconds"):
        assert f"contimg_{unknown}" not in found


def test_metrics_are_in_base_units(tmp_path):
    content = overview(
        alarms={"held": "one is held"}, groups=[GROUP, GROUP | {"state": "published"}], antennas=ANTENNAS,
        inbox={"tiles": 3, "files": 48, "newest": "2026-02-11T01:00:00", "age_h": 0.5, "trouble": None},
        calibration={"id": "cal_1", "age_h": 2.0},
        disks=[{"root": "stage", "free_gb": 12.5, "growth_gb_per_day": None, "full_on": None}],
        quarantined={"not_hdf5": 2}, real_time_factor=2.9, published_today=4, paused="by ana",
    )  # fmt: skip
    found = metrics(content, tmp_path)
    expected = {
        'alarm{kind="held"}': 1, 'alarm{kind="failed"}': 0, "inbox_tiles": 3, "inbox_age_seconds": 1800,
        "calibration_age_seconds": 7200, 'free_bytes{root="stage"}': 12.5e9, "real_time_factor": 2.9,
        'quarantined_files{reason="not_hdf5"}': 2, 'groups{state="held"}': 1, 'groups{state="published"}': 1,
        'groups{state="open"}': 0, "published_today": 4, "paused": 1, 'antenna_sefd_jansky{antenna="3"}': 35000,
        'antenna_flagged_ratio{antenna="2"}': 0.9,
    }  # fmt: skip
    assert {name: found[f"contimg_{name}"] for name in expected} == pytest.approx(expected)
    assert 'contimg_antenna_sefd_jansky{antenna="2"}' not in found
