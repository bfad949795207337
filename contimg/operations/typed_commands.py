"""Commands in messages with the options that the reader's configuration needs, so that they work when pasted."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

WITH_CONFIGURATION = (
    "plan",
    "inbox",
    "calibrators",
    "calibration",
    "beam",
    "status",
    "pause",
    "resume",
    "usage",
    "why",
    "log",
    "report",
    "trends",
    "template",
    "registry",
    "publish",
    "verify",
    "provenance",
    "diff",
    "reproduce",
    "archive",
    "prune",
    "retain",
    "reconcile",
    "replicas",
)
"""Commands that read the configuration; the others (simulate, inspect, ...) take files only.

Without ``watch``: messages say that it runs, not that somebody types it."""
_COMMAND = re.compile(rf"(?<![\w./-])contimg (?=(?:-d FOLDER )?(?:{'|'.join(WITH_CONFIGURATION)})\b)")
_ANNOUNCED = "CONTIMG_OPTIONS"
_WHOLE = re.compile(
    rf"(?<![\w./-])contimg (?:-[cd] (?:'[^']*'|\S+) )*(?:{'|'.join(WITH_CONFIGURATION)})\b"
    r"(?: '[^'\n]*'|(?!: )[^'`(),;\n])*"
)
_QUOTED = re.compile(rf"['`(](contimg (?:{'|'.join(WITH_CONFIGURATION)})\b[^'`()]*)['`)]")


def options(configfiles: Sequence[Path | str], directory: Path | str | None = None) -> str:
    """Return the options that name a configuration, as they are typed: ``-c /data/night.yaml``.

    Parameters
    ----------
    configfiles : sequence of path
        Overlays, as given to ``-c`` or ``--configfile``; made absolute, since commands are pasted elsewhere, too.
    directory : path, optional
        Where relative paths of the configuration start, if it has any.
    """
    words = [word for file in configfiles for word in ("-c", str(Path(file).absolute()))]
    words += [] if directory is None else ["-d", str(Path(directory).absolute())]
    return shlex.join(words)


def announce(given: str) -> None:
    """Name the options in the environment, so that the jobs which this process starts can print them."""
    os.environ[_ANNOUNCED] = given


def announced() -> str | None:
    """Return the options that the controller of this job announced; None outside a run."""
    return os.environ.get(_ANNOUNCED)


def are_named(text: str) -> bool:
    """Return whether a message names a command that reads the configuration."""
    return _COMMAND.search(text) is not None


def with_options(text: str, given: str) -> str:
    """Return a message whose ``contimg`` commands have some options (of `options`) after the program's name."""
    return _COMMAND.sub(lambda found: f"{found[0]}{given} ", text) if given else text


def spans(text: str) -> list[tuple[int, int]]:
    """Return where commands that read the configuration begin and end in a message; without the mark behind them."""
    return [(found.start(), found.start() + len(found[0].rstrip(" ."))) for found in _WHOLE.finditer(text)]


def quoted(text: str) -> list[str]:
    """Return the commands that stand in quotes or brackets in a message."""
    return [found[1] for found in _QUOTED.finditer(text)]
