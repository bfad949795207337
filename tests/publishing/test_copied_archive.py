"""A copy of the archive has a copy of its marker: the registry knows where its own stands, and refuses the other."""

import contextlib
import dataclasses
import os
import shutil
import sqlite3

import pytest
from sqlalchemy import update

from contimg.operations import preflight
from contimg.publishing import archive_marker, archive_root, decisions
from contimg.publishing.archive_marker import MARKER, WrongArchive, archive_place, marker_place
from contimg.publishing.reconcile import reconcile
from contimg.registry.backup import backup, restore
from contimg.registry.engine import open_registry
from contimg.registry.identity import identity
from contimg.registry.schema import registry_identity
from contimg.storage import process
from tests.publishing.test_archive_root import lose_rows
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture
def published(registry, config):
    return mosaics.run(config).path


def at(config, products):
    """Return the configuration with another archive."""
    return config.model_copy(update={"paths": config.paths.model_copy(update={"products": products})})


@pytest.fixture
def copied(registry, config, published, tmp_path):
    """`cp -a` of the archive, on another disk, and the configuration that names it."""
    shutil.copytree(config.paths.products, tmp_path / "copy", symlinks=True)
    return at(config, tmp_path / "copy")


def require(registry, config):
    archive_root.require(registry, config.layout)


def elsewhere(registry, monkeypatch):
    """Let this be another machine from now on; the file of an SQLite registry is on one machine alone."""
    if registry.engine.dialect.name == "sqlite":
        pytest.skip("a file is on one machine")
    other = dataclasses.replace(process.me(), host="other", installation="1" * 16)
    monkeypatch.setattr(process, "_me", lambda pid: other)


@pytest.fixture
def lasting_inodes(monkeypatch):
    """The disk of the tests may be one that makes inode numbers up."""
    monkeypatch.setattr(archive_marker, "_has_lasting_inodes", lambda path, device: True)


def recorded_with_inode(registry, config):
    require(registry, config)
    assert identity(registry).archive_inode == str(config.paths.products.stat().st_ino)


def test_the_registry_records_where_its_archive_stands(registry, config, published):
    assert identity(registry).archive_root == archive_place(config.layout)
    assert identity(registry).archive_root.endswith(f":{config.paths.products.resolve()}")


def test_a_copy_of_the_archive_is_refused_and_the_archive_is_not(registry, config, copied):
    before = identity(registry)
    sentence = rf"{copied.paths.products} is a copy of {config.paths.products}.*contimg archive adopt"
    attempts = (
        lambda: reconcile(registry, copied.layout),
        lambda: reconcile(registry, copied.layout, dry_run=True),
        lambda: decisions.withdraw(registry, copied.layout, ID, "wrong"),
        lambda: archive_root.require_whole(registry, copied.layout),
        lambda: preflight._registry(copied),
    )
    for attempt in attempts:
        with pytest.raises(Exception, match=sentence):
            attempt()
    assert identity(registry) == before and reconcile(registry, config.layout) == []


def test_a_folder_that_has_only_the_marker_is_refused(registry, config, published, tmp_path):
    """Without this, all that is published would count as lost."""
    (tmp_path / "new").mkdir()
    shutil.copy2(marker_place(config.layout), tmp_path / "new")
    with pytest.raises(WrongArchive, match="is a copy of"):
        require(registry, at(config, tmp_path / "new"))


def test_a_person_may_say_that_the_copy_is_the_archive_and_the_other_is_refused_then(registry, config, copied):
    def adopted(there):
        """Return what two reconcilings find after an adoption: first the marker, which names the bundle's path."""
        with contextlib.closing(open_registry(there)) as opened:
            archive_root.adopt(opened, there.layout)
            return [[one.code for one in reconcile(opened, there.layout)] for _ in range(2)]

    assert adopted(copied) == [["marker_differs"], []]
    with pytest.raises(WrongArchive, match=rf"{config.paths.products} is a copy of {copied.paths.products}"):
        require(registry, config)
    assert adopted(config) == [["marker_differs"], []]


def test_a_moved_archive_is_accepted_and_recorded(registry, config, published):
    moved = at(config, config.paths.products.rename(config.paths.products.with_name("moved")))
    archive_root.require(registry, moved.layout, change=False)
    assert identity(registry).archive_root == archive_place(config.layout)
    assert preflight._registry(moved) == []
    require(registry, moved)
    assert identity(registry).archive_root == archive_place(moved.layout)
    shutil.copytree(moved.paths.products, config.paths.products)  # the copy is now what stands in the old place
    with pytest.raises(WrongArchive, match=rf"{config.paths.products} is a copy of {moved.paths.products}"):
        require(registry, config)


