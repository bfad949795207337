"""Calibration tables written by hand, with what `contimg.calibration.caltables.read_solutions` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from casacore import tables

from contimg.calibration.calibration_set import describe_tables
from contimg.calibration.caltables import FILES, read_solutions
from contimg.correlator.band import subband_frequencies
from contimg.errors import InputError
from contimg.products.twin import read_twin
from tests.support.twins import write_with_manifest

ANTENNAS = 10
NAMES = [str(station) for station in range(21, 21 + ANTENNAS)]
FREQ = np.sort(np.concatenate([subband_frequencies(number, 4) for number in range(16)]))
TIME_S = 5.2e9


def write_table(
    path: Path,
    kind: str,
    values: np.ndarray,
    flag: np.ndarray | None = None,
    snr: float = 1e6,
    names: Sequence[str] = NAMES,
    *,
    times_s: Sequence[float] = (TIME_S,),
    freq_hz: np.ndarray = FREQ,
) -> None:
    """Write a table of one kind: values (nant, nchan, npol), the same at each time."""
    flag = np.zeros(values.shape, bool) if flag is None else flag
    column, kind_of = ("FPARAM", 0.0) if kind == "K" else ("CPARAM", 0j)
    columns = [
        tables.makescacoldesc("TIME", 0.0), tables.makescacoldesc("ANTENNA1", 0),
        tables.makescacoldesc("SPECTRAL_WINDOW_ID", 0), tables.makearrcoldesc(column, kind_of, 2),
        tables.makearrcoldesc("FLAG", False, 2), tables.makearrcoldesc("SNR", 0.0, 2),
    ]  # fmt: skip
    count = len(times_s)
    with tables.table(str(path), tables.maketabdesc(columns), nrow=count * len(values), ack=False) as table:
        table.putinfo({"type": "Calibration", "subType": f"{kind} Jones", "readme": ""})
        if count:
            table.putcol("TIME", np.repeat(np.array(times_s, float), len(values)))
            table.putcol("ANTENNA1", np.tile(np.arange(len(values), dtype=np.int32), count))
            typed = values.real.astype(float) if kind == "K" else values.astype(complex)
            for name, content in ((column, typed), ("FLAG", flag), ("SNR", np.full(values.shape, snr))):
                table.putcol(name, np.tile(content, (count, 1, 1)))
        freq = freq_hz[: values.shape[1]] if kind != "B" else freq_hz
        for name, sub_column, cells in (("ANTENNA", "NAME", names), ("SPECTRAL_WINDOW", "CHAN_FREQ", [freq])):
            is_array = sub_column == "CHAN_FREQ"
            make = tables.makearrcoldesc(sub_column, 0.0, 1) if is_array else tables.makescacoldesc(sub_column, "")
            with tables.table(str(path / name), tables.maketabdesc([make]), nrow=len(cells), ack=False) as sub:
                for row, cell in enumerate(cells):
                    sub.putcell(sub_column, row, cell)
                table.putkeyword(name, sub)


def describe_again(twin_path: Path) -> None:
    """Write the twin of a calibration whose tables were changed as if they had been judged so.

    Tables that cannot be read keep the digest that they had.
    """
    twin, solutions = read_twin(twin_path), {}
    for kind in twin.facts["files"]:
        try:
            solutions[kind] = read_solutions(twin_path.with_suffix("") / FILES[kind])
        except InputError:
            continue
    digests = twin.facts["solutions_sha256"] | describe_tables(solutions)["solutions_sha256"]
    write_with_manifest(twin_path, twin.model_copy(update={"facts": twin.facts | {"solutions_sha256": digests}}))
