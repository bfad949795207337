"""What a calibration went into, on the stage and in the registry, and the groups that are opened again without it."""

import json
import shutil

import pytest

from contimg import naming
from contimg.operations.reprocess import products_of, reopen
from contimg.products.twin import Input, Twin, write_twin
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.storage.atomic import write_json
from tests.support import mosaics

BANDPASS = naming.calibration_id(mosaics.GROUP)
GAINS = "cal_20260211T003158"
OTHER = ("2026-02-12T03:00:00",)
NOTHING = {"calibrations": [], "calibrated": [], "images": [], "mosaics": [], "versions": []}


def commit(config, tiles):
    members = [{"id": tile, "name_time": tile, "files": []} for tile in tiles]
    write_json(config.layout.group(tiles[0]), {"id": tiles[0], "tiles": members})


@pytest.fixture
def config(tmp_path):
    """Two published mosaics of two days, each with a bandpass of its own, and gains on top of the first."""
    config = mosaics.config_below(tmp_path)
    for tiles in (mosaics.TILES, OTHER):
        commit(config, tiles)
        mosaic_id = mosaics.make_mosaic(config, tiles=tiles)
        register_mosaic(mosaic_id, config)
        publish_mosaic(mosaic_id, config, waits_s=())
    on_top = Input(path="x", kind="calibration", id=BANDPASS, sha256="0" * 64)
    twin = Twin(kind="calibration", id=GAINS, verdict="passed", inputs=[on_top], synthetic=True)
    write_twin(config.layout.twin("calibration", GAINS), twin)
    return config


def version(config, mosaic_id=mosaics.MOSAIC, number=1, status="published"):
    place = config.layout.bundle(mosaic_id, number) if status == "published" else None
    path = str(place or config.layout.product("registered", mosaic_id) / f"v{number}")
    return {"data_id": mosaic_id, "version": number, "status": status, "path": path}


def test_everything_below_and_above_is_found_and_nothing_of_another_calibration(config):
    assert products_of(config, BANDPASS) == {
        "calibrations": [GAINS], "calibrated": list(mosaics.TILES), "images": list(mosaics.TILES),
        "mosaics": [mosaics.MOSAIC], "versions": [version(config)],
    }  # fmt: skip
    other = naming.calibration_id(OTHER[0])
    assert products_of(config, other)["mosaics"] == [naming.mosaic_id(OTHER[0])]


def test_what_was_calibrated_with_gains_on_top_counts_too(config):
    """A tile that names only the gains rests on the bandpass below them."""
    tile = "2026-02-11T00:42:16"
    used = Input(path="x", kind="calibration", id=GAINS, sha256="1" * 64)
    twin = Twin(kind="calibrated", id=tile, verdict="passed", inputs=[used], synthetic=True)
    write_twin(config.layout.twin("calibrated", tile), twin)
    assert products_of(config, BANDPASS)["calibrated"] == [*mosaics.TILES, tile]
    assert products_of(config, GAINS)["calibrated"] == [tile]


def test_an_unused_calibration_went_into_nothing(config):
    assert products_of(config, "cal_20990101T000000") == NOTHING


def test_superseded_versions_are_listed_with_their_place_on_the_stage(config):
    for seed in (2, 3):
        mosaics.make_mosaic(config, seed=seed)
        register_mosaic(mosaics.MOSAIC, config)
    assert products_of(config, BANDPASS)["versions"] == [
        version(config), version(config, number=2, status="superseded"), version(config, number=3, status="staging"),
    ]  # fmt: skip


def test_without_a_registry_there_are_no_versions_and_none_is_made(tmp_path):
    config = mosaics.config_below(tmp_path)
    mosaics.make_mosaic(config)
    assert products_of(config, BANDPASS)["versions"] == []
    assert not config.layout.registry_file.exists()


def markers(config):
    return sorted(path.stem for path in (config.layout.stage / "published").rglob("*.json"))


def test_the_groups_of_the_products_are_opened_and_others_stay_settled(config):
    assert reopen(config, products_of(config, BANDPASS)) == [mosaics.MOSAIC]
    assert markers(config) == [naming.mosaic_id(OTHER[0])]
    assert reopen(config, products_of(config, BANDPASS)) == []  # it is open already


def test_a_group_is_found_by_the_registry_after_the_stage_was_cleared(config):
    for kind in ("calibrated", "images", "mosaics"):
        shutil.rmtree(config.layout.stage / kind)
    products = products_of(config, BANDPASS)
    assert products == NOTHING | {"calibrations": [GAINS], "versions": [version(config)]}
    assert reopen(config, products) == [mosaics.MOSAIC]


def test_a_group_is_found_by_its_tiles_before_it_has_a_mosaic(config):
    """A calibrated tile of a group whose marker stands, although its mosaic and rows are gone."""
    products = NOTHING | {"calibrated": ["20260211T003158"]}
    assert reopen(config, products) == [mosaics.MOSAIC]


def test_membership_is_not_touched(config):
    before = json.loads(config.layout.group(mosaics.GROUP).read_text())
    reopen(config, products_of(config, BANDPASS))
    assert json.loads(config.layout.group(mosaics.GROUP).read_text()) == before
