"""The end of text files that others write, such as logs, however long they have become."""

from __future__ import annotations

import os
from pathlib import Path


def end_of(path: Path, most_bytes: int = 20_000) -> str:
    """Return the last bytes of a file as text; what is not UTF-8 is shown as such.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - most_bytes))
        return file.read(most_bytes).decode(errors="replace")
