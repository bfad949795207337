"""Every error is one sentence that names the file or key and the remedy, and an exit code that is not 0."""

import json
import os
import subprocess

import pytest

from contimg import naming


def last_words(done):
    """Return what was said on the terminal, without Snakemake's own progress lines."""
    return done.stdout + done.stderr


def assert_one_sentence(done, *words):
    assert done.returncode != 0
    said = last_words(done)
    assert "Traceback" not in said
    for word in words:
        assert word in said


def test_a_bad_key(night):
    night.change_config(image={"robst": 1})
    done = night.snakemake("-n", check=False)
    assert_one_sentence(done, "config key 'image.robst' is unknown (did you mean 'image.robust'?)")
    assert_one_sentence(night.contimg("status", check=False), "config key 'image.robst' is unknown")


@pytest.mark.parametrize("quiet", [(), ("--quiet", "rules"), ("--quiet", "all")], ids=" ".join)
def test_a_bad_key_is_said_once_however_quiet_the_run_is(night, quiet):
    night.change_config(image={"robst": 1})
    done = night.snakemake(*quiet, check=False)
    assert done.returncode != 0
    assert last_words(done).count("config key 'image.robst' is unknown") == 1


def test_a_home_that_is_read_only(night, monkeypatch):
    """Snakemake keeps copies of its sources, and libraries keep caches, in the home directory."""
    home = night.place / "home"
    home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", str(home)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a filesystem needs root")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    try:
        tile = next(iter(night.plan()["tiles"]))
        night.snakemake(str(night.stage / "ms" / tile[:10] / f"{naming.stem(tile)}.json"), "--quiet", "rules")
    finally:
        subprocess.run(["umount", str(home)], check=True)


def test_a_wrong_unit(night):
    night.change_config(image={"cell_arcsec": "3 arcsec"})
    done = night.snakemake("-n", check=False)
    assert_one_sentence(done, "'image.cell_arcsec' must be a number in arcseconds, but is '3 arcsec'")


def test_an_empty_inbox(night):
    for path in (night.place / "incoming").iterdir():
        path.unlink()
    assert_one_sentence(night.snakemake("-n", check=False), "holds no subband files", "paths.incoming")
    assert_one_sentence(night.contimg("plan", check=False), "holds no subband files")


def test_a_missing_inbox(night):
    night.change_config(paths={"incoming": str(night.place / "nowhere")})
    assert_one_sentence(night.snakemake("-n", check=False), "nowhere does not exist: create it or correct the key")


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="needs setpriv (util-linux)")
def test_an_unreadable_inbox(night):
    (night.place / "incoming").chmod(0)
    try:
        done = as_nobody(night, "plan") if os.geteuid() == 0 else night.contimg("plan", check=False)
    finally:
        (night.place / "incoming").chmod(0o755)
    assert_one_sentence(done, "is not readable: give this user read permission")


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="needs setpriv (util-linux)")
def test_an_unreadable_file_is_set_aside_until_it_is_readable(night):
    path = sorted((night.place / "incoming").glob("*_sb03.hdf5"))[1]
    path.chmod(0)
    try:
        words = ("plan", "--json")
        done = as_nobody(night, *words) if os.geteuid() == 0 else night.contimg(*words)
    finally:
        path.chmod(0o644)
    plan = json.loads(done.stdout)
    assert [(q["path"], q["code"]) for q in plan["quarantined"]] == [(str(path), "permission")]
    assert [len(tile["files"]) for tile in plan["tiles"].values()] == [16, 15, 16]
    assert night.plan()["quarantined"] == []


def as_nobody(night, *words):
    """Run a command without root's right to read everything."""
    import sys

    from tests.workflow.conftest import ROOT

    code = "from contimg.cli import run; run()"
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", code, "-c"]
    command += [str(night.config_file), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=ROOT)


def test_an_unknown_id(night):
    assert_one_sentence(night.contimg("why", "2026-02-11T00:00:00", check=False), "no tile 2026-02-11T00:00:00")
    assert_one_sentence(night.contimg("why", "cal_20260211T000000", check=False), "no calibration cal_2026")
    assert_one_sentence(night.contimg("report", "mosaic_20260211T000000", check=False), "no mosaic mosaic_2026")
    assert_one_sentence(night.contimg("registry", "show", "mosaic_20260211T000000", check=False), "mosaic_2026")
    assert_one_sentence(night.contimg("why", "yesterday", check=False), "'yesterday' is not an id")


def test_a_missing_catalogue(night):
    night.change_config(sky={"catalogue": str(night.place / "nothing.csv")})
    assert_one_sentence(night.snakemake("-n", check=False), "'sky.catalogue' names", "cannot be read")


def test_a_disk_with_too_little_room(night):
    """A stage of 1 MB is refused before the first job."""
    night.stage.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(night.stage)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a filesystem needs root")
    try:
        done = night.snakemake("--quiet", "rules", check=False)
        remedy = f"make room (contimg -c {night.config_file} prune)"
        assert_one_sentence(done, f"paths.stage {night.stage} has 0.00 GB of room", remedy)
        assert not (night.place / "work" / "logs").exists()
    finally:
        subprocess.run(["umount", str(night.stage)], check=True)


def test_a_disk_that_fills_up(night):
    """A limit on the size of files does what a full disk does: the first conversion fails with a sentence."""
    done = run_limited(night, ["prlimit", "--fsize=200000"])
    assert_one_sentence(done, "contimg: ", "then type the same command again")
    assert not list(night.stage.glob("ms/*/*.ms"))
    assert not list(night.stage.glob("ms/*/.*part*"))


def run_limited(night, prefix):
    import sys

    from tests.workflow.conftest import ROOT

    command = [*prefix, sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory"]
    command += [
        str(night.place / "work"),
        "--configfile",
        str(night.config_file),
        "--cores",
        "1",
        "--quiet",
        "rules",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=night.place)
