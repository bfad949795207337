"""Writing a Measurement Set, whole or a range of rows at a time."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.measurement_set.coordinates import Coordinates, Visibilities
from contimg.measurement_set.subtables import write_subtables

_TILE_BYTES = 1 << 20
# Storage of the columns with one value in a row; casacore's default of 32 rows in a bucket is slow to write.
_ROWS_STORAGE = {"BUCKETSIZE": 1 << 16, "PERSCACHESIZE": 256}


class Writer:
    """Writes the bulk columns of a new Measurement Set, any range of rows at a time."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._same: tuple[NDArray[np.float32], ...] | None = None

    def put(
        self,
        start: int,
        data: NDArray[np.complex64],
        weight: NDArray[np.float32],
    ) -> None:
        """Write the data of rows ``start ...``; ``data`` is (nrow, nchan, npol), ``weight`` too, or (nchan, npol).

        WEIGHT is the mean of WEIGHT_SPECTRUM over the channels that were received, SIGMA its inverse
        square root, both 0 where nothing was received.
        """
        if weight.ndim == 2:  # the same for all rows: worked out once
            shape = (len(data), *weight.shape)
            if self._same is None or self._same[0].shape != shape or not np.array_equal(self._same[0][0], weight):
                summary = [np.repeat(one, len(data), axis=0) for one in _summary(weight[None])]
                self._same = np.repeat(weight[None], len(data), axis=0), *summary
            weights, mean, sigma = self._same
        else:
            weights, (mean, sigma) = weight, _summary(weight)
        for name, values in (("DATA", data), ("WEIGHT_SPECTRUM", weights), ("WEIGHT", mean), ("SIGMA", sigma)):
            self._table.putcol(name, values, start, len(data))

    def put_flags(self, start: int, flag: NDArray[np.bool_]) -> None:
        """Write the flags of rows ``start ...``; FLAG_ROW is set where all is flagged."""
        self._table.putcol("FLAG", flag, start, len(flag))
        self._table.putcol("FLAG_ROW", flag.reshape(len(flag), -1).all(1), start, len(flag))


