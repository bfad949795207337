"""Limits of what can be imaged: bytes for a pixel, the horizon, the machine's memory, and the telescope."""

from pathlib import Path

import pytest

from contimg.config import ImageOptions
from contimg.errors import ConfigError
from contimg.imaging import limits
from tests.support.small_tiles import small_tile

BYTES_PER_PIXEL = 14 * 8  # fourteen planes in double precision


@pytest.mark.parametrize(("groups", "per_pixel"), [(1, BYTES_PER_PIXEL), (4, BYTES_PER_PIXEL + 4 * 16)])
def test_an_image_may_fill_the_memory_but_not_exceed_it(groups, per_pixel):
    options = ImageOptions(size_px=1000, channel_groups=groups)
    limits.check_size(options, memory_bytes=1000**2 * per_pixel)
    with pytest.raises(ConfigError, match=r"image\.size_px 1000 needs 0\.\d GB of memory, .*: choose a smaller image"):
        limits.check_size(options, memory_bytes=1000**2 * per_pixel - 1)


def test_the_corners_must_stand_above_the_horizon():
    """sqrt(2) half the width is 1 at 2 / sqrt(2) / (6 arcsec) = 48617.08 pixels."""
    options = ImageOptions(cell_arcsec=6.0)
    limits.check_size(options, 48617, memory_bytes=10**15)
    with pytest.raises(ConfigError, match=r"image\.size_px 48618 of 6 arcsec are 81 degrees, more than the sky"):
        limits.check_size(options, 48618, memory_bytes=10**15)


def test_a_size_that_is_given_goes_before_the_options():
    with pytest.raises(ConfigError, match="size_px 2000 "):
        limits.check_size(ImageOptions(size_px=64), 2000, memory_bytes=10**8)


def test_memory_is_that_of_the_machine_or_of_the_control_group(tmp_path, monkeypatch):
    (total,) = (line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    machine = 1024 * int(total.split()[1])
    files = [tmp_path / name for name in ("memory.max", "memory.limit_in_bytes", "missing")]
    monkeypatch.setattr(limits, "_CGROUP_LIMITS", tuple(map(str, files)))
    files[0].write_text("max\n")
    files[1].write_text("9223372036854771712\n")  # how version 1 says that there is no limit
    assert limits.machine_memory() == machine
    files[0].write_text("1000000\n")
    assert limits.machine_memory() == 1_000_000


@pytest.mark.parametrize("name", ["OVRO_MMA", "DSA_110", "DSA-110"])
def test_names_of_the_array(name):
    tile = small_tile(antennas=3, times=1)
    tile.telescope = name
    assert limits.wrong_telescope(tile) is None


@pytest.mark.parametrize("name", ["", "VLA", "dsa-110", "DSA-2000"])
def test_another_telescope_is_named(name):
    tile = small_tile(antennas=3, times=1)
    tile.telescope = name
    assert limits.wrong_telescope(tile) == f"the tile is of telescope {name!r}, not of OVRO_MMA or DSA_110 or DSA-110"
