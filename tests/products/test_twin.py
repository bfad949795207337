import json
import os
import subprocess
import sys
import threading

import pytest

from contimg.errors import InputError
from contimg.products.twin import (
    Input,
    Reason,
    Twin,
    input_from_twin,
    read_twin,
    twin_digest,
    verdict_of,
    worst,
    write_twin,
)
from contimg.storage import atomic
from contimg.storage.atomic import atomic_path, file_sha256, syncing, write_json


def make_twin(**change):
    return Twin(**({"kind": "image", "id": "2026-02-11T00:26:49", "verdict": "passed", "synthetic": True} | change))


def test_files_are_synced_while_they_are_written(tmp_path, monkeypatch):
    synced = threading.Event()
    monkeypatch.setattr(atomic, "_SYNC_EVERY_S", 0.01)
    monkeypatch.setattr(atomic, "_fsync", lambda path: path.name == "data" and synced.set())
    with syncing(tmp_path):
        (tmp_path / "subtable").mkdir()
        (tmp_path / "data").write_bytes(b"1")
        assert synced.wait(10)


def test_an_error_of_the_disk_is_not_lost(tmp_path, monkeypatch):
    tried = threading.Event()

    def fail(path):
        tried.set()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(atomic, "_SYNC_EVERY_S", 0.01)
    monkeypatch.setattr(atomic, "_fsync", fail)
    (tmp_path / "data").write_bytes(b"1")
    with pytest.raises(OSError, match="Input/output error"), syncing(tmp_path):
        assert tried.wait(10)


def test_a_product_appears_whole_or_not_at_all(tmp_path):
    final = tmp_path / "x.ms"
    with atomic_path(final) as part:
        part.mkdir()
        (part / "table.dat").write_bytes(b"1")
        assert not final.exists()
    assert (final / "table.dat").read_bytes() == b"1"
    with pytest.raises(RuntimeError), atomic_path(final) as part:
        part.mkdir()
        raise RuntimeError
    assert (final / "table.dat").read_bytes() == b"1"
    assert [p.name for p in tmp_path.iterdir()] == ["x.ms"]


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    script = (
        "import os, signal, pathlib, sys\n"
        "from contimg.storage.atomic import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.mkdir(); (part / 'half').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "x")], check=False)
    assert killed.returncode == -9
    assert [p.name for p in tmp_path.iterdir()] != []
    with atomic_path(tmp_path / "x") as part:
        part.write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_living_neighbours_work_is_left_alone(tmp_path):
    with atomic_path(tmp_path / "x") as mine:
        mine.write_text("mine")
        other = tmp_path / mine.name.replace(f"-{os.getpid()}", "-1")  # process 1 is alive
        other.write_text("theirs")
        with atomic_path(tmp_path / "y"):
            (tmp_path / f".y.part-{mine.name.split('.part-')[1]}").write_text("y")
    assert other.read_text() == "theirs"


def test_twins_survive_a_round_trip_and_know_their_digest(tmp_path):
    twin = make_twin(qa={"rms_mjy": 0.5}, run={"wall_s": 1.0})
    write_twin(tmp_path / "t.json", twin)
    assert read_twin(tmp_path / "t.json") == twin
    _, item = input_from_twin(tmp_path / "t.json")
    assert item == Input(path=str(tmp_path / "t.json"), kind="image", id=twin.id, sha256=twin_digest(twin))


def test_cost_is_no_part_of_a_digest_but_everything_else_is():
    assert twin_digest(make_twin(run={"wall_s": 1.0})) == twin_digest(make_twin(run={"wall_s": 2.0}))
    assert twin_digest(make_twin(qa={"rms_mjy": 1.0})) != twin_digest(make_twin(qa={"rms_mjy": 2.0}))


@pytest.mark.parametrize("text", ["", "{}", '{"kind": 1}', "[]"])
def test_a_broken_twin_is_named_with_the_remedy(tmp_path, text):
    place = tmp_path / "t.json"
    place.write_text(text)
    with pytest.raises(InputError, match=r"t\.json is not a valid twin .*: delete it and rerun snakemake"):
        read_twin(place)


def test_a_missing_twin_is_named(tmp_path):
    with pytest.raises(InputError, match=r"t\.json does not exist"):
        read_twin(tmp_path / "t.json")


def test_numbers_that_json_does_not_know_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "t.json", {"rms": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_verdicts_are_the_worst_of_their_reasons():
    warning = Reason(code="a", severity="warning", message="m")
    failed = Reason(code="b", severity="failed", message="m")
    assert verdict_of([]) == "passed"
    assert verdict_of([warning]) == "warning"
    assert verdict_of([failed, warning]) == "failed"
    assert worst(["passed", "warning"]) == "warning"
    assert worst([]) == "passed"


def test_file_digest_is_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")  # FIPS 180-2, example 1
    assert file_sha256(tmp_path / "f") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_is_readable_by_people(tmp_path):
    write_json(tmp_path / "t.json", {"b": 1, "a": [2]})
    assert json.loads((tmp_path / "t.json").read_text()) == {"b": 1, "a": [2]}
    assert "\n" in (tmp_path / "t.json").read_text()
