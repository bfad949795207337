"""Calibrations that a plan chose and of which files are missing: found before the job that would read them."""

from __future__ import annotations

from contimg import naming
from contimg.config import Config
from contimg.errors import InputError
from contimg.naming import Layout
from contimg.plan.model import Plan
from contimg.products.manifest import lost_file
from contimg.products.twin import read_twin


def lost_calibrations(layout: Layout, plan: Plan) -> dict[str, str]:
    """Return what is missing of the calibrations that jobs of a plan will read, by the calibration's id.

    Only names and sizes are looked at; jobs compare the content too. Calibrations of tiles that have been imaged are
    read by no job, and may be incomplete.
    """
    tiles = {tile for group in plan.groups.values() for tile in group.tiles}
    to_do = [
        tile for tile in tiles if not (layout.product("image", tile).exists() and layout.twin("image", tile).exists())
    ]
    needed = {name for tile in to_do if tile in plan.choices for name in plan.choices[tile].calibrations}
    needed |= {base for name in needed if (base := _bandpass_to_solve_on(layout, plan, name)) is not None}
    found = {}
    for name in sorted(needed):
        twin = layout.twin("calibration", name)
        try:
            lost = lost_file(twin, read_twin(twin))
        except InputError:  # not solved yet, or damaged, which is found elsewhere
            continue
        if lost is not None:
            found[name] = lost
    return found


def findings(config: Config, plan: Plan) -> list[str]:
    """Return a sentence for each calibration with missing files that cannot be solved again; see `damaged_twins`."""
    return [
        f"{lost}, which belongs to calibration {name}, and the files of its tile {naming.iso(name)} are not in the"
        f" inbox any more: bring either back, or have another chosen: contimg calibration withdraw {name} --reason lost"
        for name, lost in lost_calibrations(config.layout, plan).items()
        if plan.calibrations[name].tile not in plan.tiles
    ]


def _bandpass_to_solve_on(layout: Layout, plan: Plan, name: str) -> str | None:
    """Return the bandpass that a calibration still to be solved is solved on."""
    return None if layout.twin("calibration", name).exists() else plan.calibrations[name].bandpass
