"""The archive knows its registry: an unmounted root and a second registry change nothing, a lost registry goes on."""

import contextlib
import json
import os
import shutil

import pytest
from sqlalchemy import delete, update

from contimg.operations import preflight
from contimg.publishing import archive_marker, archive_root, decisions
from contimg.publishing.archive_marker import ADOPT, MARKER, WrongArchive, marker_place, read_marker
from contimg.publishing.publish import publish
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries, schema
from contimg.registry.backup import backup, restore
from contimg.registry.engine import open_registry, open_sqlite
from contimg.registry.identity import ensured_identity, identity
from contimg.registry.schema import registry_identity
from contimg.storage.json_files import read_json
from tests.support import mosaics
from tests.support.databases import empty_schema, postgres_server

ID = mosaics.MOSAIC


@pytest.fixture
def published(registry, config):
    return mosaics.run(config).path


def lose_rows(registry):
    with registry.transaction() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            if table.name != "schema_version":
                connection.execute(delete(table))


def test_a_marker_that_another_publisher_puts_there_between_two_looks(config, monkeypatch):
    """It is not there, and is at the second look: read again, and no damaged one."""
    layout = config.layout
    layout.products.mkdir(parents=True, exist_ok=True)
    content = {"registry": "0f", "place": "here:registry.sqlite3"}
    looks = []

    def look(path):
        found = read_json(path)
        if not looks:
            path.write_text(json.dumps(content))
        looks.append(found)
        return found

    monkeypatch.setattr(archive_marker, "read_json", look)
    assert read_marker(layout) == content
    assert looks == [None, content]


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_marker_names_the_registry_and_its_place(registry, config, published):
    content = json.loads(marker_place(config.layout).read_text())
    assert content["registry"] == identity(registry).uuid and len(content["registry"]) == 36
    assert content["place"] == archive_root.place(registry)
    assert content["since"] == identity(registry).archive_since


def unmounted(config):
    """Leave the root as a mount point without its disk, an empty folder; return where the archive is now."""
    away = config.paths.products.with_name("disk")
    config.paths.products.rename(away)
    config.paths.products.mkdir()
    return away


@pytest.mark.parametrize("point", ["empty", "gone"])
def test_an_unmounted_archive_unpublishes_nothing_and_is_not_written_into(registry, config, published, point):
    away = unmounted(config)
    if point == "gone":
        config.paths.products.rmdir()
    before = queries.get(registry, ID)
    attempts = (
        lambda: reconcile(registry, config.layout),
        lambda: reconcile(registry, config.layout, dry_run=True),
        lambda: publish_mosaic(ID, config, waits_s=()),
        lambda: register_mosaic(ID, config),
        lambda: decisions.withdraw(registry, config.layout, ID, "wrong"),
    )
    for attempt in attempts:
        with pytest.raises(WrongArchive, match=r"mount the archive or correct paths\.products"):
            attempt()
    assert queries.get(registry, ID) == before
    assert not config.paths.products.exists() or list(config.paths.products.iterdir()) == []
    if point == "empty":
        config.paths.products.rmdir()
    away.rename(config.paths.products)
    assert reconcile(registry, config.layout) == []


