"""The `contimg` command: one module a command, loaded when it is called."""

from contimg.cli.entry import COMMANDS, main, run

__all__ = ["COMMANDS", "main", "run"]
