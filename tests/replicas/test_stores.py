"""Both kinds of store: what is written is read back, a new name is made once, faults are one sentence."""

import os
import threading

import pytest

from contimg.errors import ConfigError, RegistryError
from contimg.replicas import stores


def test_files_are_written_read_listed_and_removed(store, tmp_path):
    (tmp_path / "big").write_bytes(os.urandom(9 << 20))
    store.put("mosaics/a/b.fits", tmp_path / "big")
    store.put_new("mosaics/a/c/d.json", b"{}")
    assert stores.read_all(store, "mosaics/a/b.fits") == (tmp_path / "big").read_bytes()
    assert store.names("mosaics/a") == ["b.fits", "c/d.json"] and store.names("nowhere") == []
    store.put("mosaics/a/c/d.json", tmp_path / "big")  # replaces
    assert len(stores.read_all(store, "mosaics/a/c/d.json")) == 9 << 20
    store.remove("mosaics/a/b.fits")
    store.remove("mosaics/a/b.fits")
    assert store.names("mosaics/a") == ["c/d.json"]
    with pytest.raises(FileNotFoundError):
        stores.read_all(store, "mosaics/a/b.fits")


def test_of_many_that_write_a_new_name_at_once_one_succeeds(store):
    started, made, refused = threading.Barrier(8), [], []

    def write(number):
        started.wait()
        try:
            store.put_new("commits/one.json", b"%d" % number)
            made.append(number)
        except FileExistsError:
            refused.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and len(refused) == 7
    assert stores.read_all(store, "commits/one.json") == b"%d" % made[0]
    assert store.names("commits") == ["one.json"]


def test_a_folder_leaves_no_temporary_file_and_no_empty_folder(tmp_path):
    root = tmp_path / "second"
    root.mkdir()
    store = stores.FolderStore(root)
    (tmp_path / "file").write_bytes(b"1")
    store.put("mosaics/a/b", tmp_path / "file")
    store.put_new("mosaics/a/c", b"2")
    with pytest.raises(FileExistsError):
        store.put_new("mosaics/a/c", b"3")
    assert sorted(path.name for path in root.rglob("*")) == ["a", "b", "c", "mosaics"]
    store.remove("mosaics/a/b")
    store.remove("mosaics/a/c")
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/passwd"])
def test_no_name_leads_out_of_a_folder(tmp_path, name):
    (tmp_path / "second").mkdir()
    store = stores.FolderStore(tmp_path / "second")
    (tmp_path / "file").write_bytes(b"1")
    for action in (
        lambda: store.put(name, tmp_path / "file"),
        lambda: store.put_new(name, b""),
        lambda: store.remove(name),
    ):
        with pytest.raises(stores.ReplicaError, match="leads out of it"):
            action()
    assert not (tmp_path / "outside").exists()


def test_faults_are_one_sentence(tmp_path, bucket, monkeypatch):
    (tmp_path / "second").mkdir()
    folder = stores.open_store(f"file://{tmp_path / 'second'}")
    (tmp_path / "second" / "link").symlink_to(tmp_path)
    with pytest.raises(RegistryError, match="symlink"):
        folder.put_new("link/x", b"")
    gone = stores.open_store("s3://no-such-bucket-of-ours/x")
    with pytest.raises((stores.ReplicaError, FileNotFoundError)):
        gone.put_new("x", b"")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(stores, "_S3_CLIENT", {"connect_timeout": 1, "retries": {"max_attempts": 1}})
    with pytest.raises(stores.ReplicaError, match=r"replica s3://.*: .*: repair that, then type contimg replicas sync"):
        stores.open_store(bucket).put_new("x", b"")
    with pytest.raises(ConfigError, match=r"names what://x, whose kind cannot be reached .*install contimg\[s3\]"):
        stores.open_store("what://x")
