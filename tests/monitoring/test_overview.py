"""`contimg status`: one look at everything, as a screen, JSON, a page, and numbers for Prometheus."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from contimg.monitoring.antennas import AntennaHealth, antenna_health
from contimg.monitoring.benchmark_records import JobRecord
from contimg.monitoring.overview import TILE_S, overview, real_time_factor
from contimg.monitoring.overview_page import write_page
from contimg.monitoring.prometheus import write_metrics
from contimg.monitoring.screen import sections
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.storage.atomic import write_json
from contimg.watching import pause
from tests.monitoring.test_jobs import failed
from tests.support import mosaics

NOW = datetime(2026, 2, 12, tzinfo=UTC)


@pytest.fixture
def config(tmp_path):
    made = mosaics.config_below(tmp_path, watch={"min_free_gb": 0.0})
    made.layout.incoming.mkdir()
    (made.layout.incoming / "2026-02-11T18:00:00_sb00.hdf5").touch()
    members = [{"id": tile, "name_time": tile, "files": []} for tile in mosaics.TILES]
    write_json(made.layout.group(mosaics.GROUP), {"id": mosaics.GROUP, "tiles": members})
    return made


def held(config):
    mosaics.make_mosaic(config, reasons=[mosaics.WARNING])
    register_mosaic(mosaics.MOSAIC, config)
    publish_mosaic(mosaics.MOSAIC, config, waits_s=())


def twin(place, **content):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(content))


def test_the_overview_of_a_night_that_needs_a_person(config, tmp_path):
    held(config)
    failed(tmp_path, text="InputError: a.hdf5 is torn: copy it again")
    pause.pause(config.layout, "cable swap")
    seen = overview(config, tmp_path, now=NOW)
    content = json.loads(json.dumps(seen.content))
    assert content["inbox"] == {
        "tiles": 3, "files": 9, "newest": "2026-02-11T18:00:00", "age_h": 6.0, "trouble": None,
    }  # fmt: skip
    assert set(seen.needs) == {"failed", "held"}
    assert seen.needs["held"].startswith(f"1 waits for a person, first {mosaics.MOSAIC}: contimg publish approve")
    assert content["paused"].endswith("cable swap") and content["running"] == []
    assert [one.title for one in sections(content)][:3] == ["Alarms", "State", "Failed"]


def note_free_space(config, *points):
    """Write the history of free space: days before NOW and GB."""
    rows = [{"time": NOW.timestamp() - days * 86400, "free": dict.fromkeys(("stage", "products", "state"), gb * 1e9)}
            for days, gb in points]  # fmt: skip
    write_json(config.layout.state / "free_space.json", rows)


def test_disks_say_how_fast_they_fill_once_they_were_followed_for_a_day(config, tmp_path):
    assert [one["growth_gb_per_day"] for one in overview(config, tmp_path, now=NOW).content["disks"]] == [None] * 3
    note_free_space(config, (2, 900.0), (1, 700.0), (0, 500.0))
    for disk in overview(config, tmp_path, now=NOW).content["disks"]:
        assert disk["growth_gb_per_day"] == 200.0
        days = int(disk["free_gb"] / 200)
        assert disk["full_on"] in {(NOW + timedelta(days=d)).date().isoformat() for d in (days, days + 1)}


def test_what_is_simulated_is_said(config, tmp_path):
    assert overview(config, tmp_path, now=NOW).content["simulated"] is None  # nothing is known of what is not made
    held(config)
    seen = overview(config, tmp_path, now=NOW)
    write_page(seen.content, tmp_path / "state.html")
    assert seen.content["simulated"] == "simulated"
    assert '<h1>Overview</h1><span class="badge synthetic">simulated</span>' in (tmp_path / "state.html").read_text()


def test_an_inbox_that_is_gone_is_said_and_the_rest_is_shown(config, tmp_path):
    held(config)
    shutil.rmtree(config.layout.incoming)
    content = overview(config, tmp_path, now=NOW).content
    assert str(config.layout.incoming) in content["inbox"]["trouble"]
    assert content["groups"][0]["state"] == "held"


def test_what_was_published_today_is_counted(config, tmp_path):
    mosaics.make_mosaic(config)
    register_mosaic(mosaics.MOSAIC, config)
    publish_mosaic(mosaics.MOSAIC, config, waits_s=())
    assert overview(config, tmp_path).content["published_today"] == 1
    assert overview(config, tmp_path, now=datetime(2100, 1, 1, tzinfo=UTC)).content["published_today"] == 0


def test_too_little_room_is_an_alarm(tmp_path):
    config = mosaics.config_below(tmp_path, watch={"min_free_gb": 1e9})
    assert "low_disk" in overview(config, tmp_path).needs


def test_a_lost_registry_and_a_lost_archive_are_alarms(sqlite_config, tmp_path):
    mosaics.run(sqlite_config)
    assert overview(sqlite_config, tmp_path).needs == {}
    kept = sqlite_config.paths.state.rename(sqlite_config.paths.state.with_name("kept"))
    needs = overview(sqlite_config, tmp_path).needs
    assert set(needs) == {"no_registry"} and "holds nothing, but" in needs["no_registry"]
    shutil.rmtree(sqlite_config.paths.state)
    kept.rename(sqlite_config.paths.state)
    sqlite_config.paths.products.rename(sqlite_config.paths.products.with_name("unplugged"))
    assert set(overview(sqlite_config, tmp_path).needs) == {"wrong_archive"}


@pytest.mark.parametrize(
    "note",
    [[], {"state": "idle"}, {"state": 1, "message": "x"}, {"state": "idle", "message": None},
     {"state": "idle", "message": "x", "alarms": ["no_data"]},
     {"state": "idle", "message": "x", "alarms": {"no_data": 1}}],
)  # fmt: skip
def test_a_damaged_note_of_the_watch_is_none(config, tmp_path, note):
    from contimg.watching.watch import hold_watch_lock

    write_json(config.layout.state / "watch.json", note)
    lock = hold_watch_lock(config.layout)
    try:
        assert overview(config, tmp_path, now=NOW).content["watch"] is None
    finally:
        lock.release()


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"host": "h", "machine": 7, "pid": 1, "start": 1}', bytes(512)])
def test_a_damaged_lock_of_the_watch_is_of_no_process(config, tmp_path, content):
    write_json(config.layout.state / "watch.json", {"state": "idle", "message": "nothing to do", "alarms": {}})
    (config.layout.state / "watch.lock").write_bytes(content)
    assert overview(config, tmp_path, now=NOW).content["watch"]["alive"] is False


def test_what_the_watch_says_counts_while_it_lives(config, tmp_path):
    from contimg.watching.watch import hold_watch_lock

    alarm = {"no_data": "nothing came for 3 h"}
    write_json(config.layout.state / "watch.json", {"state": "idle", "message": "nothing to do", "alarms": alarm})
    assert overview(config, tmp_path).needs == {}
    lock = hold_watch_lock(config.layout)
    seen = overview(config, tmp_path)
    lock.release()
    assert seen.needs == alarm and seen.content["watch"]["alive"]


def job(rule, end_h, wall_h):
    return JobRecord(rule, "x", "2026-02-11", NOW.timestamp() - end_h * 3600, wall_h * 3600, 1.0, 1.0, 1.0, 1.0)


def test_the_real_time_factor_counts_the_time_in_which_jobs_ran():
    """Two tiles side by side in one hour, a job half an hour longer: 2 x 309 s in 1.5 h; of a day before: nothing."""
    records = [job("image_tile", 2, 1), job("image_tile", 2, 1), job("mosaic_group", 1.5, 1), job("image_tile", 30, 1)]
    assert real_time_factor(records, NOW) == round(2 * TILE_S / 5400, 2)
    assert real_time_factor([job("image_tile", 30, 1)], NOW) is None


def test_antennas_of_the_last_week(config):
    stage = config.layout.stage
    for day, sefd in (("2026-02-11", 5000.0), ("2026-02-10", 7000.0), ("2026-01-01", 90000.0)):
        facts = {"sefd_jy": {"10": [sefd, None], "9": [sefd, sefd + 200]}}
        twin(stage / "calibrations" / day / f"cal_{day.replace('-', '')}T000000.json", facts=facts)
    for name, share in (("a", 0.1), ("b", 0.3)):
        twin(stage / "ms" / "2026-02-11" / f"{name}.json", qa={"flagged_by_antenna": {"9": share}})
    (stage / "ms" / "2026-02-11" / "torn.json").write_text("{torn")
    assert antenna_health(config, now=NOW) == [
        AntennaHealth("9", 6100.0, pytest.approx(0.2)), AntennaHealth("10", 6000.0, None),
    ]  # fmt: skip


def test_the_page_needs_no_network_and_shows_markup_as_text(config, tmp_path):
    held(config)
    failed(tmp_path, text="InputError: <script>alert(1)</script>")
    place = tmp_path / "pages" / "state.html"
    write_page(overview(config, tmp_path, now=NOW).content, place)
    page = place.read_text()
    assert mosaics.MOSAIC in page and "&lt;script&gt;" in page and "<script" not in page
    assert "src=" not in page and "http" not in page.replace("http-equiv", "")


def test_numbers_for_prometheus(config, tmp_path):
    from prometheus_client.parser import text_string_to_metric_families

    held(config)
    twin(config.layout.stage / "ms" / "2026-02-11" / "a.json", qa={"flagged_by_antenna": {"9": 0.25}})
    place = tmp_path / "collector" / "contimg.prom"
    write_metrics(overview(config, tmp_path, now=NOW).content, place)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(place.read_text())
        for sample in family.samples
    }
    assert found["contimg_alarm", "held"] == 1 and found["contimg_alarm", "failed"] == 0
    assert found["contimg_groups", "held"] == 1 and found["contimg_groups", "open"] == 0
    assert found["contimg_inbox_age_seconds",] == 6 * 3600
    assert found["contimg_antenna_flagged_ratio", "9"] == 0.25
    assert ("contimg_real_time_factor",) not in found
    assert os.stat(place).st_size > 0


def test_monitors_get_exit_code_3(config, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from contimg.cli.common import Context
    from contimg.cli.status import status

    monkeypatch.setattr(Context, "config", config)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(status, ["--check"], obj=Context((), None)).exit_code == 0
    held(config)
    ended = CliRunner().invoke(status, ["--check", "--json"], obj=Context((), None))
    assert ended.exit_code == 3 and json.loads(ended.stdout)["alarms"]["held"]
    assert CliRunner().invoke(status, [], obj=Context((), None)).exit_code == 0
