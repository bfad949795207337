"""What a disk keeps when its power is cut: the cases that manuals of filesystems name, each with what may be left."""

import os
from random import Random

import pytest

from contimg.storage import safe_files
from contimg.storage.atomic import write_json
from contimg.trials import calls
from contimg.trials.disk import Disk
from contimg.trials.machine import Machine

SEEDS = range(40)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "old").write_bytes(b"old")
    return tmp_path / "root"


def outcomes(root, action, inspect):
    """Return everything that may be found after `action` and a power cut."""
    found = set()
    for seed in SEEDS:
        for path in sorted(root.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        (root / "old").write_bytes(b"old")
        disk, machine = Disk((root,)), Machine(seed)
        with calls.installed(machine, disk):
            process = machine.start(lambda: action(root))
            machine.resume(process)
            assert process.ended == "clean", process.ended
        disk.cut(Random(seed))
        found.add(inspect(root))
    return found


def put(path, content, *, sync=True):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(descriptor, content)
    if sync:
        os.fsync(descriptor)
    os.close(descriptor)


def sync(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def content(name):
    return lambda root: (root / name).read_bytes() if (root / name).exists() else None


def names(root):
    return tuple(sorted(path.name for path in root.rglob("*")))


def test_a_synced_file_may_lack_its_name(root):
    assert outcomes(root, lambda top: put(top / "new", b"abc"), content("new")) == {None, b"abc"}


def test_with_its_folder_synced_it_is_sure(root):
    assert outcomes(root, lambda top: (put(top / "new", b"abc"), sync(top)), content("new")) == {b"abc"}


def test_an_unsynced_file_may_be_torn_or_zeros(root):
    found = outcomes(root, lambda top: (put(top / "new", b"abc", sync=False), sync(top)), content("new"))
    assert {b"", b"abc"} < found <= {b"", b"a", b"ab", b"abc", b"a\0\0", b"ab\0", b"\0\0\0"}


def test_an_overwritten_file_may_be_as_before(root):
    found = outcomes(root, lambda top: put(top / "old", b"changed", sync=False), content("old"))
    assert b"old" in found and b"changed" in found


def test_a_file_object_is_seen_too(root):
    found = outcomes(root, lambda top: ((top / "new").write_text("abc"), sync(top)), content("new"))
    assert b"" in found and b"abc" in found


def test_a_rename_is_whole_or_not_at_all(root):
    found = outcomes(root, lambda top: os.rename(top / "old", top / "new"), names)
    assert found == {("old",), ("new",)}


def test_a_rename_into_a_synced_folder_is_sure(root):
    def move(top):
        os.mkdir(top / "a")
        sync(top)
        os.rename(top / "old", top / "a" / "new")
        sync(top / "a")

    assert outcomes(root, move, names) == {("a", "new")}


def test_changes_may_be_reordered(root):
    found = outcomes(root, lambda top: [put(top / name, b"x") for name in "ab"], names)
    assert ("b", "old") in found, "the later one alone"


def test_what_was_removed_may_come_back(root):
    assert outcomes(root, lambda top: os.unlink(top / "old"), names) == {("old",), ()}
    assert outcomes(root, lambda top: (os.unlink(top / "old"), sync(top)), names) == {()}


def test_a_folder_without_a_name_takes_all_in_it_along(root):
    def fill(top):
        os.mkdir(top / "a")
        put(top / "a" / "file", b"abc")
        sync(top / "a")

    assert outcomes(root, fill, names) == {("old",), ("a", "file", "old")}


def test_links_and_new_renames_and_permissions(root):
    def work(top):
        with safe_files.open_folder(top) as folder:
            os.mkdir("part", dir_fd=folder)
            with safe_files.open_folder(top, "part") as part:
                os.link("old", "same", src_dir_fd=folder, dst_dir_fd=part)
                os.fsync(part)
            safe_files.rename_new(folder, "part", folder, "final")
            os.fsync(folder)

    assert outcomes(root, work, names) == {("final", "old", "same")}


def test_an_atomic_write_is_old_or_new(root):
    found = outcomes(root, lambda top: write_json(top / "old", {}), content("old"))
    assert found == {b"{}\n"}, "it syncs file and folder before it returns"


def test_other_folders_are_none_of_its_business(root, tmp_path):
    def elsewhere(_top):
        put(tmp_path / "beside", b"abc", sync=False)

    outcomes(root, elsewhere, names)
    assert (tmp_path / "beside").read_bytes() == b"abc"