@pytest.mark.parametrize("point", ["root", "above"])
def test_a_copy_beside_an_archive_that_is_not_mounted_is_refused(registry, config, copied, point):
    """The mount point is the root itself, or stands above it and is empty."""
    disk = config.paths.products.with_name("mount_point")
    archive = at(config, disk / "archive" if point == "above" else disk)
    archive.paths.products.parent.mkdir(parents=True, exist_ok=True)
    config.paths.products.rename(archive.paths.products)
    require(registry, archive)
    disk.rename(disk.with_name("unplugged"))
    disk.mkdir()
    with pytest.raises(WrongArchive, match=r"may be a copy of the archive .*: mount it or correct.*archive adopt"):
        require(registry, copied)
    archive_root.adopt(registry, copied.layout)
    require(registry, copied)


def test_the_same_folder_by_a_symlink_is_the_same_archive(registry, config, published, tmp_path):
    (tmp_path / "link").symlink_to(config.paths.products)
    before = identity(registry)
    require(registry, at(config, tmp_path / "link"))
    assert identity(registry) == before


def test_the_same_folder_by_another_mount_is_the_same_archive(registry, config, published, tmp_path, monkeypatch):
    """A bind mount has the device and the inode of the folder; here a symlink does that is not resolved."""
    (tmp_path / "bound").symlink_to(config.paths.products)
    bound = at(config, tmp_path / "bound")
    monkeypatch.setattr(type(tmp_path), "resolve", lambda path: path)
    assert archive_place(bound.layout).endswith("/bound")
    before = identity(registry)
    require(registry, bound)
    assert identity(registry) == before  # else the archive would seem to be gone when that mount is
    require(registry, config)


def test_a_link_left_in_the_old_place_is_the_same_archive(registry, config, published):
    new = config.paths.products.rename(config.paths.products.with_name("new"))
    config.paths.products.symlink_to(new)
    require(registry, config)
    require(registry, at(config, new))


def test_an_old_place_that_was_given_to_another_registry_is_gone(registry, config, copied):
    text = marker_place(config.layout).read_text().replace(identity(registry).uuid, "another")
    marker_place(config.layout).write_text(text)
    require(registry, copied)
    assert identity(registry).archive_root == archive_place(copied.layout)


def test_a_marker_in_the_old_place_that_is_damaged_leaves_doubt(registry, config, copied):
    marker_place(config.layout).write_text("{")
    with pytest.raises(WrongArchive, match=rf"may be a copy .*{MARKER} is damaged"):
        require(registry, copied)


def test_an_old_place_that_cannot_be_looked_at_leaves_doubt(registry, config, copied):
    config.paths.products.rename(config.paths.products.with_name("away"))
    config.paths.products.symlink_to(config.paths.products)
    with pytest.raises(WrongArchive, match=r"may be a copy .*\(Too many levels of symbolic links\)"):
        require(registry, copied)


def test_a_file_in_the_old_place_or_above_it_leaves_no_doubt(registry, config, published):
    new = at(config, config.paths.products.rename(config.paths.products.with_name("new")))
    with registry.transaction() as connection:
        values = {"archive_root": f"{archive_place(config.layout)}/below/a/file"}
        connection.execute(update(registry_identity).values(values))
    config.paths.products.touch()
    require(registry, new)


def test_what_another_machine_recorded_cannot_be_looked_at_and_stays(registry, config, published):
    """Hosts of a cluster that mount the archive in different places would overwrite it in turn."""
    with registry.transaction() as connection:
        connection.execute(update(registry_identity).values(archive_root=f"other:{config.paths.state}"))
    require(registry, config)
    assert identity(registry).archive_root == f"other:{config.paths.state}"
    archive_root.adopt(registry, config.layout)
    assert identity(registry).archive_root == archive_place(config.layout)


def test_a_copy_of_the_archive_is_refused_on_another_machine(registry, config, copied, lasting_inodes, monkeypatch):
    """Both have the archive under the same path or not: what counts is that one folder has one inode number."""
    recorded_with_inode(registry, config)
    before = identity(registry)
    elsewhere(registry, monkeypatch)
    with pytest.raises(WrongArchive) as refused:
        reconcile(registry, copied.layout)
    assert str(refused.value) == (
        f"{copied.paths.products} is another folder than the one that another machine has as {config.paths.products}, "
        f"the archive of registry {registry.where}, and may be a copy of it: mount the archive here or correct "
        "paths.products; if the archive was moved for good, type contimg archive adopt"
    )
    assert identity(registry) == before and reconcile(registry, config.layout) == []  # the archive itself, mounted here
    archive_root.adopt(registry, copied.layout)
    require(registry, copied)
    with pytest.raises(WrongArchive, match="is a copy of"):
        require(registry, config)


