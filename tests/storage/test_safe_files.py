"""File operations below a root: nothing is followed out of it, nothing is replaced, and no byte is lost."""

import contextlib
import errno
import hashlib
import os
import socket
import subprocess
import sys
import threading

import pytest

from contimg.errors import RegistryError
from contimg.storage import safe_files
from contimg.storage.safe_files import (
    copy,
    create,
    exists,
    open_file,
    open_folder,
    relative_to_root,
    rename_new,
    sha256,
    write_all,
)

# --- names ------------------------------------------------------------------------------------------------------


def test_a_path_below_its_root_is_relative_to_it(root):
    assert str(relative_to_root(root / "a" / "b", root, "paths.stage")) == "a/b"


@pytest.mark.parametrize("path", ["", "..", "../precious", "a/../../precious", "/etc/passwd", "../root-2/a"])
def test_a_path_that_leads_elsewhere_is_refused_with_the_key(root, path):
    with pytest.raises(RegistryError) as refused:
        relative_to_root(root / path, root, "paths.stage")
    said = f"{root / path} is not below paths.stage ({root}): nothing outside the configured roots is touched"
    assert str(refused.value) == said


# --- folders ----------------------------------------------------------------------------------------------------


def test_a_folder_is_opened_and_closed_again(root):
    with open_folder(root, "a/b") as opened:
        assert os.listdir(opened) == ["file"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened)


def test_a_root_that_is_a_symlink_is_followed_as_it_was_configured(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    with open_folder(tmp_path / "link", "a") as opened:
        assert os.listdir(opened) == ["b"]


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("to", ["folder", "file", "nowhere"])
def test_a_symlink_on_the_way_is_refused(root, tmp_path, to, create):
    target = {"folder": tmp_path / "precious", "file": tmp_path / "precious" / "file", "nowhere": tmp_path / "no"}[to]
    (root / "a" / "link").symlink_to(target)
    with pytest.raises(RegistryError) as refused, open_folder(root, "a/link/x", create=create):
        pass
    assert str(refused.value) == (
        f"{root}/a/link/x leads through 'link', which is a symlink or no folder: put a real folder in its place"
    )
    assert sorted(path.name for path in (tmp_path / "precious").iterdir()) == ["file"]


def test_a_file_on_the_way_is_refused(root):
    with pytest.raises(RegistryError, match="leads through 'file', which is a symlink or no folder"):
        open_folder(root, "a/b/file/x").__enter__()


def test_a_missing_folder_is_named_whole_or_made(root):
    with pytest.raises(FileNotFoundError) as missing:
        open_folder(root, "a/new/deep").__enter__()
    assert missing.value.filename == str(root / "a/new/deep")
    for _ in range(2):  # the second time it is there already
        with open_folder(root, "a/new/deep", create=True) as opened:
            assert os.listdir(opened) == []


@pytest.mark.parametrize("create", [False, True])
def test_a_missing_root_is_never_made(tmp_path, create):
    """It may be a disk that is not mounted."""
    with pytest.raises(FileNotFoundError):
        open_folder(tmp_path / "new", "a", create=create).__enter__()
    assert not (tmp_path / "new").exists()


def test_what_is_opened_is_used_though_its_name_is_changed_meanwhile(root, tmp_path):
    """The name may lead to something else by now: the descriptor is still the folder that was checked."""
    with open_folder(root, "a/b") as opened:
        (root / "a" / "b").rename(tmp_path / "moved")
        (root / "a" / "b").symlink_to(tmp_path / "precious")
        os.close(create(opened, "new"))
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["file", "new"]
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["file"]


# --- files ------------------------------------------------------------------------------------------------------


def test_a_regular_file_is_read(root):
    with open_folder(root, "a/b") as opened, open_file(opened, "file") as file:
        assert os.read(file, 100) == b"content"


def test_a_symlink_is_no_file_of_a_bundle(root, folder, tmp_path):
    (root / "link").symlink_to(tmp_path / "precious" / "file")
    with pytest.raises(RegistryError) as refused, open_file(folder, "link"):
        pass
    assert (
        str(refused.value) == f"{root.resolve() / 'link'} is a symlink: bundles hold regular files only, so remove it"
    )


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(root, folder, kind):
    """A pipe that nobody writes to would hang whoever opens it."""
    if kind == "socket":
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as opened, contextlib.chdir(root):
            opened.bind("odd")
    else:
        (root / "odd").mkdir() if kind == "folder" else os.mkfifo(root / "odd")
    with pytest.raises(
        RegistryError, match=f"{root.resolve() / 'odd'} is not a regular file: bundles hold regular files only"
    ):
        open_file(folder, "odd").__enter__()


def missing(folder):
    with open_file(folder, "none"):
        pass


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (missing, "none"),
        (lambda folder: os.close(create(folder, "taken")), "taken"),
    ],
)
def test_errors_name_the_whole_path(root, folder, act, name):
    """Of a name relative to a descriptor, the system's own error has the last part alone."""
    (root / "taken").write_text("x")
    with pytest.raises(OSError) as raised:
        act(folder)
    assert raised.value.filename == str(root.resolve() / name)


