"""A root, and what stands beside it and must never be touched."""

import pytest

from contimg.storage.safe_files import open_folder


@pytest.fixture
def root(tmp_path):
    """A root with ``a/b/file`` in it, and something precious beside it."""
    (tmp_path / "root" / "a" / "b").mkdir(parents=True)
    (tmp_path / "root" / "a" / "b" / "file").write_bytes(b"content")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_bytes(b"of someone else")
    return tmp_path / "root"


@pytest.fixture
def folder(root):
    """The root, opened."""
    with open_folder(root) as opened:
        yield opened
