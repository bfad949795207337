"""The small JSON files on the stage that say what a group is and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contimg.errors import InputError
from contimg.storage.json_files import read_object


def read_group(path: Path) -> dict[str, Any]:
    """Return the committed membership of a group: ``id`` and ``tiles``, each with ``id``, ``name_time``, ``files``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is damaged. Nothing else says which files the group has, so no plan is made without it.
    """
    remedy = "restore it, or delete it and its group is planned anew from the inbox"
    content = read_object(path, remedy, ("id", "tiles"))
    try:
        for tile in content["tiles"]:
            _ = tile["id"], tile["name_time"], tuple(tile["files"])
    except (TypeError, KeyError):
        raise InputError(f"{path} is damaged (its tiles are not described): {remedy}") from None
    return content


def read_marker(path: Path) -> dict[str, Any]:
    """Return the marker of a registered or published mosaic: ``status``, ``version``, ``time`` and more.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is damaged; the registry holds the same.
    """
    return read_object(path, "type contimg reconcile, which writes it anew", ("status", "version", "time"))


def read_note(path: Path) -> dict[str, Any]:
    """Return the note that products of a group were pruned, with the ``version`` that was published then.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is damaged.
    """
    return read_object(path, "delete it, and type contimg prune again", ("version",))