def test_an_error_of_writing_names_the_file(root):
    """A real limit: the system says of a descriptor only that its file is too large."""
    code = (
        "import os, resource, signal, sys; from contimg.storage.safe_files import write_all;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10));"
        "file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "try: write_all(file, b'x' * 100)\n"
        "except OSError as error: print(error.errno, error.filename)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root / "large")], capture_output=True, text=True)
    assert done.stdout == f"{errno.EFBIG} {root.resolve() / 'large'}\n", done


def test_a_missing_file_is_missing(folder):
    with pytest.raises(FileNotFoundError):
        open_file(folder, "nothing").__enter__()


def test_a_new_file_replaces_nothing(root, folder, tmp_path):
    os.close(create(folder, "new"))
    with pytest.raises(FileExistsError):
        create(folder, "new")
    (root / "link").symlink_to(tmp_path / "precious" / "file")
    with pytest.raises(FileExistsError):
        create(folder, "link")
    assert (tmp_path / "precious" / "file").read_bytes() == b"of someone else"


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 3500])
def test_copies_and_digests_are_of_every_byte(folder, monkeypatch, size):
    monkeypatch.setattr(safe_files, "CHUNK_BYTES", 1000)
    content = os.urandom(size)
    source = create(folder, "source")
    write_all(source, content)
    progress, asked = [], []
    assert sha256(source, progress.append) == hashlib.sha256(content).hexdigest()
    assert sum(progress) == size and all(0 < one <= 1000 for one in progress)
    os.lseek(source, 0, os.SEEK_SET)
    target = create(folder, "target")
    copy(source, target, lambda: asked.append(True))
    assert sha256(target) == sha256(source) and len(asked) == -(-size // 1000)
    for descriptor in (source, target):
        os.close(descriptor)


def test_a_copy_can_be_stopped_between_blocks(folder, monkeypatch):
    monkeypatch.setattr(safe_files, "CHUNK_BYTES", 10)
    source, target = create(folder, "source"), create(folder, "target")
    write_all(source, b"x" * 100)
    os.lseek(source, 0, os.SEEK_SET)

    def stop():
        raise RegistryError("enough")

    with pytest.raises(RegistryError, match="enough"):
        copy(source, target, stop)
    assert os.fstat(target).st_size == 10
    for descriptor in (source, target):
        os.close(descriptor)


def test_a_write_that_takes_only_a_part_is_gone_on_with():
    """A pipe of the kernel's smallest size takes 4096 bytes at a time from a writer that may not wait."""
    import fcntl

    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    content, received = os.urandom(50_000), bytearray()

    def drain():
        while block := os.read(reader, 1000):
            received.extend(block)

    thread = threading.Thread(target=drain)
    thread.start()
    write_all(writer, memoryview(content))
    os.close(writer)
    thread.join()
    os.close(reader)
    assert bytes(received) == content


def test_what_exists_is_an_entry_of_any_kind(root, folder):
    (root / "dangling").symlink_to("nowhere")
    assert exists(folder, "a") and exists(folder, "dangling") and not exists(folder, "b")


# --- renaming ---------------------------------------------------------------------------------------------------


def without_renameat2(monkeypatch):
    def unknown(*_):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(safe_files, "_renameat2", unknown)


@pytest.mark.parametrize("kernel", ["with renameat2", "without"])
@pytest.mark.parametrize("taken", ["empty folder", "full folder", "file", "dangling link"])
def test_a_name_that_is_taken_by_anything_is_not_replaced(root, folder, monkeypatch, kernel, taken):
    if kernel == "without":
        without_renameat2(monkeypatch)
    target = root / "taken"
    if "folder" in taken:
        target.mkdir()
        (target / "precious").touch() if taken == "full folder" else None
    elif taken == "file":
        target.write_text("precious")
    else:
        target.symlink_to("nowhere")
    before = os.lstat(target).st_ino
    with pytest.raises(FileExistsError):
        rename_new(folder, "a", folder, "taken")
    assert os.lstat(target).st_ino == before and (root / "a" / "b" / "file").exists()


def test_without_renameat2_a_full_folder_that_appears_meanwhile_is_not_replaced(root, folder, monkeypatch):
    """Between the look and the rename: rename(2) of a folder replaces only an empty one."""
    without_renameat2(monkeypatch)
    (root / "taken").mkdir()
    (root / "taken" / "precious").touch()
    monkeypatch.setattr(safe_files, "exists", lambda parent, name: False)
    with pytest.raises(FileExistsError):
        rename_new(folder, "a", folder, "taken")
    assert (root / "taken" / "precious").exists() and (root / "a").exists()


@pytest.mark.parametrize("kernel", ["with renameat2", "without"])
def test_other_errors_of_renaming_are_raised_as_they_are(root, folder, monkeypatch, kernel):
    if kernel == "without":
        without_renameat2(monkeypatch)
    with pytest.raises(FileNotFoundError):
        rename_new(folder, "nothing", folder, "new")
