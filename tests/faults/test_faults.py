"""Publishers killed and refused anywhere, and the same command run again: nothing lost, doubled, half or wrong.

By default a few trials of each kind; ``CONTIMG_FAULTS=1000`` runs that many on SQLite, and a fifth of it on
PostgreSQL. The trials run in a process of their own: they fork, which a test runner should not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from contimg.bundle import bundle
from contimg.publishing import checkpoints
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.engine import open_registry
from tests.faults.contention import look
from tests.faults.trials import MAX_RERUN_S, Bench
from tests.support import mosaics
from tests.support.databases import backends, empty_schema, postgres_server

TRIALS = int(os.environ.get("CONTIMG_FAULTS", "0"))
ROOT = Path(__file__).parents[2]
# Without the full number: each checkpoint is killed at once, and every other kind is tried as often.
FEW = {"sqlite": 75, "postgresql": 25}


def run_harness(backend: str, *arguments: str) -> dict:
    command = [sys.executable, "-m", "tests.faults.harness", "--json", *arguments]
    if backend == "sqlite":
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    else:
        with empty_schema(postgres_server()) as url:
            done = subprocess.run([*command, "--url", url], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout, done.stderr[-4000:]
    return json.loads(done.stdout)


# What must have struck at the full number, however the dice fell.
FAULTS = [
    *(f"SIGKILL at {name}" for name in checkpoints.NAMES), "SIGKILL at random",
    "ENOSPC from write", "EACCES from open", "EIO from readv", "EIO from write", "EXDEV from renameat2",
    "EIO from fsync", "short writes", "wrong byte written", "database error, statement",
    "database error, before commit", "database error, after commit", "database error after rename",
    "clock a day ahead", "clock a day back", "destination vanished", "source altered during the copy",
]  # fmt: skip


@pytest.mark.parametrize("backend", backends())
def test_whatever_fails_a_rerun_publishes_it_once(backend):
    trials = max(FEW[backend], TRIALS if backend == "sqlite" else TRIALS // 5)
    said = run_harness(backend, "--trials", str(trials))
    result = said["trials"]
    assert len(result) == trials
    bad = [(one["fault"], one["detail"], one["ended"], one["problems"]) for one in result if one["problems"]]
    assert bad == []
    assert said["reader"] == []
    assert max(one["rerun_s"] for one in result) < MAX_RERUN_S
    # The faults did strike: otherwise this would prove nothing.
    struck = Counter(one["fault"] for one in result if one["struck"])
    assert struck.total() >= 0.8 * trials
    if TRIALS:
        print(
            {"struck": struck, "slowest rerun [s]": max(one["rerun_s"] for one in result), "wall [s]": said["wall_s"]}
        )
        assert set(FAULTS) <= set(struck)


@pytest.mark.parametrize("backend", backends())
def test_of_many_publishers_one_wins(backend):
    publishers = 32 if TRIALS else 8
    said = run_harness(backend, "--trials", "0", "--races", "2", "--publishers", str(publishers))
    for one in said["trials"]:
        assert one["problems"] == []
        assert len(one["ended"]) == publishers
    assert said["reader"] == []
    assert said["trials"][0]["ended"].count("created") == 1
    assert said["trials"][1]["ended"].count("killed") == publishers // 4


DAMAGES = {
    "a bit": lambda final, config: (final / "data" / "metadata.json").write_bytes(
        (final / "data" / "metadata.json").read_bytes()[:-1]
    ),
    "a file": lambda final, config: (final / "data" / f"{final.name}.png").unlink(),
    "a bundle": lambda final, config: shutil.rmtree(final),
    "a second": lambda final, config: shutil.copytree(final, final.with_name(final.name + ".v2")),
    "remains": lambda final, config: (config.paths.products / ".incoming" / f"{final.name}.x").mkdir(),
    "a marker": lambda final, config: config.layout.twin("published", final.name).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_harness_would_see_it(tmp_path, damage):
    """A check that cannot fail proves nothing: each kind of harm is found when it is done on purpose."""
    bench = Bench(tmp_path, url=None, seed=1)
    mosaic_id, expected = bench.new_mosaic()
    register_mosaic(mosaic_id, bench.config)
    final = publish_mosaic(mosaic_id, bench.config).path
    assert bench.check(mosaic_id, expected) == [] == bench.half_visible(mosaic_id, expected)
    with contextlib.closing(open_registry(bench.config)) as registry:
        assert look(registry, bench.config.layout) == []
    DAMAGES[damage](final, bench.config)
    assert bench.check(mosaic_id, expected) != []
    assert bool(bench.half_visible(mosaic_id, expected)) is (damage in ("a bit", "a file"))
    with contextlib.closing(open_registry(bench.config)) as registry:
        assert bool(look(registry, bench.config.layout)) is (damage in ("a bit", "a file", "a bundle"))


def test_the_harness_would_see_a_row_that_is_wrong(tmp_path):
    from sqlalchemy import update

    from contimg.registry.schema import data_registry

    bench = Bench(tmp_path, url=None, seed=1)
    mosaic_id, expected = bench.new_mosaic()
    register_mosaic(mosaic_id, bench.config)
    publish_mosaic(mosaic_id, bench.config)
    registry = open_registry(bench.config)
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(sha256="0" * 64))
    assert queries.get(registry, mosaic_id)["sha256"] == "0" * 64
    assert bench.check(mosaic_id, expected)[0] == "the row names another manifest or path"


def test_every_checkpoint_is_passed_in_this_order(tmp_path):
    config = mosaics.config_below(tmp_path)
    mosaics.make_mosaic(config)
    passed = []
    checkpoints.hook = passed.append
    try:
        register_mosaic(mosaics.MOSAIC, config)
        publish_mosaic(mosaics.MOSAIC, config)
    finally:
        checkpoints.hook = None
    assert tuple(dict.fromkeys(passed)) == checkpoints.NAMES


def retry(config, *prefix):
    """Type the command by which a person publishes again."""
    overlay = config.paths.state / "overlay.json"  # JSON is YAML
    overlay.write_text(json.dumps({"paths": config.paths.model_dump(mode="json")}))
    code = "from contimg.cli import run; run()"
    command = [*prefix, sys.executable, "-c", code, "-c", str(overlay), "publish", "retry", mosaics.MOSAIC]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_disk_that_is_really_full(tmp_path):
    """An archive of 4 MB for a bundle of 7.7 MB; where mounting is not allowed, no file may grow beyond 2 MB."""
    config = mosaics.config_below(tmp_path)
    mosaics.make_mosaic(config, size_px=800)
    register_mosaic(mosaics.MOSAIC, config)
    products = config.paths.products
    products.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(products)]
    mounted = shutil.which("mount") is not None and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        done = retry(config) if mounted else retry(config, "prlimit", f"--fsize={2 << 20}")
        said = "No space left on device" if mounted else "File too large"
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr and f"publish retry {mosaics.MOSAIC}" in done.stderr
        assert done.stderr.count("\n") == 1
        row = queries.get(open_registry(config), mosaics.MOSAIC)
        assert (row["status"], row["attempts"]) == ("staging", 1) and said in row["error"]
        assert not list(products.glob("mosaics/*/*")) and not list(products.glob(".incoming/*"))
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=64m", str(products)], check=True)
        done = retry(config)
        assert done.returncode == 0, done.stderr
        assert bundle.verify(config.layout.bundle(mosaics.MOSAIC, 1), expected=row["sha256"]).ok
    finally:
        if mounted:
            subprocess.run(["umount", str(products)], check=True)
