"""Values of a subband file's header, checked against their rows in the table, whoever has read them."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.correlator import header_checks
from contimg.correlator.files import FileFault
from contimg.correlator.header_checks import CHECKS


class HeaderValues(ABC):
    """Numbers of a file's header by key; what is wrong with one becomes a `FileFault`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fault(self, code: str, what: str) -> FileFault:
        return FileFault(code, self.path, what)

    @abstractmethod
    def number(self, key: str) -> float:
        """Return a single number."""

    @abstractmethod
    def optional_number(self, key: str) -> float | None:
        """Return a single number, or None if the file does not have it."""

    @abstractmethod
    def numbers(self, key: str, *, first: int | None = None, every: int = 1) -> NDArray[np.float64]:
        """Return an array of numbers: all of it, its first rows, or one row out of `every`."""

    def in_range(self, key: str, value: float) -> float:
        """Return a number if it is in its range."""
        check = CHECKS[key]
        if not check.low <= value <= check.high or (check.kind == "integer" and value != round(value)):
            raise self.fault(check.code, str(header_checks.wrong_values(check, np.array(value))))
        return value

    def all_in_range(self, key: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return numbers if each is in its range."""
        problem = _wrong_values(key, values.tobytes(), values.shape)
        if problem:
            raise self.fault(CHECKS[key].code, problem)
        return values


@functools.lru_cache(maxsize=512)  # sixteen files of a tile have most of their arrays in common, a night its antennas
def _wrong_values(key: str, values: bytes, shape: tuple[int, ...]) -> str | None:
    """Return which of a key's values, given as bytes of float64, is not finite or out of range."""
    return header_checks.wrong_values(CHECKS[key], np.frombuffer(values).reshape(shape))
