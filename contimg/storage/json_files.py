"""Reading the JSON files that contimg keeps about its work, of which a failing disk or an editor may leave a part."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from contimg.errors import InputError


def parse_json(text: bytes | str) -> Any:
    """Return the content of a JSON text.

    Raises
    ------
    ValueError
        If it is not JSON, not UTF-8, or nested deeper than Python's parser follows.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; None when it is missing or is not JSON."""
    try:
        return parse_json(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def read_object(path: Path, remedy: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """Return the content of a JSON file that holds an object.

    Parameters
    ----------
    path : Path
    remedy : str
        The remedy for a damaged file, as the end of the error message.
    keys : collection of str
        Keys that the object must have.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is not JSON, not an object, or lacks a key.
    """
    try:
        content = parse_json(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): {remedy}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged (no JSON object): {remedy}")
    missing = [key for key in keys if key not in content]
    if missing:
        raise InputError(f"{path} is damaged (it has no '{missing[0]}'): {remedy}")
    return content
