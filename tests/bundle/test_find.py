"""Finding bundles on disk: what a person means, and what is none."""

import json

import pytest

from contimg.bundle import bundle, find
from contimg.errors import InputError, UnknownIdError
from contimg.naming import Layout
from tests.support import mosaics

ID = "mosaic_20260211T002649"
OTHER = "mosaic_20260212T002649"


@pytest.fixture
def layout(tmp_path):
    return Layout(*(tmp_path / name for name in ("incoming", "stage", "products", "state")))


def make(path):
    path.mkdir(parents=True)
    (path / bundle.METADATA).write_text("{}")
    return path


def staged(layout, data_id, version):
    return make(layout.product("registered", data_id) / f"v{version}")


def test_the_latest_published_version_is_meant(layout):
    first, tenth = (make(layout.bundle(ID, version)) for version in (1, 10))
    make(layout.bundle(ID, 2))
    staged(layout, ID, 11)
    make(find.hidden_place(layout, ID, 12))
    for text in (ID, "2026-02-11T00:26:49", "20260211T002649", "mosaic_2026-02-11T00:26:49"):
        assert find.find_bundle(layout, text) == tenth
    assert tenth.name == f"{ID}.v10"  # the number decides, not the text: v2 sorts behind v10
    assert find.find_bundle(layout, f"{ID}.v1") == first


def test_then_the_latest_on_the_stage_then_the_latest_withdrawn(layout):
    hidden = [make(find.hidden_place(layout, ID, version)) for version in (1, 2)]
    assert find.find_bundle(layout, ID) == hidden[1]
    assert find.find_bundle(layout, f"{ID}.v1") == hidden[0]
    waiting = [staged(layout, ID, version) for version in (9, 10)]
    assert find.find_bundle(layout, ID) == waiting[1]
    assert find.find_bundle(layout, f"{ID}.v9") == waiting[0]
    assert find.find_bundle(layout, f"{ID}.v2") == hidden[1]


def test_a_folder_is_meant_by_its_path(layout, tmp_path, monkeypatch):
    elsewhere = make(tmp_path / "usb stick" / "copy")
    assert find.find_bundle(layout, str(elsewhere)) == elsewhere
    monkeypatch.chdir(elsewhere.parent)
    assert find.find_bundle(layout, "copy") == elsewhere


@pytest.mark.parametrize("text", [ID, f"{ID}.v3", OTHER])
def test_a_bundle_that_stands_nowhere(layout, text):
    make(layout.bundle(ID, 2)).rename(layout.bundle(ID, 2).with_name(f"{ID}.v02"))  # no name of a bundle
    with pytest.raises(UnknownIdError, match=f"no bundle of {text} stands in the archive or on the stage"):
        find.find_bundle(layout, text)


@pytest.mark.parametrize("text", ["", "\n", "mosaic", f"{ID}\n", f"{ID}\n.v2", f"{ID}.v0", f"{ID}.v", "../..", "é"])
def test_a_text_that_is_no_id_is_one_sentence(layout, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownIdError, match="is not the id of a mosaic: write mosaic_20260211T002649"):
        find.find_bundle(layout, text)


def test_the_id_of_a_calibration_is_told_so(layout):
    with pytest.raises(UnknownIdError, match="is the id of a calibration: name a mosaic"):
        find.find_bundle(layout, "cal_20260211T002649")


def test_only_folders_of_bundles_are_found(layout, tmp_path):
    first, second = make(layout.bundle(ID, 1)), make(layout.bundle(ID, 2))
    other = make(layout.bundle(OTHER, 1))
    hidden = make(find.hidden_place(layout, ID, 3))
    home = first.parent
    for name in (f"{ID}.v1", f"{ID}.v02", f"{ID}.v0", f"{ID}.v-2", f"{ID}.vx", f"{ID}.old", "mosaic_of_the_year"):
        make(home / name)
    make(home / "mosaic_20260212T002649")  # under another night than its own
    (home / f"{ID}.v4").write_text("no folder")
    (home / f"{ID}.v5").symlink_to(first)
    make(layout.bundle(ID, 6).parent.parent / "2026-02-30" / ID)
    assert list(find.find_bundles(layout)) == [
        (first, ID, 1, False), (second, ID, 2, False), (other, OTHER, 1, False), (hidden, ID, 3, True)
    ]  # fmt: skip
    assert [path for path, *_ in find.find_bundles(layout, ID)] == [first, second, hidden]
    assert [path for path, *_ in find.find_bundles(layout, OTHER)] == [other]


def test_only_folders_of_versions_are_found_on_the_stage(layout):
    tenth, second, other = staged(layout, ID, 10), staged(layout, ID, 2), staged(layout, OTHER, 1)
    home = second.parent
    make(home / "vx")
    make(home / "notes")
    (home / "v3").write_text("no folder")
    (home / "v4").symlink_to(second)
    make(home.with_name("mosaic_20260213T002649") / "v1")  # under another night than its own
    home.with_name("mosaic_20260211T002650").symlink_to(home)
    (home.with_name("mosaic_20260211T002651")).write_text("no folder")
    assert list(find.find_staged(layout)) == [(second, ID, 2), (tenth, ID, 10), (other, OTHER, 1)]
    assert list(find.find_staged(layout, ID)) == [(second, ID, 2), (tenth, ID, 10)]
    assert list(find.find_staged(layout, "mosaic_20260214T002649")) == []


def test_the_lineage_of_a_published_bundle(sqlite_config):
    path = mosaics.run(sqlite_config).path
    metadata, lineage, mosaic = find.read_lineage(path)
    assert metadata["data_id"] == mosaic.twin.id == ID
    # Two tiles, each with MS, calibrated and image; one calibration; the mosaic and its comparison.
    kinds = sorted(node.twin.kind for node in lineage.nodes.values())
    assert kinds == ["calibrated"] * 2 + ["calibration", "crossmatch"] + ["image"] * 2 + ["mosaic"] + ["ms"] * 2
    assert sorted(item.id for item in lineage.files.values())[0] == "2026-02-11T00:26:49_sb00.hdf5"

    products = metadata["lineage"]["products"]
    others = [entry for entry in products if entry["twin"]["kind"] != "mosaic"]
    cases = [
        ({key: value for key, value in metadata.items() if key != "lineage"}, "holds no lineage: restore"),
        (metadata | {"lineage": []}, "is damaged: 'lineage': input should be a valid dictionary"),
        (metadata | {"lineage": {"products": products}}, "is damaged: 'lineage.files': field required"),
        (
            metadata | {"lineage": {"products": [1], "files": []}},
            "is damaged: 'lineage.products.0': input should be a valid",
        ),
        (metadata | {"lineage": {"products": others, "files": []}}, "holds no lineage of one mosaic"),
    ]
    file = path / "data" / bundle.METADATA
    for content, message in cases:
        file.write_text(json.dumps(content))
        with pytest.raises(InputError, match=message) as raised:
            find.read_lineage(path)
        assert str(file) in str(raised.value)
    metadata["lineage"]["products"][0]["twin"]["facts"]["freq_hz"] = 1.0
    file.write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="does not have the digest it is listed under"):
        find.read_lineage(path)
