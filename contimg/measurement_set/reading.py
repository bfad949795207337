"""Reading a Measurement Set of one field and one spectral window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.errors import InputError
from contimg.measurement_set.coordinates import Coordinates, Visibilities
from contimg.measurement_set.subtables import APPLICATION, CORR_TYPE, SYNTHETIC

_SUBTABLES = {"ANTENNA", "FIELD", "HISTORY", "OBSERVATION", "POINTING", "POLARIZATION", "SPECTRAL_WINDOW"}


def read(path: Path, *, column: str = "DATA") -> Visibilities:
    """Read a whole Measurement Set into memory.

    Parameters
    ----------
    path : Path
    column : str
        ``DATA``, ``CORRECTED_DATA`` or ``MODEL_DATA``.

    Raises
    ------
    InputError
        If it is no Measurement Set of one field and one spectral window, or lacks the column.
    """
    with _open(path) as table:
        if column not in table.colnames():
            raise InputError(f"{path} has no column {column}: name one of {', '.join(_bulk(table))}")
        coordinates = _read_coordinates(path, table)
        data, flag, weight = _empty(coordinates.shape)
        for name, into in ((column, data), ("FLAG", flag), ("WEIGHT_SPECTRUM", weight)):
            table.getcolnp(name, into)
        return Visibilities(**vars(coordinates), data=data, flag=flag, weight=weight)


def count_rows(path: Path) -> int:
    """Return the number of rows of a Measurement Set."""
    with _open(path) as table:
        return int(table.nrows())


def read_coordinates(path: Path) -> Coordinates:
    """Read everything but the bulk columns.

    Raises
    ------
    InputError
        If it is no Measurement Set of one field and one spectral window.
    """
    with _open(path) as table:
        return _read_coordinates(path, table)


def blocks(
    path: Path, count: int, *, every: int | None = None
) -> Iterator[tuple[slice, NDArray[np.complex64], NDArray[np.bool_], NDArray[np.float32]]]:
    """Yield rows, DATA, FLAG and WEIGHT_SPECTRUM, at most `count` rows at a time.

    No block reaches over a multiple of `every` rows, so that one of `every` baselines is of one integration. The
    arrays are the caller's until the next block, which fills them again.
    """
    with _open(path) as table:
        every = every or table.nrows()
        whole = _empty((min(count, every), *table.getcell("DATA", 0).shape))
        for first in range(0, table.nrows(), every):
            last = min(first + every, table.nrows())
            for start in range(first, last, count):
                found = min(count, last - start)
                data, flag, weight = whole[0][:found], whole[1][:found], whole[2][:found]
                for name, into in (("DATA", data), ("FLAG", flag), ("WEIGHT_SPECTRUM", weight)):
                    table.getcolnp(name, into, start, found)
                yield slice(start, start + found), data, flag, weight


def _empty(
    shape: tuple[int, ...],
) -> tuple[NDArray[np.complex64], NDArray[np.bool_], NDArray[np.float32]]:
    """Return uninitialised arrays for data, flags and weights: casacore fills given arrays seven times faster."""
    return np.empty(shape, np.complex64), np.empty(shape, bool), np.empty(shape, np.float32)


def direction(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 2) directions from a direction column of any shape in use.

    FIELD's and POINTING's columns occur as (n, 1, 2), the standard's, (n, 2, 1) and (n, 2).

    Raises
    ------
    ValueError
        For any other shape.
    """
    value = np.asarray(value, np.float64)
    if value.ndim == 3 and value.shape[1:] in {(1, 2), (2, 1)}:
        return value.reshape(len(value), 2)
    if value.ndim == 2 and value.shape[1] == 2:
        return value
    raise ValueError(f"a direction column of shape {value.shape} is none of (n, 1, 2), (n, 2, 1), (n, 2)")


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open the main table; raise InputError if it is missing, damaged, or no Measurement Set."""
    from casacore import tables

    if not (Path(path) / "table.dat").is_file():
        raise InputError(f"{path} is not a Measurement Set: rerun snakemake to make it")
    try:
        with tables.table(str(path), ack=False) as table:
            missing = _SUBTABLES - set(table.keywordnames())
            if missing:
                raise InputError(
                    f"{path} is a table, but not a Measurement Set (no {min(missing)}): name the Measurement Set"
                )
            yield table
    except RuntimeError as error:  # casacore raises nothing else, whatever is wrong with a table
        text = str(error).splitlines()[0]
        raise InputError(f"{path} is damaged ({text}): delete it and rerun snakemake to make it again") from None


def _bulk(table: Any) -> list[str]:
    """Return the names of the columns with visibilities."""
    return sorted({"DATA", "CORRECTED_DATA", "MODEL_DATA"} & set(table.colnames()))


def _direction_of(path: Path, value: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        return direction(value)
    except ValueError as error:
        raise InputError(f"{path} has {error}: convert the tile again") from None


def _read_coordinates(path: Path, table: Any) -> Coordinates:
    """Read the coordinates from an open Measurement Set."""
    from casacore import tables

    def sub(name: str, *columns: str) -> list[Any]:
        with tables.table(table.getkeyword(name), ack=False) as opened:
            if not opened.nrows() and name != "HISTORY":
                raise InputError(
                    f"{path} is damaged ({name} has no rows): delete it and rerun snakemake to make it again"
                )
            return [opened.getcol(column) for column in columns]

    freq, width = sub("SPECTRAL_WINDOW", "CHAN_FREQ", "CHAN_WIDTH")
    names, positions, dishes, unknown = sub("ANTENNA", "NAME", "POSITION", "DISH_DIAMETER", "FLAG_ROW")
    (centre,) = sub("FIELD", "PHASE_DIR")
    if len(freq) != 1 or len(centre) != 1:
        raise InputError(
            f"{path} has {len(centre)} fields and {len(freq)} spectral windows, not one of each: convert the tile again"
        )
    (products,) = sub("POLARIZATION", "CORR_TYPE")
    with tables.table(table.getkeyword("OBSERVATION"), ack=False) as opened:
        telescope = opened.getcell("TELESCOPE_NAME", 0)
        located = "TELESCOPE_LOCATION" in opened.colnames()
        array_position = opened.getcell("TELESCOPE_LOCATION", 0) if located else None
    messages, application = sub("HISTORY", "MESSAGE", "APPLICATION")
    seen, antenna, axis = sub("POINTING", "TIME", "ANTENNA_ID", "DIRECTION")
    time = table.getcol("TIME")
    one = antenna == antenna[0]
    by_code = {code: name for name, code in CORR_TYPE.items()}
    unknown_products = set(products[0].tolist()) - set(by_code)
    if unknown_products:
        raise InputError(f"{path} has correlations of type {min(unknown_products)}, not linear ones: convert again")
    ours = [text for text, who in zip(messages, application, strict=True) if who == APPLICATION]
    return Coordinates(
        uvw_m=table.getcol("UVW"),
        time_mjd_s=time,
        antenna1=table.getcol("ANTENNA1"),
        antenna2=table.getcol("ANTENNA2"),
        freq_hz=freq[0],
        channel_width_hz=float(width[0, 0]),
        polarisations=tuple(by_code[int(code)] for code in products[0]),
        phase_centre_rad=_direction_of(path, centre)[0],
        times_mjd_s=seen[one],
        pointing_rad=_direction_of(path, axis)[one],
        antenna_names=list(names),
        antenna_positions_m=positions,
        dish_diameter_m=float(dishes[0]),
        telescope=telescope,
        integration_s=float(table.getcell("INTERVAL", 0)),
        synthetic=SYNTHETIC in ours,
        history=[text for text in ours if text != SYNTHETIC],
        array_position_m=array_position,
        unknown_positions=tuple(np.flatnonzero(unknown).tolist()),
    )
