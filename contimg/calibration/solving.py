"""What both ways of solving share: the job, the tile's data, and the tables that CASA wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.calibration import working_copy
from contimg.calibration.calibration_set import describe_tables
from contimg.calibration.caltables import FILES, Solutions, make_reproducible, read_solutions
from contimg.calibration.quality import SolvedTable, measure
from contimg.calibration.reference_antenna import ReferenceAntenna
from contimg.config import BeamOptions, CalibrationOptions
from contimg.measurement_set import Visibilities
from contimg.products.draft import TwinDraft
from contimg.sky.catalogue import Catalogue
from contimg.storage.atomic import remove


@dataclass(frozen=True)
class SolvingJob:
    """A tile that is solved.

    Attributes
    ----------
    ms : Path
        The tile; only read.
    part : Path
        The unfinished product: an empty folder.
    draft : TwinDraft
        Of the calibration; gets facts, numbers, reasons and notes.
    options : CalibrationOptions
    beam : BeamOptions
    known : Catalogue or None
        The known sky.
    """

    ms: Path
    part: Path
    draft: TwinDraft
    options: CalibrationOptions
    beam: BeamOptions
    known: Catalogue | None

    def table(self, kind: str) -> Path:
        """Return the place of a table of the product."""
        return self.part / FILES[kind]


def has_data(vis: Visibilities, draft: TwinDraft) -> bool:
    """Return whether anything was received and not flagged; if not, that is a reason."""
    if (~vis.flag & (vis.weight > 0) & (vis.data != 0)).any():
        return True
    draft.fail("no_data", "every visibility of the tile is flagged or zero", 1.0, 1.0)
    return False


def data_cells(vis: Visibilities) -> NDArray[np.bool_]:
    """Return which antennas, channels and polarisations (nant, nchan, npol) have any data."""
    good = ~vis.flag & (vis.weight > 0)
    cells = np.zeros((len(vis.antenna_names), *good.shape[1:]), bool)
    for antenna in range(len(cells)):
        mine = (vis.antenna1 == antenna) | (vis.antenna2 == antenna)
        if mine.any():
            cells[antenna] = good[mine].any(0)
    return cells


def write_scratch(part: Path, vis: Visibilities, model: NDArray[np.complex64], noise: NDArray[np.float64]) -> Path:
    """Write the working copy ``solve.ms`` into a folder inside the unfinished product, and return the folder.

    Parameters
    ----------
    part : Path
    vis : Visibilities
        Gets weights that are inverse variances.
    model : (nrow, nchan) complex64
    noise : (nbl, npol) float64
        Standard deviation of each part of a visibility.
    """
    scratch = part / "scratch"
    scratch.mkdir()
    working_copy.set_true_weights(vis, noise)
    working_copy.write(scratch / "solve.ms", vis, model)
    return scratch


def read_solved(
    job: SolvingJob, antennas: ReferenceAntenna, data: NDArray[np.bool_], kinds: Sequence[str]
) -> tuple[SolvedTable, ...]:
    """Read and measure the tables that CASA wrote, and record them in the draft.

    Parameters
    ----------
    job : SolvingJob
    antennas : ReferenceAntenna
    data : (nant, nchan, npol) bool
        From `data_cells`.
    kinds : sequence of str
        Tables that there should be.

    Returns
    -------
    tuple of SolvedTable
        Empty where CASA found no solutions for one of them: that is a reason, and the others are removed.
    """
    draft = job.draft
    draft.facts |= {"refant": antennas.names[0], "refant_reason": antennas.reason}
    draft.facts["refant_list"] = list(antennas.names)
    absent = [kind for kind in kinds if not job.table(kind).exists()]
    if absent:
        draft.fail("no_solutions", f"CASA found no solution for {', '.join(absent)}")
        for kind in FILES:
            remove(job.table(kind))
        return ()
    for kind in kinds:
        make_reproducible(job.table(kind))
    tables = tuple(_solved_table(job.table(kind), data) for kind in kinds)
    draft.facts |= describe_tables({table.kind: table.solutions for table in tables})
    qa, notes = measure(tables, job.options)
    draft.qa |= qa
    draft.notes += notes
    return tables


def lost_fraction(path: Path, data: NDArray[np.bool_]) -> float:
    """Return the lost fraction of all solutions for which there were data; 1 where there is no table."""
    if not path.exists():
        return 1.0
    table = _solved_table(path, data)
    return float(table.solutions.flag[table.expected].mean())


def _solved_table(path: Path, data: NDArray[np.bool_]) -> SolvedTable:
    solutions = read_solutions(path)
    return SolvedTable(solutions, _expected(solutions, data))


def _expected(solutions: Solutions, data: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which cells of a table had data, in the table's shape."""
    cells = data if solutions.kind == "B" else np.asarray(data.any(1, keepdims=True))
    return np.broadcast_to(cells[None], solutions.flag.shape)
