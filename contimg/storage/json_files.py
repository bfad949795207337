"""Reading the JSON files that contimg keeps about its work, of which a failing disk or an editor may leave a part."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from contimg.errors import InputError

# The longest file that is read as a whole. The plan of 4000 tiles has 20 MB, and of two years' tiles it would be this
# long; the length of a file that a failing disk made up could be more than the memory.
MOST_BYTES = 1 << 30


class NoPlainFile(ValueError):
    """A FIFO, socket or device stands where a file should, or a file without end: reading it could take for long."""


def plain_bytes(path: Path) -> bytes:
    """Return the content of a small file, without waiting for who might write to it.

    Raises
    ------
    NoPlainFile
        If it is a FIFO, a socket or a device, or longer than `MOST_BYTES`.
    OSError
        If it is missing, is a folder, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # of a socket, or a device without a driver
            raise NoPlainFile("no plain file") from None
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise NoPlainFile("no plain file")
    with os.fdopen(descriptor, "rb") as file:
        if found.st_size > MOST_BYTES:
            raise NoPlainFile(f"{found.st_size} bytes long")
        return file.read()


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
    """Return the content of a JSON file; None when it is missing or is not JSON, nor a plain file at all."""
    try:
        return parse_json(plain_bytes(path))
    except (FileNotFoundError, ValueError):
        return None


def read_object(
    path: Path, remedy: str, keys: Collection[str] = (), form: type[BaseModel] | None = None
) -> dict[str, Any]:
    """Return the content of a JSON file that holds an object.

    Parameters
    ----------
    path : Path
    remedy : str
        The remedy for a damaged file, as the end of the error message.
    keys : collection of str
        Keys that the object must have.
    form : type of BaseModel, optional
        What the object must be, with the types as they are written (strict).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is no plain file, not JSON, not an object, lacks a key, or is of another form.
    """
    try:
        content = parse_json(plain_bytes(path))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({' '.join(str(error).split())}): {remedy}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged (no JSON object): {remedy}")
    missing = [key for key in keys if key not in content]
    if missing:
        raise InputError(f"{path} is damaged (it has no '{missing[0]}'): {remedy}")
    if form is not None:
        try:
            form.model_validate(content, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where, what = ".".join(map(str, first["loc"])), " ".join(first["msg"].split())
            raise InputError(f"{path} is damaged ('{where}': {what}): {remedy}") from None
    return content
