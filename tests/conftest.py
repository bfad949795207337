"""Tests that need a program of the machine: skipped with the command that enables them; in CI never."""

import os
import shutil

import pytest

pytest_plugins = ["tests.support.databases"]

ENABLED_BY = {"chromium": "apt-get install chromium", "wsclean": "apt-get install wsclean"}


def pytest_runtest_setup(item):
    for program, command in ENABLED_BY.items():
        if item.get_closest_marker(program) and shutil.which(program) is None:
            reason = f"{program} is not installed: {command}"
            if os.environ.get("CI") == "true":
                pytest.fail(f"in CI nothing is skipped, but {reason}")
            pytest.skip(reason)
