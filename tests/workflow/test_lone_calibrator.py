"""A calibrator transits in a tile of no group: its MS stays until the calibration is solved on it."""

import json
import shutil

import pytest

from tests.workflow.conftest import simulate

pytestmark = pytest.mark.long

LONE = "20260211T12"  # the last tile; the first two are a group, and the third is missing


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    place = tmp_path_factory.mktemp("lone") / "night"
    made = simulate(
        place, "--tiles", "4", "--antennas", "12", "--channels", "2", "--sources", "6", "--max-baseline", "400",
        "--transit-tile", "3",
    )  # fmt: skip
    made.change_config(group={"tiles": 2, "min_tiles": 2, "stride": 2})
    times = sorted({path.name[:16] for path in (place / "incoming").iterdir()})
    for path in (place / "incoming").glob(f"{times[2]}*"):
        path.unlink()
    return made


def solved(night):
    (twin,) = (night.stage / "calibrations").glob("*/cal_*.json")
    return json.loads(twin.read_text())


def test_the_calibration_is_solved_on_a_tile_of_no_group(night):
    plan = night.plan()
    (group,) = plan["groups"].values()
    (calibration,) = plan["calibrations"].values()
    assert calibration["tile"] not in group["tiles"]
    night.snakemake("--quiet", "rules")
    twin = solved(night)
    assert twin["facts"]["calibrator"] == "3C286" and twin["verdict"] == "passed"
    (log,) = (night.place / "work/logs/convert_tile").glob("*/*" + twin["id"].removeprefix("cal_") + ".log")
    assert log.read_text().count("wrote ") == 1
    assert len(list((night.stage / "published").glob("*/mosaic_*.json"))) == 1
    assert night.planned() == {}


def test_what_is_left_of_its_ms_stops_nobody(night):
    """A removal was interrupted, and the calibration has to be solved again."""
    name = solved(night)["id"].removeprefix("cal_")
    (ms,) = (night.stage / "ms").glob(f"*/{name}.ms")
    shutil.rmtree(ms / "ANTENNA")
    night.change_config(calibration={"min_snr": 3.5})
    night.snakemake("--quiet", "rules")
    assert solved(night)["parameters"]["calibration"]["min_snr"] == 3.5
    assert night.planned() == {}
