"""The order of tests, and those that need a program: skipped with the command that enables them; in CI never."""

import os
import shutil

import pytest

pytest_plugins = ["tests.support.databases"]

ENABLED_BY = {name: f"apt-get install {name}" for name in ("chromium", "fitsverify", "stilts", "wsclean")}


SLURM = "apt-get install slurmctld slurmd slurm-client munge; .ci/slurm start; export CONTIMG_TEST_SLURM=1"

CONTAINER = "as root, apt-get install buildah debootstrap; export CONTIMG_TEST_CONTAINER=1"

WHOLE_RUNS = ("workflow", "watching", "benchmarks", "docs", "calibration", "trials", "replicas", "faults")


def pytest_collection_modifyitems(config, items):
    """Leave out the long tests where that is asked for, and let files with tests of minutes begin first.

    One that begins last would leave the other core idle.
    """
    if os.environ.get("CONTIMG_TEST_LONG") == "0":
        left_out = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.path.parent.name not in WHOLE_RUNS)


def pytest_runtest_setup(item):
    if item.get_closest_marker("slurm") and os.environ.get("CONTIMG_TEST_SLURM") != "1":
        _skip(f"no Slurm to try: {SLURM}")
    if item.get_closest_marker("container") and os.environ.get("CONTIMG_TEST_CONTAINER") != "1":
        _skip(f"no container is built: {CONTAINER}")
    for program, command in ENABLED_BY.items():
        if item.get_closest_marker(program) and shutil.which(program) is None:
            _skip(f"{program} is not installed: {command}")


def _skip(reason):
    if os.environ.get("CI") == "true":
        pytest.fail(f"in CI nothing is skipped, but {reason}")
    pytest.skip(reason)
