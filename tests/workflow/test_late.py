"""A subband that comes late, end to end: before its group is published, and after."""

import json
import shutil

import pytest

from contimg import naming
from tests.workflow.conftest import simulate

pytestmark = pytest.mark.long

ONE_TILE = {"convert_tile": 1, "apply_calibration": 1, "image_tile": 1, "mosaic_group": 1, "crossmatch_mosaic": 1}
TAIL = {"summarise_mosaic": 1, "register_mosaic": 1, "publish_mosaic": 1}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Three tiles, calibrated on the second; one subband of the first and one of the last lie in ``late/``."""
    return simulate(
        tmp_path_factory.mktemp("late") / "night", "--tiles", "3", "--antennas", "24", "--channels", "4",
        "--sources", "16", "--late", "0:5", "--late", "2:9", "--transit-tile", "1", "--seed", "7",
        "--max-baseline", "500",
    )  # fmt: skip


def bring(night, subband):
    """Let a late file arrive; return its name."""
    (path,) = (night.place / "late").glob(f"*_sb{subband:02d}.hdf5")
    shutil.move(path, night.place / "incoming")
    return path.name


def standing(night, *, without):
    """Return bytes and mtimes of all twins of tiles and calibrations but one tile's."""
    kinds = ("ms", "calibrations", "calibrated", "images")
    twins = [path for kind in kinds for path in night.stage.glob(f"{kind}/*/*.json") if without not in path.name]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in twins}


def twin(night, kind, tile):
    return json.loads((night.stage / kind / tile[:10] / f"{naming.stem(tile)}.json").read_text())


def versions(night):
    shown = json.loads(night.contimg("registry", "list", "--all-versions", "--json").stdout)
    return sorted((row["version"], row["status"]) for row in shown)


def test_a_late_subband_remakes_what_depends_on_it_and_by_policy_its_published_group(night):
    night.snakemake("--until", "mosaic_group", "--quiet", "rules")
    first, _, last = night.plan()["tiles"]
    assert twin(night, "ms", first)["facts"]["missing_subbands"] == [5]

    # The group is committed but not published: its tile and what follows, nothing of other tiles.
    bring(night, 5)
    assert night.planned() == ONE_TILE | TAIL
    for rule in ("convert_tile", "apply_calibration", "image_tile"):
        assert night.planned_files(rule) == [naming.stem(first)]
    others = standing(night, without=naming.stem(first))
    assert len(others) == 7  # of each of two tiles MS, calibrated MS and image, and the calibration
    night.snakemake("--quiet", "rules")
    assert standing(night, without=naming.stem(first)) == others
    assert twin(night, "ms", first)["facts"]["n_subbands"] == 16
    assert len(twin(night, "ms", first)["inputs"]) == 16
    assert versions(night) == [(1, "published")]

    # Now it is published: with `late: report` the file is named and nothing is done.
    night.change_config(group={"late": "report"})
    name = bring(night, 9)
    assert night.planned() == {}
    expected = {"group": first, "tile": last, "files": [name], "action": "report"}
    assert night.plan()["late"] == json.loads(night.contimg("inbox", "--json").stdout)["late"] == [expected]
    assert name in night.contimg("plan").stdout and name in night.contimg("inbox").stdout
    night.snakemake("--quiet", "rules")
    assert versions(night) == [(1, "published")]

    # With `late: reprocess` its tile is made again, and the mosaic becomes version 2 beside version 1.
    night.change_config(group={"late": "reprocess"})
    assert night.planned() == ONE_TILE | TAIL
    assert night.planned_files("convert_tile") == [naming.stem(last)]
    others = standing(night, without=naming.stem(last))
    night.snakemake("--quiet", "rules")
    assert standing(night, without=naming.stem(last)) == others
    assert twin(night, "ms", last)["facts"]["missing_subbands"] == []
    assert versions(night) == [(1, "published"), (2, "published")]
    bundles = sorted(path.name for path in (night.place / "products" / "mosaics").glob("*/mosaic_*"))
    assert bundles == [naming.mosaic_id(first), f"{naming.mosaic_id(first)}.v2"]
    assert night.planned() == {} and night.plan()["late"] == []
