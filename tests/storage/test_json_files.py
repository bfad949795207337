"""JSON files that are whole, torn, or something else."""

import contextlib
import json
import os
import socket

import pytest

from contimg.errors import ContimgError, InputError
from contimg.products.twin import DamagedTwinError, read_twin
from contimg.storage.atomic import file_sha256
from contimg.storage.json_files import parse_json, read_json, read_object
from contimg.storage.locks import acquire, owner_of

TORN = {
    "empty": b"",
    "half": b'{"a": [1, 2',
    "noise": bytes(range(128, 256)),
    "deep": b"[" * 100_000,
    "zeros": bytes(512),
    "latin-1": '{"a": "é"}'.encode("latin-1"),
}


@pytest.mark.parametrize("content", TORN.values(), ids=TORN)
def test_what_is_not_json_is_said_in_a_sentence(tmp_path, content):
    path = tmp_path / "marker.json"
    path.write_bytes(content)
    with pytest.raises(ValueError):
        parse_json(content)
    assert read_json(path) is None
    with pytest.raises(InputError, match=rf"^{path} is damaged \(.+\): restore it$"):
        read_object(path, "restore it")


@pytest.mark.parametrize("content", [[1], "text", 3, None])
def test_json_that_is_no_object_is_damaged(tmp_path, content):
    path = tmp_path / "marker.json"
    path.write_text(json.dumps(content))
    assert read_json(path) == content
    with pytest.raises(InputError, match="no JSON object"):
        read_object(path, "restore it")


def test_an_object_needs_its_keys(tmp_path):
    path = tmp_path / "marker.json"
    path.write_text('{"status": "held", "version": 2}')
    assert read_object(path, "restore it", ("status", "version")) == {"status": "held", "version": 2}
    with pytest.raises(InputError, match="it has no 'time'"):
        read_object(path, "restore it", ("status", "time"))


def test_a_missing_file_is_missing_and_not_damaged(tmp_path):
    assert read_json(tmp_path / "none.json") is None
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / "none.json", "restore it")


@pytest.fixture(params=["fifo", "socket", "link", "device"])
def odd(request, tmp_path):
    """What stands in the place of a file, and could be waited for without end."""
    path = tmp_path / "marker.json"
    if request.param == "socket":
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as opened, contextlib.chdir(tmp_path):
            opened.bind(path.name)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    elif request.param == "link":
        os.mkfifo(tmp_path / "fifo")
        path.symlink_to(tmp_path / "fifo")
    else:
        os.mkfifo(path)
    return path


def test_what_is_no_plain_file_is_damaged_and_not_waited_for(odd):
    assert read_json(odd) is None
    with pytest.raises(InputError, match=rf"^{odd} is damaged \(no plain file\): restore it$"):
        read_object(odd, "restore it")
    with pytest.raises(DamagedTwinError, match=r"\(no plain file\): delete it and rerun snakemake"):
        read_twin(odd)
    with pytest.raises(OSError) as raised:
        file_sha256(odd)
    assert raised.value.filename == str(odd)


def test_an_endless_file_is_damaged_and_not_read(tmp_path):
    """Its length was made up by a failing disk: there is no block of it, and more than the memory."""
    path = tmp_path / "marker.json"
    path.write_text("{}")
    os.truncate(path, 1 << 40)
    assert read_json(path) is None
    with pytest.raises(InputError, match=rf"^{path} is damaged \(1099511627776 bytes long\): restore it$"):
        read_object(path, "restore it")
    with pytest.raises(DamagedTwinError, match=r"\(1099511627776 bytes long\): delete it and rerun snakemake"):
        read_twin(path)
    assert owner_of(path) is None


def test_a_lock_is_not_taken_on_what_is_no_plain_file(odd):
    assert owner_of(odd) is None
    with pytest.raises(ContimgError, match="cannot be locked"):
        acquire(odd, key="paths.state")


def test_a_folder_in_the_place_of_a_file_is_said_to_be_one(tmp_path):
    """Were it called damaged, it would be replaced with all that is in it."""
    for read in (read_json, lambda path: read_object(path, "restore it")):
        with pytest.raises(IsADirectoryError) as raised:
            read(tmp_path)
        assert raised.value.filename == str(tmp_path)


def test_a_sentence_about_a_torn_file_is_one_line(tmp_path):
    (tmp_path / "a").write_text('{"a":\n\n1,\n')
    with pytest.raises(InputError) as raised:
        read_object(tmp_path / "a", "restore it")
    assert "\n" not in str(raised.value)
