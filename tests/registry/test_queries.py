"""Reading the registry: which rows, in which order, of a table whose content is known."""

from typing import Any

import pytest
from sqlalchemy import insert

from contimg.errors import UnknownIdError
from contimg.registry import queries, schema
from contimg.registry.schema import data_registry
from contimg.storage.process import me, operator

A, B, C, D = (f"mosaic_202602{day}T002649" for day in (11, 12, 13, 28))
MARCH = "mosaic_20260301T000000"
EARNED = {"qa_status": "passed", "validation_status": "validated", "finalization_status": "finalized"}


def row(data_id: str, version: int, status: str, **values: Any) -> dict[str, Any]:
    """Return a row that the constraints of its state accept."""
    of_state = {
        "published": EARNED | {"published_path": f"/archive/{data_id}.v{version}", "published_at": "2026-02-14"},
        "publishing": {"claim_token": "t", "claim_owner": "{}", "claim_expires_unix_s": 1.0},
        "held": {"held_json": "[]"},
    }
    base = {
        "data_id": data_id, "version": version, "data_type": "mosaic", "status": status,
        "stage_path": f"/stage/{data_id}/v{version}", "sha256": f"{version:064d}", "metadata_json": '{"a": 1}',
        "synthetic": True, "auto_publish": True, "created_at": "2026-02-14",
    }  # fmt: skip
    return base | of_state.get(status, {}) | values


# Of A the second version is current, of B the first; C waits, D was refused; the next month has one.
ROWS = [
    row(A, 1, "published"), row(A, 2, "published"), row(A, 3, "withdrawn"),
    row(B, 1, "published", approved_by="ada", approved_at="2026-02-14", approved_reason="by eye"),
    row(B, 2, "held"), row(C, 1, "superseded"), row(C, 2, "staging", attempts=3, error="no route to host"),
    row(D, 1, "rejected"), row(MARCH, 1, "published"),
]  # fmt: skip


@pytest.fixture
def filled(registry):
    with registry.transaction() as connection:
        for one in reversed(ROWS):  # in no useful order
            connection.execute(insert(data_registry), one)
    return registry


def keys(rows):
    return [(one["data_id"], one["version"]) for one in rows]


def test_the_latest_version_is_meant_unless_one_is_named(filled):
    assert queries.get(filled, A)["version"] == 3
    assert queries.get(filled, A, 1)["published_path"] == f"/archive/{A}.v1"
    assert keys(queries.versions(filled, A)) == [(A, 1), (A, 2), (A, 3)]
    assert queries.versions(filled, "mosaic_20990101T000000") == []


@pytest.mark.parametrize(("data_id", "version", "named"), [(A, 4, f"{A} version 4"), ("mosaic_x", None, "mosaic_x")])
def test_what_is_not_there_is_named(filled, data_id, version, named):
    with pytest.raises(UnknownIdError) as refused:
        queries.get(filled, data_id, version)
    assert str(refused.value) == f"{named} is not in the registry: 'contimg registry list' shows what is"
    with filled.read() as connection:
        assert queries.latest(connection, data_id, version) is None


def test_a_listing_has_the_latest_versions_in_order(filled):
    assert keys(queries.listing(filled)) == [(A, 3), (B, 2), (C, 2), (D, 1), (MARCH, 1)]
    assert keys(queries.listing(filled, latest_only=False)) == keys(ROWS)


def test_a_listing_of_states_leaves_out_versions_that_have_a_later_one_in_any_state(filled):
    """The published versions of A and B have a withdrawn and a held one after them."""
    assert keys(queries.listing(filled, statuses=["published"])) == [(MARCH, 1)]
    every = queries.listing(filled, statuses=["published", "held"], latest_only=False)
    assert keys(every) == [(A, 1), (A, 2), (B, 1), (B, 2), (MARCH, 1)]


def test_a_limited_listing_has_the_last_ones_and_may_leave_out_the_metadata(filled):
    last = queries.listing(filled, limit=2, with_metadata=False)
    assert keys(last) == [(D, 1), (MARCH, 1)]
    assert {"metadata_json"} == set(queries.listing(filled)[0]) - set(last[0])


def test_of_each_product_the_latest_published_version_is_current(filled):
    assert keys(queries.published(filled)) == [(A, 2), (B, 1), (MARCH, 1)]
    assert queries.published(filled)[1]["approved_reason"] == "by eye"
    assert [queries.current_version(filled, one) for one in (A, B, C, D, "mosaic_x")] == [2, 1, None, None, None]
    assert queries.count_current(filled) == 3


@pytest.mark.parametrize(
    ("month", "found"), [("2026-02", [(A, 2), (B, 1)]), ("2026-03", [(MARCH, 1)]), ("2026-01", []), ("2025-02", [])]
)
def test_a_months_published_rows_are_those_of_all_within_it(filled, month, found):
    assert keys(queries.published(filled, month)) == found
    of_all = {(one["data_id"], one["version"]): one for one in queries.published(filled)}
    assert queries.published(filled, month) == [of_all[key] for key in found]


