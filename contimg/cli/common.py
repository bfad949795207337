"""Configuration, tables and JSON of the commands."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contimg.cli.table_layout import GAP, column_widths, edge_splits_id, folded, needed_width, records
from contimg.config import Config, default_file, has_relative_paths, load
from contimg.config.files import merged, read_file
from contimg.errors import ConfigError
from contimg.operations import typed_commands
from contimg.storage.process import one_line

if TYPE_CHECKING:
    from contimg.naming import Layout
    from contimg.registry.engine import Registry

VERSION = click.IntRange(1, 999_999_999)  # of a mosaic; folders have no larger one: contimg.bundle.find
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


def echo(message: str, *, err: bool = False) -> None:
    """Print a message whose commands work when pasted, without control characters."""
    click.echo(plain(pasteable(message)), err=err)


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
    cells = [["" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    texts = list(zip(columns, *cells, strict=True))
    # A file or pipe has no width. On a terminal ids stay whole: a table that needs more room runs over its edge, or has
    # a line for each cell where the edge would split an id.
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 200
    widths = column_widths(texts, max(room, needed_width(texts)))
    console = Console(width=max(sum(widths) + GAP * (len(widths) - 1), len(title)))
    console.print(Text(title, style="italic"))
    if sys.stdout.isatty() and edge_splits_id(texts, widths, room):
        click.echo("\n".join(records(columns, cells, room)).rstrip())
    else:
        table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, GAP // 2))
        for column, width in zip(columns, widths, strict=True):
            table.add_column(Text(folded(column, width)), width=width, no_wrap=True)
        for row in cells:
            # As texts, and not as markup: they may come from files of others.
            texts_of_row = (folded(one, width) for one, width in zip(row, widths, strict=True))
            table.add_row(*(Text(text, style=colours.get(text, "")) for text in texts_of_row))
        console.print(table)
    # A cell may be folded: the commands in it are repeated below, each on one line.
    for command in dict.fromkeys(found for row in cells for cell in row for found in typed_commands.quoted(cell)):
        echo(f"type: {command}")


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
