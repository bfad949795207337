"""How text fits a terminal: widths of a table's columns, folded cells and sentences, and records of narrow terminals.

Text is folded at spaces only, so that an id, a path, a key of the configuration or a hash stays whole; a command of
contimg is one word. A word that is wider than the terminal stands alone on its line, from which it is copied whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from contimg.operations import typed_commands

GAP = 2
"""Spaces between two columns."""
_NARROW = 20
"""Characters: columns of text fold down to this width."""
_LONG = 40
"""Characters of a path, hash or command, which may stand alone on a line below the rest of its row."""

Columns = Sequence[Sequence[str]]
"""The texts of each column, its head first."""


def needed_width(columns: Columns) -> int:
    """Return the least width of a table, in which each column holds its longest word and 20 characters of sentences.

    Long words of the last column are left out: they may stand alone on a line.
    """
    return sum(_least_widths(columns)) + GAP * (len(columns) - 1)


def column_widths(columns: Columns, room: int) -> list[int]:
    """Return the widths of columns that fill a line.

    Parameters
    ----------
    columns : sequence of sequence of str
        The texts of each column, its head first.
    room : int
        Characters of a line, at least `needed_width`. What the least widths leave goes to all columns that want more
        in equal parts.
    """
    widths = _least_widths(columns)
    wanted = [max(0, max(map(len, column)) - width) for column, width in zip(columns, widths, strict=True)]
    spare = room - GAP * (len(columns) - 1) - sum(widths)
    for rank, number in enumerate(sorted(range(len(columns)), key=wanted.__getitem__)):
        given = max(0, min(wanted[number], spare // (len(columns) - rank)))
        widths[number] += given
        spare -= given
    return widths


def row_lines(cells: Sequence[str], widths: Sequence[int], room: int | None) -> list[list[str]]:
    """Return the lines of a row, each as its cells, padded to the widths of their columns but for the last.

    Parameters
    ----------
    cells : sequence of str
    widths : sequence of int
    room : int or None
        Characters of a line: a word of the last column that goes beyond is a line of one cell. None: nothing is beyond.
    """
    folded_cells = [folded(cell, width) for cell, width in zip(cells, widths, strict=True)]
    start = sum(widths[:-1]) + GAP * (len(widths) - 1)
    lines = []
    for number in range(max(map(len, folded_cells))):
        parts = [lines_of[number] if number < len(lines_of) else "" for lines_of in folded_cells]
        padded = [f"{part:<{width}}" for part, width in zip(parts[:-1], widths, strict=False)]
        if room is None or start + len(parts[-1]) <= room:
            lines.append([*padded, parts[-1]])
        else:
            lines += [padded, [parts[-1]]] if any(parts[:-1]) else [[parts[-1]]]
    return lines


def without_empty(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Return a table without the columns in which no row has anything."""
    kept = [number for number in range(len(heads)) if any(row[number] for row in rows)]
    return [heads[number] for number in kept], [[row[number] for number in kept] for row in rows]


def records(heads: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[str]:
    """Return the lines of a table in which each cell has a line of its own, behind its column's name."""
    label = max(map(len, heads))
    lines = []
    for row in rows:
        for head, cell in zip(heads, row, strict=True):
            parts = row_lines((head, cell), (label, max(1, room - label - GAP)), room)
            lines += [(" " * GAP).join(part).rstrip() for part in parts]
        lines.append("")
    return lines


def folded_line(line: str, room: int) -> str:
    """Return a line of text in lines of at most `room` characters, all indented as the first; longer words alone."""
    indent = line[: len(line) - len(line.lstrip())]
    parts = folded(line[len(indent) :], room - len(indent))
    return "\n".join(indent + part if len(indent) + len(part) <= room else part for part in parts)


def folded(text: str, width: int) -> list[str]:
    """Return a text in lines of at most `width` characters, broken at spaces; a longer word is a line of its own."""
    lines = [""]
    for word in _words(text):
        between = " " if lines[-1] else ""
        if len(lines[-1]) + len(between) + len(word) <= width:
            lines[-1] += between + word
        else:
            lines.append(word)
    return lines if lines[0] or len(lines) == 1 else lines[1:]


def _words(text: str) -> list[str]:
    """Return the words of a text; a command is one."""
    words, start = list[str](), 0
    for first, last in typed_commands.spans(text):
        before, quote = text[start:first].rsplit(" ", 1) if " " in text[start:first] else (None, text[start:first])
        words += before.split(" ") if before is not None else []
        after = text.find(" ", last)
        start = len(text) + 1 if after < 0 else after + 1
        words.append(quote + text[first : start - 1])
    return words + text[start:].split(" ") if start <= len(text) else words


def _least_widths(columns: Columns) -> list[int]:
    """Return the least width of each column."""
    widths = []
    for number, (head, *cells) in enumerate(columns):
        longest = _LONG if number == len(columns) - 1 else None
        words = [len(word) for cell in (head, *cells) for word in _words(cell)]
        whole = [size for size in words if longest is None or size <= longest]
        widths.append(max([*whole, min(_NARROW, max(map(len, cells), default=0)), 1]))
    return widths
