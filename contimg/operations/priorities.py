"""Which job begins first where cores are scarce: the oldest group's, and of these the one nearest to its mosaic.

Snakemake would else convert every tile before it solves a calibration on one: cores idle while the last calibration of
a group is solved, Measurement Sets pile up, and no mosaic is there before nearly all are.
"""

from __future__ import annotations

from collections.abc import Iterator

from contimg import naming
from contimg.plan.model import Plan, PlannedCalibration

OF_GROUPS = ("mosaic_group", "crossmatch_mosaic", "summarise_mosaic", "register_mosaic", "publish_mosaic")
"""The rules of a whole group."""
STEPS = ("convert_tile", "solve_calibration", "apply_calibration", "image_tile", *OF_GROUPS)
"""The rules, in the order of a tile's way to the archive."""
_OF_A_GROUP = 100
_SOLVED_ON = 5
_BETWEEN = 10


def priorities(plan: Plan) -> dict[tuple[str, str], int]:
    """Return the priority of each job of a plan, by its rule and the stem of its tile, calibration or mosaic.

    A tile or calibration that several groups need has the priority of the oldest. Tiles on which a calibration is
    solved are converted before the others of their group, as all of these wait for it.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    dict of (str, str) to int
        By rule and stem (`naming.stem`); a job that is not in it has the priority 0.
    """
    found: dict[tuple[str, str], int] = {}
    for place, name in enumerate(sorted(plan.groups, reverse=True), 1):  # the oldest group last: it has the last word
        group, urgency = plan.groups[name], place * _OF_A_GROUP
        for rule in OF_GROUPS:
            found[rule, naming.stem(group.id)] = urgency + _step(rule)
        for tile in group.tiles:
            for rule in ("convert_tile", "apply_calibration", "image_tile"):
                found[rule, naming.stem(tile)] = urgency + _step(rule)
        for calibration in {one for tile in group.tiles for one in _needed(plan, tile)}:
            found["solve_calibration", naming.stem(calibration.id)] = urgency + _step("solve_calibration")
            found["convert_tile", naming.stem(calibration.tile)] = urgency + _SOLVED_ON
    return found


def _step(rule: str) -> int:
    return STEPS.index(rule) * _BETWEEN


def _needed(plan: Plan, tile: str) -> Iterator[PlannedCalibration]:
    """Give the calibrations that a tile waits for: those that are applied, and the bandpasses that gains rest on."""
    names = list(plan.choices[tile].calibrations) if tile in plan.choices else []
    while names:
        calibration = plan.calibrations.get(names.pop())
        if calibration is not None:
            yield calibration
            names += [calibration.bandpass] if calibration.bandpass else []
