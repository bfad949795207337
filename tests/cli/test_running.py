"""The commands about running: usage, retain, pause and resume, as typed."""

import json

import pytest
from click.testing import CliRunner

from contimg.cli import main
from contimg.config import default_file, load_files
from contimg.storage.atomic import write_json
from tests.monitoring.test_resource_use import write


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Run a command in an empty folder; return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "night.yaml").write_text("publish: {update_archive: false}\ncrossmatch: {enabled: false}\n")

    def run(*words):
        done = CliRunner().invoke(main, ["-c", "night.yaml", "-d", str(tmp_path), *words], catch_exceptions=True)
        return done.exit_code, done.output, done.exception

    return run


def test_usage_shows_kinds_and_disks(typed, tmp_path):
    (tmp_path / "stage" / "images").mkdir(parents=True)
    (tmp_path / "stage" / "images" / "a.fits").write_bytes(b"x" * 4096)
    code, said, _ = typed("usage")
    assert code == 0 and "image" in said and "full on" in said
    found = json.loads(typed("usage", "--json")[1])
    assert {one["kind"]: one["bytes"] for one in found["kinds"]}["image"] == 4096


def test_usage_of_jobs(typed, tmp_path):
    write(tmp_path, "image_tile", "20260211T000000", wall_s=60, used_mb="500.0", asked=(800, 30))
    assert "image_tile  1     800       500" in typed("usage", "--jobs")[1]
    (row,) = json.loads(typed("usage", "--jobs", "--json")[1])
    assert (row["asked_mb"], row["used_mb"]) == (800, 500)


@pytest.mark.parametrize("command", [["usage", "--jobs"], ["status"]], ids=lambda words: words[0])
def test_the_folder_of_the_last_run_is_looked_into_from_anywhere(command, tmp_path, monkeypatch):
    """Times of jobs and failed jobs were not seen where a command was typed in another folder than snakemake."""
    work, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    roots = {name: str(tmp_path / name) for name in ("incoming", "stage", "products", "state")}
    config = tmp_path / "night.yaml"
    config.write_text(json.dumps({"paths": roots, "crossmatch": {"enabled": False}}))
    write(work, "image_tile", "20260211T000000", wall_s=60, used_mb="500.0", asked=(800, 30))
    write_json(load_files([default_file(), config]).layout.frozen_plan, {"working_folder": str(work)})
    done = CliRunner().invoke(main, ["-c", str(config), *command, "--json"], catch_exceptions=False)
    found = json.loads(done.output)
    used = found[0]["used_mb"] if command[0] == "usage" else found["real_time_factor"]
    assert used == (500 if command[0] == "usage" else round(309.2376645 / 60, 2))


def test_retain_says_what_goes(typed, tmp_path):
    import os

    old = tmp_path / "state" / "cache" / "digests.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    os.utime(old, (1, 1))
    assert "digests.json" in typed("retain", "--dry-run")[1] and old.exists()
    assert json.loads(typed("retain", "--json")[1])["items"][0]["kind"] == "cache"
    assert not old.exists()
    assert typed("retain")[1] == "0.000 GB freed.\n"


def test_pause_and_resume(typed, tmp_path):
    assert typed("pause")[0] == 2  # a reason is asked for
    assert "cable swap" in typed("pause", "--reason", "cable swap")[1]
    assert (tmp_path / "state" / "paused.json").exists()
    assert typed("resume")[1].startswith("resumed; it was paused by ")
    assert "is not paused" in typed("resume")[1]


def test_limits_of_the_configuration_are_those_of_the_code(typed, tmp_path):
    from contimg.config import Config, default_file

    assert load_files([default_file()], base=tmp_path).retention == Config().retention
