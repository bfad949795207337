"""The rows that a mosaic's lineage puts into the tables: every column is what the twin states, or null."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from contimg.errors import InputError, RegistryError
from contimg.naming import Layout
from contimg.products.lineage import Lineage, Node
from contimg.products.twin import Input, Reason, Twin
from contimg.registry import rows as registry_rows
from contimg.registry import schema
from contimg.registry.rows import insert_product, new_row, rows

TILES = ("2026-02-11T00:26:49", "2026-02-11T00:31:58")
MOSAIC = "mosaic_20260211T002649"
WARNING = Reason(code="flagged", severity="warning", message="30 % flagged", measured=0.3, threshold=0.2)


def sha(number: int) -> str:
    return f"{number:064x}"


def node(number: int, kind: str, name: str, inputs: list[Input] | None = None, **content: Any) -> Node:
    base = {"verdict": "passed", "synthetic": True, "code_version": "0.1.0", "inputs": inputs or []}
    return Node(f"/stage/{kind}/{name}.json", sha(number), Twin(kind=kind, id=name, **base | content))


def product(number: int, kind: str, name: str) -> Input:
    return Input(path=f"/stage/{kind}/{name}.json", kind=kind, id=name, sha256=sha(number))


def file(number: int, name: str, kind: str = "subband_file") -> Input:
    return Input(path=f"/in/{name}", kind=kind, id=name, sha256=sha(number))


def tree(*nodes: Node) -> Lineage:
    return Lineage({one.sha256: one for one in nodes}, {})


TIMES = {"start_mjd": 61082.0186, "end_mjd": 61082.0222, "dec_app_deg": 37.1, "telescope": "OVRO_MMA"}


@pytest.fixture
def lineage():
    """A mosaic of one tile of two, with everything below it stated."""
    beam = {"bpa_deg": 10.0, "bmaj_arcsec": 14.4, "bmin_arcsec": 10.8}
    files = [file(90 + n, f"{TILES[0]}_sb0{n}.hdf5") for n in (1, 0)]
    ms = node(1, "ms", TILES[0], [*files, file(99, "sky.csv", "catalogue")], facts=TIMES | {"n_subbands": 2},
              qa={"flagged_fraction": 0.3}, reasons=[WARNING], verdict="warning")  # fmt: skip
    calibration = node(2, "calibration", "cal_20260211T002649", [product(1, "ms", TILES[0])],
                       facts={"type": "bandpass", "calibrator": "3C286", "flux_anchor": "PB2017: 3C286",
                              "mid_mjd": 61082.02, "dec_app_deg": 37.1})  # fmt: skip
    calibrated = node(3, "calibrated", TILES[0], [product(1, "ms", TILES[0]), product(2, "calibration", "cal")],
                      facts=TIMES | {"n_subbands": 2}, qa={"flagged_fraction": 0.35})  # fmt: skip
    image = node(4, "image", TILES[0], [product(3, "calibrated", TILES[0])],
                 facts=TIMES | {"freq_hz": 1.405e9, "beam": beam}, qa={"rms_mjy": 4.2})  # fmt: skip
    failed = node(5, "image", TILES[1], [], facts={}, qa={}, verdict="failed")
    mosaic = node(6, "mosaic", MOSAIC, [product(5, "image", TILES[1]), product(4, "image", TILES[0])],
                  facts={"n_images": 1, "tiles_used": [TILES[0]]} | TIMES)  # fmt: skip
    return tree(ms, calibration, calibrated, image, failed, mosaic), mosaic


def test_tables_have_the_rows_of_the_twins(lineage):
    found = rows(*lineage)
    assert list(found) == [*registry_rows._SHARED, *registry_rows._OWN]
    assert found["tiles"] == [
        {"tile_id": TILES[0], "date": "2026-02-11", "synthetic": True, **TIMES},
        {"tile_id": TILES[1], "date": "2026-02-11", "synthetic": True, **dict.fromkeys(TIMES)},
    ]
    assert [(one["kind"], one["n_subbands"], one["flagged_fraction"]) for one in found["ms_index"]] == [
        ("ms", 2, 0.3), ("calibrated", 2, 0.35),
    ]  # fmt: skip
    assert json.loads(found["ms_index"][0]["reasons_json"]) == [WARNING.model_dump(mode="json")]
    assert {"path": "/stage/ms/2026-02-11T00:26:49.json", "verdict": "warning"}.items() <= found["ms_index"][0].items()
    (calibration,) = found["caltables"]
    assert [calibration[key] for key in ("calibration_id", "type", "calibrator", "flux_anchor", "mid_mjd")] == [
        "cal_20260211T002649", "bandpass", "3C286", "PB2017: 3C286", 61082.02,
    ]  # fmt: skip


def test_an_image_has_its_beam_as_sorted_json_and_a_failed_one_has_nulls(lineage):
    made, failed = rows(*lineage)["images"]
    assert (made["rms_mjy"], made["freq_hz"]) == (4.2, 1.405e9)
    assert made["beam_json"] == '{"bmaj_arcsec": 14.4, "bmin_arcsec": 10.8, "bpa_deg": 10.0}'
    assert [failed[key] for key in ("rms_mjy", "freq_hz", "beam_json", "verdict")] == [None, None, None, "failed"]


def test_members_are_in_order_of_time_and_say_whether_they_are_used(lineage):
    found = rows(*lineage)["mosaic_tiles"]
    assert [(one["position"], one["tile_id"], one["image_sha256"], one["used"]) for one in found] == [
        (0, TILES[0], sha(4), True), (1, TILES[1], sha(5), False),
    ]  # fmt: skip


def test_subband_files_are_those_of_the_ms_and_no_other_files(lineage):
    found = rows(*lineage)["subband_files"]
    assert [(one["name"], one["subband"], one["tile_id"]) for one in found] == [
        (f"{TILES[0]}_sb00.hdf5", 0, TILES[0]), (f"{TILES[0]}_sb01.hdf5", 1, TILES[0]),
    ]  # fmt: skip


def test_a_subband_file_of_another_name_has_no_number():
    ms = node(1, "ms", TILES[0], [file(9, "renamed-by-hand.hdf5")])
    mosaic = node(2, "mosaic", MOSAIC)
    (found,) = rows(tree(ms, mosaic), mosaic)["subband_files"]
    assert (found["name"], found["subband"]) == ("renamed-by-hand.hdf5", None)


def test_edges_are_each_input_of_each_product_once(lineage):
    edges = [(one["product_sha256"], one["input_sha256"]) for one in rows(*lineage)["lineage"]]
    pairs = [(1, 90), (1, 91), (1, 99), (2, 1), (3, 1), (3, 2), (4, 3), (6, 4), (6, 5)]
    assert sorted(edges) == sorted((sha(a), sha(b)) for a, b in pairs)


def test_the_ms_states_a_tile_though_the_image_states_it_otherwise():
    image = node(1, "image", TILES[0], facts=TIMES | {"dec_app_deg": 0.0})
    ms = node(2, "ms", TILES[0], facts=TIMES)
    mosaic = node(3, "mosaic", MOSAIC)
    for order in ((image, ms, mosaic), (mosaic, ms, image)):
        assert rows(tree(*order), mosaic)["tiles"][0]["dec_app_deg"] == 37.1


@pytest.mark.parametrize(
    ("anchor", "column"),
    [(None, None), ("PB2017", "PB2017"), ({"name": "3C286", "flux_jy": 15.0}, '{"flux_jy": 15.0, "name": "3C286"}')],
)
def test_a_flux_anchor_is_text_or_an_object(anchor, column):
    calibration = node(1, "calibration", "cal_20260211T002649", facts={"flux_anchor": anchor})
    mosaic = node(2, "mosaic", MOSAIC)
    assert rows(tree(calibration, mosaic), mosaic)["caltables"][0]["flux_anchor"] == column


@pytest.mark.parametrize(
    ("kind", "facts", "qa", "key"),
    [
        ("ms", {"start_mjd": "yesterday"}, {}, "start_mjd"),
        ("ms", {"n_subbands": 15.5}, {}, "n_subbands"),
        ("ms", {}, {"flagged_fraction": [0.1]}, "flagged_fraction"),
        ("image", {"beam": 14.4}, {}, "beam"),
        ("image", {}, {"rms_mjy": "low"}, "rms_mjy"),
        ("calibration", {"mid_mjd": {}}, {}, "mid_mjd"),
        ("mosaic", {"tiles_used": 2}, {}, "tiles_used"),
    ],
)
def test_what_no_column_can_hold_is_named_with_its_file(kind, facts, qa, key):
    name = {"calibration": "cal_20260211T002649", "mosaic": MOSAIC}.get(kind, TILES[0])
    one = node(1, kind, name, facts=facts, qa=qa)
    mosaic = one if kind == "mosaic" else node(2, "mosaic", MOSAIC)
    with pytest.raises(InputError, match=rf"^/stage/{kind}/.*\.json holds an impossible {key} .*rerun snakemake$"):
        rows(tree(one, mosaic), mosaic)


METADATA = {"data_id": MOSAIC, "data_type": "mosaic", "synthetic": True, "lineage": {"products": []}, "verdict": "x"}
LAYOUT = Layout(*(Path("/r") / name for name in ("incoming", "stage", "products", "state")))


def test_a_new_row_is_in_staging_and_keeps_the_metadata_without_the_lineage():
    row = new_row(LAYOUT, METADATA, sha(7), 2, auto_publish=False)
    assert (row["status"], row["version"], row["attempts"], row["auto_publish"]) == ("staging", 2, 0, False)
    assert row["stage_path"] == f"/r/stage/registered/2026-02-11/{MOSAIC}/v2"
    assert set(json.loads(row["metadata_json"])) == set(METADATA) - {"lineage"}


def test_two_versions_share_the_rows_of_their_products(registry, lineage):
    """A second mosaic of the same images adds its own rows; those of tiles, files and products stand once."""
    tree_of_all, mosaic = lineage
    for version in (1, 2):
        with registry.transaction() as connection:
            row = new_row(LAYOUT, METADATA, sha(version), version, auto_publish=True)
            insert_product(connection, row, tree_of_all, mosaic)
    with registry.read() as connection:
        counts = {
            name: len(connection.execute(select(schema.metadata.tables[name])).all())
            for name in (*registry_rows._SHARED, *registry_rows._OWN)
        }
    assert counts == {
        "tiles": 2, "subband_files": 2, "ms_index": 2, "caltables": 1, "images": 2, "lineage": 9, "mosaic_groups": 2,
        "mosaic_tiles": 4,
    }  # fmt: skip


def test_a_mosaic_without_tiles_has_a_row_all_the_same(registry):
    mosaic = node(1, "mosaic", MOSAIC, verdict="failed")
    with registry.transaction() as connection:
        insert_product(connection, new_row(LAYOUT, METADATA, sha(1), 1, auto_publish=True), tree(mosaic), mosaic)
    with registry.read() as connection:
        (group,) = connection.execute(select(schema.mosaic_groups)).mappings()
        assert (group["verdict"], group["n_images"], group["start_mjd"]) == ("failed", None, None)
        assert connection.execute(select(schema.mosaic_tiles)).all() == []


def test_another_kind_of_database_is_refused(monkeypatch):
    """Nothing is written in a dialect whose INSERT would end at the first row that is there already."""
    engine = create_engine("sqlite://")
    monkeypatch.setattr(engine.dialect, "name", "mariadb")
    with engine.connect() as connection, pytest.raises(RegistryError, match="names a mariadb database: use PostgreSQL"):
        registry_rows._insert_missing(connection, schema.tiles, [{"tile_id": TILES[0]}])
    engine.dispose()
