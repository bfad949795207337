"""Paths in the registry's rows: stored relative to the configured roots, so that a root can be moved.

Readers and writers of rows see absolute paths. A registry that was opened without roots (a backup) shows them as they
are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Engine, String
from sqlalchemy.types import TypeDecorator

from contimg.errors import RegistryError

RootName = Literal["incoming", "stage", "products"]


@dataclass(frozen=True)
class Roots:
    """The roots to which stored paths are relative.

    Attributes
    ----------
    incoming, stage, products : Path
        Of the configuration.
    """

    incoming: Path
    stage: Path
    products: Path


# An engine has a dialect of its own, which SQLAlchemy hands to the columns' types.
_ROOTS: WeakKeyDictionary[Dialect, Roots] = WeakKeyDictionary()


def set_roots(engine: Engine, roots: Roots | None) -> None:
    """Let the paths that are read and written with an engine be absolute, below these roots."""
    if roots is not None:
        _ROOTS[engine.dialect] = roots


def roots_of(engine: Engine) -> Roots | None:
    """Return the roots with which an engine's registry was opened; None without."""
    return _ROOTS.get(engine.dialect)


class PathBelow(TypeDecorator[str]):
    """A column with a path: relative to a root in the database, absolute for who reads and writes it.

    A path that is not below the root is stored as it is.

    Parameters
    ----------
    root : str
        Which of the `Roots`.
    """

    impl = String
    cache_ok = True

    def __init__(self, root: RootName) -> None:
        super().__init__()
        self.root: RootName = root

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return a path as it is stored."""
        prefix = self._prefix(dialect)
        return value if value is None or prefix is None else value.removeprefix(prefix)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Return a stored path as it is read.

        Raises
        ------
        RegistryError
            If it is no text: SQLite keeps anything in any column.
        """
        if not isinstance(value, str | None):
            raise RegistryError(
                f"registry: a path is {value!r}, which is no text, as after a change with SQL: correct that row, or "
                "move the registry away and restore it from a backup ('contimg registry restore FILE')"
            )
        prefix = self._prefix(dialect)
        return value if value is None or prefix is None or value.startswith("/") else prefix + value

    def _prefix(self, dialect: Dialect) -> str | None:
        roots = _ROOTS.get(dialect)
        return None if roots is None else f"{getattr(roots, self.root)}/"  # as text: a listing has 100 000 of them
