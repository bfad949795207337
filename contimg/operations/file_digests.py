"""A cache of the SHA-256 of files of reference data, so that planning reads a file only after it may have changed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from contimg.config import Config
from contimg.errors import ConfigError
from contimg.sky.strips import strips_of
from contimg.storage.atomic import file_sha256
from contimg.storage.notes import read_note, write_note


class FileDigests:
    """A cache of SHA-256 digests in a JSON file, by path, size, modification time (ns), inode and device.

    The cache may be lost at any time, and where it cannot be written (a read-only state) the files are read each time.

    Parameters
    ----------
    place : Path
        The JSON file of the cache.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._known: dict[str, list[int | str]] = {}
        with contextlib.suppress(OSError):
            known = read_note(place)
            self._known = known if isinstance(known, dict) else {}

    def sha256(self, path: Path, key: str) -> str:
        """Return the digest of a file; `key` is the configuration key that names it, for the message.

        Raises
        ------
        ConfigError
            If it cannot be read.
        """
        try:
            now = os.stat(path)
            stamp: list[int | str] = [now.st_size, now.st_mtime_ns, now.st_ino, now.st_dev]
            known = self._known.get(str(path))
            if known is not None and known[1:] == stamp:
                return str(known[0])
            digest = file_sha256(path)
        except OSError as error:
            raise ConfigError(f"config key '{key}' names {path}: {error.strerror}: correct the path") from None
        self._known[str(path)] = [digest, *stamp]
        with contextlib.suppress(OSError):
            write_note(self._place, self._known)
        return digest


def reference_files(config: Config) -> dict[str, Path]:
    """Return the files of reference data that a configuration names, by their keys; the catalogue may be a folder."""
    named = {
        "sky.catalogue": config.sky.catalogue,
        "calibration.calibrators": config.calibration.calibrators,
        "beam.cube": config.beam.cube,
    }
    return {key: Path(path) for key, path in named.items() if path not in (None, "builtin")}


def strips_of_catalogue(config: Config) -> list[Path]:
    """Return the strips of the folder that ``sky.catalogue`` names; none where it names a file or nothing."""
    place = config.sky.catalogue
    return [strip.path for strip in strips_of(Path(place))] if place is not None and Path(place).is_dir() else []
