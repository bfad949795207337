"""Publishers killed and refused anywhere, and the same command run again: nothing lost, doubled, half or wrong.

By default a few trials of each kind; ``CONTIMG_FAULTS=1000`` runs that many on SQLite, and a fifth of it on
PostgreSQL. The trials run in a process of their own: they fork, which a test runner should not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contimg import bundle, publish
from contimg.registry import queries
from contimg.registry.engine import open_registry
from tests.faults.harness import MAX_RERUN_S, Harness
from tests.registry import factory
from tests.registry.conftest import backends, empty_schema, postgres_server

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


@pytest.mark.parametrize("backend", backends())
def test_whatever_fails_a_rerun_publishes_it_once(backend):
    few = FEW[backend]
    trials = max(few, TRIALS if backend == "sqlite" else TRIALS // 5)
    result = run_harness(backend, "--trials", str(trials))["trials"]
    assert len(result) == trials
    bad = [(one["kind"], one["detail"], one["ended"], one["problems"]) for one in result if one["problems"]]
    assert bad == []
    assert max(one["rerun_s"] for one in result) < MAX_RERUN_S
    # The faults did strike: otherwise this would prove nothing.
    assert sum(ended != "clean" for one in result for ended in one["ended"]) >= 0.5 * trials


@pytest.mark.parametrize("backend", backends())
def test_of_many_publishers_one_wins(backend):
    publishers = 32 if TRIALS else 8
    result = run_harness(backend, "--trials", "0", "--races", "2", "--publishers", str(publishers))["trials"]
    for one in result:
        assert one["problems"] == []
        assert len(one["ended"]) == publishers
    assert result[0]["ended"].count("created") == 1
    assert result[1]["ended"].count("killed") == publishers // 4


DAMAGES = {
    "a bit": lambda final, config: (final / "metadata.json").write_bytes((final / "metadata.json").read_bytes()[:-1]),
    "a file": lambda final, config: (final / f"{final.name}.png").unlink(),
    "a bundle": lambda final, config: shutil.rmtree(final),
    "a second": lambda final, config: shutil.copytree(final, final.with_name(final.name + ".v2")),
    "remains": lambda final, config: (config.paths.products / ".incoming" / f"{final.name}.x").mkdir(),
    "a marker": lambda final, config: config.layout.twin("published", final.name).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_harness_would_see_it(tmp_path, damage):
    """A check that cannot fail proves nothing: each kind of harm is found when it is done on purpose."""
    harness = Harness(tmp_path, url=None, seed=1)
    mosaic_id, expected = harness.new_mosaic()
    publish.run_register(mosaic_id, harness.config)
    final = publish.run_publish(mosaic_id, harness.config).path
    assert harness.check(mosaic_id, expected) == [] == harness.half_visible(mosaic_id, expected)
    DAMAGES[damage](final, harness.config)
    assert harness.check(mosaic_id, expected) != []
    assert bool(harness.half_visible(mosaic_id, expected)) is (damage in ("a bit", "a file"))


def test_the_harness_would_see_a_row_that_is_wrong(tmp_path):
    from sqlalchemy import update

    from contimg.registry.schema import data_registry

    harness = Harness(tmp_path, url=None, seed=1)
    mosaic_id, expected = harness.new_mosaic()
    publish.run_register(mosaic_id, harness.config)
    publish.run_publish(mosaic_id, harness.config)
    registry = open_registry(harness.config)
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(sha256="0" * 64))
    assert queries.get(registry, mosaic_id)["sha256"] == "0" * 64
    assert harness.check(mosaic_id, expected)[0] == "the row names another manifest or path"


def test_every_checkpoint_is_passed_in_this_order(tmp_path):
    from contimg.publishing import checkpoints

    config = factory.config_below(tmp_path)
    factory.make_mosaic(config)
    passed = []
    checkpoints.hook = passed.append
    try:
        publish.run_register(factory.MOSAIC, config)
        publish.run_publish(factory.MOSAIC, config)
    finally:
        checkpoints.hook = None
    assert tuple(dict.fromkeys(passed)) == checkpoints.NAMES


def retry(config, *prefix):
    """Type the command by which a person publishes again."""
    overlay = config.paths.state / "overlay.json"  # JSON is YAML
    overlay.write_text(json.dumps({"paths": config.paths.model_dump(mode="json")}))
    code = "from contimg.cli import run; run()"
    command = [*prefix, sys.executable, "-c", code, "-c", str(overlay), "publish", "retry", factory.MOSAIC]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_disk_that_is_really_full(tmp_path):
    """An archive of 4 MB for a bundle of 7.7 MB; where mounting is not allowed, no file may grow beyond 2 MB."""
    config = factory.config_below(tmp_path)
    factory.make_mosaic(config, size_px=800)
    publish.run_register(factory.MOSAIC, config)
    products = config.paths.products
    products.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(products)]
    mounted = shutil.which("mount") is not None and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        done = retry(config) if mounted else retry(config, "prlimit", f"--fsize={2 << 20}")
        said = "No space left on device" if mounted else "File too large"
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr and f"contimg publish retry {factory.MOSAIC}" in done.stderr
        assert done.stderr.count("\n") == 1
        row = queries.get(open_registry(config), factory.MOSAIC)
        assert (row["status"], row["attempts"]) == ("staging", 1) and said in row["error"]
        assert not list(products.glob("mosaics/*/*")) and not list(products.glob(".incoming/*"))
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=64m", str(products)], check=True)
        done = retry(config)
        assert done.returncode == 0, done.stderr
        assert bundle.verify(config.layout.bundle(factory.MOSAIC, 1), expected=row["sha256"]).ok
    finally:
        if mounted:
            subprocess.run(["umount", str(products)], check=True)