def _summary(weight: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return WEIGHT and SIGMA, each (nrow, npol), of weights (nrow, nchan, npol)."""
    # One polarisation after the other: numpy sums fastest along a contiguous axis.
    total = np.stack([weight[..., pol].sum(1, dtype=np.float64) for pol in range(weight.shape[2])], 1)
    if weight.min(initial=1) > 0:
        received = np.full(total.shape, weight.shape[1])
    else:
        received = np.stack([(weight[..., pol] > 0).sum(1) for pol in range(weight.shape[2])], 1)
    mean = total / np.maximum(received, 1)
    sigma = np.where(mean > 0, 1 / np.sqrt(np.where(mean > 0, mean, 1)), 0)
    return mean.astype(np.float32), sigma.astype(np.float32)


@contextmanager
def create(path: Path, coordinates: Coordinates) -> Iterator[Writer]:
    """Create a Measurement Set with everything but its bulk columns, which the yielded `Writer` writes.

    Parameters
    ----------
    path : Path
        A name that does not exist yet.
    coordinates : Coordinates

    Raises
    ------
    ValueError
        If the frequencies do not ascend, or a time is not between the years 2020 and 2040.
    OSError
        If the disk has no room for it (ENOSPC).
    """
    _check(coordinates)
    _check_room(path, coordinates)
    table = _new_table(path, coordinates)
    try:
        _write_rows(table, coordinates)
        write_subtables(table, coordinates)
        yield Writer(table)
    finally:
        table.close()


def write(path: Path, vis: Visibilities) -> None:
    """Write visibilities as a new Measurement Set; raises as `create` does."""
    with create(path, vis) as writer:
        writer.put(0, vis.data, vis.weight)
        writer.put_flags(0, vis.flag)


def _check(coordinates: Coordinates) -> None:
    """Raise ValueError if frequencies do not ascend, or times are not seconds since MJD 0."""
    if np.any(np.diff(coordinates.freq_hz) <= 0) or coordinates.channel_width_hz <= 0:
        raise ValueError("frequencies of a Measurement Set must ascend and its channel width be positive")
    years = 2000 + (coordinates.time_mjd_s / 86400 - 51544) / 365.25
    if years.min() < 2020 or years.max() > 2040:
        raise ValueError(f"times of a Measurement Set are seconds since MJD 0, not of the year {years[0]:.0f}")


def _check_room(path: Path, coordinates: Coordinates) -> None:
    """Raise OSError (ENOSPC) before writing if the disk is too full: casacore aborts the process on a full disk."""
    rows, nchan, npol = coordinates.shape
    bulk_bytes = 13 * rows * nchan * npol  # DATA 8, WEIGHT_SPECTRUM 4 and FLAG up to 1 byte a sample
    needed_bytes = bulk_bytes + 100 * rows + 2**22  # per-row columns, and the subtables
    free_bytes = shutil.disk_usage(path.parent).free
    if free_bytes < needed_bytes:
        text = f"{os.strerror(errno.ENOSPC)}: {needed_bytes / 1e6:.0f} MB needed, {free_bytes / 1e6:.0f} MB free"
        raise OSError(errno.ENOSPC, text, str(path.parent))


def rows_of_tile(coordinates: Coordinates) -> int:
    """Return the number of rows in a storage tile of DATA and WEIGHT_SPECTRUM.

    A tile is about 1 MiB, and an integration holds a whole number of tiles where possible: a range of rows that fills
    whole tiles is written without reading back a part that was written before.
    """
    nrow, nchan, npol = coordinates.shape
    most = max(8, _TILE_BYTES // (8 * nchan * npol))
    per_time = nrow // max(1, len(coordinates.times_mjd_s))
    whole = max((rows for rows in range(1, min(most, per_time) + 1) if per_time % rows == 0), default=1)
    return whole if 2 * whole >= min(most, per_time) else most


def _new_table(path: Path, coordinates: Coordinates) -> Any:
    """Create the main table with tiled, fixed-shape bulk columns."""
    from casacore import tables

    _, nchan, npol = coordinates.shape
    together = rows_of_tile(coordinates)
    description = tables.required_ms_desc("MAIN")
    managers = {}

    def tiled(
        name: str, shape: tuple[int, ...], itemsize: float, rows: int = 0, kind: str = "Column"
    ) -> dict[str, Any]:
        # Whole rows in a tile: everybody reads and writes ranges of rows.
        rows = rows or max(8, int(_TILE_BYTES / (itemsize * np.prod(shape))) // 8 * 8)
        managers[name] = {
            "TYPE": f"Tiled{kind}StMan",
            "NAME": f"Tiled{name}",
            "COLUMNS": [name],
            "SPEC": {"DEFAULTTILESHAPE": np.array([*reversed(shape), rows], np.int32)},
        }
        # option 5 = Direct | FixedShape; shapes are in python-casacore's (C) order.
        fixed = {"shape": np.array(shape, np.int32), "_c_order": True, "option": 5} if kind == "Column" else {}
        managed = {"dataManagerType": f"Tiled{kind}StMan", "dataManagerGroup": f"Tiled{name}", "ndim": len(shape)}
        return managed | fixed

    for name, valuetype, itemsize, comment in (
        ("DATA", "complex", 8, "The data column"),
        ("WEIGHT_SPECTRUM", "float", 4, "Weight for each data point"),
    ):
        column = tables.makearrcoldesc(name, 0, valuetype=valuetype, ndim=2, comment=comment)
        # Blocks of baselines are written in the order in which they are read. A column without a fixed shape stores
        # rows in the order of writing; one with a fixed shape would first be filled with zeros up to the last row of
        # a block, and read back.
        column["desc"].update(tiled(name, (nchan, npol), itemsize, together, "Shape"))
        description.update(tables.maketabdesc(column))
    description["FLAG"].update(tiled("FLAG", (nchan, npol), 1 / 8))
    description["UVW"].update(tiled("UVW", (3,), 8))
    for name in ("WEIGHT", "SIGMA"):
        description[name].update(tiled(name, (npol,), 4))
    description["FLAG_CATEGORY"].update(
        dataManagerType="TiledShapeStMan",
        dataManagerGroup="TiledFlagCategory",
        keywords={"CATEGORY": np.array([], dtype=str)},
    )
    standard = {
        key: value
        for key, value in tables.makedminfo(description).items()
        if not value["NAME"].startswith("Tiled") or value["NAME"] == "TiledFlagCategory"
    }
    for manager in standard.values():
        if manager["TYPE"] == "StandardStMan":
            manager["SPEC"] = _ROWS_STORAGE
    every = [*standard.values(), *managers.values()]
    return tables.default_ms(str(path), description, {f"*{i + 1}": one for i, one in enumerate(every)})


def _write_rows(table: Any, coordinates: Coordinates) -> None:
    """Add the rows of the main table and fill its columns but the bulk ones."""
    nrow = len(coordinates.uvw_m)
    table.addrows(nrow)
    scalars: dict[str, Any] = {
        "ANTENNA1": coordinates.antenna1.astype(np.int32),
        "ANTENNA2": coordinates.antenna2.astype(np.int32),
        "TIME": coordinates.time_mjd_s,
        "TIME_CENTROID": coordinates.time_mjd_s,
        "INTERVAL": np.full(nrow, coordinates.integration_s),
        "EXPOSURE": np.full(nrow, coordinates.integration_s),
        "SCAN_NUMBER": np.ones(nrow, np.int32),
    }
    zeros = ("ARRAY_ID", "DATA_DESC_ID", "FEED1", "FEED2", "FIELD_ID", "OBSERVATION_ID", "PROCESSOR_ID", "STATE_ID")
    for name in zeros:
        scalars[name] = np.zeros(nrow, np.int32)
    for name, values in scalars.items():
        table.putcol(name, values)
    table.putcol("UVW", coordinates.uvw_m)
