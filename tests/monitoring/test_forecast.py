"""What a plan will take, from its jobs and the records of earlier ones."""

import pytest

from contimg import naming
from contimg.monitoring.forecast import FULL_SIZE_S, START_S, forecast
from contimg.plan.model import Choice, PlannedCalibration
from tests.monitoring.test_resource_use import write
from tests.operations.test_resources import night

EACH = {"convert_tile": 10.0, "solve_calibration": 40.0, "apply_calibration": 2.0, "image_tile": 30.0}
MOSAIC = dict.fromkeys(("mosaic_group", "summarise_mosaic", "register_mosaic", "publish_mosaic"), 5.0)


@pytest.fixture
def planned(tmp_path):
    """A group of three tiles, with a bandpass that is solved on the second."""
    from contimg.config import load

    config, plan = night()
    sections = config.model_dump(mode="json", exclude={"paths", "crossmatch"})
    paths = {name: str(tmp_path / name) for name in ("incoming", "stage", "products", "state")}
    config = load(sections | {"paths": paths, "crossmatch": {"enabled": False}})
    tiles = list(plan.tiles)
    name = naming.calibration_id(tiles[1])
    plan.calibrations[name] = PlannedCalibration(name, "bandpass", tiles[1], 61082.0, 30.5, "3C286", None)
    plan.choices = {tile: Choice(name, name, (), ()) for tile in tiles}
    return config, plan


def test_a_plan_without_records_is_scaled_from_full_size(planned, tmp_path):
    config, plan = planned
    seen = forecast(config, plan, tmp_path, cores=(1,))
    of_tiles = {"convert_tile": 3, "solve_calibration": 1, "apply_calibration": 3, "image_tile": 3}
    assert list(seen.jobs.items()) == list((of_tiles | dict.fromkeys(MOSAIC, 1)).items())  # a table in this order
    assert seen.costs["convert_tile"].wall_s == pytest.approx(START_S + FULL_SIZE_S["convert_tile"])
    assert seen.costs["convert_tile"].measured == 0


def test_measured_jobs_make_the_forecast(planned, tmp_path):
    """On one core the sum: 3 x 10 + 40 + 3 x 2 + 3 x 30 + 4 x 5 = 186 s; on many the longest way.

    To which come 14 starts of 0.3 s, on the longest way 8, and the start of the run.
    """
    config, plan = planned
    for rule, seconds in (EACH | MOSAIC).items():
        for number, factor in enumerate((0.5, 1.0, 3.0)):  # the median counts
            write(tmp_path, rule, f"2026021{number}T000000", wall_s=seconds * factor, cpu_s=seconds * factor / 2)
    seen = forecast(config, plan, tmp_path, cores=(1, 100))
    assert seen.wall_h[1] * 3600 == pytest.approx(186 + 14 * 0.3 + 4)
    assert seen.wall_h[100] * 3600 == pytest.approx(10 + 40 + 2 + 30 + 4 * 5 + 8 * 0.3 + 4)
    assert seen.cpu_h * 3600 == pytest.approx(93 + 14 * 0.3 + 4)
    assert seen.costs["image_tile"].measured == 3


def test_what_is_made_already_is_not_counted(planned, tmp_path):
    config, plan = planned
    first = next(iter(plan.tiles))
    config.layout.product("image", first).mkdir(parents=True)
    jobs = forecast(config, plan, tmp_path, cores=(1,)).jobs
    assert (jobs["convert_tile"], jobs["image_tile"]) == (2, 2)


def test_kept_files_stay_on_the_disk(planned, tmp_path):
    config, plan = planned
    spare = forecast(config, plan, tmp_path, cores=(1,)).disk_peak_gb
    kept = forecast(config.model_copy(update={"keep": ["ms", "calibrated"]}), plan, tmp_path, cores=(1,)).disk_peak_gb
    assert kept > 1.5 * spare > 0
