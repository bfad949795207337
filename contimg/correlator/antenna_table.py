"""The table of antennas of a subband file, and its baselines as pairs of rows of that table."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.correlator import header_checks
from contimg.correlator.header_checks import CHECKS
from contimg.correlator.header_reader import HeaderReader, as_text


@dataclass(frozen=True)
class Antennas:
    """The table of antennas in order of their numbers, and the baselines of one integration.

    Attributes
    ----------
    names : tuple of str
    positions_m : (nant, 3) float64
        NaN where unknown.
    diameter_m : float
        Of the correlated antennas, which have one.
    antenna1, antenna2 : (n_baselines,) int64
        Rows of the table.
    order_sha256 : str
        Digest of names and pairs.
    """

    names: tuple[str, ...]
    positions_m: NDArray[np.float64]
    diameter_m: float
    antenna1: NDArray[np.int64]
    antenna2: NDArray[np.int64]
    order_sha256: str


def read_antennas(
    reader: HeaderReader, n_baselines: int, n_antennas: int, location_deg: tuple[float, float], any_frame: bool = False
) -> Antennas:
    """Read and check the table and the baselines of the first integration.

    Parameters
    ----------
    reader : HeaderReader
    n_baselines, n_antennas : int
        As the header says.
    location_deg : (float, float)
        Latitude and longitude that positions are relative to.
    any_frame : bool
        Accept positions that are not in the plane of the site, as in a wrong frame.

    Raises
    ------
    FileFault
        ``antennas`` or ``dtype``, for instance.
    """
    names = reader.names("antenna_names")
    columns = [reader.numbers(key) for key in ("antenna_numbers", "antenna_positions", "antenna_diameters")]
    pairs = [reader.numbers(key, first=n_baselines) for key in ("ant_1_array", "ant_2_array")]
    found = _checked(
        tuple(names.tolist()),
        (columns[0].tobytes(), columns[1].tobytes(), columns[2].tobytes()),
        (pairs[0].tobytes(), pairs[1].tobytes()),
        n_antennas,
        location_deg,
        any_frame,
    )
    if isinstance(found, Antennas):
        return found
    raise reader.fault(*found)


@functools.lru_cache(maxsize=64)  # a night has one or two of them in thousands of files
def _checked(
    stored_names: tuple[bytes | str | int, ...],
    columns: tuple[bytes, bytes, bytes],
    pairs: tuple[bytes, bytes],
    n_antennas: int,
    location_deg: tuple[float, float],
    any_frame: bool,
) -> Antennas | tuple[str, str]:
    """Return the antennas, or the code and the words for what is wrong with them; arrays come as bytes of float64."""
    names = [as_text(name) for name in stored_names]
    for name in names:
        if not (name and name.isascii() and name.isprintable() and " " not in name):
            return "dtype", f"antenna_names holds {name!a}, not a name in ASCII"
    numbers, positions, diameters = (np.frombuffer(column) for column in columns)
    order = np.argsort(numbers, kind="stable")
    numbers, positions, diameters = numbers[order], positions.reshape(-1, 3)[order], diameters[order]
    if (numbers[1:] == numbers[:-1]).any():
        return "antennas", "antenna_numbers holds a number twice"
    if len(set(names)) < len(names):
        return "antennas", "antenna_names holds a name twice"
    sides = [np.frombuffer(side) for side in pairs]
    rows = [np.searchsorted(numbers, side) for side in sides]
    for key, side, found in zip(("ant_1_array", "ant_2_array"), sides, rows, strict=True):
        if (numbers[np.minimum(found, len(numbers) - 1)] != side).any():
            return "antennas", f"{key} names an antenna that is not in antenna_numbers"
    correlated = np.unique(np.concatenate(rows))
    problem = header_checks.wrong_baselines(rows[0], rows[1], n_antennas)
    for key, values in (("antenna_positions", positions), ("antenna_diameters", diameters)):
        wrong = header_checks.wrong_values(CHECKS[key], values[correlated])
        problem = problem or (f"{wrong} (of a correlated antenna)" if wrong else None)
    if problem is None and np.ptp(diameters[correlated]) > 0:
        problem = "antenna_diameters of correlated antennas differ"
    if not any_frame:
        problem = problem or header_checks.wrong_array(positions[correlated], diameters[correlated[0]], *location_deg)
    if problem:
        return "antennas", problem
    positions[~np.isfinite(positions).all(1)] = np.nan
    ordered = tuple(names[place] for place in order.tolist())
    return Antennas(
        ordered, positions, float(diameters[correlated[0]]), rows[0], rows[1], antenna_order_sha256(ordered, rows)
    )


def antenna_order_sha256(names: Iterable[str], pairs: Iterable[NDArray[np.int64]]) -> str:
    """Return the digest of a file's antenna names and of the antennas of its baselines, in their order."""
    order = hashlib.sha256("\n".join(names).encode())
    for one in pairs:
        order.update(one.astype("<i8").tobytes())
    return order.hexdigest()
