"""The study of a cluster against closed forms."""

import json

import pytest

from benchmarks import cluster
from contimg.monitoring.schedule import simulate

ONE = dict.fromkeys(cluster.FULL_SIZE_S, 1.0)


def test_a_group_on_many_cores_takes_its_longest_chain():
    """Convert, solve, apply, image, then five steps."""
    assert simulate(cluster.tasks_of_group(0, 10, ONE), 100).end_s == 9
    assert len(cluster.tasks_of_group(0, 10, ONE)) == 36
    assert simulate(cluster.tasks_of_group(0, 10, ONE), 1).end_s == 36


def test_a_cluster_that_notices_ends_late_pays_for_each_step_of_the_chain():
    """Eight of the nine ends hold up a follower; the last is noticed, too."""
    assert simulate(cluster.tasks_of_group(0, 10, ONE), 100, notice_s=10.0).end_s == 9 + 9 * 10


def test_where_it_keeps_up_the_latency_is_that_of_one_group():
    seconds = dict.fromkeys(cluster.FULL_SIZE_S, 10.0)
    day = cluster.follow_the_telescope(40, 1000, seconds)
    assert day.mosaic_min == pytest.approx((2 * [(60 + 15 + 90) / 60])[:2])
    # The last tile of a group waits for nobody: quiet, start, four steps; the first came nine tiles before.
    longest = (60 + 15 + 40 + 9 * cluster.TILE_S) / 60
    assert day.tile_min == pytest.approx((longest - 4.5 * cluster.TILE_S / 60, longest))
    assert day.behind_h == pytest.approx(165 / 3600)
    assert day.used == pytest.approx(4 * 36 * 10 / (40 * cluster.TILE_S * 1000))


def test_where_it_does_not_keep_up_it_falls_behind_by_the_work_that_is_left():
    """One core, 36 jobs of 120 s a group: 4320 s of work for 3092 s of sky."""
    seconds = dict.fromkeys(cluster.FULL_SIZE_S, 120.0)
    few, many = (cluster.follow_the_telescope(tiles, 1, seconds) for tiles in (100, 200))
    assert many.used == pytest.approx(4320 / (10 * cluster.TILE_S), rel=1e-6)
    grown_s = 3600 * (many.behind_h - few.behind_h)
    assert grown_s == pytest.approx(10 * (4320 - 10 * cluster.TILE_S), abs=2 * 4320)


@pytest.mark.parametrize("cores", [1, 4])
def test_a_season_again_takes_its_work_over_the_cores(cores):
    """Where jobs are many, cores stand idle only at the ends of runs."""
    hours = cluster.process_again(200, cores, ONE)
    assert hours * 3600 == pytest.approx(200 * 36 / cores + 4 * cluster.RUN_START_S, rel=0.02)


def test_costs_are_those_of_a_measured_night(tmp_path):
    record = tmp_path / "night.json"
    record.write_text(json.dumps({"rules": {rule: {"cpu_s": 7.0} for rule in cluster.FULL_SIZE_S}}))
    assert cluster.costs(record) == dict.fromkeys(cluster.FULL_SIZE_S, 9.5)
    assert cluster.costs(None)["image_tile"] == 142.5  # of benchmarks/night.py, and the start


def test_the_study_has_a_row_for_each_number_of_nodes():
    rows = cluster.study(dict.fromkeys(ONE, 100.0), 2, nodes=(1, 2))
    assert [(row["nodes"], row["cores"]) for row in rows] == [(1, 2), (2, 4)]
    assert rows[0]["season_again_days"] > rows[1]["season_again_days"] > 0
