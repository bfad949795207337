"""`contimg trends`: weeks of calibrations and twins whose numbers are known, as JSON, events and one page."""

import json
import math
import re
import shutil
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from click.testing import CliRunner

from contimg.calibration.caltables import FILES
from contimg.cli.entry import main
from contimg.monitoring.antennas import flagged_by_antenna, sefd_by_antenna
from contimg.monitoring.trend_events import find_events
from contimg.monitoring.trends import Receptors, _installed, trends
from contimg.monitoring.trends_page import write_trends_page
from tests.support import mosaics
from tests.support.calibration_tables import ANTENNAS, FREQ, NAMES, write_table

DAYS = 12
FIRST = date(2026, 2, 1)


@pytest.fixture(scope="module")
def weeks(tmp_path_factory):
    """Twelve days: antenna 22's X dies on the 9th, 23 and 24 exchange their X cables on the 5th; the beam drifts."""
    place = tmp_path_factory.mktemp("weeks")
    config = mosaics.config_below(place, watch={"min_free_gb": 0.0})
    stage = config.layout.stage
    rng = np.random.default_rng(1)
    cable = np.linspace(-5, 5, ANTENNAS)
    for number in range(DAYS):
        day = (FIRST + timedelta(days=number)).isoformat()
        stem = day.replace("-", "") + "T030000"
        folder = stage / "calibrations" / day / f"cal_{stem}"
        folder.mkdir(parents=True)
        delay = np.stack([cable, cable + 1], -1)[:, None, :] + rng.normal(0, 0.02, (ANTENNAS, 1, 2))
        if number >= 4:
            delay[[2, 3], 0, 0] = delay[[3, 2], 0, 0]
        lost = np.zeros((ANTENNAS, 1, 2), bool)
        lost[1, 0, 0] = number >= 8
        gain = np.full((ANTENNAS, 1, 2), 2.0)
        gain[5] = 4.0
        write_table(folder / FILES["K"], "K", delay + 100 * number, lost)  # another reference each day
        write_table(folder / FILES["B"], "B", np.full((ANTENNAS, len(FREQ), 2), 1.5j), np.repeat(lost, len(FREQ), 1))
        write_table(folder / FILES["G"], "G", gain, lost)
        sefd = {name: [7000.0, None if number >= 8 and name == "22" else 7100.0] for name in NAMES}
        write(stage / "calibrations" / day / f"cal_{stem}.json", f"cal_{stem}", {"snr_median": 50.0 + number},
              {"type": "bandpass", "sefd_jy": sefd})  # fmt: skip
        write(stage / "images" / day / f"{stem}.json", iso(stem), {"noise_ratio": 1.1, "rms_mjy": 0.5})
        flagged = {"flagged_fraction": 0.2, "flagged_by_antenna": {"21": 0.1, "22": 0.1 + 0.05 * number}}
        write(stage / "ms" / day / f"{stem}.json", iso(stem), flagged)
        write(stage / "crossmatch" / day / f"mosaic_{stem}.json", f"mosaic_{stem}",
              {"flux_scale": 1.0 + 0.01 * number, "e_flux_scale": 0.003, "beam_east_deg": 0.01 * number})  # fmt: skip
    return config


def iso(stem):
    return f"{stem[:4]}-{stem[4:6]}-{stem[6:11]}:{stem[11:13]}:{stem[13:]}"


def write(place, any_id, qa, facts=None):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"id": any_id, "qa": qa, "facts": facts or {}}))


@pytest.fixture(scope="module")
def found(weeks):
    return trends(weeks, days=30)


