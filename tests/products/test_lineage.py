"""Provenance: the walk from a mosaic down to the hashes of the subband files."""

import pytest

from contimg.errors import InputError, RegistryError
from contimg.products import lineage
from contimg.products.twin import read_twin, twin_digest, write_twin
from contimg.registry.rows import rows as registry_rows
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture
def tree(sqlite_config):
    mosaics.make_mosaic(sqlite_config)
    return lineage.collect([sqlite_config.layout.twin("mosaic", ID), sqlite_config.layout.twin("crossmatch", ID)])


def test_everything_is_found_once(tree):
    counts = {kind: len(tree.of_kind(kind)) for kind in lineage.TWIN_KINDS}
    assert counts == {"ms": 2, "calibration": 1, "calibrated": 2, "image": 2, "mosaic": 1, "crossmatch": 1}
    names = sorted(item.id for item in tree.files.values() if item.kind == "subband_file")
    assert names == [f"{tile}_sb{subband:02d}.hdf5" for tile in mosaics.TILES for subband in range(4)]
    assert {item.kind for item in tree.files.values()} == {"subband_file", "catalogue"}


def test_rows_name_their_sources(tree):
    rows = registry_rows(tree, tree.of_kind("mosaic")[0])
    assert [row["tile_id"] for row in rows["tiles"]] == list(mosaics.TILES)
    assert [(row["position"], row["tile_id"], row["used"]) for row in rows["mosaic_tiles"]] == [
        (0, mosaics.TILES[0], True), (1, mosaics.TILES[1], True),
    ]  # fmt: skip
    assert rows["mosaic_groups"][0]["group_id"] == mosaics.GROUP
    assert rows["caltables"][0]["calibrator"] == "3C286"
    edges = {(row["product_kind"], row["input_kind"]) for row in rows["lineage"]}
    assert edges == {
        ("ms", "subband_file"), ("calibration", "ms"), ("calibrated", "ms"), ("calibrated", "calibration"),
        ("image", "calibrated"), ("mosaic", "image"), ("crossmatch", "mosaic"), ("crossmatch", "catalogue"),
    }  # fmt: skip


def test_a_tile_left_out_is_a_member_that_was_not_used(sqlite_config):
    mosaics.make_mosaic(sqlite_config, facts={"tiles_used": [mosaics.TILES[1]]}, crossmatch=False)
    tree = lineage.collect([sqlite_config.layout.twin("mosaic", ID)])
    members = registry_rows(tree, tree.of_kind("mosaic")[0])["mosaic_tiles"]
    assert [row["used"] for row in members] == [False, True]


def test_json_and_back(tree):
    content = tree.to_json()
    back = lineage.Lineage.from_json(content, "metadata.json")
    assert back.files == tree.files and set(back.nodes) == set(tree.nodes)
    assert back.to_json() == content
    assert all("run" not in entry["twin"] for entry in content["products"])


def test_altered_json_is_seen(tree):
    content = tree.to_json()
    content["products"][3]["twin"]["qa"]["flagged_fraction"] = 0.0  # a verdict is no part of it: it is judged again
    with pytest.raises(InputError, match="does not have the digest it is listed under"):
        lineage.Lineage.from_json(content, "metadata.json")
    with pytest.raises(InputError, match="holds no lineage"):
        lineage.Lineage.from_json({"products": []}, "metadata.json")


def test_what_making_it_cost_is_no_part_of_a_products_identity(tree, sqlite_config):
    place = sqlite_config.layout.twin("image", mosaics.GROUP)
    twin = read_twin(place)
    write_twin(place, twin.model_copy(update={"run": {"wall_s": 1e9}}))
    assert twin_digest(read_twin(place)) == twin_digest(twin)
    assert lineage.collect([sqlite_config.layout.twin("mosaic", ID)]).files == {
        key: item for key, item in tree.files.items() if item.kind == "subband_file"
    }


def test_an_input_made_again_is_refused(tree, sqlite_config):
    place = sqlite_config.layout.twin("calibration", mosaics.GROUP)
    write_twin(place, read_twin(place).model_copy(update={"notes": ["made again"]}))
    with pytest.raises(RegistryError, match=r"calibrations/.* was made again"):
        lineage.collect([sqlite_config.layout.twin("mosaic", ID)])
