"""Configuration, tables and JSON of the commands."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from contimg.cli.table_layout import (
    GAP,
    column_widths,
    folded_line,
    needed_width,
    records,
    row_lines,
    without_empty,
)
from contimg.config import Config, default_file, has_relative_paths, load
from contimg.config.files import merged, read_file
from contimg.errors import ConfigError
from contimg.operations import typed_commands
from contimg.storage.process import one_line

if TYPE_CHECKING:
    from contimg.naming import Layout
    from contimg.registry.engine import Registry

VERSION = click.IntRange(1, 999_999_999)  # of a mosaic; folders have no larger one: contimg.bundle.find


class Number(click.FloatRange):
    """A number of the command line within bounds; ``nan`` and ``inf``, which pass any comparison or none, are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or say that it is none."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value} is no finite number.", param, ctx)
        return found


DAYS = Number(0, 36_525)  # a century, as in the configuration: the calendar of programs ends soon after that


class Date(click.ParamType[str]):
    """A UTC date of the command line, ``YYYY-MM-DD``."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the date as it was typed; another form is an error with the right one where that can be known."""
        digits = re.sub(r"\D", "", value)
        for text in (value, f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"):
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
                with contextlib.suppress(ValueError):
                    date.fromisoformat(text)
                    return text if text == value else self.fail(f"'{value}' is no date like 2026-02-11: write {text}")
        return self.fail(f"'{value}' is no date like 2026-02-11")


DATE = Date()
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


# Commands that show or change what a configuration's roots hold.
NEEDS_STATE = frozenset(
    ("plan", "inbox", "calibration", "beam", "status", "pause", "resume", "usage", "why", "log", "report", "template",
     "trends", "registry", "publish", "verify", "provenance", "diff", "reproduce", "archive", "prune", "retain",
     "replicas", "reconcile", "watch")
)  # fmt: skip


@dataclass
class Context:
    """Options of the command line before the name of the command; the configuration is read at its first use."""

    configfiles: tuple[Path, ...]
    directory: Path | None
    command: str | None = None
    words: tuple[str, ...] = ()
    """What was typed after the command's name."""

    @cached_property
    def _content(self) -> dict[str, Any]:
        """The merged configuration files, as they are written."""
        return merged(read_file(file) for file in (default_file(), *self.configfiles))

    @cached_property
    def settings(self) -> Config:
        """The configuration, whether anything exists below its roots or not."""
        settings = load(self._content, base=self.directory)
        if settings.umask is not None:
            os.umask(int(settings.umask, 8))
        return settings

    @property
    def config(self) -> Config:
        """The configuration of a command that works on what its roots hold.

        Raises
        ------
        ConfigError
            If no configuration is named, and none of the default roots exists in this folder.
        """
        paths = self.settings.paths
        if self.command in NEEDS_STATE and not self.configfiles:
            roots = (paths.incoming, paths.stage, paths.products, paths.state)
            if not any(root.exists() for root in roots):
                typed = shlex.join([self.command, *self.words])
                raise ConfigError(
                    f"{self.directory or Path.cwd()} holds none of the folders {', '.join(one.name for one in roots)}: "
                    f"name your configuration, contimg -c FILE {typed}"
                )
        return self.settings

    @property
    def work(self) -> Path:
        """Snakemake's working folder: the one of ``-d``, else that of the last run, else the present one."""
        if self.directory is not None:
            return self.directory
        from contimg.plan.frozen import working_folder

        last = working_folder(self.config)
        return last if last is not None and last.is_dir() else Path.cwd()

    def layout_of(self, text: str) -> Layout:
        """Return the layout in which a mosaic is looked for; the folder of a bundle needs no configuration."""
        return (self.settings if Path(text).is_dir() else self.config).layout

    @property
    def typed_options(self) -> str:
        """The options as they are typed after ``contimg``, in any folder: ``-c /data/night.yaml``."""
        folder = self.directory
        with contextlib.suppress(ConfigError):  # of a file that cannot be read: the message is about that
            folder = folder or (Path.cwd() if has_relative_paths(self._content) else None)
        return typed_commands.options(self.configfiles, folder)


def pasteable(text: str) -> str:
    """Return a message whose ``contimg`` commands have the options of this call."""
    context = click.get_current_context(silent=True)
    given = context.find_object(Context) if context is not None else None
    if given is None or not typed_commands.are_named(text):
        return text
    return typed_commands.with_options(text, given.typed_options)


def pasteable_values(content: Any) -> Any:
    """Return the content with commands that work when pasted from the page."""
    if isinstance(content, dict):
        return {key: pasteable_values(value) for key, value in content.items()}
    if isinstance(content, list):
        return [pasteable_values(value) for value in content]
    return pasteable(content) if isinstance(content, str) else content


def echo(message: str, *, err: bool = False) -> None:
    """Print a message whose commands work when pasted, without control characters; a terminal splits no word of it."""
    text = plain(pasteable(message))
    room = terminal_width(sys.stderr if err else sys.stdout)
    click.echo(text if room is None else "\n".join(folded_line(line, room) for line in text.split("\n")), err=err)


def terminal_width(stream: TextIO) -> int | None:
    """Return the characters of a terminal's line; None for a file or pipe."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


@contextlib.contextmanager
def opened(context: Context) -> Iterator[Registry]:
    """Open the configured registry for a command."""
    from contimg.registry.engine import open_registry

    with contextlib.closing(open_registry(context.config)) as database:
        yield database


def say_if_lost(context: Context, database: Registry) -> str | None:
    """Say on standard error where the registry is empty, or not that of the archive; return the sentence."""
    from contimg.publishing.archive_root import lost

    said = lost(database, context.config.layout)
    if said is not None:
        echo(f"contimg: {one_line(said)}", err=True)
    return said


def plain(text: str) -> str:
    """Return a text for a terminal: its lines without control characters, which would move the cursor or colour it."""
    return "\n".join(one_line(line) for line in text.split("\n"))


def in_words(value: Any) -> str:
    """Return a value of JSON for a person: lists and mappings without brackets, yes and no, twelve digits."""
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {in_words(one)}" for key, one in value.items() if one not in (None, "", []))
    if isinstance(value, list):
        return ", ".join(map(in_words, value))
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def print_json(content: Any) -> None:
    """Print JSON for a program; bytes, which only a damaged column holds, as Python writes them."""
    click.echo(json.dumps(content, indent=1, default=_bytes_in_words))


def _bytes_in_words(value: object) -> str:
    if isinstance(value, bytes):
        return repr(value)
    raise TypeError(f"{type(value).__name__} in what is to be printed as JSON")


_COLOURS = {
    "passed": "green",
    "confirmed": "green",
    "published": "green",
    "warning": "yellow",
    "held": "yellow",
    "failed": "red",
    "refuted": "red",
}
"""Verdicts and states, and the colour of a cell on a terminal that holds nothing else."""
PIPE_WIDTH = 200
"""Characters of a line where there is no terminal."""


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table for a person; verdicts and states are coloured on a terminal.

    Where a terminal has less room than the words of the table need, columns without content are left out; if that is
    not enough, each cell has a line of its own.
    """
    room, heads = terminal_width(sys.stdout), list(columns)
    cells = [["" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    if title:
        for line in title.split("\n"):
            click.secho(line if room is None else folded_line(line, room), italic=True)
    if room is not None and rows and needed_width(_by_column(heads, cells)) > room:
        heads, cells = without_empty(heads, cells)
    texts = _by_column(heads, cells)
    needed = needed_width(texts)
    if room is not None and needed > room:
        click.echo("\n".join(records(heads, cells, room)).rstrip())
    else:
        widths = column_widths(texts, max(room or PIPE_WIDTH, needed))
        lines = [click.style(_joined(line), bold=True) for line in row_lines(heads, widths, room) if any(heads)]
        lines += [_joined(_coloured(line)) for row in cells for line in row_lines(row, widths, room)]
        click.echo("\n".join(lines))
    # A column may be narrow: the commands in it are repeated below.
    for command in dict.fromkeys(found for row in cells for cell in row for found in typed_commands.quoted(cell)):
        echo(f"type: {command}")


def _by_column(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    return list(zip(heads, *cells, strict=True))


def _joined(cells: Sequence[str]) -> str:
    return (" " * GAP).join(cells).rstrip()


def _coloured(cells: Sequence[str]) -> list[str]:
    """Return cells with the colours of verdicts and states; they may come from files of others, and hold no markup."""
    return [click.style(one, fg=_COLOURS[one.rstrip()]) if one.rstrip() in _COLOURS else one for one in cells]


@contextlib.contextmanager
def progress_bar(what: str, shown: bool) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on a terminal; yield the function that sets it: (steps done, steps in all, what is done)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as moving:
        task = moving.add_task(what, total=None)
        yield lambda done, total, now: moving.update(task, completed=done, total=total, description=now)
