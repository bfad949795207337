"""Opening a file: no lock is asked for, and every error of one file has a code and a remedy that fits it."""

import errno
import fcntl
import os
import signal

import h5py
import pytest

from contimg.correlator import files
from contimg.errors import InputError


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "2026-02-11T00:00:00_sb03.hdf5", "w") as file:
        file["one"] = 1
    return tmp_path / "2026-02-11T00:00:00_sb03.hdf5"


def test_a_file_that_another_process_has_locked_is_read(path):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # a lock of this process would not keep this process out
        with open(path, "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            os.write(writer, b"x")
            signal.pause()
    try:
        assert os.read(reader, 1) == b"x"
        with files.opened(path) as file:
            assert h5py.h5d.open(file, b"one").shape == ()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(
    ("number", "code", "remedy"),
    [
        (errno.EACCES, "permission", "give this user read permission"),
        (errno.EPERM, "permission", "give this user read permission"),
        (errno.ENOENT, "vanished", "plan again"),
        (errno.ESTALE, "stale", "mount the file server again"),
        (errno.ETIMEDOUT, "unreachable", "does not answer"),
        (errno.ENOTCONN, "unreachable", "does not answer"),
        (errno.EHOSTDOWN, "unreachable", "does not answer"),
        (errno.EAGAIN, "locked", "another process"),
        (errno.EBUSY, "locked", "another process"),
        (errno.EIO, "read_error", "check the disk and bring the file again (Input/output error)"),
        (errno.EREMOTEIO, "read_error", "check the disk"),
        (errno.EUCLEAN, "read_error", "check the disk"),
        (errno.ENXIO, "not_a_file", "put the subband file in its place"),
        (errno.ELOOP, "dangling", "correct it or delete it"),
    ],
)
def test_the_remedy_fits_the_error(path, number, code, remedy):
    fault = files.fault_of_error(path, OSError(number, os.strerror(number)))
    assert (fault.code, fault.path) == (code, path)
    assert str(fault).startswith(path.name) and remedy in str(fault)
    assert "make room" not in str(fault)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_what_the_machine_lacks_is_no_fault_of_the_file(path, number):
    with pytest.raises(OSError, match=os.strerror(number)):
        files.fault_of_error(path, OSError(number, os.strerror(number)))


def test_the_number_of_an_error_is_found_in_the_words_of_hdf5(path):
    said = "Unable to open file (file read failed: time = today, filename = 'x', errno = 116, error message = 'Stale')"
    for kind in (OSError, KeyError, RuntimeError, ValueError):
        with pytest.raises(OSError, match="Stale file handle") as caught, files.content_faults(path):
            raise kind(said)
        assert caught.value.errno == errno.ESTALE
    for kind in (OSError, KeyError, RuntimeError, TypeError, ValueError):
        with pytest.raises(files.FileFault) as fault, files.content_faults(path):
            raise kind("addr overflow, addr = 12")
        assert fault.value.code == "unreadable" and "addr overflow" in str(fault.value)
    with pytest.raises(InputError, match=r"^as it is$"), files.content_faults(path):
        raise InputError("as it is")


def test_folders_pipes_and_devices_are_named_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, "/dev/null", "/dev/zero"):
        with pytest.raises(files.FileFault) as fault, files.opened(place):
            pass
        assert fault.value.code == "not_a_file"


@pytest.mark.parametrize("content", [b"", b"the disk was full\n", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_hdf5_is_unreadable(path, content):
    path.write_bytes(content)
    with pytest.raises(files.FileFault, match="not a whole HDF5 file") as fault, files.opened(path):
        pass
    assert fault.value.code == "unreadable"


def test_a_missing_file_is_told_in_the_words_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError), files.opened(tmp_path / "nowhere"):
        pass


def test_what_fails_while_a_file_is_open_is_not_blamed_on_it(path):
    """A conversion writes an MS with its subband files open: a full disk is no damaged input."""
    with pytest.raises(RuntimeError, match="write error in table"), files.opened(path):
        raise RuntimeError("write error in table.f1")
