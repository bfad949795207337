"""A backup takes the place of nothing but an older backup of the same registry."""

import contextlib
import json
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import uuid

import pytest

from contimg.errors import InputError, RegistryError
from contimg.publishing import decisions
from contimg.publishing.archive_marker import marker_place
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import backup as backup_module
from contimg.registry import queries
from contimg.registry.backup import backup, restore
from contimg.registry.engine import open_sqlite
from contimg.registry.identity import identity
from tests.registry.test_backup import ID, empty
from tests.support import mosaics

ON_SQLITE = pytest.mark.parametrize("url", [None])  # of a registry that is a file
NOT_PLAIN = ["folder", "symlink", "dangling", "fifo", "socket"] + (["device"] if os.getuid() == 0 else [])


@pytest.fixture
def published(registry, config):
    return mosaics.run(config)


def refused(registry, file, match, error=InputError, **options):
    """A backup is refused in one sentence, and all that stands there is as before."""
    before = {path: path.read_bytes() for path in file.parent.iterdir() if path.is_file()}
    with pytest.raises(error, match=match) as raised:
        backup(registry, file, **options)
    assert str(file) in str(raised.value) and "\n" not in str(raised.value)
    assert {path: path.read_bytes() for path in file.parent.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("harm", ["text", "empty", "marker", "fits", "half"])
def test_a_file_that_is_no_backup_is_never_replaced(registry, config, published, tmp_path, harm, replace):
    file = tmp_path / "b"
    if harm == "marker":
        file = marker_place(config.layout)
    elif harm == "fits":
        file = next(config.layout.bundle(ID, 1).rglob("*.fits"))
    elif harm == "half":
        backup(registry, file)
        file.write_bytes(file.read_bytes()[:3000])
    else:
        file.write_bytes(b"notes of a night" if harm == "text" else b"")
    refused(registry, file, "is no backup of a registry|is no whole backup", replace=replace)


def test_a_database_of_another_program_is_never_replaced(registry, published, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "b")) as other:
        other.execute("CREATE TABLE data_registry (a)")
        other.commit()
    refused(registry, tmp_path / "b", "is a database of another program", replace=True)


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_what_is_no_plain_file_is_never_replaced(registry, published, root, tmp_path, kind):
    """A FIFO without a writer is not waited for."""
    file = root / "b"
    if kind == "folder":
        file.mkdir()
    elif kind in ("symlink", "dangling"):
        if kind == "symlink":
            backup(registry, tmp_path / "good")
        file.symlink_to(tmp_path / "good")
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "socket":
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as opened:
            opened.bind(str(file))
    else:
        os.mknod(file, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    mode = os.lstat(file).st_mode
    said = {"dangling": "symlink", "fifo": "FIFO"}.get(kind, kind)
    refused(registry, file, f"is a {said}, no plain file: name another file", replace=True)
    assert os.lstat(file).st_mode == mode


@ON_SQLITE
def test_the_registry_itself_is_never_replaced(registry, config, published, tmp_path):
    file = config.layout.registry_file
    with pytest.raises(InputError, match="is the registry itself: name another file"):
        backup(registry, file, replace=True)
    os.link(file, file.with_name("b"))
    with pytest.raises(InputError, match="is the registry itself"):
        backup(registry, file.with_name("b"), replace=True)
    for end in ("-wal", "-shm", "-journal"):
        with pytest.raises(InputError, match="a name that SQLite gives to a file of its own"):
            backup(registry, file.with_name(file.name + end), replace=True)
    assert queries.count(registry) == 1


def test_the_registry_of_another_site_is_never_replaced(registry, published, tmp_path):
    """It is at rest at the moment, but no backup."""
    open_sqlite(tmp_path / "other.sqlite3").close()
    refused(registry, tmp_path / "other.sqlite3", "is a database that a program works with", replace=True)


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_what_an_older_database_left_beside_a_name_is_not_taken_into_a_new_backup(registry, published, tmp_path, end):
    (tmp_path / f"b{end}").write_bytes(b"pages of another database")
    refused(registry, tmp_path / "b", "is of a database that is, or was, at work")


@pytest.mark.parametrize("parent", ["missing", "missing/below", "file"])
def test_a_folder_that_is_not_there_is_not_made(registry, published, tmp_path, parent):
    """A disk that is not mounted, mostly."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"is no folder: make it, or mount its disk"):
        backup(registry, tmp_path / parent / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_earlier_backup_is_replaced(registry, config, published, tmp_path):
    first = backup(registry, tmp_path / "b")
    decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    second = backup(registry, tmp_path / "b")
    assert second["publish_events"] > first["publish_events"]
    empty(registry)
    restore(registry, tmp_path / "b")
    assert queries.get(registry, ID)["status"] == "withdrawn"


def test_a_backup_of_before_the_first_publication_is_replaced(registry, config, tmp_path):
    """Then the registry had no UUID yet; its rows are those of now."""
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    backup(registry, tmp_path / "b")
    assert identity(registry) is None
    mosaics.run(config)
    assert backup(registry, tmp_path / "b")["data_registry"] == 1 and identity(registry) is not None


def test_a_good_backup_is_not_replaced_by_that_of_a_lost_registry(registry, config, published, tmp_path):
    backup(registry, tmp_path / "b")
    empty(registry)
    known = json.loads(marker_place(config.layout).read_text())["registry"]
    said = (
        f"is a backup of another registry \\({known}; this one is new and empty\\): name another file, or add --replace"
    )
    refused(registry, tmp_path / "b", said, RegistryError)
    assert backup(registry, tmp_path / "b", replace=True)["data_registry"] == 0


def test_a_backup_of_another_registry_is_replaced_on_request_only(registry, config, published, tmp_path):
    backup(registry, tmp_path / "b")
    other = str(uuid.uuid4())
    with contextlib.closing(sqlite3.connect(tmp_path / "b")) as made:
        made.execute("UPDATE registry_identity SET uuid = ?", (other,))
        made.commit()
    mine = identity(registry).uuid
    refused(registry, tmp_path / "b", f"another registry \\({other}; this one is {mine}\\)", RegistryError)
    assert backup(registry, tmp_path / "b", replace=True)["data_registry"] == 1


def test_a_backup_that_holds_more_is_replaced_on_request_only(registry, config, published, tmp_path):
    """The registry was restored from an older one: a decision and a version are in the newer backup alone."""
    backup(registry, tmp_path / "old")
    decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    mosaics.make_mosaic(config, seed=2)
    register_mosaic(ID, config)
    backup(registry, tmp_path / "b")
    empty(registry)
    restore(registry, tmp_path / "old")
    refused(
        registry,
        tmp_path / "b",
        "holds 1 versions of mosaics and 1 decisions that this registry does not",
        RegistryError,
    )
    assert backup(registry, tmp_path / "b", replace=True)["data_registry"] == 1


def test_another_making_of_the_same_version_is_more(registry, published, tmp_path):
    backup(registry, tmp_path / "b")
    with contextlib.closing(sqlite3.connect(tmp_path / "b")) as made:
        made.execute("UPDATE data_registry SET sha256 = ?", ("ab" * 32,))
        made.commit()
    refused(registry, tmp_path / "b", "holds 1 versions of mosaics and 0 decisions", RegistryError)


def test_a_backup_of_older_tables_is_replaced(registry, published, tmp_path):
    """Those of schema 2 have no UUID."""
    backup(registry, tmp_path / "b")
    with contextlib.closing(sqlite3.connect(tmp_path / "b")) as made:
        made.execute("DROP TABLE registry_identity")
        made.execute("UPDATE schema_version SET version = 2")
        made.commit()
    assert backup(registry, tmp_path / "b")["registry_identity"] == 1


def test_a_backup_that_was_restored_is_still_one(registry, published, tmp_path):
    backup(registry, tmp_path / "b")
    before = (tmp_path / "b").read_bytes()[18:20]
    empty(registry)
    restore(registry, tmp_path / "b")
    assert (tmp_path / "b").read_bytes()[18:20] == before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    backup(registry, tmp_path / "b")


@ON_SQLITE
def test_damaged_pages_are_said_of_the_registry_and_not_of_the_backup(registry, config, published, tmp_path):
    file = config.layout.registry_file
    registry.close()
    content = bytearray(file.read_bytes())
    for page in range(8, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    file.write_bytes(content)
    said = f"registry {file} is damaged .*: move it away, then type 'contimg registry restore FILE'"
    with pytest.raises(RegistryError, match=said) as raised:
        backup(registry, tmp_path / "b")
    assert "part-" not in str(raised.value) and list(tmp_path.iterdir()) == []


READER = """
import contextlib, sys
from pathlib import Path
from contimg.registry import backup as backup_module
from contimg.registry.backup import backup
from contimg.registry.engine import open_sqlite
with contextlib.closing(open_sqlite(Path(sys.argv[1]))) as registry:
    assert registry.read_only
    print(backup(registry, Path(sys.argv[2]))["data_registry"])
"""


@ON_SQLITE
@pytest.mark.parametrize("writer", [False, True])
def test_a_reader_can_make_a_backup(registry, config, published, root, writer):
    """Also while another process has the registry open, whose -wal file holds the newest rows."""
    file = config.layout.registry_file
    into = root / "backups"
    into.mkdir()
    with contextlib.ExitStack() as stack:
        if writer:
            opened = stack.enter_context(contextlib.closing(sqlite3.connect(file)))
            opened.execute("UPDATE data_registry SET error = 'of now'")
            opened.commit()
        for path in (*file.parent.iterdir(), file.parent):
            if os.getuid() == 0:
                os.chown(path, 65534, 65534)
            path.chmod(0o555 if path.is_dir() else 0o444)
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
        before = sorted(path.name for path in file.parent.iterdir())
        done = subprocess.run(
            [*command, sys.executable, "-c", READER, str(file), str(into / "b")], capture_output=True, text=True
        )
        assert sorted(path.name for path in file.parent.iterdir()) == before
    file.parent.chmod(0o755)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    with contextlib.closing(sqlite3.connect(into / "b")) as made:
        (error,) = made.execute("SELECT error FROM data_registry").fetchone()
    assert error == ("of now" if writer else None)


@ON_SQLITE
@pytest.mark.parametrize("immutable", [False, True])
def test_a_writer_disturbs_only_who_cannot_see_it(registry, config, published, tmp_path, monkeypatch, immutable):
    """SQLite copies pages of one moment; of a file that is read as one that nobody writes to it cannot."""
    states = iter(range(2))
    monkeypatch.setattr(backup_module, "_state", lambda path: next(states))
    if immutable:
        monkeypatch.setattr(registry, "read_only", True)
        monkeypatch.setattr(backup_module, "read_only_uri", lambda path: f"file:{path}?immutable=1")
    changed = pytest.raises(RegistryError, match="was changed while it was read: type the same command again")
    with changed if immutable else contextlib.nullcontext():
        assert backup(registry, tmp_path / "b")["data_registry"] == 1
    assert (tmp_path / "b").exists() is not immutable