@pytest.mark.parametrize(
    ("flags", "said"),
    [([], None), ([False, False], None), ([True, True], "simulated"), ([True, False], "partly simulated")],
)
def test_trends_say_what_is_simulated(flags, said, tmp_path):
    config = mosaics.config_below(tmp_path)
    for number, flag in enumerate(flags):
        stem = f"2026021{number}T030000"
        place = config.layout.stage / "images" / f"2026-02-1{number}" / f"{stem}.json"
        write(place, iso(stem), {"rms_mjy": 1.0})
        place.write_text(json.dumps(json.loads(place.read_text()) | {"synthetic": flag}))
    found = trends(config, days=30, now=datetime(2026, 2, 20, tzinfo=UTC))
    assert found.simulated == said and found.to_json()["simulated"] == said
    write_trends_page(found, tmp_path / "trends.html")
    marked = re.findall(r'<span class="badge synthetic">(.*?)</span>', (tmp_path / "trends.html").read_text())
    assert marked == ([said] if said else [])


def test_stations_without_a_dish_are_not_dead():
    """The header of the demo night names 117 stations, of which 36 have data: 162 receptors were called dead."""
    names = ["1X", "1Y", "2X", "2Y", "3X"]
    gain = np.array([[1.0, np.nan, np.nan, np.nan, 1.2]])
    kept = _installed(Receptors(["cal_20260211T000000"], names, gain, gain + 1, gain + 2), ["1", "10"])
    assert kept.names == ["1X", "1Y", "3X"]  # 3X was solved, though no tile's twin names it
    assert np.array_equal(kept.gain, [[1.0, np.nan, 1.2]], equal_nan=True)
    assert np.array_equal(kept.sefd_jy, [[3.0, np.nan, 3.2]], equal_nan=True)
    (event,) = find_events(kept.calibrations, kept.names, kept.gain, kept.delay_ns)
    assert event.receptors == ("1Y",) and event.message.startswith("1Y has no solution in the only calibration")
    whole = Receptors(["a"], names, gain, gain, gain)
    assert _installed(whole, []) is whole  # the MSs' twins are gone


def test_numbers_over_time_are_those_of_the_twins(found):
    series = {one.name: one for one in found.series}
    assert set(series) == {"noise", "rms", "flagged", "snr", "flux_scale", "beam_east"}
    assert series["flux_scale"].values.tolist() == pytest.approx([1 + 0.01 * number for number in range(DAYS)])
    assert set(series["flux_scale"].errors) == {0.003} and math.isnan(series["noise"].errors[0])
    assert series["snr"].mjd[0] == pytest.approx(61072.125) and np.all(np.diff(series["snr"].mjd) == 1)


def test_gains_and_delays_are_relative_to_the_array(found):
    receptors = found.receptors
    assert receptors.names[:4] == ["21X", "21Y", "22X", "22Y"] and receptors.gain.shape == (DAYS, 2 * ANTENNAS)
    column = receptors.names.index("26Y")
    assert receptors.gain[:, column].tolist() == pytest.approx([2.0] * DAYS)
    assert np.abs(np.nanmedian(receptors.delay_ns, axis=1)).max() < 1e-9
    last = receptors.delay_ns[:, receptors.names.index("30Y")] - receptors.delay_ns[:, receptors.names.index("21Y")]
    assert last == pytest.approx(10.0, abs=0.15)
    assert np.isnan(receptors.gain[8:, receptors.names.index("22X")]).all()
    assert receptors.sefd_jy[0, 0] == 7000.0 and math.isnan(receptors.sefd_jy[9, receptors.names.index("22Y")])


def test_a_dead_receptor_and_exchanged_cables_are_named(found):
    assert [(one.kind, one.receptors, one.since) for one in found.events] == [
        ("dead", ("22X",), "cal_20260209T030000"),
        ("exchange", ("23X", "24X"), "cal_20260205T030000"),
    ]


def test_flags_of_antennas_by_date(found):
    assert found.antennas == ["21", "22"] and len(found.dates) == DAYS
    assert found.flags[:, 1].tolist() == pytest.approx([0.1 + 0.05 * number for number in range(DAYS)])


def test_days_are_counted_back_from_the_last_data(weeks):
    few = trends(weeks, days=3)
    assert few.dates == ["2026-02-09", "2026-02-10", "2026-02-11", "2026-02-12"]
    assert trends(weeks, days=3, now=datetime(2027, 1, 1, tzinfo=UTC)).series == []


