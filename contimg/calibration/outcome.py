"""What is gathered on the way to a calibration's twin, and what both ways of solving share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.calibration import reference_antenna, working_copy
from contimg.calibration.caltables import FILES, Solutions, make_reproducible, read_solutions
from contimg.calibration.previous_bandpass import compare_with_previous
from contimg.calibration.quality import assess
from contimg.config import CalibrationOptions
from contimg.measurement_set import Visibilities
from contimg.products.draft import TwinDraft
from contimg.products.manifest import read_product
from contimg.storage.atomic import remove


def has_data(vis: Visibilities, work: TwinDraft) -> bool:
    """Tell whether anything was received and not flagged; if not, that is a reason."""
    if (~vis.flag & (vis.weight > 0) & (vis.data != 0)).any():
        return True
    work.fail("no_data", "every visibility of the tile is flagged or zero", 1.0, 1.0)
    return False


def data_cells(vis: Visibilities) -> NDArray[np.bool_]:
    """Tell which antennas, channels and polarisations (nant, nchan, npol) have data at all."""
    good = ~vis.flag & (vis.weight > 0)
    cells = np.zeros((len(vis.antenna_names), *good.shape[1:]), bool)
    for antenna in range(len(cells)):
        mine = (vis.antenna1 == antenna) | (vis.antenna2 == antenna)
        if mine.any():
            cells[antenna] = good[mine].any(0)
    return cells


def write_scratch(part: Path, vis: Visibilities, model: NDArray[np.complex64], noise: NDArray[np.float64]) -> Path:
    """Write the working copy into a folder inside the unfinished product."""
    scratch = part / "scratch"
    scratch.mkdir()
    working_copy.set_true_weights(vis, noise)
    working_copy.write(scratch / "solve.ms", vis, model)
    return scratch


def _expected(solutions: Solutions, data: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which cells of a table had data, in the table's shape."""
    cells = data if solutions.kind == "B" else data.any(1, keepdims=True)
    return np.broadcast_to(cells[None], solutions.flag.shape)


def lost_fraction(table: Path, data: NDArray[np.bool_]) -> float:
    """Return the fraction of solutions lost, of all that had data; 1 when there is no table."""
    if not table.exists():
        return 1.0
    solutions = read_solutions(table)
    expected = _expected(solutions, data)
    return float(solutions.flag[expected].mean())


def finish(
    part: Path,
    work: TwinDraft,
    antennas: reference_antenna.ReferenceAntenna,
    data: NDArray[np.bool_],
    options: CalibrationOptions,
    kinds: tuple[str, ...],
) -> None:
    """Read what CASA wrote, measure it and judge it."""
    work.facts |= {"refant": antennas.names[0], "refant_reason": antennas.reason}
    work.facts["refant_list"] = list(antennas.names)
    absent = [kind for kind in kinds if not (part / FILES[kind]).exists()]
    if absent:
        work.fail("no_solutions", f"CASA found no solution for {', '.join(absent)}")
        for name in FILES.values():
            remove(part / name)
        return
    for kind in kinds:
        make_reproducible(part / FILES[kind])
    solutions = [read_solutions(part / FILES[kind]) for kind in kinds]
    work.facts["files"] = {kind: FILES[kind] for kind in kinds}
    qa, reasons, notes = assess(solutions, [_expected(s, data) for s in solutions], options)
    work.qa |= qa
    work.reasons += reasons
    work.notes += notes


def judge_against(part: Path, work: TwinDraft, previous: Path | None, options: CalibrationOptions) -> None:
    """Compare a bandpass with the certified one before it. What it was compared with is a fact, not an input:
    solutions do not depend on it, and a set before that is made again does not make this one out of date.
    """
    if work.facts["type"] != "bandpass" or not (part / FILES["G"]).exists():
        return
    work.facts["compared_with"] = None
    if previous is None:
        work.notes.append("no certified bandpass before it in reach: compared with none")
        return
    before, known = read_product(previous)
    work.facts["compared_with"] = {"id": before.id, "sha256": known.sha256}
    qa, reasons, notes = compare_with_previous(part, Path(previous).with_suffix(""), before, options)
    work.qa |= qa
    work.reasons += reasons
    work.notes += notes
