"""Histories by a seed: the same again whenever they are repeated, and no seed breaks a promise."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from contimg.trials import history
from contimg.trials.bench import Bench
from tests.support.databases import memory_folder

ROOT = Path(__file__).parents[2]
SEEDS = int(os.environ.get("CONTIMG_SEEDS", "24"))
FIRST = int(os.environ.get("CONTIMG_FIRST_SEED", "1"))


@pytest.fixture(scope="module")
def bench():
    with memory_folder() as folder:
        made = Bench(folder / "world")
        yield made
        made.registry.close()


def test_no_seed_breaks_a_promise(bench):
    outcomes = [history.run(seed, bench) for seed in range(FIRST, FIRST + SEEDS)]
    assert {one.seed: one.problems for one in outcomes if one.problems} == {}
    story = " ".join(text for one in outcomes for text in one.story)
    if SEEDS >= 24:
        for failure in ("kill at", "stop at", "the power was cut", "published", "held"):
            assert failure in story, "otherwise this would prove nothing"


def replay(*arguments):
    code = "from contimg.cli import run; run()"
    command = [sys.executable, "-c", code, "replay", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_seed_repeats_its_history_in_another_process(bench):
    """Wherever it runs: another folder, another order of hashes, other process ids."""
    for seed in (3, 4):
        (said,) = replay(seed)["outcomes"]
        here = history.run(seed, bench)
        assert said["story"] == here.story  # shows what happened otherwise
        assert (said["gates"], said["digest"]) == (here.gates, here.digest)


def test_a_history_is_the_same_whatever_is_logged(bench, caplog):
    stories = []
    for level in (logging.CRITICAL, logging.INFO):
        caplog.set_level(level, logger="contimg")
        caplog.clear()
        stories.append(history.run(3, bench).story)
        assert bool(caplog.records) is (level == logging.INFO), "otherwise this would prove nothing"
    assert stories[1] == stories[0]


def test_a_history_is_the_same_whatever_other_threads_do(bench, tmp_path):
    """Libraries have threads, such as the one in which s3fs keeps its connections: they read clocks, and write."""
    alone, over, turns = history.run(3, bench), threading.Event(), []

    def busy():
        while not over.is_set():
            turns.append((time.monotonic(), time.time()))
            (tmp_path / "file").write_bytes(b"written")

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        beside = history.run(3, bench)
    finally:
        over.set()
        thread.join()
    assert len(turns) > 10, "otherwise this would prove nothing"
    assert (beside.digest, beside.story) == (alone.digest, alone.story)


def test_another_seed_is_another_history(bench):
    assert len({history.run(seed, bench).digest for seed in range(5)}) == 5


def test_of_many_seeds_only_broken_ones_are_shown():
    assert replay(1, "--count", 2, "--nights", 1) == {"seeds": 2, "broken": 0, "outcomes": []}


def test_a_broken_promise_is_in_the_story(bench, monkeypatch):
    monkeypatch.setattr(history.promises, "settled", lambda *_, **__: ["something is lost"])
    outcome = history.run(1, bench, nights=1)
    assert "in the end: something is lost" in outcome.problems
    assert any("BROKEN in the end: something is lost" in line for line in outcome.story)