def test_a_damaged_twin_and_a_lost_table_are_named_and_the_rest_is_shown(weeks, tmp_path):
    stage = tmp_path / "stage"
    shutil.copytree(weeks.layout.stage, stage)
    other = mosaics.config_below(tmp_path, watch={"min_free_gb": 0.0})
    (stage / "images" / "2026-02-03" / "20260203T030000.json").write_text('{"id": ')
    (stage / "calibrations" / "2026-02-04" / "cal_20260204T030000" / FILES["B"] / "table.dat").unlink()
    seen = trends(other, days=30)
    assert len(seen.trouble) == 2
    assert "20260203T030000.json is damaged" in "".join(seen.trouble) and "B.cal" in "".join(seen.trouble)
    assert len(seen.receptors.calibrations) == DAYS - 1


@pytest.mark.parametrize("change", [{"id": 1.5}, {"id": "x"}, {"qa": []}, {"facts": "x"}, {"facts": None}])
def test_a_twin_of_another_form_is_named(weeks, tmp_path, change):
    """An id that was a number ended `contimg trends` in a traceback."""
    stage = tmp_path / "stage"
    shutil.copytree(weeks.layout.stage, stage)
    other = mosaics.config_below(tmp_path, watch={"min_free_gb": 0.0})
    for place in ("images/2026-02-03/20260203T030000.json", "calibrations/2026-02-04/cal_20260204T030000.json"):
        content = json.loads((stage / place).read_text())
        (stage / place).write_text(json.dumps(content | change))
    seen = trends(other, days=30)
    assert len(seen.trouble) == 2 and all("is damaged, and was left out" in one for one in seen.trouble)


def test_damaged_numbers_of_antennas_are_left_out():
    odd = [None, "x", [], [1], [1, "x"], [1, 10**400], {}, True]
    twin = {"facts": {"sefd_jy": {str(key): one for key, one in enumerate(odd)} | {"24": [7000.0, None]}}}
    twin["qa"] = {"flagged_by_antenna": {str(key): one for key, one in enumerate(odd)} | {"24": 0.25, "31": 1}}
    assert sefd_by_antenna(twin) == {"24": [7000.0, None]}
    assert flagged_by_antenna(twin) == {"24": 0.25, "31": 1}
    for none in (None, [], {"facts": [], "qa": 3}, {"facts": {"sefd_jy": []}, "qa": {"flagged_by_antenna": "x"}}):
        assert sefd_by_antenna(none) == {} and flagged_by_antenna(none) == {}


def test_an_empty_stage_has_nothing_to_show(tmp_path):
    empty = trends(mosaics.config_below(tmp_path))
    assert empty.series == [] and empty.events == [] and empty.to_json()["gain"] == []
    write_trends_page(empty, tmp_path / "trends.html")
    assert "None." in (tmp_path / "trends.html").read_text()


def test_the_page_loads_nothing_from_the_network(found, tmp_path):
    write_trends_page(found, tmp_path / "deep" / "trends.html")
    page = (tmp_path / "deep" / "trends.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert page.count("<img") == 5  # numbers, gains, delays, SEFDs, flags
    assert "22X has no solution since cal_20260209T030000" in page


def test_the_command_prints_and_writes(weeks, tmp_path):
    paths = {name: str(getattr(weeks.paths, name)) for name in ("incoming", "stage", "products", "state")}
    (tmp_path / "config.yaml").write_text(json.dumps({"paths": paths}))
    words = ["-c", str(tmp_path / "config.yaml"), "trends"]
    done = CliRunner().invoke(main, [*words, "--html", str(tmp_path / "t.html")])
    assert done.exit_code == 0 and (tmp_path / "t.html").exists()
    assert "exchange" in done.output and "flux scale against the catalogue" in done.output
    content = json.loads(CliRunner().invoke(main, [*words, "--json"]).output)
    assert content["events"][0]["kind"] == "dead" and content["gain"][9][2] is None
