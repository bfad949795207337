"""The small JSON files on the stage that say what a group is and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from contimg import naming
from contimg.errors import InputError
from contimg.storage.json_files import read_json, read_object


def _is_id(text: str) -> str:
    try:
        found = naming.iso(text)
    except InputError:
        found = None
    if found != text:
        raise ValueError("is no time as 2026-02-11T00:26:49")
    return text


_Id = Annotated[str, AfterValidator(_is_id)]


class _Tile(BaseModel):
    id: _Id
    name_time: _Id
    files: list[str]


class _Group(BaseModel):
    id: _Id
    tiles: list[_Tile] = Field(min_length=1)


class _Marker(BaseModel):
    status: str
    version: int
    time: str


class _Note(BaseModel):
    version: int


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
    content = read_object(path, remedy, ("id", "tiles"), _Group)
    if naming.stem(content["id"]) != path.stem:
        raise InputError(f"{path} is damaged (it is of group {content['id']}): {remedy}")
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
    return read_object(path, "type contimg reconcile, which writes it anew", ("status", "version", "time"), _Marker)


def read_pruned(path: Path) -> dict[str, Any]:
    """Return the note that products of a group were pruned, with the ``version`` that was published then.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is damaged.
    """
    return read_object(path, "delete it, and type contimg prune again", ("version",), _Note)


def read_quarantine(path: Path) -> list[dict[str, Any]] | None:
    """Return the files that were set aside on a date; rows that are damaged are left out. None where there are none."""
    content = read_json(path)
    if not isinstance(content, list):
        return None
    keys = ("path", "code", "message", "name_time")
    return [one for one in content if isinstance(one, dict) and all(isinstance(one.get(key), str) for key in keys)]
