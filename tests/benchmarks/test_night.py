"""The benchmark of a whole night: its arithmetic, and its run on a night of one small tile."""

import json

import pytest

from benchmarks import night
from benchmarks.run_sampler import Seen
from contimg.monitoring.benchmark_records import JobRecord
from contimg.monitoring.schedule import simulate

TILES = ("20260211T000000", "20260211T000509")


def job(rule, name, cpu_s, used_mb=100.0):
    return JobRecord(rule, name, "2026-02-11", 0.0, cpu_s, cpu_s, used_mb, 0.0, 0.0)


def records():
    found = [job("convert_tile", tile, 10.0) for tile in TILES]
    found += [job("apply_calibration", tile, 2.0) for tile in TILES] + [job("image_tile", tile, 20.0) for tile in TILES]
    found.append(job("solve_calibration", f"cal_{TILES[0]}", 30.0, used_mb=500.0))
    for rule in ("mosaic_group", "crossmatch_mosaic", "summarise_mosaic", "register_mosaic", "publish_mosaic"):
        found.append(job(rule, f"mosaic_{TILES[0]}", 5.0))
    return found


def test_the_schedule_follows_the_data():
    """On two cores: convert both (10), solve (40), apply and image both (62), then five steps of 5 s."""
    done = simulate(night.tasks_of(records()), 2)
    assert done.ends[f"solve_calibration cal_{TILES[0]}"] == 40
    assert {done.ends[f"image_tile {tile}"] for tile in TILES} == {62.0}
    assert done.end_s == 62 + 5 * 5
    assert simulate(night.tasks_of(records()), 1).end_s == 119


def test_rules_have_numbers_medians_and_the_largest_memory():
    rules = night.of_rules([*records(), job("image_tile", "x", 50.0, used_mb=2000.0)])
    assert list(rules) == list(night.RULES)
    assert rules["image_tile"] == {"jobs": 3, "cpu_s": 20.0, "wall_s": 20.0, "peak_gb": 2.0}
    assert rules["convert_tile"]["cpu_s"] == 10.0


def test_the_factor_is_sky_time_over_wall_time():
    cost = night.NightCost(10, 2, 1236.95, 0.0, Seen(), {}, 0.0, 0.0, 618.475, 0.0)
    assert cost.real_time_factor == pytest.approx(2.5, rel=1e-4)
    assert cost.quiet_factor == pytest.approx(5.0, rel=1e-4)


def test_the_files_of_a_full_tile_take_2_23_gb():
    assert night.files_bytes(night.FULL, 1) == 16 * 24 * 4656 * 48 * 2 * 13


def test_too_little_room_is_said_before_anything_is_made(tmp_path):
    with pytest.raises(SystemExit, match="name another folder with --folder, or fewer tiles"):
        night.require_room(tmp_path, night.FULL, 100_000)


@pytest.mark.long
def test_a_night_of_one_small_tile(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(night.SMALL, "channels", 3)
    monkeypatch.setitem(night.SMALL, "antennas", 20)
    night.main(["--small", "--tiles", "1", "--folder", str(tmp_path), "--record", str(tmp_path / "cost.json")])
    cost = json.loads((tmp_path / "cost.json").read_text())
    assert cost["quality"]["state"] == "published" and cost["quality"]["completeness"] == 1
    assert abs(cost["quality"]["median_flux_ratio"] - 1) < 0.03
    assert set(cost["rules"]) == set(night.RULES)
    assert 0.1e9 < cost["seen"]["memory_bytes"] < 2e9
    assert cost["seen"]["disk_bytes"]["inputs"] >= night.files_bytes(night.SMALL, 1)
    assert cost["wall_s"] >= 60 * cost["mosaic_min"] > 60 * cost["tile_min"] > 0
    assert "real-time factor, measured" in capsys.readouterr().out
