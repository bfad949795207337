"""Rows rebuilt from bundles: what a bundle's files say, and one sentence where they do not say enough."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import delete

from contimg.bundle import bundle
from contimg.bundle.find import hidden_place
from contimg.bundle.record import Decision, with_decisions
from contimg.errors import RegistryError
from contimg.publishing.rebuild import rebuild_archived, rebuild_staged
from contimg.registry import queries, schema
from tests.support import mosaics
from tests.support.bundles import seal
from tests.support.mosaics import run

ID = mosaics.MOSAIC
TIME = "2026-02-12T00:00:00.000Z"


def lose(registry):
    with registry.transaction() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            if table.name != "schema_version":
                connection.execute(delete(table))


@pytest.fixture
def published(registry, config):
    """The bundle of a published mosaic whose row is lost."""
    path = run(config).path
    lose(registry)
    return path


def archived(registry, config, path, data_id=ID, version=1):
    digest, _ = bundle.read_manifest(path)
    return rebuild_archived(registry, config.layout, path, data_id, version, digest)


def rewrite(path: Path, change) -> None:
    """Change a bundle's metadata, and its manifests so that the bundle is whole again."""
    content = json.loads((path / "data" / bundle.METADATA).read_text())
    change(content)
    (path / "data" / bundle.METADATA).write_bytes(bundle.json_bytes(content))
    seal(path)


def decide(path: Path, *decisions: tuple[str, str]) -> None:
    """Write decisions into a bundle's record, one a minute."""
    made = [
        Decision(f"2026-02-12T00:{i:02d}:00.000Z", kind, why, "ada", "h") for i, (kind, why) in enumerate(decisions)
    ]
    record = json.loads((path / bundle.PUBLICATION).read_text())
    (path / bundle.PUBLICATION).write_bytes(bundle.json_bytes(with_decisions(record, made)))


@pytest.mark.parametrize("key", ["data_id", "data_type", "synthetic", "verdict", "lineage"])
def test_metadata_that_lacks_a_key_is_named(registry, config, published, key):
    rewrite(published, lambda content: content.pop(key))
    with pytest.raises(RegistryError) as refused:
        archived(registry, config, published)
    assert str(refused.value) == f"{published / 'data' / bundle.METADATA} states no '{key}': move the folder away"


def test_a_bundle_of_another_name_is_named(registry, config, published):
    other = "mosaic_20260211T111111"
    with pytest.raises(RegistryError) as refused:
        archived(registry, config, published, other)
    assert str(refused.value) == f"{published} holds {ID}: give it its own name"


def test_a_lineage_without_the_mosaic_is_named(registry, config, published):
    def forget(content):
        products = content["lineage"]["products"]
        content["lineage"]["products"] = [one for one in products if one["twin"]["kind"] != "mosaic"]

    rewrite(published, forget)
    with pytest.raises(RegistryError, match=rf"names no mosaic {ID} in its lineage: restore it from a copy$"):
        archived(registry, config, published)


def test_a_lineage_with_another_mosaic_is_named(registry, config, published):
    with pytest.raises(RegistryError, match="holds mosaic_20260211T002649: give it its own name"):
        archived(registry, config, published, "mosaic_20260211T003158")


