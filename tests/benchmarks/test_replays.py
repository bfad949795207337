"""The record of fresh seeds: it goes on where it ended, and what stands in the repository is sound."""

import json
import subprocess
import sys
import time

import psutil
import pytest

from benchmarks import replays


def line(first, count, **content):
    standard = {"nights": 2 * count, "calls": 100 * count, "broken": [], "cpu_s": 0.5 * count, "commit": "abc"}
    return {"first": first, "count": count} | standard | content


def test_it_goes_on_where_it_ended():
    assert replays.next_seed([]) == replays.FIRST
    assert replays.next_seed([line(500, 100), line(100, 50)]) == 600


def test_sums_and_what_the_goals_would_take():
    lines = [line(0, 100), line(100, 300, broken=[107])]
    assert replays.totals(lines) == {"seeds": 400, "broken": 1, "nights": 800, "calls": 40_000, "cpu_s": 200.0}
    hours = replays.forecast(lines)
    assert hours["seeds"] == pytest.approx(0.5 * 1e6 / 3600) and hours["nights"] == pytest.approx(0.25 * 36_500 / 3600)


def test_a_run_writes_a_line_and_the_next_goes_on(tmp_path, monkeypatch, capsys):
    record = tmp_path / "record.jsonl"
    monkeypatch.setattr(replays, "CHUNK", 1)
    for processes in ("1", "2"):
        replays.main(["--seconds", "0.001", "--record", str(record), "--processes", processes])
    lines = [json.loads(text) for text in record.read_text().splitlines()]
    assert sorted(one["first"] for one in lines) == [replays.FIRST + number for number in range(3)]
    assert all((one["count"], one["nights"]) == (1, 1) for one in lines)
    assert all(one["calls"] > 0 and one["broken"] == [] for one in lines)  # few, where the plan is killed
    assert "3 seeds, 3 nights" in capsys.readouterr().out


def test_who_ends_it_ends_its_processes(tmp_path):
    words = ["--processes", "2", "--record", str(tmp_path / "record.jsonl")]
    made = subprocess.Popen([sys.executable, "-m", "benchmarks.replays", *words], cwd=replays.ROOT)
    try:
        while len(workers := psutil.Process(made.pid).children(recursive=True)) < 3:  # one looks after the others
            assert made.poll() is None
            time.sleep(0.05)
        made.terminate()
        assert made.wait(30) == 143
        assert psutil.wait_procs(workers, timeout=30)[1] == []
    finally:
        made.kill()
    assert not (tmp_path / "record.jsonl").exists()


def test_the_record_counts_no_seed_twice():
    seeds = [seed for one in replays.read(replays.RECORD) for seed in range(one["first"], one["first"] + one["count"])]
    assert len(seeds) == len(set(seeds)) > 0
