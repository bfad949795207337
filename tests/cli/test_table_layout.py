"""Columns, folded cells and sentences: widths are known beforehand; no id, path, key or command is cut."""

import os
import shutil
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contimg.cli import common
from contimg.cli.table_layout import (
    GAP,
    column_widths,
    folded,
    folded_line,
    needed_width,
    records,
    row_lines,
    without_empty,
)

ID = "mosaic_20260211T002649"
PATH = f"/archive/products/mosaics/2026-02-11/{ID}/{ID}.fits"
COMMAND = f"contimg -c '/my nights/a.yaml' publish approve {ID}"


@pytest.mark.parametrize(
    ("column", "width"),
    [
        (("state", "held"), 5),
        (("error", "a sentence of many words"), 20),
        (("usable", "no: too wide"), 12),
        (("tile", "2026-02-11T00:26:49"), 19),
        (("key", "calibration.max_extent_arcsec is 10"), 29),
        (("what", "wide_snake_case_word_of_a_rule"), 30),
        (("where", PATH), len(PATH)),
        (("next", f"then: {COMMAND}"), len(COMMAND)),
        (("calibrations", "cal_20260211T002649 and cal_20260211T020000"), 20),
        (("median of the last fifth", "1"), 6),
        (("nothing",), 7),
    ],
)
def test_the_least_width_is_that_of_the_longest_word_or_twenty(column, width):
    assert needed_width([column, ("n", "1")]) == width + GAP + 1


def test_long_words_of_the_last_column_need_no_room():
    assert needed_width([("n", "1"), ("where", PATH)]) == 1 + GAP + 20
    assert needed_width([("n", "1"), ("mosaic", ID)]) == 1 + GAP + 22


def test_a_line_is_shared_by_the_columns_that_want_more():
    """100 characters, three gaps of 2: 5 + 22 + 20 + 20 are taken; of the other 27 each column of text gets half."""
    columns = [("n", "12345"), ("mosaic", ID), ("a", "x " * 100), ("b", "y " * 100)]
    assert column_widths(columns, 100) == [5, 22, 33, 34]
    assert sum(column_widths(columns, 100)) + 3 * GAP == 100


def test_short_columns_leave_their_part_to_long_ones():
    assert column_widths([("a", "x " * 12), ("b", "y " * 100)], 80) == [24, 54]


def test_a_wide_line_gives_every_column_what_it_wants():
    assert column_widths([("a", "xyz"), ("where", PATH)], 200) == [3, len(PATH)]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("two words", 9, ["two words"]),
        ("two words", 8, ["two", "words"]),
        ("see /archive/m.fits now", 10, ["see", "/archive/m.fits", "now"]),
        ("0123456789abcdef", 10, ["0123456789abcdef"]),
        ("rate 3 m/s", 9, ["rate 3", "m/s"]),
        (f"held: '{COMMAND}' or wait", 20, ["held:", f"'{COMMAND}'", "or wait"]),
        (f"held: {COMMAND}", 20, ["held:", COMMAND]),
        ("contimg watch is running: contimg status", 20, ["contimg watch is", "running:", "contimg status"]),
        ("as contimg does", 8, ["as", "contimg", "does"]),
    ],
)
def test_text_is_folded_at_spaces_and_commands_are_one_word(text, width, lines):
    assert folded(text, width) == lines


WORDS = st.lists(st.sampled_from([ID, PATH, "2026-02-11T00:26:49", "a", "word", "deadbeef" * 8, "", f"({COMMAND})"]))


@given(WORDS, st.integers(1, 90))
def test_nothing_is_lost_and_no_word_is_cut(words, width):
    text = " ".join(words)
    lines = folded(text, width)
    assert " ".join(lines).split() == text.split()
    assert "\n".join(lines).count(COMMAND) == text.count(COMMAND)
    assert all(len(line) <= width or line in words for line in lines)


@given(WORDS, WORDS)
def test_what_is_wider_than_a_terminal_stands_alone(first, last):
    cells = (" ".join(first), " ".join(last))
    columns = [("one", cells[0]), ("two", cells[1])]
    room = max(60, needed_width(columns))
    lines = row_lines(cells, column_widths(columns, room), room)
    assert all(len((" " * GAP).join(line).rstrip()) <= room or len(line) == 1 for line in lines)
    assert sorted(" ".join(" ".join(line) for line in lines).split()) == sorted(" ".join(cells).split())


def test_a_path_that_does_not_fit_beside_its_row_stands_below_it():
    assert row_lines(("page", PATH), [4, 20], 40) == [["page"], [PATH]]
    assert row_lines(("page", PATH), [4, 20], None) == [["page", PATH]]


def test_a_sentence_is_indented_as_its_first_line_and_a_long_word_not():
    assert folded_line(f"    one two {PATH} three", 12) == f"    one two\n{PATH}\n    three"


def test_columns_without_content_are_left_out():
    assert without_empty(("a", "b", "c"), [("1", "", "2"), ("", "", "3")]) == (["a", "c"], [["1", "2"], ["", "3"]])


def test_records_have_a_line_for_each_cell():
    lines = records(("mosaic", "what", "where"), [(ID, "one two three", PATH), (ID, "", "")], 30)
    assert lines == [
        f"mosaic  {ID}", "what    one two three", "where", PATH, "", f"mosaic  {ID}", "what", "where", "",
    ]  # fmt: skip


@pytest.fixture
def shown(monkeypatch, capsys):
    """Return a function that prints a table on a terminal of some columns; its lines."""

    def show(columns, *table):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((columns, 24)))
        common.print_table("T", *table)
        return capsys.readouterr().out.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()[1:]

    return show


def test_a_table_that_is_too_wide_first_drops_empty_columns_and_then_becomes_records(shown):
    table = (("mosaic", "state", "error"), [(ID, "open", "")])  # 36 characters; 29 without the last column
    assert shown(38, *table)[0] == "mosaic                  state  error"
    assert shown(35, *table) == ["mosaic                  state", f"{ID}  open"]
    assert shown(28, *table) == ["mosaic", ID, "state   open"]


@pytest.mark.parametrize(
    "text", ["a" * 10**6, "/" * 10**6, "20260211TT" * 10**5, "contimg " * 10**5, "a " * 10**5, "'contimg -c " * 1000]
)
def test_a_long_text_takes_a_moment(text):
    """Less than 1 s each; looked for anew at each of 10⁶ characters, an id once took over an hour."""
    columns = [("error", text)]
    started_s = time.process_time()
    lines = row_lines((text,), column_widths(columns, max(80, needed_width(columns))), None)
    assert "".join(part for line in lines for part in line).replace(" ", "") == text.replace(" ", "")
    assert time.process_time() - started_s < 2
