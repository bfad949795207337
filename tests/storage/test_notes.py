"""Notes that may be lost: whole, or none."""

import hashlib
import json
import os

import pytest

from contimg.storage.notes import are_whole, digests_of, read_note, write_note, write_note_if_allowed

CONTENT = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}


def test_a_note_is_read_back_and_is_json(tmp_path):
    for content in (CONTENT, [], {}, None, "x", [[1], []]):
        write_note(tmp_path / "folder" / "note.json", content)
        assert read_note(tmp_path / "folder" / "note.json") == content
    write_note(tmp_path / "note.json", CONTENT)
    found = json.loads((tmp_path / "note.json").read_bytes())
    digest = hashlib.sha256(json.dumps(CONTENT).encode()).hexdigest()
    assert found == {"sha256": digest, "content": CONTENT}


def test_any_other_byte_makes_it_none(tmp_path):
    """A flipped bit of a number is JSON of the right form still."""
    place = tmp_path / "note.json"
    write_note(place, CONTENT)
    whole = place.read_bytes()
    for number in range(len(whole)):
        for bit in (1, 4, 64):
            place.write_bytes(whole[:number] + bytes([whole[number] ^ bit]) + whole[number + 1 :])
            assert read_note(place) is None
        place.write_bytes(whole[:number])
        assert read_note(place) is None
        place.write_bytes(whole[:number] + bytes(len(whole) - number))
        assert read_note(place) is None
    for other in (whole + b"\0", whole + whole, b"\xef\xbb\xbf" + whole, b'{"a": 1}', b"null", b"[" * 100_000):
        place.write_bytes(other)
        assert read_note(place) is None


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "9" * 5000])
def test_a_note_whose_digest_is_right_and_content_is_none(tmp_path, text):
    digest = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "note.json").write_text(f'{{"sha256": "{digest}", "content": {text}}}\n')
    assert read_note(tmp_path / "note.json") is None


def test_what_is_no_file_is_none_and_a_folder_is_said(tmp_path):
    assert read_note(tmp_path / "none.json") is None
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    assert read_note(tmp_path / "fifo") is None and read_note(tmp_path / "link") is None
    with pytest.raises(IsADirectoryError):
        read_note(tmp_path)


def test_who_may_not_write_writes_nothing(tmp_path, monkeypatch):
    def refuse(_path, _content):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("contimg.storage.notes.write_note", refuse)
    write_note_if_allowed(tmp_path / "note.json", CONTENT)
    assert read_note(tmp_path / "note.json") is None


def test_files_beside_a_note(tmp_path):
    (tmp_path / "a.png").write_bytes(b"abc")
    (tmp_path / "b.fits").write_bytes(b"")
    digests = digests_of(tmp_path, ["a.png", "b.fits"])
    assert digests["a.png"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert are_whole(tmp_path, digests) and are_whole(tmp_path, {})
    (tmp_path / "a.png").write_bytes(b"abd")
    assert not are_whole(tmp_path, digests) and are_whole(tmp_path, {"b.fits": digests["b.fits"]})
    (tmp_path / "b.fits").unlink()
    assert not are_whole(tmp_path, digests)
    (tmp_path / "b.fits").mkdir()
    assert not are_whole(tmp_path, {"b.fits": digests["b.fits"]})
