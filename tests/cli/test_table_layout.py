"""Columns and folded cells of tables: widths are known beforehand, no id is cut."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contimg.cli.table_layout import GAP, column_widths, edge_splits_id, folded, needed_width, records

ID = "mosaic_20260211T002649"
PATH = f"/archive/products/mosaics/2026-02-11/{ID}/{ID}.fits"


@pytest.mark.parametrize(
    ("column", "width"),
    [
        (("state", "held"), 5),
        (("error", "a sentence of many words"), 10),
        (("tile", "2026-02-11T00:26:49"), 19),
        (("mosaic", f"{ID}.v12"), len(ID) + 4),
        (("where", PATH), len(ID) + 5),  # the name of the file, which has an id
        (("calibrations", "cal_20260211T002649 and cal_20260211T020000"), 19),
    ],
)
def test_the_least_width_is_that_of_the_longest_id_or_ten(column, width):
    assert needed_width([column]) == width


def test_a_line_is_shared_by_the_columns_that_want_more():
    """80 characters, two gaps of 2: 5 + 22 are taken, and of the other 49 each column of text gets half."""
    columns = [("n", "12345"), ("mosaic", ID), ("a", "x " * 100), ("b", "y " * 100)]
    assert column_widths(columns, 80) == [5, 22, 23, 24]
    assert sum(column_widths(columns, 80)) + 3 * GAP == 80


def test_short_columns_leave_their_part_to_long_ones():
    assert column_widths([("a", "x " * 6), ("b", "y " * 100)], 60) == [12, 46]


def test_a_wide_line_gives_every_column_what_it_wants():
    assert column_widths([("a", "xyz"), ("where", PATH)], 200) == [3, len(PATH)]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("two words", 9, ["two words"]),
        ("two words", 8, ["two", "words"]),
        ("/archive/mosaics/m.fits", 10, ["/archive/", "mosaics/", "m.fits"]),
        ("see /archive/mosaics/m.fits", 12, ["see", "/archive/", "mosaics/", "m.fits"]),
        ("0123456789abcdef", 10, ["0123456789", "abcdef"]),
        ("rate 3 m/s", 9, ["rate 3", "m/s"]),
    ],
)
def test_cells_are_folded_at_spaces_and_long_words_behind_slashes(text, width, lines):
    assert folded(text, width).split("\n") == lines


@given(st.lists(st.sampled_from([ID, PATH, "2026-02-11T00:26:49", "a", "word", "deadbeef" * 8, ""]), max_size=12))
def test_nothing_is_lost_and_no_id_is_cut(words):
    text = " ".join(words)
    width = needed_width([("head", text)])
    lines = folded(text, width).split("\n")
    assert max(map(len, lines)) <= width
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert "\n".join(lines).count(ID) == text.count(ID)


@pytest.mark.parametrize(
    ("room", "splits"),
    [(24, False), (41, True), (45, True), (46, False), (22, True), (200, False)],
)
def test_an_id_over_the_edge_of_the_terminal_is_found(room, splits):
    """Two ids of 22 characters, at 0 to 21 and at 24 to 45; a screen of 24 has the second at the start of a line."""
    columns = [("mosaic", ID), ("other", ID)]
    assert edge_splits_id(columns, [22, 22], room) is splits


def test_records_have_a_line_for_each_cell():
    lines = records(("mosaic", "what"), [(ID, "one two three"), (ID, "")], 16)
    assert lines == [
        f"mosaic  {ID}", "what    one two", "        three", "", f"mosaic  {ID}", "what", "",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["a" * 10**6, "1" * 10**6, "/" * 10**6, "mosaic_cal" * 10**5, "20260211TT" * 10**5])
def test_the_time_is_linear_in_the_longest_word(word):
    """Each of 10⁶ characters takes less than 1 s; looked for anew at each character, an id took over an hour."""
    started_s = time.process_time()
    columns = [("error", word)]
    assert needed_width(columns) == 10
    assert len(folded(word, column_widths(columns, 80)[0]).replace("\n", "")) == len(word)
    assert not edge_splits_id(columns, [80], 80)
    assert time.process_time() - started_s < 2
