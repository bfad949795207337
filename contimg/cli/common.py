"""Configuration, tables and JSON of the commands."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contimg.config import Config, default_file, load_files
from contimg.storage.process import one_line

if TYPE_CHECKING:
    from contimg.registry.engine import Registry

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@dataclass
class Context:
    """Options of the command line before the name of the command; the configuration is read at its first use."""

    configfiles: tuple[Path, ...]
    directory: Path | None

    @cached_property
    def config(self) -> Config:
        config = load_files([default_file(), *self.configfiles], base=self.directory)
        os.umask(int(config.umask, 8))  # that of the shell may make an archive that nobody else can read
        return config


@contextlib.contextmanager
def opened(context: Context) -> Iterator[Registry]:
    """Open the configured registry for a command."""
    from contimg.registry.engine import open_registry

    with contextlib.closing(open_registry(context.config)) as database:
        yield database


def plain(text: str) -> str:
    """Return a text for a terminal: its lines without control characters, which would move the cursor or colour it."""
    return "\n".join(one_line(line) for line in text.split("\n"))


def print_json(content: Any) -> None:
    """Print JSON for a program."""
    click.echo(json.dumps(content, indent=1))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table for a person; verdicts and states are coloured on a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {
        "passed": "green",
        "confirmed": "green",
        "published": "green",
        "warning": "yellow",
        "held": "yellow",
        "failed": "red",
        "refuted": "red",
    }
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        cells = ["" if cell is None else one_line(str(cell)) for cell in row]
        # As texts, and not as markup: they may come from files of others.
        table.add_row(*(Text(cell, style=colours.get(cell, "")) for cell in cells))
    # A file or pipe has no width: do not fold ids there.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@contextlib.contextmanager
def progress_bar(what: str, shown: bool) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on a terminal; give the function that moves it: (steps done, steps in all, what is done)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as moving:
        task = moving.add_task(what, total=None)
        yield lambda done, total, now: moving.update(task, completed=done, total=total, description=now)
