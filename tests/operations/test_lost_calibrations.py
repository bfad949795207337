"""A calibration that lost a table is named when planning: solved again where that is possible, else refused."""

import shutil

import pytest

from contimg import naming
from contimg.errors import ConfigError
from contimg.operations import preflight
from contimg.operations.damaged_twins import set_aside_damaged_twins
from contimg.operations.lost_calibrations import findings, lost_calibrations
from contimg.plan.model import Choice, PlannedCalibration
from contimg.products.manifest import lost_file, make_manifest
from contimg.products.twin import Twin, write_twin
from tests.operations.test_targets import planned

BANDPASS, GAINS = "cal_20260211T000509", "cal_20260211T000000"
TABLES = ("K.cal/table.dat", "B.cal/table.dat", "G.cal/table.dat", "G.cal/table.f0")


def solved(layout, name):
    """Write a calibration of four files and its twin."""
    place = layout.product("calibration", name)
    for number, table in enumerate(TABLES):
        (place / table).parent.mkdir(parents=True, exist_ok=True)
        (place / table).write_bytes(bytes(100 + number))
    facts = {"type": "bandpass", "mid_mjd": 61082.5, "dec_app_deg": 30.5, "tile": naming.iso(name)}
    twin = Twin(
        kind="calibration", id=name, verdict="passed", synthetic=True, facts=facts, files=make_manifest(place)
    )  # fmt: skip
    write_twin(layout.twin("calibration", name), twin)


def imaged(layout, tile):
    layout.product("image", tile).mkdir(parents=True)
    write_twin(layout.twin("image", tile), Twin(kind="image", id=tile, verdict="failed", synthetic=True))


@pytest.fixture
def stage(tmp_path):
    """Three tiles to be imaged with a bandpass and gains that are solved already."""
    config, plan = planned(tmp_path)
    for name, kind, below in ((BANDPASS, "bandpass", None), (GAINS, "gains", BANDPASS)):
        tile = naming.iso(name)
        plan.calibrations[name] = PlannedCalibration(name, kind, tile, 61082.0, 30.5, None, below)
        solved(config.layout, name)
    plan.choices = {tile: Choice(BANDPASS, GAINS, (), ()) for tile in plan.tiles}
    assert {naming.iso(name) for name in (BANDPASS, GAINS)} <= set(plan.tiles)
    return config, plan


def lose(config, name=BANDPASS, table="G.cal"):
    path = config.layout.product("calibration", name) / table
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return path


def test_a_whole_calibration_is_not_named(stage):
    config, plan = stage
    assert lost_calibrations(config.layout, plan) == {}
    assert findings(config, plan) == []
    assert set_aside_damaged_twins(config, plan, dry_run=False) == []


@pytest.mark.parametrize("table", ["G.cal", "B.cal", "G.cal/table.f0", "."])
@pytest.mark.parametrize("name", [BANDPASS, GAINS])
def test_one_that_lost_a_table_is_solved_again(stage, name, table):
    config, plan = stage
    lose(config, name, table)
    twin = config.layout.twin("calibration", name)
    (said,) = set_aside_damaged_twins(config, plan, dry_run=True)
    assert said.startswith(f"{twin} describes a calibration that is not whole (") and "is missing" in said
    assert "the run will set it aside" in said and twin.exists()
    set_aside_damaged_twins(config, plan, dry_run=False)
    assert not twin.exists()
    assert findings(config, plan) == []
    assert set_aside_damaged_twins(config, plan, dry_run=False) == []


def test_a_truncated_table_is_lost(stage):
    config, plan = stage
    path = config.layout.product("calibration", BANDPASS) / "G.cal/table.f0"
    path.write_bytes(b"x")
    assert lost_calibrations(config.layout, plan) == {BANDPASS: f"{path} has 1 bytes instead of 103"}


def test_without_its_tile_the_run_is_refused_with_the_file_and_a_way_out(stage):
    config, plan = stage
    path = lose(config)
    del plan.tiles[naming.iso(BANDPASS)]
    plan.groups = {}
    assert findings(config, plan) == []  # no work needs it
    config, plan = planned(config.paths.stage.parent)
    tile = "2026-02-10T00:00:00"
    plan.calibrations[BANDPASS] = PlannedCalibration(BANDPASS, "bandpass", tile, 61081.0, 30.5, None, None)
    plan.choices = {one: Choice(BANDPASS, None, (), ()) for one in plan.tiles}
    (said,) = findings(config, plan)
    assert said.startswith(f"{path}/table.dat is missing, which belongs to calibration {BANDPASS}")
    assert f"contimg calibration withdraw {BANDPASS} --reason lost" in said
    assert set_aside_damaged_twins(config, plan, dry_run=False) == []


def test_preflight_raises_the_finding(stage, monkeypatch):
    config, plan = stage
    lose(config)
    plan.calibrations[BANDPASS] = PlannedCalibration(
        BANDPASS, "bandpass", "2026-02-10T00:00:00", 61081.0, 30.5, None, None
    )
    monkeypatch.setattr(preflight.observe, "current_plan", lambda config: plan)
    with pytest.raises(ConfigError, match=f"belongs to calibration {BANDPASS}"):
        preflight.checked_plan(config)


def test_tiles_that_are_imaged_read_no_calibration(stage):
    config, plan = stage
    lose(config)
    for tile in list(plan.tiles)[:-1]:
        imaged(config.layout, tile)
    assert set(lost_calibrations(config.layout, plan)) == {BANDPASS}
    imaged(config.layout, list(plan.tiles)[-1])
    assert lost_calibrations(config.layout, plan) == {}


def test_gains_still_to_be_solved_read_their_bandpass(stage):
    config, plan = stage
    plan.choices = {tile: Choice(BANDPASS, GAINS, (), ()) for tile in plan.tiles}
    lose(config)
    config.layout.twin("calibration", GAINS).unlink()
    assert set(lost_calibrations(config.layout, plan)) == {BANDPASS}
    other = "cal_20260211T001018"
    plan.calibrations[other] = PlannedCalibration(other, "gains", naming.iso(other), 61082.0, 30.5, None, BANDPASS)
    plan.choices = {tile: Choice(other, None, (), ()) for tile in plan.tiles}
    assert set(lost_calibrations(config.layout, plan)) == {BANDPASS}


def test_a_calibration_still_to_be_solved_or_of_an_earlier_version_has_lost_nothing(stage):
    config, plan = stage
    lose(config)
    twin = config.layout.twin("calibration", BANDPASS)
    write_twin(twin, Twin(kind="calibration", id=BANDPASS, verdict="failed", synthetic=True))
    assert lost_calibrations(config.layout, plan) == {}
    twin.unlink()
    assert lost_calibrations(config.layout, plan) == {}


def test_the_first_file_that_is_missing_is_named(tmp_path, stage):
    config, _ = stage
    twin = config.layout.twin("calibration", BANDPASS)
    files = make_manifest(config.layout.product("calibration", BANDPASS))
    described = Twin(kind="calibration", id=BANDPASS, verdict="failed", synthetic=True, files=files)
    assert lost_file(twin, described) is None
    lose(config, BANDPASS, "B.cal/table.dat")
    assert lost_file(twin, described) == f"{config.layout.product('calibration', BANDPASS)}/B.cal/table.dat is missing"
