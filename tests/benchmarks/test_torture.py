"""The workflow killed at random instants: a sample of `make torture`, which kills two hundred times."""

import contextlib
import random
import sqlite3
import subprocess
import sys

import pytest

from benchmarks import torture
from contimg.storage.process import Owner, is_dead, me, part_name, part_owner


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return torture.Night(tmp_path_factory.mktemp("torture") / "night", torture.SMALL)


@pytest.mark.long
def test_a_night_killed_at_random_instants_is_the_undisturbed_one(night):
    """Two kills, of which `make torture` has two hundred."""
    tortured = torture.Torture(night, seed=5, mean_wait_s=6.0)
    result = tortured.run(2)
    assert result.problems == []
    assert len(result.kills) == 2 and result.files > 20
    assert result.second_run_cpu_s <= torture.SECOND_RUN_CPU_S


@pytest.mark.long
def test_a_difference_is_seen(night):
    """The comparison itself: one changed byte, one file more, and what was left behind are told."""
    tortured = object.__new__(torture.Torture)
    tortured.night, tortured.result = night, torture.Result(nights=1)
    tortured.reference = night.digests()
    image = next((night.place / "stage" / "images").glob("*/*/*.fits"))
    content = image.read_bytes()
    (image.parent / "extra.fits").write_bytes(b"x")
    image.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    left = image.parent / ".a.part-1"
    left.touch()
    try:
        tortured._compare()
    finally:
        image.write_bytes(content)
        (image.parent / "extra.fits").unlink()
        left.unlink()
    place = image.relative_to(night.place)
    assert sorted(tortured.result.problems) == sorted(
        f"night 1: {place.parent / name} {what}"
        for name, what in [
            (".a.part-1", "is new"), (".a.part-1", "was left behind"), (place.name, "is different"),
            ("extra.fits", "is new"),
        ]
    )  # fmt: skip


def test_after_a_reboot_every_process_that_is_remembered_is_dead(tmp_path):
    """Names of temporary files, owners of locks and claims of publishers are of another boot then."""
    for name in ("stage", "products", "state"):
        (tmp_path / name).mkdir()
    part = tmp_path / "stage" / part_name("20260211T000000.ms")
    part.mkdir()
    (part / part_name("table")).touch()
    lock = tmp_path / "products" / ".run.lock"
    lock.write_text(me().to_json())
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "registry.sqlite3")) as connection, connection:
        connection.execute("CREATE TABLE data_registry (claim_owner TEXT)")
        connection.execute("INSERT INTO data_registry VALUES (?)", (me().to_json(),))
    torture.pretend_a_reboot(tmp_path)
    (moved,) = (tmp_path / "stage").iterdir()
    (inner,) = moved.iterdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "registry.sqlite3")) as connection:
        ((claim,),) = connection.execute("SELECT claim_owner FROM data_registry").fetchall()
    owners = [Owner.from_json(lock.read_text()), Owner.from_json(claim), part_owner(moved.name), part_owner(inner.name)]
    assert len({owner.boot for owner in owners}) == 1
    assert owners[0].boot != me().boot and all(owner.pid == me().pid for owner in owners)
    assert is_dead(owners[0], same_machine=True)


def test_a_run_without_jobs_loses_none(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as process:
        assert torture.kill(process, "job", tmp_path, random.Random(1)) == ()
        assert process.poll() is None
        assert torture.kill(process, "controller", tmp_path, random.Random(1)) == ()
        assert process.poll() == -9


def test_the_command_line_tells_all_kills(capsys):
    result = torture.Result([torture.Kill("job", 3.0, ("image_tile", "image_tile")), torture.Kill("keyboard", 1.0, ())])
    torture.show(result)
    said = capsys.readouterr().out
    assert "2 kills in 0 nights" in said and "image_tile 1, start or plan 1" in said and "0 problems" in said
