"""Locks: one process at a time, given back by death, doubtful owners and filesystems without locks refused."""

import errno
import fcntl
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from contimg.errors import BusyError, ContimgError
from contimg.storage import locks, process
from contimg.storage.locks import LocksUnsupported, acquire, exclusive, owner_of, require_locks
from contimg.storage.process import me

HOLD = """
import pathlib, sys
from contimg.storage.locks import acquire
acquire(pathlib.Path(sys.argv[1]), key="paths.state")
print("held", flush=True)
input()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def take(path):
    return acquire(path, key="paths.state")


def test_one_process_at_a_time_and_a_killed_one_leaves_no_lock(tmp_path, holder):
    place = tmp_path / "run.lock"
    with pytest.raises(BusyError, match=rf"run\.lock is locked by process {holder.pid} on .*: wait until it has ended"):
        take(place)
    assert owner_of(place).pid == holder.pid
    holder.kill()
    holder.wait()
    lock = take(place)
    assert owner_of(place) == me()
    lock.release()
    assert owner_of(place) is None and place.exists()
    take(place).release()


def test_who_waits_gets_it_when_the_other_has_ended(tmp_path, holder):
    script = HOLD.replace('key="paths.state"', 'key="paths.state", wait=True')
    command = [sys.executable, "-c", script, str(tmp_path / "run.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
        time.sleep(0.5)
        assert second.poll() is None and owner_of(tmp_path / "run.lock").pid == holder.pid
        holder.kill()
        assert second.stdout.readline() == "held\n"
        assert owner_of(tmp_path / "run.lock").pid == second.pid
        second.kill()


def test_a_block_of_its_own(tmp_path):
    place = tmp_path / "new" / "gallery.lock"
    with exclusive(place, key="paths.state"):
        assert owner_of(place) == me()
        with pytest.raises(BusyError, match=f"locked by process {os.getpid()}"):
            take(place)
    take(place).release()
    with pytest.raises(ZeroDivisionError), exclusive(place, key="paths.state"):
        raise ZeroDivisionError
    take(place).release()


def test_a_child_that_is_started_does_not_keep_the_lock(tmp_path):
    lock = take(tmp_path / "run.lock")
    with subprocess.Popen(["sleep", "60"]) as child:
        lock.release()
        take(tmp_path / "run.lock").release()
        child.kill()


def test_a_lock_file_that_a_person_removed_gives_no_two_owners(tmp_path, monkeypatch):
    """Another process makes the file again between our opening and our locking it."""
    place = tmp_path / "run.lock"
    real, other = locks._flock, []

    def removed_meanwhile(*args, **kwargs):
        if not other:
            place.unlink()
            other.append(True)
        real(*args, **kwargs)

    monkeypatch.setattr(locks, "_flock", removed_meanwhile)
    take(place)
    with pytest.raises(BusyError):
        take(place)


@pytest.mark.parametrize("torn", [b"", b"1234", b"{", b"[]", b'{"pid": 1}', b"\xff\xfe", b"null"])
def test_a_torn_owner_is_nobody(tmp_path, torn):
    place = tmp_path / "run.lock"
    place.write_bytes(torn)
    assert owner_of(place) is None
    take(place)
    assert owner_of(place) == me()


OTHERS = replace(me(), host="there", machine="00-1", installation="00" * 8)


def test_an_owner_on_another_machine_is_doubtful_on_a_network_filesystem(tmp_path, monkeypatch):
    """As with Lustre's localflock: the lock is granted though the other machine's process may live."""
    place = tmp_path / "run.lock"
    place.write_text(OTHERS.to_json())
    with monkeypatch.context() as patch:
        patch.setattr(locks, "filesystem_type", lambda _path: "lustre")
        with pytest.raises(BusyError, match=rf"names process {me().pid} on there as its owner.*lustre.*rm {place}"):
            take(place)
        place.unlink()  # the remedy
        take(place).release()
        place.write_text(replace(OTHERS, machine=me().machine, pid=999_999_999).to_json())  # a dead one of this machine
        take(place).release()
    place.write_text(OTHERS.to_json())
    take(place).release()  # on a local disk: the machine was another before


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
@pytest.mark.parametrize("refused", ["flock", "lockf"])
def test_a_filesystem_without_locks_gives_one_sentence(tmp_path, monkeypatch, number, refused):
    def refuse(*_args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, refused, refuse)
    with pytest.raises(LocksUnsupported, match=rf"{tmp_path} stands on a filesystem without file locks .*paths\.state"):
        require_locks(tmp_path, key="paths.state")
    assert list(tmp_path.iterdir()) == []
    if refused == "flock":
        with pytest.raises(LocksUnsupported, match="-o flock"):
            take(tmp_path / "run.lock")


def test_another_host_with_the_same_process_number_is_not_met(tmp_path, monkeypatch):
    """On a shared disk both would take the lock of one file: the second was refused as if a run held it."""
    other = replace(OTHERS, pid=os.getpid(), start=me().start)
    with monkeypatch.context() as patch:
        patch.setattr(process, "me", lambda: other)
        theirs = acquire(tmp_path / locks.part_name("locks"), key="paths.state")
    require_locks(tmp_path, key="paths.state")
    assert [path.name for path in tmp_path.iterdir()] == [theirs.path.name]
    theirs.release()


def test_what_a_killed_process_left_is_removed(tmp_path):
    dead = replace(me(), pid=999_999_999)
    left = tmp_path / f".locks.part-{dead.installation}-{dead.machine}-{dead.pid}-{dead.start}"
    left.touch()
    require_locks(tmp_path, key="paths.state")
    assert list(tmp_path.iterdir()) == []


def test_a_filesystem_with_locks_is_accepted_and_nothing_stays(tmp_path):
    require_locks(tmp_path, key="paths.state")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EROFS, "mount it for writing"),
        (errno.EACCES, "give yourself write access"),
        (errno.ENOSPC, "make room there"),
        (errno.EDQUOT, "make room there"),
        (errno.EIO, "repair that"),
    ],
)
def test_a_lock_file_that_cannot_be_written_gives_one_sentence(tmp_path, monkeypatch, number, remedy):
    def refuse(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ContimgError, match=rf"run\.lock cannot be locked \({os.strerror(number)}\): {remedy}"):
        take(tmp_path / "run.lock")


def test_a_full_disk_is_named_when_the_owner_is_written(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(ContimgError, match=r"No space left on device.*make room there"):
            take(tmp_path / "run.lock")
    take(tmp_path / "run.lock").release()  # nothing was left locked


def test_a_lock_file_that_is_a_link_or_a_folder_is_refused(tmp_path):
    (tmp_path / "link.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ContimgError, match="remove the symlink"):
        take(tmp_path / "link.lock")
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "folder.lock").mkdir()
    with pytest.raises(ContimgError, match="move the folder away"):
        take(tmp_path / "folder.lock")
    (tmp_path / "file").touch()
    with pytest.raises(ContimgError, match=r"correct paths\.state"):
        take(tmp_path / "file" / "run.lock")
