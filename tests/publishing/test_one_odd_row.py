"""One damaged row, unreadable marker or failing repair is said with a remedy, and the others are reconciled."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from contimg import naming
from contimg.bundle import bundle
from contimg.errors import RegistryError
from contimg.publishing import claims, decisions, markers, places
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.columns import damage
from tests.publishing.test_reconcile import disk
from tests.support import mosaics

FIRST, SECOND = mosaics.MOSAIC, naming.mosaic_id("2026-02-13T00:26:49")


@pytest.fixture
def two(registry, config):
    """Two published mosaics, of two days; the archive's copy of the second one is lost."""
    first = mosaics.run(config).path
    mosaics.make_mosaic(config, tiles=("2026-02-13T00:26:49",))
    register_mosaic(SECOND, config)
    second = publish_mosaic(SECOND, config, waits_s=()).path
    shutil.rmtree(second)
    return first, second


def sql(registry, statement, **values):
    with registry.transaction() as connection:
        connection.execute(text(statement), values)


def reconciled(registry, config):
    """Reconcile; return what concerns the first mosaic, once the second was seen to be repaired."""
    found = reconcile(registry, config.layout)
    assert ("missing", True) in [(one.code, one.repaired) for one in found if one.data_id == SECOND]
    assert queries.get(registry, SECOND)["status"] == "staging"
    return [one for one in found if one.data_id != SECOND]


DAMAGES = {
    "held_json": "{", "metadata_json": "[1", "metadata_json of a list": "[]", "held_json of numbers": "[3]",
    "metadata_json without verdict": "{}", "stage_path": "../../x", "published_path": "mosaics/../../elsewhere",
    "sha256": "Z" * 64,
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_row_is_named_with_its_column(registry, config, two, name):
    column = name.partition(" ")[0]
    sql(registry, f"UPDATE data_registry SET {column} = :value WHERE data_id = :id", value=DAMAGES[name], id=FIRST)
    before = disk(config)
    (found,) = reconciled(registry, config)
    assert (found.code, found.needs_person) == ("unreadable", True)
    assert f"row of {FIRST} version 1 is damaged in its column {column}" in found.message
    assert found.message.endswith(": restore the registry from a backup")
    changed = {name for name, content in disk(config).items() if before.get(name, content) != content}
    assert not [name for name in changed if FIRST in name]  # nothing that the row might be wrong about


@pytest.mark.parametrize("data_id", ["../../x", "mosaic_x", "mosaic_20260211T002649.v2", "a\nb"])
def test_a_row_with_an_odd_id_is_named_with_a_remedy(registry, config, two, data_id):
    sql(registry, "INSERT INTO data_registry (data_id, version, data_type, status, stage_path, sha256, metadata_json, "
        "synthetic, auto_publish, created_at) SELECT :id, 1, data_type, 'staging', 'x', sha256, metadata_json, "
        "synthetic, auto_publish, created_at FROM data_registry WHERE data_id = :a", id=data_id, a=FIRST)  # fmt: skip
    (found,) = [one for one in reconciled(registry, config) if one.data_id == data_id]
    assert found.code == "unreadable" and "damaged in its column data_id" in found.message and "\n" not in found.message


@pytest.mark.parametrize(
    "owner", ["{", "[]", "{}", '{"pid": "x"}', '{"host": "h", "machine": "m", "pid": "x", "start": 1}', "null"]
)
def test_a_claim_of_nobody_holds_until_it_expires(registry, config, two, owner):
    set_ = "UPDATE data_registry SET status = 'publishing', published_path = NULL, published_at = NULL, "
    set_ += "claim_token = 't', claim_owner = :owner, claim_expires_unix_s = :until WHERE data_id = :id"
    sql(registry, set_, owner=owner, until=4e9, id=FIRST)
    assert reconciled(registry, config) == []
    with pytest.raises(Exception, match="being published by an unknown process: wait for it"):
        claims.take(registry, FIRST, 1, 60.0)
    sql(registry, "UPDATE data_registry SET claim_expires_unix_s = 1e9 WHERE data_id = :id", id=FIRST)
    codes = [one.code for one in reconcile(registry, config.layout) if one.data_id == FIRST]
    assert codes == ["claim_left", "not_recorded"]
    assert queries.get(registry, FIRST)["status"] == "published"


@pytest.mark.parametrize("kind", ["registered", "published"])
def test_a_folder_in_the_place_of_a_marker_concerns_that_mosaic(registry, config, two, kind):
    place = markers.place(config.layout, kind, FIRST)
    place.unlink(missing_ok=True)
    place.mkdir()
    (found,) = reconciled(registry, config)
    assert (found.code, found.needs_person) == ("unreadable", True) and str(place) in found.message


def test_a_repair_that_fails_concerns_what_it_repairs(registry, config, two, monkeypatch):
    """The first mosaic is altered and cannot be moved away."""
    (two[0] / "data" / bundle.METADATA).write_text("{}")
    real = places.set_aside

    def refuse(where):
        if where.sight == two[0]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(two[0]))
        real(where)

    monkeypatch.setattr(places, "set_aside", refuse)
    (found,) = reconciled(registry, config)
    assert (found.code, found.repaired, found.needs_person) == ("altered", False, True)
    assert f"that failed (Permission denied ({two[0]})): correct it, then 'contimg reconcile'" in found.message
    monkeypatch.undo()
    assert ("altered", True) in [(one.code, one.repaired) for one in reconcile(registry, config.layout)]
    assert queries.get(registry, FIRST)["status"] == "staging"


