"""The configuration of a process that lives for days: read again when one of its files changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contimg.config import Config, load_files


class ConfigFiles:
    """Files of the configuration, the default first, and what was read from them last."""

    def __init__(self, files: Sequence[Path], base: Path | None) -> None:
        self._files, self._base = list(files), base
        self._seen: list[tuple[int, int, int]] = []
        self._config: Config | None = None

    def load(self) -> Config:
        """Return the configuration; the files are read only if inode, size or modification time of one changed.

        Raises
        ------
        ConfigError, InputError, OSError
            As `contimg.config.load_files`, at each call until the file is right again.
        """
        statuses = [file.stat() for file in self._files]
        seen = [(status.st_ino, status.st_size, status.st_mtime_ns) for status in statuses]
        if self._config is None or seen != self._seen:
            self._config = None
            self._config = load_files(self._files, base=self._base)
            self._seen = seen
        return self._config
