"""MSs whose removal was interrupted: their remains go, unless they are needed and cannot be made again."""

import os

import pytest

from contimg.config import load
from contimg.operations import run_lock
from contimg.operations.interrupted_removals import finish_interrupted_removals
from contimg.plan.model import Plan, PlannedTile
from contimg.products.twin import FileRecord, Twin, write_twin

TILE = "2026-02-11T00:26:49"
FILES = ("table.dat", "table.f0", "ANTENNA/table.dat", "ANTENNA/table.f0")


@pytest.fixture
def stage(tmp_path):
    """A stage with the MS of a tile, and what may be made of it."""
    roots = {name: str(tmp_path / name) for name in ("incoming", "stage", "products", "state")}
    layout = load({"paths": roots}).layout
    raw = tmp_path / "incoming" / "2026-02-11T00:26:49_sb00.hdf5"
    raw.parent.mkdir()
    raw.write_bytes(b"raw")
    tile = PlannedTile(TILE, TILE, (str(raw),), (0,), (), (), 61082.0, 61082.1, 12.9, 37.0, -2.06, 0.65, True)

    def make(kind, missing=()):
        product = layout.product(kind, TILE)
        for name in FILES:
            (product / name).parent.mkdir(parents=True, exist_ok=True)
            if name not in missing:
                (product / name).write_bytes(b"1234")
        files = {name: FileRecord(size=4, sha256="0" * 64) for name in FILES}
        write_twin(layout.twin(kind, TILE), Twin(kind=kind, id=TILE, verdict="passed", synthetic=True, files=files))
        return product

    return make, lambda: finish_interrupted_removals(layout, Plan(tiles={TILE: tile})), raw, layout


@pytest.mark.parametrize("kind", ["ms", "calibrated"])
@pytest.mark.parametrize("missing", [FILES[3:], FILES[:3], FILES])
def test_remains_of_an_ms_are_removed_and_its_twin_stays(stage, kind, missing):
    make, finish, _, layout = stage
    product = make(kind, missing)
    finish()
    assert os.listdir(product.parent) == [layout.twin(kind, TILE).name]


def test_whole_mss_and_other_products_stay(stage):
    make, finish, _, _ = stage
    whole, image = make("ms"), make("image", FILES[:1])
    finish()
    assert all((whole / name).exists() for name in FILES) and image.is_dir()


def test_an_ms_without_a_whole_twin_is_left_to_snakemake(stage):
    make, finish, _, layout = stage
    product = make("calibrated", FILES[:1])
    layout.twin("calibrated", TILE).write_text("{")
    finish()
    assert product.is_dir()


def test_what_cannot_be_made_again_and_is_still_needed_stays(stage):
    """A person may bring the missing files back; once the image is there, nobody needs the MSs."""
    make, finish, raw, _ = stage
    products = [make(kind, FILES[3:]) for kind in ("ms", "calibrated")]
    raw.unlink()
    finish()
    assert all(product.is_dir() for product in products)
    make("image")
    finish()
    assert not any(product.exists() for product in products)


def test_nothing_is_removed_while_a_run_works_on_the_stage(stage):
    make, finish, _, layout = stage
    product = make("ms", FILES[:1])
    for root in (layout.stage, layout.state, layout.products):
        root.mkdir(parents=True, exist_ok=True)
    with run_lock.run_locks(layout):
        finish()
        assert product.is_dir()
    finish()
    assert not product.exists()
