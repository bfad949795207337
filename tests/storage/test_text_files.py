"""The end of long files."""

import os

import pytest

from contimg.storage.text_files import end_of


def test_the_end_is_what_stands_there_last(tmp_path):
    path = tmp_path / "log"
    path.write_text("abc\ndé")
    assert end_of(path) == "abc\ndé" and end_of(path, 4) == "\ndé"
    assert end_of(path, 1) == "\ufffd"  # the second half of a letter
    path.write_bytes(b"")
    assert end_of(path) == ""


def test_of_a_file_longer_than_the_memory_the_end_is_read(tmp_path):
    path = tmp_path / "log"
    path.write_text("begin")
    os.truncate(path, 1 << 40)
    with open(path, "ab") as file:
        file.write(b"\nend\n")
    assert end_of(path)[-5:] == "\nend\n" and len(end_of(path)) == 20_000


def test_a_file_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        end_of(tmp_path / "log")
