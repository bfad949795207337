"""Twins that a failing disk or an editor damaged: set aside, so that the same command makes their products again.

Snakemake does not check the content of a file, so a truncated twin would fail every job that reads it in every run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from contimg import naming
from contimg.config import Config
from contimg.errors import InputError
from contimg.naming import Layout
from contimg.operations.lost_calibrations import lost_calibrations
from contimg.plan.model import Plan
from contimg.plan.standing import read_marker
from contimg.products.facts import check_facts
from contimg.products.twin import DamagedTwinError, read_twin

SUFFIX = ".damaged"
_DRY_RUN = re.compile(r"-[atkfFlSDp]*n")  # alone or after other options that take no value, as in ``-pn``


def set_aside_damaged_twins(config: Config, plan: Plan, *, dry_run: bool) -> list[str]:
    """Rename the damaged twins and markers of a plan's products, and return a sentence for each.

    Parameters
    ----------
    config : Config
    plan : Plan
    dry_run : bool
        Only say what a run would rename.
    """
    sentences = []
    for path, problem in _damaged(config.layout, plan):
        aside = path.with_name(path.name + SUFFIX)
        what = problem.partition(": delete it")[0]
        if dry_run:
            sentences.append(f"{what}: the run will set it aside as {aside.name} and make its product again")
        else:
            os.replace(path, aside)
            sentences.append(f"{what}: set aside as {aside.name}, and its product is made again")
    return sentences


def is_dry_run(words: Sequence[str]) -> bool:
    """Return whether the words of a Snakemake command ask for a dry run."""
    return any(word in ("--dry-run", "--dryrun") or _DRY_RUN.match(word) is not None for word in words)


def _damaged(layout: Layout, plan: Plan) -> Iterator[tuple[Path, str]]:
    """Give each damaged twin or marker of a plan's groups, with what is wrong with it."""
    tiles = dict.fromkeys(tile for group in plan.groups.values() for tile in group.tiles)
    for kind, names in (
        ("ms", tiles),
        ("calibrated", tiles),
        ("image", tiles),
        ("calibration", plan.calibrations),
        ("mosaic", plan.groups),
        ("crossmatch", plan.groups),
    ):
        for name in names:
            problem = _problem(layout.twin(kind, name), kind, name)
            if problem is not None:
                yield layout.twin(kind, name), problem
    for name, lost in lost_calibrations(layout, plan).items():
        if plan.calibrations[name].tile in plan.tiles:
            path = layout.twin("calibration", name)
            yield path, f"{path} describes a calibration that is not whole ({lost})"
    for group in plan.groups:
        marker = layout.twin("registered", group)
        try:
            read_marker(marker)
        except FileNotFoundError:
            continue
        except InputError as error:
            yield marker, str(error).partition(": type")[0]


def _problem(path: Path, kind: str, name: str) -> str | None:
    """Return what is wrong with a twin; None where it is whole or does not exist."""
    if not path.exists():
        return None
    try:
        twin = read_twin(path)
        check_facts(twin, path)
    except DamagedTwinError as error:
        return str(error)
    if (twin.kind, naming.iso(twin.id)) != (kind, naming.iso(name)):
        return f"{path} is the twin of {twin.kind} {twin.id}"
    return None