def test_what_did_not_pass_and_was_never_approved_is_refused_with_its_reasons(registry, config):
    staged = Path(run(config, reasons=[mosaics.FAILED]).path)
    lose(registry)
    target = config.layout.bundle(ID, 1)
    shutil.copytree(staged, target)
    with pytest.raises(RegistryError) as refused:
        archived(registry, config, target)
    said = f"{target} did not pass ({mosaics.FAILED.message}) and no approval is recorded in it: move it away"
    assert str(refused.value) == said
    decide(target, ("approved", "checked by eye"))
    assert archived(registry, config, target)() is True
    row = queries.get(registry, ID)
    assert [row[key] for key in ("status", "qa_status", "approved_by", "approved_at", "approved_reason")] == [
        "published", "failed", "ada", TIME, "checked by eye",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("decisions", "hidden", "status", "in_sight"),
    [
        ((), False, "published", True),
        ((), True, "withdrawn", False),
        ((("withdrawn", "a"),), True, "withdrawn", False),
        ((("withdrawn", "a"),), False, "withdrawn", False),
        ((("withdrawn", "a"), ("restored", "b")), False, "published", True),
        ((("withdrawn", "a"), ("restored", "b")), True, "staging", None),
        ((("rejected", "a"),), False, "rejected", None),
        ((("rejected", "a"),), True, "rejected", None),
    ],
)
def test_the_last_decision_and_the_place_tell_the_state(
    registry, config, published, decisions, hidden, status, in_sight
):
    path = published
    if hidden:
        path = hidden_place(config.layout, ID, 1)
        path.parent.mkdir(parents=True)
        published.rename(path)
    decide(path, *decisions)
    assert archived(registry, config, path)() is True
    row = queries.get(registry, ID)
    place = {True: str(published), False: str(hidden_place(config.layout, ID, 1)), None: None}[in_sight]
    assert (row["status"], row["published_path"]) == (status, place)
    if status in ("withdrawn", "rejected"):
        by, why = ("ada", decisions[-1][1]) if decisions else ("unknown", "withdrawn before the registry was lost")
        assert (row["closed_by"], row["closed_reason"]) == (by, why)
    events = [one["event"] for one in queries.events(registry, ID)]
    assert events == [*(kind for kind, _ in decisions), "rebuilt"]


@pytest.mark.parametrize("kind", ["archived", "staged"])
def test_a_row_that_another_process_rebuilt_meanwhile_is_left_alone(registry, config, published, kind):
    place = published if kind == "archived" else config.layout.product("registered", ID) / "v1"
    digest, _ = bundle.read_manifest(place)
    rebuild = rebuild_archived if kind == "archived" else rebuild_staged
    first, second = (rebuild(registry, config.layout, place, ID, 1, digest) for _ in range(2))
    assert first() is True
    before, events = queries.versions(registry, ID), queries.events(registry, ID)
    assert second() is False
    assert (queries.versions(registry, ID), queries.events(registry, ID)) == (before, events)


def test_a_staged_bundle_is_judged_again_and_supersedes_those_before(registry, config):
    first = Path(run(config, reasons=[mosaics.WARNING]).path)
    second = Path(run(config, seed=2, reasons=[mosaics.FAILED]).path)
    created = [row["created_at"] for row in queries.versions(registry, ID)]
    lose(registry)
    for version, path in ((2, second), (1, first)):  # the later one first: the order does not matter
        assert rebuild_staged(registry, config.layout, path, ID, version, bundle.read_manifest(path)[0])()
    rows = queries.versions(registry, ID)
    assert [(row["status"], row["qa_status"]) for row in rows] == [("superseded", "warning"), ("held", "failed")]
    assert [row["created_at"] for row in rows] == created
    assert rows[0]["closed_reason"] == "version 2 was registered"


def test_a_record_that_holds_a_mosaic_back_keeps_doing_so(registry, config):
    options = config.publish.model_copy(update={"auto": False})
    staged = Path(run(config.model_copy(update={"publish": options})).path)
    lose(registry)
    rebuild_staged(registry, config.layout, staged, ID, 1, bundle.read_manifest(staged)[0])()
    row = queries.get(registry, ID)
    assert (row["status"], row["auto_publish"]) == ("held", False)
    assert json.loads(row["held_json"])[0]["code"] == "auto"


def test_without_a_record_a_bundle_is_taken_for_one_that_may_be_published(registry, config, published):
    (published / bundle.PUBLICATION).unlink()
    assert archived(registry, config, published)() is True
    row = queries.get(registry, ID)
    assert (row["status"], row["auto_publish"]) == ("published", True) and row["created_at"] and row["staged_at"]