def test_what_waits_in_staging_is_not_published_onto_the_disk_below_the_mount_point(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    archive_root.require(registry, config.layout, make=True)  # as an earlier publication did
    unmounted(config)
    with pytest.raises(WrongArchive):
        publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    row = queries.get(registry, ID)
    assert (row["status"], row["attempts"], row["claim_token"]) == ("staging", 0, None)
    assert list(config.paths.products.iterdir()) == []


@pytest.fixture
def other(config, url):
    """A second registry with the same archive: of another state, or on another server's schema."""
    with contextlib.ExitStack() as stack:
        if url is None:
            yield stack.enter_context(contextlib.closing(open_sqlite(config.paths.state.with_name("other") / "r")))
        else:
            second = stack.enter_context(empty_schema(postgres_server()))
            changed = config.model_copy(update={"registry": config.registry.model_copy(update={"url": second})})
            yield stack.enter_context(contextlib.closing(open_registry(changed)))


def test_a_second_registry_is_refused_and_removes_no_copies(registry, config, published, other):
    left = config.paths.products / ".incoming" / f"{ID}.token"
    left.mkdir()
    before = files(config.paths.products)
    for dry_run in (False, True):
        with pytest.raises(WrongArchive, match=r"is the archive of the registry at .*contimg archive adopt"):
            reconcile(other, config.layout, dry_run=dry_run)
    assert left.is_dir() and files(config.paths.products) == before
    assert queries.count(other) == 0 and reconcile(registry, config.layout)[0].code == "incoming_left"


def test_a_person_may_give_the_archive_to_another_registry(registry, config, published, other):
    archive_root.adopt(other, config.layout)
    assert "row_lost" in [one.code for one in reconcile(other, config.layout)]
    assert queries.get(other, ID)["status"] == "published"
    with pytest.raises(WrongArchive, match="not of"):
        reconcile(registry, config.layout)


def test_a_registry_that_was_lost_and_made_again_in_its_place_goes_on(registry, config, published):
    uuid = identity(registry).uuid
    lose_rows(registry)
    assert identity(registry) is None
    assert "row_lost" in [one.code for one in reconcile(registry, config.layout)]
    assert identity(registry).uuid == uuid and queries.get(registry, ID)["status"] == "published"


@pytest.mark.parametrize("has_replica", [False, True])  # a replica that is adopted gives the registry its UUID early
def test_a_backup_of_before_the_first_publication_takes_the_place_of_the_registry(
    registry, config, tmp_path, has_replica
):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    if has_replica:
        ensured_identity(registry)
    backup(registry, tmp_path / "backup.sqlite3")
    lose_rows(registry)
    register_mosaic(ID, config)
    publish_mosaic(ID, config, waits_s=())
    lose_rows(registry)
    restore(registry, tmp_path / "backup.sqlite3")
    assert "not_recorded" in [one.code for one in reconcile(registry, config.layout)]
    assert identity(registry).uuid == read_marker(config.layout)["registry"]
    assert queries.get(registry, ID)["status"] == "published"
    assert reconcile(registry, config.layout) == []


def test_another_registry_in_its_place_that_holds_rows_already_is_refused(registry, config, published):
    uuid = identity(registry).uuid
    with registry.transaction() as connection:
        connection.execute(update(registry_identity).values(uuid="another"))
    with pytest.raises(WrongArchive, match=f"of registry {uuid}, in whose place .* another one stands now.*{ADOPT}"):
        reconcile(registry, config.layout)
    archive_root.adopt(registry, config.layout)
    assert reconcile(registry, config.layout) == []


@pytest.mark.parametrize("ask", [decisions.restore, decisions.withdraw, decisions.approve, decisions.reject])
def test_a_decision_looks_first_whether_the_archive_is_there(registry, config, published, ask):
    """Whatever else speaks against it: that a bundle is missing would be said of an archive that is not mounted."""
    decisions.withdraw(registry, config.layout, ID, "wrong")
    config.paths.products.rename(config.paths.products.with_name("disk"))
    config.paths.products.mkdir()
    with pytest.raises(WrongArchive, match="mount the archive"):
        ask(registry, config.layout, ID, "why")
    with pytest.raises(WrongArchive, match="mount the archive"):
        ask(registry, config.layout, "mosaic_20300101T000000", "why")


def test_only_a_publication_makes_the_root_of_a_new_registry(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    archive_root.require(registry, config.layout)
    assert not config.paths.products.exists() and identity(registry) is None
    config.paths.products.mkdir()
    archive_root.require(registry, config.layout)
    assert read_marker(config.layout) is None
    archive_root.require(registry, config.layout, make=True)
    assert read_marker(config.layout)["registry"] == identity(registry).uuid


def test_a_copy_of_the_registry_elsewhere_is_refused(sqlite_config):
    mosaics.run(sqlite_config)
    copied = sqlite_config.paths.state.with_name("copy")
    shutil.copytree(sqlite_config.paths.state, copied)
    with (
        contextlib.closing(open_sqlite(copied / "registry.sqlite3")) as copy,
        pytest.raises(WrongArchive, match="is a copy of that one"),
    ):
        reconcile(copy, sqlite_config.layout)


def test_an_archive_from_before_there_were_markers_is_taken(registry, config, published):
    marker_place(config.layout).unlink()
    with registry.transaction() as connection:
        connection.execute(update(registry_identity).values(archive_since=None))
    assert reconcile(registry, config.layout, dry_run=True) == [] and not marker_place(config.layout).exists()
    assert reconcile(registry, config.layout) == [] and read_marker(config.layout) is not None


def test_before_there_were_markers_an_unmounted_archive_is_told_by_its_rows(registry, config, published):
    unmounted(config)
    with registry.transaction() as connection:
        connection.execute(update(registry_identity).values(archive_since=None))
    with pytest.raises(WrongArchive, match="mount the archive"):
        reconcile(registry, config.layout)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"registry": 1, "place": "x"}', '{"registry": "x"}', "[" * 10_000])
def test_a_damaged_marker_stops_everything_until_a_person_says_whose_archive_it_is(registry, config, published, text):
    marker_place(config.layout).write_text(text)
    with pytest.raises(WrongArchive, match=f"{MARKER} is damaged.*contimg archive adopt"):
        reconcile(registry, config.layout)
    archive_root.adopt(registry, config.layout)
    assert reconcile(registry, config.layout) == []


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_a_marker_that_is_no_plain_file_is_damaged_and_not_waited_for(registry, config, published, root, kind):
    path = marker_place(config.layout)
    path.unlink()
    os.mkfifo(root / "fifo" if kind == "link" else path)
    if kind == "link":
        path.symlink_to(root / "fifo")
    with pytest.raises(WrongArchive, match="is damaged, so that nobody knows whose archive this is"):
        archive_root.require(registry, config.layout)
    archive_root.adopt(registry, config.layout)
    archive_root.require(registry, config.layout)
    assert path.is_file() and not path.is_symlink()


def test_the_pre_flight_check_says_so_before_the_first_job(registry, config, published):
    assert preflight._registry(config) == []
    away = unmounted(config)
    with pytest.raises(WrongArchive, match="mount the archive"):
        preflight._registry(config)
    config.paths.products.rmdir()
    away.rename(config.paths.products)
    marker = json.loads(marker_place(config.layout).read_text())
    marker_place(config.layout).write_text(json.dumps(marker | {"place": "elsewhere:/state/registry.sqlite3"}))
    with pytest.raises(WrongArchive, match="registry at elsewhere:/state"):
        preflight._registry(config)
    marker_place(config.layout).write_text(json.dumps(marker | {"registry": "another"}))
    with pytest.raises(WrongArchive, match=r"of registry another, in whose place .* another one stands now"):
        preflight._registry(config)
    lose_rows(registry)
    assert preflight._registry(config) == []


def test_a_machine_that_was_renamed_is_said_to_be_one(sqlite_config):
    mosaics.run(sqlite_config)
    marker = read_marker(sqlite_config.layout)
    where = str(sqlite_config.layout.registry_file)
    marker["place"] = f"0123456789abcdef:{where}"  # as a container has another name at each start
    marker_place(sqlite_config.layout).write_text(json.dumps(marker))
    with contextlib.closing(open_registry(sqlite_config)) as registry:
        with pytest.raises(WrongArchive, match="another machine had under this path: if this machine was renamed"):
            reconcile(registry, sqlite_config.layout)
        archive_root.adopt(registry, sqlite_config.layout)
        assert reconcile(registry, sqlite_config.layout) == []
