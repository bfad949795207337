"""A file against its name: the clock first, then the subband."""

from datetime import UTC, datetime

import pytest

from contimg.correlator.file_name import contradiction
from contimg.naming import SubbandName

NAME = SubbandName(datetime(2026, 2, 11, 6, 0, 0, tzinfo=UTC), 4)
START_MJD = 61082.25  # 2026-02-11T06:00:00


@pytest.mark.parametrize("seconds", [0, 106, -599.9, 599.9])
def test_a_file_of_its_name(seconds):
    assert contradiction(NAME, START_MJD + seconds / 86400, 4, 600.0) is None


@pytest.mark.parametrize(
    ("seconds", "subband", "code", "says"),
    [
        (661, 4, "clock", "is 661 s away from its name"),
        (-661, 5, "clock", "is -661 s away from its name"),
        (float("nan"), 4, "clock", "is nan s away from its name"),
        (1, 5, "frequency", "the frequencies of 2026-02-11T06:00:00_sb04.hdf5 are those of sb05"),
    ],
)
def test_a_file_of_another_name(seconds, subband, code, says):
    found = contradiction(NAME, START_MJD + seconds / 86400, subband, 600.0)
    assert found is not None and found[0] == code and says in found[1]
