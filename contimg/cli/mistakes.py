"""What was meant where a command line is mistyped: one sentence with the command as it should be typed."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

BEFORE_THE_COMMAND = {"-c": "-c", "--configfile": "-c", "-d": "-d", "--directory": "-d"}
"""Options that stand before the command, and their short form."""


def unknown_command(
    name: str, words: Sequence[str], options: Sequence[str], commands: Iterable[str], groups: Mapping[str, click.Group]
) -> click.UsageError:
    """Return the error about a command that there is not, with the nearest one that there is.

    Parameters
    ----------
    name : str
        What was typed for a command.
    words, options : sequence of str
        What was typed after it and before it.
    commands : iterable of str
    groups : mapping of str to click.Group
        Commands with subcommands, whose names are often typed alone.
    """
    known: dict[str, list[str]] = {}
    for group, one in groups.items():
        for subcommand in one.commands:
            known.setdefault(subcommand, []).append(f"{group} {subcommand}")
    known |= {command: [command] for command in commands}
    if name.endswith((".yaml", ".yml")) or Path(name).is_file():
        meant = [f"run {shlex.quote(name)}"]
    else:
        meant = [one for near in difflib.get_close_matches(name, known, n=1) for one in known[near]]
    typed = [" ".join(filter(None, ["contimg", shlex.join(options), one, shlex.join(words)])) for one in meant]
    return click.UsageError(f"there is no command '{name}': " + (" or ".join(typed) or "contimg --help lists all"))


def misplaced_option(
    option: str, command: str, words: Sequence[str], options: Sequence[str]
) -> click.UsageError | None:
    """Return the error about an option that stands after the command and belongs before it; None for any other option.

    Parameters
    ----------
    option : str
        As it was typed, without its value.
    command : str
    words, options : sequence of str
        What was typed after the command and before it.
    """
    if option not in BEFORE_THE_COMMAND:
        return None
    place = next((number for number, word in enumerate(words) if word.startswith(option)), None)
    if place is None:
        return None
    value = words[place].removeprefix(option).removeprefix("=")
    rest = [*words[:place], *words[place + 1 :]]
    if not value:
        value, rest = (rest[place] if place < len(rest) else "FILE"), [*rest[:place], *rest[place + 1 :]]
    given = [*options] if value in options else [*options, BEFORE_THE_COMMAND[option], value]
    right = shlex.join(["contimg", *given, command, *rest])
    return click.UsageError(f"{option} stands before the command: {right}")
