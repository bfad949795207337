"""Files and folders that appear whole or not at all."""

import errno
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from contimg.storage import atomic
from contimg.storage.atomic import atomic_path, file_sha256, remove, remove_orphans, syncing, write_json
from contimg.storage.json_files import read_json
from contimg.storage.process import me, part_name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def part_of(name: str, **changed) -> str:
    owner = replace(me(), **changed)
    return f".{name}.part-{owner.installation}-{owner.machine}-{owner.pid}-{owner.start}"


def test_a_file_appears_whole(tmp_path):
    with atomic_path(tmp_path / "sub" / "x.json") as part:
        part.write_text("1")
        assert names(tmp_path / "sub") == [part.name] and part.name.startswith(".x.json.part-")
    assert names(tmp_path / "sub") == ["x.json"] and (tmp_path / "sub" / "x.json").read_text() == "1"


def test_a_folder_takes_the_place_of_a_folder(tmp_path):
    final = tmp_path / "x.ms"
    for content in ("1", "2", "3"):
        with atomic_path(final) as part:
            part.mkdir()
            (part / content).touch()
            assert final.exists() == (content != "1")  # the old one stands until the new one is whole
        assert names(final) == [content] and names(tmp_path) == ["x.ms"]


@pytest.mark.parametrize("content", [[], ["precious"]])
def test_a_file_never_takes_the_place_of_a_folder(tmp_path, content):
    """All in it would be lost: of a folder that a person named for a page, or that a person put there."""
    final = tmp_path / "x.json"
    final.mkdir()
    for name in content:
        (final / name).touch()
    with pytest.raises(IsADirectoryError) as refused:
        write_json(final, {})
    assert refused.value.filename == str(final)
    assert names(final) == content and names(tmp_path) == ["x.json"]


def test_a_folder_never_takes_the_place_of_a_file(tmp_path):
    final = tmp_path / "x.ms"
    final.write_text("old")
    with pytest.raises(NotADirectoryError), atomic_path(final) as part:
        part.mkdir()
    assert final.read_text() == "old" and names(tmp_path) == ["x.ms"]


def test_an_error_leaves_what_was_there(tmp_path):
    final = tmp_path / "x"
    final.write_text("old")
    with pytest.raises(KeyError), atomic_path(final) as part:
        part.mkdir()
        (part / "half").touch()
        raise KeyError
    assert names(tmp_path) == ["x"] and final.read_text() == "old"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_refusing_disk_leaves_what_was_there(tmp_path, monkeypatch, call):
    (tmp_path / "x").write_text("old")
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "old").touch()

    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match="No space left"):
            write_json(tmp_path / "x", {"a": 1})
        with pytest.raises(OSError, match="No space left"), atomic_path(tmp_path / "y") as part:
            part.mkdir()
    assert names(tmp_path) == ["x", "y"] and names(tmp_path / "y") == ["old"]
    assert (tmp_path / "x").read_text() == "old"


def test_a_disk_mounted_for_reading_only_is_said_of_the_name_that_a_person_knows(tmp_path, monkeypatch):
    """It refuses to remove even what is not there, so that the message named the temporary file."""

    def refuse(path, *, missing_ok=False):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OSError, match="Read-only file system") as raised, atomic_path(tmp_path / "x"):
        pass
    assert raised.value.filename == str(tmp_path / "x")


def test_a_process_killed_between_the_renames_is_mended_by_the_next(tmp_path):
    """The old folder is renamed away, the new one not there yet: the next writer clears up and writes."""
    script = (
        "import os, pathlib, signal, sys\n"
        "from contimg.storage.atomic import atomic_path\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.mkdir()\n"
    )
    (tmp_path / "x").mkdir()
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "x")], check=False)
    assert killed.returncode == -9 and len(names(tmp_path)) == 2 and "x" not in names(tmp_path)
    with atomic_path(tmp_path / "x") as part:
        part.mkdir()
    assert names(tmp_path) == ["x"]


def test_remains_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path):
    start = int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])
    living = [part_of("x", pid=1, start=start), part_of("x", machine=f"{me().boot}-1")]
    dead = [part_of("x", pid=999_999_999), part_of("x", pid=1, start=start + 1), part_of("x", pid=999_999_998) + ".old"]
    others = [part_of("y", pid=999_999_999), part_of("[x]", pid=999_999_999), ".x.part-host-12"]
    for name in living + dead + others:
        (tmp_path / name).mkdir()
    with atomic_path(tmp_path / "x") as part:
        part.touch()
    assert names(tmp_path) == sorted([*living, *others, "x"])
    remove_orphans(tmp_path, "[x]")
    assert part_of("[x]", pid=999_999_999) not in names(tmp_path)
    remove_orphans(tmp_path)
    assert names(tmp_path) == sorted([*living, ".x.part-host-12", "x"])


def test_two_writers_of_one_name_do_not_mix(tmp_path):
    """Of two processes that write the same name, the later rename wins, whole."""
    script = (
        "import pathlib, sys\n"
        "from contimg.storage.atomic import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.mkdir(); (part / 'theirs').touch(); print('ready', flush=True); input()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "x")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        with atomic_path(tmp_path / "x") as part:
            part.mkdir()
            (part / "ours").touch()
        assert names(tmp_path / "x") == ["ours"]
        other.communicate("\n")
    assert names(tmp_path) == ["x"] and names(tmp_path / "x") == ["theirs"]


def test_syncing_brings_files_to_the_disk_meanwhile(tmp_path, monkeypatch):
    synced, enough = [], threading.Event()
    real = atomic._fsync

    def count(path):
        synced.append(path.name)
        real(path)
        enough.set()

    monkeypatch.setattr(atomic, "_fsync", count)
    monkeypatch.setattr(atomic, "_SYNC_EVERY_S", 0.01)
    (tmp_path / "data").write_bytes(bytes(10))
    (tmp_path / "folder").mkdir()
    with syncing(tmp_path):
        assert enough.wait(10)
    assert set(synced) == {"data"}


def test_remove_does_not_follow_links(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove(tmp_path / "link")
    remove(tmp_path / "missing")
    assert names(tmp_path) == ["kept"]


def test_json_survives_and_what_is_none_is_none(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, None, "ü"]})
    assert read_json(tmp_path / "a.json") == {"b": [1, None, "ü"]}
    (tmp_path / "torn.json").write_text('{"b": ')
    (tmp_path / "latin.json").write_bytes(b'"\xfc"')
    assert [read_json(tmp_path / name) for name in ("torn.json", "latin.json", "missing.json")] == [None] * 3
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "a.json", {"b": float("nan")})
    assert read_json(tmp_path / "a.json") == {"b": [1, None, "ü"]}


def test_the_digest_is_that_of_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # the first example of FIPS 180-2, appendix B
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "large").write_bytes(b"a" * 1_000_000)  # the third one; more than one buffer needs 4 MiB
    assert file_sha256(tmp_path / "large") == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"


def test_part_names_differ_between_processes(tmp_path):
    code = "from contimg.storage.process import part_name; print(part_name('x'))"
    other = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
    assert other != part_name("x") and part_name("x") == part_name("x")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_is_full_while_the_block_writes_is_named(tmp_path, number):
    """Python's files know no name when the system refuses a write."""
    with pytest.raises(OSError, match=f"'{tmp_path}/table'"), atomic_path(tmp_path / "table"):
        raise OSError(number, os.strerror(number))
