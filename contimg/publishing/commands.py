"""The commands that messages tell a person to type, with id, version and manifest of the mosaic that is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MANIFEST_DIGITS = 12  # of the manifest's SHA-256: enough to tell one making of a mosaic from another


def approve_command(row: Mapping[str, Any]) -> str:
    """Return the command that approves exactly this version and this making of a mosaic."""
    return f"contimg publish approve {_which(row)} --reason '...'"


def reject_command(row: Mapping[str, Any]) -> str:
    """Return the command that rejects exactly this version and this making of a mosaic."""
    return f"contimg publish reject {_which(row)} --reason '...'"


def decision_commands(row: Mapping[str, Any], pasteable: Callable[[str], str]) -> list[str]:
    """Return the commands that approve or reject a mosaic.

    Parameters
    ----------
    row : mapping
        Its row in the registry.
    pasteable : callable
        Gives a command the options that name the configuration, so that it works when pasted.
    """
    return [pasteable(command(row)) for command in (approve_command, reject_command)]


def _which(row: Mapping[str, Any]) -> str:
    return f"{row['data_id']} --version {row['version']} --manifest {row['sha256'][:MANIFEST_DIGITS]}"
