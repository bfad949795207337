"""Folders in each other, more of them than a path can name."""

import contextlib
import os
import subprocess


@contextlib.contextmanager
def deep_folders(folder, number, within=None):
    """Make folders ``d/d/d/...`` in a folder, so many in each other, and remove them after a block.

    They may have been moved `within` another folder then. Python's own removal fails of so many.
    """
    below = os.open(folder, os.O_RDONLY)
    for _ in range(number):
        os.mkdir("d", dir_fd=below)
        inner = os.open("d", os.O_RDONLY, dir_fd=below)
        os.close(below)
        below = inner
    os.close(below)
    try:
        yield
    finally:
        subprocess.run(["find", within or folder, "-depth", "-type", "d", "-name", "d", "-delete"], check=True)
