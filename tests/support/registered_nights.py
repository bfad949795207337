"""A stage and a registry where a mosaic was just registered, made once and restored from a copy as often as needed."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from contimg.publishing import archive_root
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.engine import open_registry
from tests.support import mosaics

VERDICTS = {"passed": [], "warning": [mosaics.WARNING]}


class RegisteredNight:
    """A mosaic's stage, archive and SQLite registry below one folder, which stay at the same paths.

    Twins and rows hold absolute paths, so that a copy has to stand where the original stood. The registry is opened
    once: SQLAlchemy compiles its statements anew for each engine, and SQLite's file is opened by each transaction.

    Attributes
    ----------
    config : Config
    registry : Registry
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._place = folder, folder / "night"
        self.config = mosaics.config_below(self._place)
        for verdict, reasons in VERDICTS.items():
            self.config.paths.products.mkdir(parents=True)
            mosaics.make_mosaic(self.config, reasons=reasons)
            register_mosaic(mosaics.MOSAIC, self.config)
            with contextlib.closing(open_registry(self.config)) as registry:
                archive_root.adopt(registry, self.config.layout)  # as an earlier publication did
            self._place.rename(folder / verdict)
        self.restore("passed")
        self.registry = open_registry(self.config)

    def restore(self, verdict: str) -> None:
        """Put everything back to where registering had left it, for a mosaic of a verdict (a key of `VERDICTS`)."""
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._folder / verdict, self._place)

    def close(self) -> None:
        """Close the registry."""
        self.registry.close()