def test_the_machine_that_recorded_an_archive_records_the_folder_that_took_its_place(
    registry, config, lasting_inodes, monkeypatch
):
    """As after a new disk: other machines are asked to mount what this one has now."""
    mosaics.run(config)
    recorded_with_inode(registry, config)
    before = identity(registry).archive_inode
    old = config.paths.products.rename(config.paths.products.with_name("old"))
    shutil.copytree(old, config.paths.products, symlinks=True)
    archive_root.require(registry, config.layout, change=False)
    assert identity(registry).archive_inode == before
    require(registry, config)
    assert identity(registry).archive_inode == str(config.paths.products.stat().st_ino) != before
    elsewhere(registry, monkeypatch)
    require(registry, config)
    with pytest.raises(WrongArchive, match="may be a copy of it"):
        require(registry, at(config, old))


@pytest.mark.parametrize(("kind", "lasting"), [("ext4", True), ("nfs4", True), ("fuse.sshfs", False), ("cifs", False)])
def test_inode_numbers_count_where_the_filesystem_does_not_make_them_up(config, monkeypatch, kind, lasting):
    config.paths.products.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(archive_marker, "filesystem_type", lambda path: kind)
    archive_marker._has_lasting_inodes.cache_clear()
    number = str(config.paths.products.stat().st_ino)
    assert archive_marker.archive_inode(config.layout) == (number if lasting else None)
    archive_marker._has_lasting_inodes.cache_clear()


def test_without_inode_numbers_other_machines_are_trusted(registry, copied, lasting_inodes, monkeypatch):
    """Recorded before schema 11, or by a machine that sees the archive through a filesystem that makes them up."""
    with registry.transaction() as connection:
        connection.execute(update(registry_identity).values(archive_inode=None))
    elsewhere(registry, monkeypatch)
    require(registry, copied)


def test_an_upgraded_registry_records_its_archive_at_the_next_change(registry, config, published):
    with registry.transaction() as connection:
        connection.execute(update(registry_identity).values(archive_root=None))
    require(registry, config)
    assert identity(registry).archive_root == archive_place(config.layout)


def test_a_registry_restored_from_before_a_move_goes_on(registry, config, published, tmp_path):
    backup(registry, tmp_path / "backup")
    moved = at(config, config.paths.products.rename(config.paths.products.with_name("moved")))
    require(registry, moved)
    lose_rows(registry)
    restore(registry, tmp_path / "backup")
    require(registry, moved)
    assert identity(registry).archive_root == archive_place(moved.layout)


def test_the_preflight_reads_a_registry_of_before_schema_9(sqlite_config):
    mosaics.run(sqlite_config)
    with contextlib.closing(sqlite3.connect(sqlite_config.layout.registry_file)) as made:
        made.execute("ALTER TABLE registry_identity DROP COLUMN archive_root")
        made.execute("UPDATE schema_version SET version = 8")
        made.commit()
    assert preflight._registry(sqlite_config) == []
    with contextlib.closing(open_registry(sqlite_config)) as registry:
        require(registry, sqlite_config)
        assert identity(registry).archive_root == archive_place(sqlite_config.layout)


def test_a_marker_that_another_process_left_is_synced_before_the_registry_relies_on_it(registry, config, monkeypatch):
    """Seed 2048574 of `contimg replay`: its writer was killed before the sync, and a power cut took the marker away."""
    mosaics.run(config)
    with registry.transaction() as connection:
        connection.execute(update(registry_identity).values(archive_root=None, archive_since=None))
    done = []
    sync, take = os.fsync, archive_root.take_archive
    monkeypatch.setattr(os, "fsync", lambda number: (done.append(os.readlink(f"/proc/self/fd/{number}")), sync(number)))
    monkeypatch.setattr(archive_root, "take_archive", lambda *words: (done.append("taken"), take(*words)))
    require(registry, config)
    assert done[: done.index("taken")] == [str(config.paths.products.resolve())]
    assert identity(registry).archive_root == archive_place(config.layout)


def test_of_two_configurations_that_publish_first_at_once_one_makes_the_archive(
    registry, config, tmp_path, monkeypatch
):
    """One registry and two products roots: what the slower one made is no archive, and says which is."""
    slower = at(config, tmp_path / "slower")
    real = archive_root.adopt

    def overtaken(registry, layout, **options):
        monkeypatch.setattr(archive_root, "adopt", real)
        archive_root.require(registry, config.layout, make=True)
        return real(registry, layout, **options)

    monkeypatch.setattr(archive_root, "adopt", overtaken)
    with pytest.raises(
        WrongArchive, match=f"{slower.paths.products}.* {config.paths.products}, .*correct paths.products"
    ):
        archive_root.require(registry, slower.layout, make=True)
    assert not marker_place(slower.layout).exists()
    require(registry, config)
    assert identity(registry).archive_root == archive_place(config.layout)
    with pytest.raises(WrongArchive, match=r"mount the archive or correct paths\.products"):
        require(registry, slower)
