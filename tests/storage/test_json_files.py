"""JSON files that are whole, torn, or something else."""

import json

import pytest

from contimg.errors import InputError
from contimg.storage.json_files import parse_json, read_json, read_object

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
