"""Widths of a table's columns and the folding of its cells, so that no id is split on a narrow terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

GAP = 2
"""Spaces between two columns."""
_NARROW = 10
"""Characters: columns of text fold at words down to this width."""
_ID = re.compile(
    r"(?<![^\s/])[^\s/]*(?:(?:mosaic_|cal_)?\d{8}T\d{6}(?:\.v\d+)?|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})[^\s/]*/?"
)
"""An id with what belongs to it up to a space or the end of a folder's name; tried once there, for a linear time."""


def needed_width(columns: Sequence[Sequence[str]]) -> int:
    """Return the least width at which no column splits an id."""
    return sum(map(_least_width, columns)) + GAP * (len(columns) - 1)


def column_widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the widths of columns that fill a line.

    Parameters
    ----------
    columns : sequence of sequence of str
        The texts of each column, its head included.
    room : int
        Characters of a line, at least `needed_width`. What the least widths leave goes to all columns that want more
        in equal parts.
    """
    widths = [_least_width(column) for column in columns]
    wanted = [max(map(len, column)) - width for column, width in zip(columns, widths, strict=True)]
    spare = room - GAP * (len(columns) - 1) - sum(widths)
    for rank, number in enumerate(sorted(range(len(columns)), key=wanted.__getitem__)):
        given = max(0, min(wanted[number], spare // (len(columns) - rank)))
        widths[number] += given
        spare -= given
    return widths


def edge_splits_id(columns: Sequence[Sequence[str]], widths: Sequence[int], room: int) -> bool:
    """Return whether a terminal of `room` characters, which goes on in the next line, would split an id of a column."""
    start = 0
    for column, width in zip(columns, widths, strict=True):
        longest = max((len(found) for cell in column for found in _ID.findall(cell)), default=0)
        if longest and start // room != (start + longest - 1) // room:
            return True
        start += width + GAP
    return False


def records(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[str]:
    """Return the lines of a table in which each cell has a line of its own, behind its column's name."""
    label = max(map(len, columns)) + GAP
    lines = []
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            first, *others = folded(cell, max(room - label, _least_width([cell]))).split("\n")
            lines += [f"{column:<{label}}{first}".rstrip(), *(" " * label + other for other in others)]
        lines.append("")
    return lines


def folded(text: str, width: int) -> str:
    """Return a text in lines of at most `width` characters: broken at spaces, longer words behind ``/`` or anywhere."""
    lines = [""]
    for word in text.split(" "):
        between = " " if lines[-1] else ""
        if len(lines[-1]) + len(between) + len(word) <= width:
            lines[-1] += between + word
        elif len(word) <= width:
            lines.append(word)
        else:
            lines += _pieces(word, width)
    return "\n".join(lines if lines[0] or len(lines) == 1 else lines[1:])


def _pieces(word: str, width: int) -> list[str]:
    """Return a word that is longer than a line as lines."""
    lines = [""]
    for part in re.findall(r"[^/]+/?|/", word):
        if len(lines[-1]) + len(part) <= width:
            lines[-1] += part
        else:
            lines += [part[start : start + width] for start in range(0, len(part), width)]
    return lines if lines[0] else lines[1:]


def _least_width(cells: Sequence[str]) -> int:
    """Return the least width of a column: its longest id, else `_NARROW`, or its longest cell where that is less."""
    ids = [len(found) for cell in cells for found in _ID.findall(cell)]
    return max([*ids, min(_NARROW, max(map(len, cells)))])
