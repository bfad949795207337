"""Everyday conditions: a plain user, read-only inbox, odd paths, other disks, clocks that are off, data while it runs.

Two whole runs bear several conditions each; a test a condition looks at what it did. Others have tests of their own: a
home that is read-only (test_errors), a changed threshold (test_changed_keys).
"""

import json
import os
import shutil
import stat
import subprocess
import sys

import pytest

from benchmarks.clock import FAKETIME, other_clock
from contimg import naming
from tests.workflow.conftest import ROOT, Night, simulate
from tests.workflow.test_restart import running, wait_for_logs

pytestmark = pytest.mark.long

SIZE = ("--tiles", "1", "--antennas", "20", "--channels", "3", "--sources", "8", "--max-baseline", "500")
PLAIN_USER = ["unshare", "--net", "setpriv", "--bounding-set=-all", "--inh-caps=-all"]
# What changes a running tile's products and must not: those of the image, and not the conversion.
IMAGE = {"image_tile": 1, "mosaic_group": 1, "crossmatch_mosaic": 1, "summarise_mosaic": 1, "register_mosaic": 1,
         "publish_mosaic": 1}  # fmt: skip


def run(night, prefix=(), **environment):
    """Type the command, behind a prefix and with more in the environment."""
    command = [*prefix, sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory"]
    command += [str(night.place / "work"), "--configfile", str(night.config_file), "--cores", "2", "--quiet", "rules"]
    given = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, cwd=night.place.parent)


def made(night):
    """Return all files and folders that a run made below stage, products, state and work."""
    roots = [night.place / name for name in ("stage", "products", "state", "work")]
    return [path for root in roots for path in root.rglob("*") if not path.is_symlink()]


def published(night):
    (bundle,) = (night.place / "products" / "mosaics").glob("*/mosaic_*")
    return bundle


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A night processed without root's rights and network, from a read-only inbox, with umask 027 and no home."""
    if os.geteuid() or subprocess.run([*PLAIN_USER, "true"], capture_output=True).returncode:
        pytest.skip("giving up rights and network needs root, unshare and setpriv (util-linux)")
    night = simulate(tmp_path_factory.mktemp("plain") / "night", *SIZE)
    night.change_config(umask="0027")
    home = night.place / "home"
    home.mkdir()
    before = {}
    for path in sorted((night.place / "incoming").iterdir()):
        path.chmod(0o444)
        before[path.name] = (path.stat().st_mtime_ns, path.stat().st_ctime_ns)
    for folder in (night.place / "incoming", home):
        folder.chmod(0o555)
    night.before = before
    night.first_run = run(night, PLAIN_USER, HOME=str(home), MPLCONFIGDIR="", XDG_CACHE_HOME="")
    return night


def test_a_plain_user_without_network_gets_a_published_mosaic(plain):
    assert plain.first_run.returncode == 0, plain.first_run.stderr[-3000:]
    assert "verdict passed, published" in plain.first_run.stderr


def test_a_read_only_inbox_is_only_read(plain):
    now = {p.name: (p.stat().st_mtime_ns, p.stat().st_ctime_ns) for p in (plain.place / "incoming").iterdir()}
    assert now == plain.before


def test_umask_027_keeps_others_out_of_all_but_the_archive(plain):
    """What is published has the permissions of `publish.mode`; locks are their maker's."""
    for path in made(plain):
        mode, place = stat.S_IMODE(path.stat().st_mode), path.relative_to(plain.place).parts[0]
        if ".snakemake" in path.parts or place == "work":
            continue
        readable = place == "products" and path.suffix != ".lock"
        assert mode & 0o002 == 0 and bool(mode & 0o004) == readable and mode & 0o040, f"{path} has mode {mode:o}"


def test_a_home_that_cannot_be_written_is_left_alone(plain):
    assert list((plain.place / "home").iterdir()) == []


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A night in a folder with an odd name, its stage on another disk, processed with the clock an hour ahead."""
    place = tmp_path_factory.mktemp("odd") / "Nächte [1] ö: #2 & 'x'"
    place.mkdir()
    night = simulate(place / "night", *SIZE)
    night.stage.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(night.stage)]
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("mounting a filesystem needs root")
    try:
        night.first_run = run(night, **other_clock(tmp_path_factory.mktemp("clock"), "+1h"))
        yield night
    finally:
        subprocess.run(["umount", "-l", str(night.stage)], check=True)


def test_spaces_brackets_colons_and_umlauts_in_paths(odd):
    assert odd.first_run.returncode == 0, odd.first_run.stderr[-3000:]
    assert f"verdict passed, published ({published(odd)})" in odd.first_run.stderr


def test_a_stage_on_another_filesystem_is_published_whole(odd):
    assert odd.stage.stat().st_dev != (odd.place / "products").stat().st_dev
    assert odd.contimg("verify", "--all").returncode == 0


@pytest.mark.skipif(not FAKETIME.exists(), reason="no other clock: apt-get install libfaketime")
def test_a_clock_that_was_an_hour_ahead_leaves_nothing_to_do_when_it_is_right_again(odd):
    assert odd.planned() == {}
    assert odd.contimg("status").returncode == 0


@pytest.mark.parametrize(("key", "value"), [("robust", 0.2), ("pb_limit", 0.3)])
def test_a_changed_image_option_makes_images_and_what_follows(odd, key, value):
    before = odd.config_file.read_text()
    odd.change_config(image={key: value})
    try:
        planned = odd.planned()
    finally:
        odd.config_file.write_text(before)
    # The MS of the tile is gone by then, so that it is converted and calibrated again before.
    assert planned == IMAGE | {"convert_tile": 1, "apply_calibration": 1}


def test_a_night_that_is_added_while_a_run_works_is_the_next_runs(small_night, tmp_path):
    """The run does what it planned; files that came meanwhile change nothing of it, and the next plan has them."""
    place = tmp_path / "night"
    shutil.copytree(small_night.place, place)
    config = place / "config.yaml"
    config.write_text(config.read_text().replace(str(small_night.place), str(place)))
    night = Night(place)
    night.change_config(group={"tiles": 1, "stride": 1})
    tiles = list(night.plan()["tiles"])
    assert len(tiles) == 3
    (place / "next").mkdir()
    for path in sorted((place / "incoming").iterdir())[-16:]:
        shutil.move(path, place / "next")
    assert list(night.plan()["tiles"]) == tiles[:2]
    with running(night, "--until", "convert_tile") as process:
        wait_for_logs(place / "work" / "logs" / "convert_tile", 1, seconds=240)
        for path in sorted((place / "next").iterdir()):
            shutil.move(path, place / "incoming")
        process.wait(300)
    assert process.returncode == 0
    assert {naming.iso(path.stem) for path in night.stage.glob("ms/*/*.json")} == set(tiles[:2])
    assert list(json.loads((place / "state" / "plan.json").read_text())["tiles"]) == tiles[:2]
    assert night.planned()["image_tile"] == 3
    assert naming.stem(tiles[2]) in night.planned_files("convert_tile")
