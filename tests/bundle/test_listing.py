"""The text of manifests, and what they do not list."""

import os
import subprocess

import pytest

from contimg.bundle.listing import format_manifest, parse_manifest, unlisted
from contimg.errors import InputError


def test_a_manifest_is_what_sha256sum_writes(tmp_path):
    (tmp_path / "b").write_bytes(b"abc")
    (tmp_path / "a b").write_bytes(b"")
    digests = {
        "b": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",  # FIPS 180-2, appendix B.1
        "a b": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
    content = format_manifest(digests)
    expected = subprocess.run(["sha256sum", "a b", "b"], cwd=tmp_path, capture_output=True, check=True).stdout
    assert content == expected
    assert parse_manifest(content) == digests


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "0" * 63 + "  a",
        "0" * 64 + "  /etc/passwd",
        "0" * 64 + "  ../a",
        "0" * 64 + "  a\n" + "1" * 64 + "  a",
        "0" * 64 + "  prog\0\0\0",  # of a page that was never written
        "0" * 64 + "  \0",
        "0" * 64 + "  " + "a" * 256,
        "0" * 64 + "  " + "é" * 128,
        "0" * 64 + "  " + "a/" * 520 + "a",
        "0" * 64 + "  .",
        "0" * 64 + "  ./a",
        "0" * 64 + "  a//b",
        "0" * 64 + "  a/",
        "0" * 64 + "  ",
    ],
)
def test_a_line_that_is_none_is_refused(line):
    with pytest.raises(InputError, match="is not one of a manifest"):
        parse_manifest(line.encode())


# Line breaks are those of str.splitlines, by which a manifest is read; the last is a name on disk that is not UTF-8.
@pytest.mark.parametrize(
    "name",
    [
        "a\nb",
        "a\\b",
        "",
        "a\rb",
        "a\x0bb",
        "a\x0cb",
        "a\x1cb",
        "a\x85b",
        "a\u2028b",
        "a\n",
        "a\0",
        "/a",
        "../a",
        "a/",
        "a" * 256,
        os.fsdecode(b"a\xff"),
    ],
)
def test_a_name_that_a_manifest_cannot_hold_is_refused(name):
    with pytest.raises(InputError, match="cannot be listed"):
        format_manifest({name: "0" * 64})


@pytest.mark.parametrize(
    "name", ["a", "a b", " a", "a\tb", "Größe.csv", "a\u00a0b", "*a", "a/b/c", "..a", "a" * 255, "é" * 127 + "a"]
)
def test_every_other_name_is_read_back(name):
    assert parse_manifest(format_manifest({name: "0" * 64})) == {name: "0" * 64}


def test_the_binary_mark_of_sha256sum_is_read():
    assert parse_manifest(b"0" * 64 + b" *a\n") == {"a": "0" * 64}
    assert parse_manifest(b"") == {}


LISTED = ("README.txt", "data/a.fits", "data/crossmatch/b.csv")


@pytest.mark.parametrize(
    ("strays", "found"),
    [
        ((), []),
        ((".DS_Store", "data/.DS_Store"), [".DS_Store", "data/.DS_Store"]),
        (("x/1", "x/2", "x/y/3"), ["x"]),
        (("data/x/1", "data/x/y/2", "data/z"), ["data/x", "data/z"]),
        (("data/crossmatch/c", "data/cross/c", "database/c"), ["data/cross", "data/crossmatch/c", "database"]),
    ],
)
def test_a_folder_that_holds_nothing_listed_is_unlisted_as_one(strays, found):
    assert unlisted({*LISTED, *strays}, LISTED) == found