def test_rows_are_counted_by_state(filled):
    assert queries.count(filled) == len(ROWS)
    assert queries.count(filled, ["published"]) == 4
    assert queries.count(filled, ["held", "staging"]) == 2
    assert queries.count(filled, ["publishing"]) == 0
    assert queries.has_rows(filled) and queries.has_rows(filled, ["published", "publishing"])
    assert not queries.has_rows(filled, ["publishing"])


def test_a_product_is_closed_when_none_of_its_versions_is_under_way(filled):
    """B has a published version, but a held one as well; C waits; what is only superseded is not closed."""
    assert queries.closed_ids(filled) == {A, D, MARCH}
    with filled.transaction() as connection:
        connection.execute(insert(data_registry), row(D, 2, "publishing"))
    assert queries.closed_ids(filled) == {A, MARCH}


def test_what_failed_too_often_is_stuck_with_its_last_error(filled):
    assert queries.stuck(filled, 3) == {C: "no route to host"}
    assert queries.stuck(filled, 4) == {}
    with filled.transaction() as connection:
        connection.execute(insert(data_registry), row(D, 2, "staging", attempts=5))
        connection.execute(insert(data_registry), row(MARCH, 2, "held", attempts=9))
    assert queries.stuck(filled, 3) == {C: "no route to host", D: "no error recorded"}


def test_states_are_those_of_all_versions(filled):
    with filled.read() as connection:
        assert queries.states(connection, B) == [(1, "published"), (2, "held")]
        assert queries.states(connection, "mosaic_x") == []


def test_events_are_of_here_and_now_or_of_the_given_stamp(filled):
    with filled.transaction() as connection:
        queries.add_event(connection, A, 3, "withdrawn", "wrong flux scale")
        stamp = queries.Stamp("2026-02-11T12:00:00.000Z", "grace", "antares")
        queries.add_event(connection, A, 1, "approved", "by eye", stamp)
        queries.add_event(connection, B, 1, "published", "")
    first, second = queries.events(filled, A)
    assert [first[key] for key in ("event", "version", "message", "actor", "host", "pid")] == [
        "withdrawn", 3, "wrong flux scale", operator(), me().host, me().pid,
    ]  # fmt: skip
    assert [second[key] for key in ("event", "time", "actor", "host")] == ["approved", stamp.time, "grace", "antares"]
    assert queries.events(filled, "mosaic_x") == []


def test_counts_follow_the_lineage_and_count_nothing_twice(filled):
    """A mosaic of two images that share one calibration; another mosaic's image is not counted."""

    def sha(number: int) -> str:
        return f"{number:064x}"

    def insert_all(connection, table, *rows):
        connection.execute(insert(schema.metadata.tables[table]), list(rows))

    tile = {"tile_id": "2026-02-11T00:26:49", "date": "2026-02-11", "synthetic": True}
    made = {"path": "/p", "verdict": "passed", "reasons_json": "[]", "code_version": "0", "synthetic": True}
    on_tile = made | {"tile_id": tile["tile_id"]}
    # digests: 1 mosaic; 2, 3 images; 4, 5 calibrated; 6, 7 converted; 8 calibration; 9.. subband files; 20 foreign
    edges = [(1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7), (4, 8), (5, 8), (8, 6), (6, 9), (6, 10), (7, 11)]
    with filled.transaction() as connection:
        insert_all(connection, "tiles", tile)
        insert_all(connection, "images", *(on_tile | {"sha256": sha(one)} for one in (2, 3, 20)))
        insert_all(
            connection, "ms_index",
            *(on_tile | {"sha256": sha(one), "kind": "calibrated" if one < 6 else "ms"} for one in (4, 5, 6, 7)),
        )  # fmt: skip
        insert_all(connection, "caltables", made | {"sha256": sha(8), "calibration_id": "cal_20260211T002649"})
        insert_all(
            connection, "subband_files",
            *({"sha256": sha(n), "name": f"sb{n}", "path": "/in", "tile_id": tile["tile_id"]} for n in (9, 10, 11)),
        )  # fmt: skip
        insert_all(
            connection, "lineage",
            *({"product_sha256": sha(a), "input_sha256": sha(b), "input_id": str(b), "product_kind": "x",
               "product_id": "x", "input_kind": "x"} for a, b in edges),
        )  # fmt: skip
        insert_all(
            connection, "mosaic_groups",
            {"data_id": A, "version": 1, "group_id": "g", "sha256": sha(1), "verdict": "passed"},
            {"data_id": B, "version": 1, "group_id": "h", "sha256": sha(3), "verdict": "passed"},
        )  # fmt: skip
    with filled.read() as connection:
        of_all = {"subband_files": 3, "ms_index": 4, "caltables": 1, "images": 2}
        assert queries.lineage_counts(connection, A, 1) == of_all
        # from one image on: its own two Measurement Sets, and the one that its calibration was solved on
        assert queries.lineage_counts(connection, B, 1) == of_all | {"ms_index": 3, "images": 1}
        assert set(queries.lineage_counts(connection, A, 2).values()) == {0}
