"""Products deleted from a finished night: what depends on them is made again, and nothing else."""

import contextlib
import json
import shutil

import pytest

from tests.workflow.conftest import simulate

pytestmark = pytest.mark.long

ONE_TILE = {"convert_tile": 1, "apply_calibration": 1, "image_tile": 1, "mosaic_group": 1, "crossmatch_mosaic": 1}
TAIL = {"summarise_mosaic": 1, "register_mosaic": 1, "publish_mosaic": 1}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A night of three tiles taken to the archive."""
    night = simulate(
        tmp_path_factory.mktemp("deleted") / "night", "--tiles", "3", "--antennas", "16", "--channels", "2",
        "--sources", "6", "--max-baseline", "250",
    )  # fmt: skip
    night.snakemake("--quiet", "rules")
    return night


@contextlib.contextmanager
def without(night, *patterns):
    """Take files and folders of the stage away for a while."""
    aside = night.place / "aside"
    aside.mkdir()
    moved = [
        (path, aside / str(number)) for number, path in enumerate(p for q in patterns for p in night.stage.glob(q))
    ]
    for path, kept in moved:
        shutil.move(path, kept)
    yield moved
    for path, kept in moved:
        shutil.move(kept, path)
    aside.rmdir()


def calibrator_tile(night):
    (calibration,) = night.plan()["calibrations"]
    return calibration.removeprefix("cal_")


def test_the_image_of_the_calibrators_tile_redoes_that_tile_alone(night):
    tile = calibrator_tile(night)
    with without(night, f"images/*/{tile}") as moved:
        assert len(moved) == 1
        assert night.planned() == ONE_TILE | TAIL
        assert night.planned_files("image_tile") == [tile]


@pytest.mark.parametrize("kind", ["calibrated", "ms"])
def test_the_twin_of_a_temporary_ms_is_made_again(night, kind):
    """Without it the mosaic cannot tell what it is made of, and failed at each run."""
    tile = next(
        path.stem for path in sorted(night.stage.glob("images/*/*.json")) if path.stem != calibrator_tile(night)
    )
    with without(night, f"{kind}/*/{tile}.json", "mosaics/*/mosaic_*") as moved:
        assert len(moved) == 3
        assert night.planned() == ONE_TILE | TAIL


def test_an_edited_catalogue_is_a_new_sky_and_a_touched_one_is_not(night):
    catalogue = night.place / "catalogue.csv"
    before = catalogue.read_text()
    catalogue.write_text(before)
    assert night.planned() == {}
    catalogue.write_text(before.replace("S", "s", 1) if "S" in before else before + "\n")
    assert {"crossmatch_mosaic": 1, "image_tile": 3}.items() <= night.planned().items()
    catalogue.write_text(before)
    assert night.planned() == {}


def test_a_lost_table_is_solved_again_where_a_tile_needs_it(night):
    """The image of the calibrator's tile and the gain table: both come back, and the night is finished."""
    (table,) = night.stage.glob("calibrations/*/cal_*/*G*")
    with without(night, str(table.relative_to(night.stage))):
        assert "not whole" not in night.snakemake("-n", "--quiet", "rules").stderr  # no job would read it
    shutil.rmtree(next(night.stage.glob(f"images/*/{calibrator_tile(night)}")))
    shutil.rmtree(table)
    said = night.snakemake("-n", "--quiet", "rules").stderr
    assert f"({table}/" in said and "will set it aside" in said
    night.snakemake("--quiet", "rules")
    assert table.is_dir()
    assert night.planned() == {}
    shown = json.loads(night.contimg("registry", "list", "--all-versions", "--json").stdout)
    assert [row["status"] for row in shown] == ["published"]  # the same pixels: no new version


def test_torn_twins_are_made_again_by_the_same_command(night):
    """A failing disk tears twins of an image and of the calibration, and a marker: nothing else is made anew."""
    tile = next(
        path.stem for path in sorted(night.stage.glob("images/*/*.json")) if path.stem != calibrator_tile(night)
    )
    image = next(night.stage.glob(f"images/*/{tile}.json"))
    torn = [image, *night.stage.glob("calibrations/*/cal_*.json"), *night.stage.glob("registered/*/*.json")]
    for path in torn:
        path.write_bytes(path.read_bytes()[:300])
    said = night.snakemake("-n", "--quiet", "rules").stderr
    assert all(f"{path} is" in said for path in torn) and "will set it aside" in said
    assert image.exists()
    night.snakemake("--quiet", "rules")
    assert night.planned() == {}
    assert len(list(night.stage.rglob("*.damaged"))) == len(torn) == 3  # that of the lost table is replaced
    shown = json.loads(night.contimg("registry", "list", "--all-versions", "--json").stdout)
    assert [row["status"] for row in shown] == ["published"]  # the same pixels: no new version


def test_what_is_left_of_an_ms_is_no_ms(night):
    """A run was killed while Snakemake removed MSs: what is left starts no job, and is not read by one."""
    tile = calibrator_tile(night)
    rests = []
    for kind in ("ms", "calibrated"):
        twin = next(night.stage.glob(f"{kind}/*/{tile}.json"))
        rests.append(twin.with_suffix(".ms"))
        name, record = next(iter(json.loads(twin.read_text())["files"].items()))
        (rests[-1] / name).parent.mkdir(parents=True)
        (rests[-1] / name).write_bytes(bytes(record["size"]))
    assert night.planned() == {}
    night.snakemake("--quiet", "rules")
    assert not any(rest.exists() for rest in rests)
    rests[1].mkdir()
    image = next(night.stage.glob(f"images/*/{tile}"))
    shutil.rmtree(image)
    night.snakemake("--quiet", "rules")
    assert image.is_dir() and not rests[1].exists()
    assert night.planned() == {}


def test_a_pruned_night_stays_settled(night):
    said = json.loads(night.contimg("prune", "--older-than", "0", "--json").stdout)
    assert {item["kind"] for item in said["items"]} >= {"image"}
    assert not list(night.stage.glob("images/*/*/*.fits"))
    assert night.overlay["nights"]  # named, and its files are there
    assert night.planned() == {}
