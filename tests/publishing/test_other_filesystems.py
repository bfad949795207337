"""What network filesystems and disks of other systems refuse: said with file and remedy, or done in another way."""

import errno
import os

import pytest

from contimg.config.sections import ReplicaOptions
from contimg.publishing import publish as publishing
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.engine import open_registry
from contimg.replicas import stores, sync
from contimg.storage import safe_files
from tests.support import mosaics

ID = mosaics.MOSAIC


def refuse(monkeypatch, name, number, below):
    """Let a system call refuse what stands below a folder, as the kernel does: without a file where it got none."""
    real = getattr(os, name)

    def refused(*arguments, **options):
        first = options.get("dst_dir_fd", arguments[0])
        if os.readlink(f"/proc/self/fd/{first}").startswith(str(below)):
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, refused)


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.ENOSPC, errno.EIO, errno.EINVAL])
def test_a_disk_that_is_full_at_the_sync_is_named(sqlite_config, monkeypatch, number):
    """NFS and quotas refuse at fsync(2) what write(2) took."""
    mosaics.make_mosaic(sqlite_config)
    register_mosaic(ID, sqlite_config)
    products = sqlite_config.layout.products
    products.mkdir()
    refuse(monkeypatch, "fsync", number, products)
    with pytest.raises(Exception, match=f"{os.strerror(number)}.*{products}|{products}.*{os.strerror(number)}"):
        publish_mosaic(ID, sqlite_config, waits_s=())


def test_a_filesystem_that_keeps_no_permissions(sqlite_config, monkeypatch):
    config = sqlite_config.model_copy(update={"publish": sqlite_config.publish.model_copy(update={"read_only": True})})
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    refuse(monkeypatch, "fchmod", errno.EPERM, config.layout.products)
    with pytest.raises(publishing.PublishFailed, match=r"/\S+ cannot be made read-only.*: set publish.read_only"):
        publish_mosaic(ID, config, waits_s=())
    assert publish_mosaic(ID, sqlite_config, waits_s=()).status == "published"


def test_a_replica_without_hard_links(sqlite_config, tmp_path, monkeypatch):
    """exFAT, and some servers of SMB."""
    second = tmp_path / "second"
    second.mkdir()
    refuse(monkeypatch, "link", errno.EPERM, second)
    replica = ReplicaOptions(url=str(second))
    registry = open_registry(sqlite_config)
    sync.adopt(registry, replica)
    mosaics.run(sqlite_config)
    assert [one.what for one in sync.sync(registry, sqlite_config.layout, replica)] == ["copied"]
    assert [one.what for one in sync.verify(registry, sqlite_config.layout, replica)] == ["whole"]
    store = stores.open_store(str(second))
    with pytest.raises(FileExistsError):
        store.put_new(sync.MARKER, b"another")
    assert stores.read_all(store, sync.MARKER) != b"another"
    assert not list(second.rglob("*.part-*"))


def test_a_replica_where_no_name_can_be_given_only_once(sqlite_config, tmp_path, monkeypatch):
    refuse(monkeypatch, "link", errno.EPERM, tmp_path)

    def refused(*_arguments):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(safe_files, "_renameat2", refused)
    with pytest.raises(stores.ReplicaError, match="neither hard links nor renames that replace nothing"):
        sync.adopt(open_registry(sqlite_config), ReplicaOptions(url=str(tmp_path)))
