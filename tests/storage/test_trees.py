"""Folders with all in them: listed, synced and removed, never by way of a link, and however deep they are."""

import errno
import os
import threading

import pytest

from contimg.errors import RegistryError
from contimg.storage import process, trees
from contimg.storage.filesystem import DEEPEST, walk
from contimg.storage.safe_files import open_folder, rename_new
from contimg.storage.trees import discard, list_tree, remove_tree, sync_tree
from tests.support.deep_folders import deep_folders


def test_a_tree_is_listed_without_folders_and_links_are_not_followed(root, folder, tmp_path):
    (root / "a" / "link").symlink_to(tmp_path / "precious")
    (root / "empty").mkdir()
    (root / "z").touch()
    assert list(list_tree(folder)) == ["a/b/file", "a/link", "z"]


def test_a_tree_is_removed_and_what_its_links_point_to_is_not(root, folder, tmp_path):
    (root / "a" / "link").symlink_to(tmp_path / "precious")
    remove_tree(folder, "a")
    assert list(root.iterdir()) == [] and (tmp_path / "precious" / "file").exists()
    remove_tree(folder, "a")  # nothing there any more


def test_a_link_or_a_file_is_removed_as_such(root, folder, tmp_path):
    (root / "link").symlink_to(tmp_path / "precious")
    (root / "file").touch()
    for name in ("link", "file"):
        remove_tree(folder, name)
    assert [path.name for path in root.iterdir()] == ["a"] and (tmp_path / "precious" / "file").exists()


def test_two_that_clear_up_the_same_tree_do_not_disturb_each_other(root):
    for number in range(300):
        (root / "a" / f"{number:03d}").mkdir()
        (root / "a" / f"{number:03d}" / "x").touch()
    wrong = []

    def clear():
        with open_folder(root) as opened:
            try:
                remove_tree(opened, "a")
            except OSError as error:
                wrong.append(error)

    threads = [threading.Thread(target=clear) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One may find a folder not empty that another is still emptying: nothing else can go wrong.
    assert all(error.errno == errno.ENOTEMPTY for error in wrong) and len(wrong) < 3


def test_what_is_discarded_cannot_be_renamed_to_its_final_name_half_removed(root, folder):
    """It gets another name first: who still writes in it finds it gone."""
    with open_folder(root, "a"):
        discard(folder, "a")
        with pytest.raises(FileNotFoundError):
            rename_new(folder, "a", folder, "final")
    assert list(root.iterdir()) == []
    discard(folder, "a")


@pytest.mark.parametrize("name", ["mosaic_20260211T002649.5f51c5c5959cc806", ".hidden", "b.part-9"])
def test_a_removal_that_is_stopped_many_times_needs_no_longer_names(tmp_path, monkeypatch, name):
    """Each process that goes on with it renames what the one before had renamed."""
    place, lengths = tmp_path / "place", set()
    (place / name).mkdir(parents=True)
    (place / name / "file").write_text("x")
    for pid in range(1000, 1010):
        owner = process.Owner("host", f"{'0f' * 16}-4026531836", pid, 12345678, "1a" * 8)
        monkeypatch.setattr(process, "me", lambda owner=owner: owner)
        with monkeypatch.context() as stopped:
            stopped.setattr(trees, "remove_tree", lambda *_: None)
            (name,) = os.listdir(place)
            with open_folder(place) as opened:
                discard(opened, name)
        (left,) = os.listdir(place)
        assert process.part_owner(left).pid == pid, "so that it counts as left over once that process is dead"
        lengths.add(len(left))
    assert max(lengths) - min(lengths) <= len(".old")
    with open_folder(place) as opened:
        discard(opened, left)
    assert os.listdir(place) == []


def test_an_error_names_the_whole_path(root, folder):
    with pytest.raises(FileNotFoundError) as raised:
        sync_tree(folder, "none")
    assert raised.value.filename == str(root.resolve() / "none")


@pytest.mark.parametrize("number", [DEEPEST + 2, 3000])
def test_folders_nested_too_deeply_are_one_entry_and_left(root, folder, number):
    """Python follows no thousand of them, and no path names what stands in 3000."""
    with deep_folders(root / "a", number):
        *others, entry = list_tree(folder)
        assert others == ["a/b/file"] and entry.startswith("a/d/d/") and entry.count("/") == DEEPEST
        for act in (sync_tree, remove_tree):
            with pytest.raises(RegistryError, match=f"/d stands in more than {DEEPEST} folders: remove them$"):
                act(folder, "a")
        assert max(place.count("/d") for place, _, _ in walk(root / "a")) <= DEEPEST
    sync_tree(folder, "a")
    remove_tree(folder, "a")
    assert os.listdir(root) == []
