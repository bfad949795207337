"""Moving folders: to a free number, and to another filesystem, where they are copied, compared and removed."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from contimg.errors import RegistryError
from contimg.storage import moving
from contimg.storage.moving import mount_of, move_new, open_beside, set_aside
from contimg.storage.safe_files import open_folder


@pytest.fixture
def elsewhere(tmp_path):
    """A folder on another filesystem than that of pytest's folders."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    if folder.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm and the folder of pytest are on one filesystem: mount a tmpfs at /dev/shm")
    yield folder
    shutil.rmtree(folder)


def move(source, target):
    with open_folder(source.parent) as one, open_folder(target.parent) as other:
        move_new(one, source.name, other, target.name)


def content(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("far", [True, False])
def test_a_folder_is_moved_with_all_that_is_in_it(root, elsewhere, far):
    (root / "a" / "b" / "file").chmod(0o444)
    (root / "a" / "empty").mkdir(mode=0o750)
    before = content(root / "a")
    target = (elsewhere if far else root) / "moved"
    move(root / "a", target)
    assert content(target) == before and not (root / "a").exists()
    assert os.listdir(target.parent) == ["moved"] and os.listdir(root) == ([] if far else ["moved"])


@pytest.mark.parametrize("far", [True, False])
def test_a_name_that_is_taken_is_refused(root, elsewhere, far):
    target = (elsewhere if far else root) / "taken"
    target.mkdir()
    (target / "file").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        move(root / "a", target)
    assert (root / "a" / "b" / "file").exists() and (target / "file").read_bytes() == b"mine"
    assert os.listdir(target.parent) in (["taken"], ["a", "taken"], ["taken", "a"])


def test_a_copy_that_reads_back_differently_is_removed(root, elsewhere, monkeypatch):
    digests = iter(["one", "another"])
    monkeypatch.setattr(moving, "sha256", lambda _descriptor: next(digests))
    with pytest.raises(RegistryError, match="the copy of 'file' reads back differently: check that disk, then retry"):
        move(root / "a", elsewhere / "moved")
    assert (root / "a" / "b" / "file").exists() and os.listdir(elsewhere) == []


def test_a_symlink_is_not_copied(root, elsewhere, tmp_path):
    (root / "a" / "link").symlink_to(tmp_path / "precious" / "file")
    with pytest.raises(RegistryError, match=f"{root / 'a' / 'link'} is a symlink"):
        move(root / "a", elsewhere / "moved")
    assert os.listdir(elsewhere) == [] and (root / "a" / "b" / "file").exists()


def test_two_disks_are_told_apart(root, elsewhere):
    with open_folder(root) as one, open_folder(root, "a/b") as below, open_folder(elsewhere) as other:
        assert mount_of(one) == mount_of(below) != mount_of(other)
    with open_beside(root, Path("a/b"), "aside"):
        assert (root / "aside").is_dir() and not (root / "a" / "b" / "aside").exists()


def test_a_folder_is_set_aside_under_the_first_number_that_is_free(root):
    for number in (1, 2, 3):
        place = root / "mosaics" / "day" / "bundle"
        place.mkdir(parents=True)
        (place / "file").write_text(str(number))
        set_aside(root, place, ".altered")
        assert not place.exists()
    names = sorted(path.name for path in (root / ".altered").iterdir())
    assert names == ["bundle.1", "bundle.2", "bundle.3"]
    assert [(root / ".altered" / name / "file").read_text() for name in names] == ["1", "2", "3"]


def test_nothing_outside_the_root_is_set_aside(root, tmp_path):
    with pytest.raises(RegistryError, match=r"is not below paths\.products"):
        set_aside(root, tmp_path / "precious", ".altered")
    with contextlib.suppress(FileNotFoundError):
        set_aside(root, root / "nothing", ".altered")
    assert (tmp_path / "precious" / "file").exists() and Path(root / "a" / "b" / "file").exists()
