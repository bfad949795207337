"""The configuration that a watch follows: read again when a file of it has changed, and only then."""

import os
from pathlib import Path

import pytest
import yaml

from contimg import config as configuration
from contimg.config import default_file
from contimg.errors import ConfigError, ContimgError
from contimg.watching import config_file
from contimg.watching.config_file import ConfigFiles


@pytest.fixture
def overlay(tmp_path):
    path = tmp_path / "night.yaml"
    write(path, 5)
    return path


def write(path: Path, seconds, *, mtime_ns=None):
    path.write_text(yaml.safe_dump({"ingest": {"settle_s": seconds}}))
    if mtime_ns is not None:
        os.utime(path, ns=(mtime_ns, mtime_ns))


@pytest.fixture
def reads(monkeypatch):
    """The number of times that the files were read."""
    calls = []

    def counted(*arguments, **options):
        calls.append(arguments)
        return configuration.load_files(*arguments, **options)

    monkeypatch.setattr(config_file, "load_files", counted)
    return calls


def test_files_that_have_not_changed_are_read_once(overlay, reads, tmp_path):
    files = ConfigFiles([default_file(), overlay], tmp_path)
    first = files.load()
    assert first.ingest.settle_s == 5
    for _ in range(50):
        assert files.load() is first
    assert len(reads) == 1


def test_relative_roots_are_below_the_base(overlay, tmp_path):
    config = ConfigFiles([default_file(), overlay], tmp_path / "work").load()
    assert config.paths.stage == tmp_path / "work" / configuration.load_files([default_file()]).paths.stage.name


@pytest.mark.parametrize("how", ["size", "time", "inode"])
def test_a_change_of_size_time_or_inode_is_read(overlay, reads, tmp_path, how):
    files = ConfigFiles([default_file(), overlay], tmp_path)
    assert files.load().ingest.settle_s == 5
    before = overlay.stat()
    if how == "size":
        write(overlay, 12, mtime_ns=before.st_mtime_ns)
        expected = 12
    elif how == "time":
        write(overlay, 7, mtime_ns=before.st_mtime_ns + 1_000_000)
        expected = 7
    else:
        other = tmp_path / "other.yaml"
        write(other, 9, mtime_ns=before.st_mtime_ns)
        other.replace(overlay)
        expected = 9
    assert files.load().ingest.settle_s == expected
    assert files.load().ingest.settle_s == expected and len(reads) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ingest: {settle_s: none}", r"ingest\.settle_s"),
        ("ingest: {settle: 5}", r"ingest\.settle"),
        ("ingest: [", "night.yaml"),
        ("[1, 2]", "night.yaml"),
    ],
    ids=["wrong value", "unknown key", "no YAML", "a list"],
)
def test_a_wrong_file_is_an_error_at_each_call_until_it_is_right_again(overlay, tmp_path, content, words):
    files = ConfigFiles([default_file(), overlay], tmp_path)
    files.load()
    overlay.write_text(content)
    for _ in range(2):
        with pytest.raises(ContimgError, match=words):
            files.load()
    write(overlay, 6)
    assert files.load().ingest.settle_s == 6


def test_the_configuration_of_before_is_not_used_after_an_error(overlay, reads, tmp_path):
    """The same file as before, put back with its inode and time, is read again too."""
    files = ConfigFiles([default_file(), overlay], tmp_path)
    files.load()
    kept = tmp_path / "kept.yaml"
    overlay.rename(kept)
    overlay.write_text("ingest: {settle_s: -1}")
    with pytest.raises(ConfigError):
        files.load()
    kept.replace(overlay)
    assert files.load().ingest.settle_s == 5 and len(reads) == 3


def test_a_file_that_is_gone_is_the_systems_error_until_it_is_back(overlay, tmp_path):
    files = ConfigFiles([default_file(), overlay], tmp_path)
    files.load()
    overlay.unlink()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            files.load()
    write(overlay, 8)
    assert files.load().ingest.settle_s == 8


def test_later_files_overrule_earlier_ones(overlay, tmp_path):
    second = tmp_path / "second.yaml"
    write(second, 3)
    files = ConfigFiles([default_file(), overlay, second], tmp_path)
    assert files.load().ingest.settle_s == 3
    write(second, 11)
    assert files.load().ingest.settle_s == 11
