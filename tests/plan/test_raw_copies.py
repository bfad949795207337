"""Files that the telescope is about to remove are named, and copied while their tiles wait for a calibrator."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from benchmarks.plan import DEC_DEG, Templates
from contimg import config as configuration
from contimg import naming
from contimg.correlator.inbox import Cluster, SubbandFile
from contimg.plan.model import CommittedGroup, CommittedTile, Plan, Waiting
from contimg.plan.observe import committed_groups, current_plan
from contimg.plan.raw_copies import at_risk, inbox_files, keep_raw, loss_notes, raw_folder
from contimg.retention.end_of_run import tidy
from contimg.retention.retain import retain
from tests.support import mosaics

NOW = datetime(2026, 2, 14, 12, tzinfo=UTC)


@pytest.fixture
def config(tmp_path):
    made = mosaics.config_below(tmp_path, watch={"min_free_gb": 0.0})
    made.layout.incoming.mkdir()
    return made


def cluster(config, age_h):
    moment = NOW - timedelta(hours=age_h)
    path = config.layout.incoming / str(naming.SubbandName(moment, 0))
    return Cluster(moment, (SubbandFile(moment, 0, str(path)),))


@pytest.mark.parametrize(
    ("age_h", "left_h"), [(10, None), (59.9, None), (60, 24.0), (80, 4.0), (84, 0.0), (100, 0.0), (108.1, None)]
)
def test_what_is_at_risk_by_age(config, age_h, left_h):
    """Files are kept for 84 h and named a day before; a day after they are evidently not removed."""
    found = at_risk([cluster(config, age_h)], config, NOW)
    assert [left for _, left in found] == pytest.approx([] if left_h is None else [left_h])


def test_a_site_that_keeps_its_files_hears_nothing(config):
    kept = config.model_copy(update={"ingest": config.ingest.model_copy(update={"files_kept_h": None})})
    assert at_risk([cluster(config, 83)], kept, NOW) == []


def test_the_note_says_when_and_what_to_do(config):
    soon = [cluster(config, 80), cluster(config, 79)]
    (note,) = loss_notes(soon, Plan(), config, NOW)
    assert "files of 2 tiles with open work, first 2026-02-11T04:00:00" in note
    assert "within 4.0 h (ingest.files_kept_h is 84): run snakemake before that" in note and "copied" not in note
    since = soon[0].key
    waits = Plan(waiting=[Waiting("mosaic", "group", "no_bandpass", "no certified or planned bandpass", since)])
    (note,) = loss_notes(soon, waits, config, NOW)
    assert "2 that wait for a calibrator will be copied to" in note
    assert loss_notes([cluster(config, 5)], waits, config, NOW) == []


def meridian_deg(moment):
    """Return the right ascension on the meridian: mean sidereal time (to a second, Meeus) at 118.283 deg west."""
    days = (moment - datetime(2000, 1, 1, 12, tzinfo=UTC)).total_seconds() / 86400
    return (280.46062 + 360.98564737 * days - 118.283) % 360


@pytest.fixture
def night(tmp_path):
    """Two tiles of eighty hours ago in a strip whose only calibrator crosses half a day later; as real small files."""
    templates = Templates(tmp_path)
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=80)
    (tmp_path / "incoming").mkdir()
    for tile in range(2):
        start = first + timedelta(seconds=309 * tile)
        for subband in range(16):
            templates.write(tmp_path / "incoming" / str(naming.SubbandName(start, subband)), subband, start)
    sky = tmp_path / "sky.csv"
    sky.write_text(f"name,ra_deg,dec_deg,flux_jy\nfar,{(meridian_deg(first) + 180) % 360},{DEC_DEG},9.0\n")
    overlay = {
        "paths": {name: str(tmp_path / name) for name in ("incoming", "stage", "products", "state")},
        "calibration": {"calibrators": str(sky)}, "sky": {"catalogue": str(sky)},
        "ingest": {"settle_s": 0.0}, "group": {"tiles": 2, "stride": 2}, "watch": {"min_free_gb": 0.0},
    }  # fmt: skip
    return overlay


def loaded(tmp_path, overlay):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(overlay))
    return configuration.load_files([configuration.default_file(), tmp_path / "config.yaml"])


def test_tiles_that_wait_for_a_calibrator_outlive_their_files(tmp_path, night):
    """The files vanish, a calibrator is listed, and the plan is what it would have been with the files."""
    config = loaded(tmp_path, night)
    waits = current_plan(config)
    assert [one.code for one in waits.waiting] == ["no_bandpass"] and len(waits.notes) == 1
    said = tidy(config, tmp_path, waits)
    assert said.startswith("raw: 32 files (") and "they wait for a calibrator" in said
    assert len(list(raw_folder(config).glob("*/*.hdf5"))) == 32
    assert tidy(config, tmp_path, waits) == ""  # once

    ra_deg = meridian_deg(naming.parse_id(waits.waiting[0].since) + timedelta(seconds=154))
    (tmp_path / "sky.csv").write_text(f"name,ra_deg,dec_deg,flux_jy\nnear,{ra_deg},{DEC_DEG},9.0\n")
    with_files = current_plan(loaded(tmp_path, night))
    shutil.rmtree(tmp_path / "incoming")
    (tmp_path / "incoming").mkdir()
    without = current_plan(loaded(tmp_path, night))
    assert len(without.groups) == 1 and without.notes == []
    assert without.to_json() == with_files.to_json()
    assert all(path.startswith(str(raw_folder(config))) for tile in without.tiles.values() for path in tile.files)


def test_without_the_key_nothing_is_copied(tmp_path, night):
    night["ingest"]["keep_raw_until_calibrated"] = False
    config = loaded(tmp_path, night)
    plan = current_plan(config)
    assert "can be (ingest.keep_raw_until_calibrated) copied" in plan.notes[0]
    assert keep_raw(config, plan, []) == "" and not raw_folder(config).exists()


def test_a_full_disk_is_a_sentence_and_no_failure(tmp_path, night):
    night["watch"]["min_free_gb"] = 1e9
    config = loaded(tmp_path, night)
    said = tidy(config, tmp_path, current_plan(config))
    assert said.startswith("raw: ") and "has no room for a copy" in said
    assert not list(raw_folder(config).glob("*/*.hdf5"))


def test_copies_go_when_their_group_is_settled_or_after_their_limit(config, tmp_path):
    folder = raw_folder(config) / "2026-02-11"
    folder.mkdir(parents=True)
    names = ["2026-02-11T00:00:00_sb00.hdf5", "2026-02-11T00:05:00_sb00.hdf5"]
    for name in names:
        (folder / name).write_bytes(b"x")
    tile = CommittedTile("2026-02-11T00:00:00", "2026-02-11T00:00:00", (names[0],), True)
    assert keep_raw(config, Plan(), [CommittedGroup(tile.id, (tile,), False, False)]) == ""
    said = keep_raw(config, Plan(), [CommittedGroup(tile.id, (tile,), True, False)])
    assert said == "raw: copies of 1 files of settled groups removed"
    assert [path.name for path in folder.iterdir()] == names[1:]
    assert retain(config, tmp_path, now=datetime.now(UTC) + timedelta(days=29)).items == ()
    (item,) = retain(config, tmp_path, now=datetime.now(UTC) + timedelta(days=31)).items
    assert item.kind == "raw" and not (folder / names[1]).exists()


def test_a_copy_stands_for_its_original(config):
    name = "2026-02-11T00:00:00_sb00.hdf5"
    (config.layout.incoming / name).touch()
    assert inbox_files(config) == [str(config.layout.incoming / name)]
    copy = raw_folder(config) / "2026-02-11" / name
    copy.parent.mkdir(parents=True)
    copy.touch()
    (copy.parent / f".{name}.part-1").touch()
    assert inbox_files(config) == [str(copy)]
    assert committed_groups(config) == []