def test_of_one_mosaic_a_damaged_row_is_an_error(registry, config, two):
    sql(registry, "UPDATE data_registry SET held_json = '{' WHERE data_id = :id", id=FIRST)
    with pytest.raises(RegistryError, match=r"column held_json .*: restore the registry from a backup"):
        reconcile(registry, config.layout, FIRST)


def test_a_sound_row_has_no_damage(registry, config, two):
    assert [damage(row) for row in queries.listing(registry)] == [None, None]


MISNAMED = (
    "mosaics/2026-02-12/{id}", "mosaics/2026-02-11/{id}.v02", "mosaics/2026-02-11/{id}.V2", "mosaics/{id}",
    "mosaics/2026-02-11/MOSAIC_20260211T002649", "mosaics/2026-02-11/copy", "mosaics/2026-02-11/{id}.v1",
    "mosaics/2026-02-11/{id} (copy)", ".withdrawn/mosaics/2026-02-12/{id}",
)  # fmt: skip


@pytest.mark.parametrize("name", MISNAMED)
def test_a_bundle_where_none_belongs_is_reported(registry, config, two, name):
    place = config.paths.products / name.format(id=FIRST)
    shutil.copytree(two[0], place)
    (found,) = reconciled(registry, config)
    assert (found.code, found.path, found.needs_person) == (
        "foreign",
        str(place),
        True,
    ) and "move it away" in found.message
    shutil.rmtree(place)
    assert reconcile(registry, config.layout) == []


def test_a_dry_run_says_nothing_of_a_row_that_a_decision_is_about_to_change(registry, config):
    """The registry is older than the withdrawal: its bundle is hidden, and the registry says that it is published."""
    first = mosaics.run(config).path
    decisions.withdraw(registry, config.layout, FIRST, "wrong")
    sql(registry, "DELETE FROM publish_events WHERE event = 'withdrawn'")
    sql(registry, "UPDATE data_registry SET status = 'published', closed_at = NULL, published_path = :path",
        path=str(first.relative_to(config.paths.products)))  # fmt: skip
    for data_id in (FIRST, None):
        assert [one.code for one in reconcile(registry, config.layout, data_id, dry_run=True)] == ["decision_lost"]
    done = [one.code for one in reconcile(registry, config.layout)]
    assert done[0] == "decision_lost" and queries.get(registry, FIRST)["status"] == "withdrawn"
    assert reconcile(registry, config.layout) == []


@pytest.mark.parametrize("harm", ["link", "link above", "file"])
def test_nothing_is_recorded_where_the_hidden_place_is_taken(registry, config, tmp_path, harm):
    sight = mosaics.run(config).path
    hidden = config.paths.products / ".withdrawn" / sight.relative_to(config.paths.products)
    if harm == "link above":
        hidden.parents[2].symlink_to(tmp_path)
    else:
        hidden.parent.mkdir(parents=True)
        hidden.symlink_to(tmp_path) if harm == "link" else hidden.write_text("a note")
    before = queries.events(registry, FIRST)
    with pytest.raises(RegistryError, match=r"is a symlink|is in the place of a withdrawn bundle: move it away"):
        decisions.withdraw(registry, config.layout, FIRST, "wrong")
    assert queries.events(registry, FIRST) == before and sight.is_dir()
    Path(hidden.parents[2] if harm == "link above" else hidden).unlink()
    assert decisions.withdraw(registry, config.layout, FIRST, "wrong")["status"] == "withdrawn"
