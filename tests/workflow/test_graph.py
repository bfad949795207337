"""What a dry run schedules on a fresh night: one test a promise of the plan."""

import math
import os
import shutil
import time
from datetime import UTC, datetime

import pytest

from tests.support.surveys import write_test_strip

WHOLE = {
    "convert_tile": 3,
    "solve_calibration": 1,
    "apply_calibration": 3,
    "image_tile": 3,
    "mosaic_group": 1,
    "crossmatch_mosaic": 1,
    "summarise_mosaic": 1,
    "register_mosaic": 1,
    "publish_mosaic": 1,
}


def subband_files(night, tile):
    names = sorted((night.place / "incoming").glob("*.hdf5"))
    return names[16 * tile : 16 * (tile + 1)]


def test_every_job_is_listed_before_the_first_one_runs(night):
    assert night.planned() == WHOLE
    assert not night.stage.exists()


def test_crossmatch_is_a_switch(night):
    night.change_config(crossmatch={"enabled": False})
    assert night.planned() == {rule: n for rule, n in WHOLE.items() if rule != "crossmatch_mosaic"}


def test_the_catalogue_may_be_a_folder_of_strips(night):
    strip = write_test_strip(night.place / "strips" / "a.fits", 30.5)
    write_test_strip(night.place / "strips" / "b.fits", -40.0)
    night.change_config(sky={"catalogue": str(strip.parent)})
    assert night.planned() == WHOLE


def test_a_missing_subband_leaves_the_graph_as_it_is(night):
    subband_files(night, 2)[5].unlink()
    assert night.planned() == WHOLE
    assert [len(tile["files"]) for tile in night.plan()["tiles"].values()] == [16, 16, 15]


def test_too_few_subbands_drop_only_their_tile(night):
    for path in subband_files(night, 2)[:5]:
        path.unlink()
    assert night.planned() == WHOLE | {"convert_tile": 2, "apply_calibration": 2, "image_tile": 2}


def test_before_the_deadline_an_incomplete_tile_holds_its_group_back(night):
    subband_files(night, 2)[5].unlink()
    night.change_config(ingest={"deadline_s": 1e9})
    assert night.planned() == {}
    assert {w["code"] for w in night.plan()["waiting"]} == {"subbands", "scan_open"}


def test_files_that_may_still_grow_are_waited_for(night):
    night.change_config(ingest={"settle_s": 3600.0})
    assert night.planned() == {}
    assert {w["code"] for w in night.plan()["waiting"]} == {"growing"}


def test_a_run_that_finds_nothing_to_do_says_why_once(night):
    """Files of this minute, with ingest.settle_s of an hour: three tiles are ready when the youngest file is."""
    moment = time.time() - 60
    for path in (night.place / "incoming").iterdir():
        os.utime(path, (moment, moment))
    night.change_config(ingest={"settle_s": 3600.0})
    ready = datetime.fromtimestamp(math.ceil(moment + 3600), UTC)
    clock = f"{ready:%H:%M:%S}" if ready.date() == datetime.now(UTC).date() else f"{ready:%Y-%m-%d %H:%M:%S}"
    says = f"3 tiles wait: files younger than ingest.settle_s = 3600 s; ready at {clock} UTC"
    for words in (["-n"], ["--quiet", "rules"]):
        said = night.snakemake(*words).stderr.splitlines()
        assert said.count(says) == 1
        assert said.count(f"which ones: contimg -c {night.config_file} inbox (tiles and files)") == 1


def test_a_dry_run_says_that_nights_leaves_tiles_out(night):
    night.change_config(nights=["2026-02-10"])
    assert "3 tiles of 2026-02-11 left out: nights names 2026-02-10 only" in night.snakemake("-n").stderr


@pytest.mark.parametrize("kind", ["truncated", "empty"])
def test_a_bad_file_is_set_aside_and_nothing_else_suffers(night, kind):
    bad = subband_files(night, 0)[4]
    content = bad.read_bytes()
    bad.write_bytes(content[: len(content) // 2] if kind == "truncated" else b"")
    assert night.planned() == WHOLE
    said = night.plan()["quarantined"]
    assert [(q["path"], q["code"]) for q in said] == [(str(bad), "unreadable" if kind == "truncated" else "empty")]
    assert bad.stat().st_size == (len(content) // 2 if kind == "truncated" else 0)  # never touched


def test_a_late_subband_joins_its_tile(night):
    late = subband_files(night, 1)[9]
    kept = night.place / late.name
    shutil.move(late, kept)
    before = night.plan()["tiles"]
    shutil.move(kept, late)
    after = night.plan()["tiles"]
    changed = [tile for tile in before if before[tile] != after[tile]]
    assert len(changed) == 1 and len(after[changed[0]]["files"]) == 16


def test_no_group_waits_silently_without_a_bandpass(night):
    night.change_config(calibration={"min_calibrator_jy": 1e6, "field_bandpass": False})
    assert night.planned() == {}
    waiting = night.plan()["waiting"]
    assert [w["code"] for w in waiting] == ["no_bandpass"]
    assert "no certified or planned bandpass within 24 h" in waiting[0]["message"]
    assert "; no source of the built-in list crosses +30.4 with 1e+06 Jy through the beam" in waiting[0]["message"]


def test_a_strip_without_a_calibrator_is_solved_on_the_catalogue_sky_and_the_plan_says_why(night):
    night.change_config(calibration={"min_calibrator_jy": 1e6})
    assert night.planned() == WHOLE
    plan = night.plan()
    (bandpass,) = plan["calibrations"].values()
    assert (bandpass["type"], bandpass["calibrator"]) == ("bandpass", None)
    assert plan["notes"] == [
        f"{bandpass['id']} is solved on the catalogue's sky: no source of the built-in list crosses +30.4 with 1e+06 Jy"
        " through the beam, nor of the VLA calibrator list: lower calibration.min_calibrator_jy"
    ]


def test_other_nights_are_left_alone(night):
    night.change_config(nights=["2026-02-10"])
    assert night.planned() == {}


def test_a_bare_date_is_a_night(night):
    text = night.config_file.read_text()
    assert '["2026-02-11"]' in text
    night.config_file.write_text(text.replace('["2026-02-11"]', "[2026-02-11]"))
    assert night.planned() == WHOLE
    assert len(night.plan()["tiles"]) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flag: {edge_channels: 010}\n", "config key 'flag.edge_channels' is 010, which YAML reads in base 8"),
        ("paths: {stage: 'a{b}c'}\n", "config key 'paths.stage' names 'a{b}c' with '{', which Snakemake reads"),
    ],
)
def test_a_trap_in_the_configuration_stops_both_programs_with_one_sentence(night, text, says):
    night.config_file.write_text(text)
    for done in (night.snakemake("-n", check=False), night.contimg("plan", check=False)):
        assert done.returncode != 0
        (line,) = [line for line in (done.stdout + done.stderr).splitlines() if says in line]
        assert "contimg" in line and "Traceback" not in done.stdout + done.stderr
