"""The column type of versions: a number, although SQLite keeps anything in any column."""

from __future__ import annotations

from sqlalchemy import Integer
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from contimg.errors import RegistryError


class VersionNumber(TypeDecorator[int]):
    """A column with the version of a product.

    It is part of the key of each row, so that one that is no number is an error of whoever reads it: no command can
    tell which folder is meant.
    """

    impl = Integer
    cache_ok = True

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:
        """Return a version as it is read.

        Raises
        ------
        RegistryError
            If it is no whole number.
        """
        if value is None or isinstance(value, int):
            return value
        raise RegistryError(
            f"registry: a version is {value!r}, which is no number, as after a change with SQL: correct that row, or "
            "move the registry away and restore it from a backup ('contimg registry restore FILE')"
        )
