"""What the files of a tile have in common in time."""

import pytest

from contimg.correlator.integrations import Lattice, common

STEP_S = 12.884901888
START = 61082.25


def file(first=0, count=24, late_s=0.0, step_s=STEP_S):
    return Lattice(START + (first * step_s + late_s) / 86400, step_s, count)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([file()] * 16, (0, 24)),
        ([file()] * 8 + [file(count=23)] * 8, (0, 24)),
        ([file()] * 7 + [file(count=23)] * 9, (0, 23)),
        ([file()] + [file(count=23)] * 15, (0, 23)),
        ([file(1, 23)] * 8 + [file()] * 8, (-1, 23)),
        ([file(1)] * 3 + [file()] * 13, (-1, 23)),
        ([file()] * 13 + [file(count=1)] * 3, (0, 24)),
        ([file(count=96)] * 16, (0, 96)),
        ([file(count=1)], (0, 1)),
    ],
)
def test_a_tile_has_what_half_of_its_files_have(files, expected):
    assert common(files) == expected


def test_files_agree_on_one_lattice_that_they_share_for_the_most_part():
    assert file().agrees_with(file(late_s=0.0009)) and not file().agrees_with(file(late_s=0.0011))
    assert file().agrees_with(file(12)) and file(12).agrees_with(file()) and not file().agrees_with(file(13))
    assert not file().agrees_with(file(24)) and not file().agrees_with(file(-24))
    assert file().agrees_with(file(22, 2)) and not file().agrees_with(file(24, 2))
    assert not file().agrees_with(file(step_s=STEP_S / 4))
    with pytest.raises(ValueError, match="more than one tile"):
        common([file(), file(late_s=3.0)])


def test_the_count_follows_from_the_ends():
    assert Lattice.between(START, START + 23 * STEP_S / 86400, STEP_S) == Lattice(START, STEP_S, 24)
    assert Lattice.between(START, START, STEP_S).count == 1
