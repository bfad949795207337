"""Owners: which process it was, and whether it surely runs no more."""

import json
import os
import pwd
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from contimg.storage import process
from contimg.storage.process import Owner, installation, is_dead, is_orphan, me, part_name, part_owner

NOBODY = 999_999_999  # above the largest process id of Linux, 4194304


def start_of(pid: int) -> int:
    """Field 22 of /proc/<pid>/stat, read here independently: the name in field 2 may hold spaces and brackets."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def parent() -> Owner:
    return replace(me(), pid=os.getppid(), start=start_of(os.getppid()))


def other_boot(owner: Owner) -> Owner:
    return replace(owner, machine=f"{'0' * 32}-{owner.machine.partition('-')[2]}")


def other_namespace(owner: Owner) -> Owner:
    return replace(owner, machine=f"{owner.boot}-1")


def test_living_processes_are_not_dead():
    assert not is_dead(me()) and not is_dead(parent())
    assert me().pid == os.getpid() and me().start == start_of(os.getpid())


def test_an_ended_process_is_dead():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as child:
        owner = replace(me(), pid=child.pid, start=start_of(child.pid))
        assert not is_dead(owner)
        child.communicate("\n")
    assert is_dead(owner)


def test_a_zombie_is_dead():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    owner = replace(me(), pid=pid, start=start_of(pid))
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        assert is_dead(owner)
    finally:
        os.waitpid(pid, 0)


def test_a_process_id_given_to_another_process_does_not_keep_the_first_alive():
    assert is_dead(replace(parent(), start=parent().start - 1))
    assert is_dead(replace(me(), pid=NOBODY))


def test_a_process_of_another_boot_of_this_machine_is_dead(monkeypatch):
    owner = other_boot(replace(parent(), installation="ab" * 8))
    monkeypatch.setattr(process, "me", lambda: replace(me(), installation="ab" * 8))
    assert is_dead(owner)
    assert not is_dead(replace(owner, installation="cd" * 8))  # another machine


def test_where_the_machine_has_no_name_another_boot_is_not_known_to_be_dead():
    owner = other_boot(replace(parent(), installation=""))
    assert not is_dead(owner)
    assert is_dead(owner, same_machine=True)


def test_a_process_of_another_container_is_not_known_to_be_dead():
    for pid in (1, NOBODY):
        assert not is_dead(other_namespace(replace(parent(), pid=pid)))
        assert not is_dead(other_namespace(replace(parent(), pid=pid)), same_machine=True)


@pytest.mark.skipif(os.getuid() != 0, reason="making a namespace of process ids needs root: run the tests as root")
def test_a_real_container_is_told_apart():
    """Process 1 of another namespace of process ids is not ours, though ours is alive."""
    code = "from contimg.storage.process import me; print(me().to_json())"
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no namespaces here ({made.stderr.strip()}): run the tests where unshare(1) works")
    owner = Owner.from_json(made.stdout)
    assert owner.pid == 1 and owner.boot == me().boot and owner.machine != me().machine
    assert not is_dead(owner)


@pytest.mark.parametrize("text", ["", "uninitialized", "0123", "G" * 32])
def test_a_machine_without_an_id_has_no_name(tmp_path, text):
    (tmp_path / "machine-id").write_text(text + "\n")
    assert installation(tmp_path / "machine-id") == ""
    assert installation(tmp_path / "missing") == ""


def test_two_machines_have_two_names(tmp_path, monkeypatch):
    place = tmp_path / "machine-id"
    place.write_text("0123456789abcdef" * 2 + "\n")
    first = installation(place)
    assert len(first) == 16 and installation(place) == first
    monkeypatch.setattr(process.socket, "gethostname", lambda: "another")  # a cloned image under another host name
    assert installation(place) != first


def test_an_owner_survives_its_json_and_that_of_earlier_versions():
    assert Owner.from_json(me().to_json()) == me()
    old = '{"host": "h", "machine": "00-1", "pid": 4, "start": 5}'
    assert Owner.from_json(old) == Owner("h", "00-1", 4, 5, "")
    assert str(Owner.from_json(old)) == "process 4 on h"


@pytest.mark.parametrize("name", ["x.ms", "bundle", "with-dash.part-1", "a b", "mosaic_20260211T002649.json"])
def test_a_temporary_name_tells_whose_it_is(name):
    part = part_name(name)
    assert part.startswith(f".{name}.part-") and "/" not in part
    assert part_owner(part) == replace(me(), host="")
    assert part_owner(part + ".old") == replace(me(), host="")


@pytest.mark.parametrize("name", ["x.ms", ".part", ".x.part-", ".x.part-host-12", ".x.part-zz-aa-1-1-1", "..part-"])
def test_other_names_are_nobodys(tmp_path, name):
    (tmp_path / name).touch()
    assert part_owner(name) is None and not is_orphan(tmp_path / name)


def part_of(owner: Owner) -> str:
    return f".x.part-{owner.installation}-{owner.machine}-{owner.pid}-{owner.start}"


@pytest.mark.parametrize(
    ("owner", "age_s", "orphan"),
    [
        (lambda: me(), 1e6, False),
        (lambda: parent(), 1e6, False),
        (lambda: replace(me(), pid=NOBODY), 0, True),
        (lambda: replace(parent(), start=parent().start - 1), 0, True),  # the process id was given to another
        (lambda: other_boot(replace(parent(), installation="")), 0, False),
        (lambda: other_boot(replace(parent(), installation="")), 90_000, True),  # unchanged for more than a day
        (lambda: other_namespace(parent()), 0, False),
        (lambda: other_namespace(parent()), 90_000, True),
    ],
)
def test_what_is_left_over_is_told_from_what_is_at_work(tmp_path, owner, age_s, orphan):
    path = tmp_path / part_of(owner())
    path.mkdir()
    (path / "table.dat").touch()
    then = path.stat().st_mtime - age_s
    os.utime(path / "table.dat", (then, then))
    os.utime(path, (then, then))
    assert is_orphan(path) is orphan


def test_a_change_deep_inside_shows_that_somebody_works_there(tmp_path):
    path = tmp_path / part_of(other_namespace(parent()))
    (path / "table").mkdir(parents=True)
    (path / "table" / "now.dat").touch()
    for folder in (path / "table", path):
        os.utime(folder, (0, 0))
    assert not is_orphan(path)
    os.utime(path / "table" / "now.dat", (0, 0))
    assert is_orphan(path)


@pytest.mark.parametrize(
    ("said", "account", "expected"),
    [
        ("ada", ("ada", "Ada Lovelace,,,"), "ada (uid 1001, Ada Lovelace)"),
        ("x", ("ada", "Ada Lovelace"), "x (uid 1001, ada, Ada Lovelace)"),  # what the environment says, and what is
        ("", ("ada", ""), "ada (uid 1001)"),
        ("root", ("root", "root"), "root (uid 1001)"),
        ("ada", None, "ada (uid 1001)"),
        ("", None, "uid 1001"),
        ("a\nb\x1b[31m", ("ada", ""), "a\\nb\\x1b[31m (uid 1001, ada)"),
    ],
)
def test_the_operator_is_named_by_login_and_by_what_nobody_can_set(monkeypatch, said, account, expected):
    monkeypatch.setenv("LOGNAME", said)
    monkeypatch.delenv("USER", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 1001)

    def known(uid: int) -> pwd.struct_passwd:
        if account is None:
            raise KeyError(uid)
        return pwd.struct_passwd((account[0], "x", uid, uid, account[1], "/", "/bin/sh"))

    monkeypatch.setattr(pwd, "getpwuid", known)
    assert process.operator() == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{" * 100_000, '{"host": "h", "machine": "00-1", "pid": 4}',
        *(
            json.dumps({"host": "h", "machine": "00-1", "pid": 4, "start": 5} | change)
            for change in (
                {"pid": "4"}, {"pid": True}, {"pid": -4}, {"pid": 10**300}, {"pid": "../self"}, {"start": None},
                {"start": 5.0}, {"machine": 7}, {"machine": None}, {"host": ["h"]}, {"host": "h\n"}, {"host": "\ud800"},
                {"installation": 0}, {"more": 1},
            )
        ),
    ],
)  # fmt: skip
def test_what_names_no_process_is_refused(text):
    """A number in the place of the machine ended `contimg status`, and a deeply nested lock file each run."""
    with pytest.raises((ValueError, TypeError)):
        Owner.from_json(text)
