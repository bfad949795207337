"""Checks before the first job of a run, and by ``snakemake -n``, of everything that would stop it later.

Roots and registry, files of reference data, and options that the planned data cannot be imaged with; all findings are
reported together. Visibilities are never opened, and results on files are cached by content (`references`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from contimg import naming
from contimg.config import Config
from contimg.errors import ConfigError, ContimgError
from contimg.operations import lost_calibrations, references, room_for_plan
from contimg.operations.imaging_options import imaging_findings
from contimg.operations.job_log import sentence
from contimg.plan import observe
from contimg.plan.model import Plan
from contimg.publishing.archive_marker import foreign, place_here, read_marker, second_archive, unmounted
from contimg.storage.filesystem import refuse_network
from contimg.storage.safe_files import link_on_the_way


def checked_plan(config: Config, *, local: bool = True) -> Plan:
    """Return the plan of the groups that there is room for; raise an error where a job would fail later.

    Parameters
    ----------
    config : Config
    local : bool
        The jobs run on this machine: its memory and its programs are checked too.

    Raises
    ------
    ConfigError
        With one sentence for each finding.
    """
    known = references.Known(config.layout.cache)
    found = _findings([lambda: _switches(config), lambda: _roots(config), lambda: _registry(config)])
    found += _findings([lambda: references.findings(config, known)])
    try:
        plan = observe.current_plan(config)
    except (ContimgError, OSError) as error:
        message = one_sentence(error)
        known_paths = [word.rstrip(",:") for text in found for word in text.split() if word.startswith("/")]
        raise _refusal(found if any(path in message for path in known_paths) else [*found, message]) from None
    found += _findings(
        [
            lambda: references.strip_findings(config, plan, known),
            lambda: imaging_findings(config, plan, known, local=local),
            lambda: lost_calibrations.findings(config, plan),
            lambda: _places(config, plan),
            lambda: room_for_plan.findings(config, plan),
        ]
    )
    known.save()
    if found:
        raise _refusal(found)
    return room_for_plan.within_room(config, plan)


def one_sentence(error: Exception) -> str:
    """Return an error as the sentence that is meant for a person."""
    return sentence(error)


def _findings(checks: Sequence[Callable[[], list[str]]]) -> list[str]:
    """Return the findings of some checks; a check that cannot be made is a finding itself."""
    found: list[str] = []
    for check in checks:
        try:
            found += check()
        except (ContimgError, OSError) as error:
            found.append(one_sentence(error))
    return found


def _refusal(found: list[str]) -> ConfigError:
    """Return the error that lists all findings, each once."""
    different = list(dict.fromkeys(found))
    if len(different) == 1:
        return ConfigError(different[0])
    return ConfigError("\n  ".join([f"nothing was started, for {len(different)} reasons:", *different]))


def _switches(config: Config) -> list[str]:
    """Return a sentence for each key that needs another key."""
    if config.crossmatch.enabled and config.sky.catalogue is None:
        return ["crossmatch.enabled needs a catalogue: name one in sky.catalogue, or set crossmatch.enabled to false"]
    return []


def _roots(config: Config) -> list[str]:
    """Return a sentence for each root that this user cannot write or create."""
    found = []
    for name in ("stage", "products", "state"):
        root: Path = getattr(config.paths, name)
        key = f"paths.{name}"
        place = root
        while not place.exists() and not place.is_symlink() and place != place.parent:
            place = place.parent
        what = f"{key} {root}" + ("" if place == root else f" cannot be made, as {place}")
        if not place.is_dir():
            found.append(f"{what} is no folder: correct {key}")
        elif os.statvfs(place).f_flag & os.ST_RDONLY:
            found.append(f"{what} is on a filesystem that is mounted read-only: mount it for writing or correct {key}")
        elif not os.access(place, os.W_OK | os.X_OK):
            found.append(f"{what} cannot be written by this user: give write permission or correct {key}")
    return found


def _places(config: Config, plan: Plan) -> list[str]:
    """Return a sentence for each thing that stands where products of the plan need a folder of a kind or date."""
    layout = config.layout
    of_tiles = (layout.product(kind, tile) for tile in plan.tiles for kind in naming.KINDS)
    of_groups = (layout.product(kind, group) for group in plan.groups for kind in naming.KINDS)
    needed = {folder for product in (*of_tiles, *of_groups) for folder in (product.parent, product.parent.parent)}
    wrong = sorted(place for place in needed if not place.is_dir() and os.path.lexists(place))
    said = [f"{place} is no folder, and products belong into it: move it away" for place in wrong]
    # Nothing outside the roots is written, and retention removes nothing there: a disk is mounted instead.
    needed.add(layout.stage / "groups")
    links = {link_on_the_way(layout.stage, place, "stage") for place in needed if place.is_dir()}
    return said + sorted(link for link in links if link is not None)


def _registry(config: Config) -> list[str]:
    """Return why the registry cannot be reached; an SQLite file is opened directly, without loading SQLAlchemy."""
    if config.registry.url is not None:
        from contimg.publishing import archive_root
        from contimg.registry.engine import open_registry

        with contextlib.closing(open_registry(config)) as registry:
            archive_root.require(registry, config.layout, change=False)
        return []
    file = config.layout.registry_file
    refuse_network(file)
    marker, found = read_marker(config.layout), None
    if file.exists():
        try:
            found = _identity(file)
        except sqlite3.Error as error:
            return [f"registry {file} cannot be read ({error}): restore it, or move it away and type contimg reconcile"]
    if marker is None and found is not None and found[1] is not None:
        raise unmounted(config.layout, str(file), found[1])
    same = marker is not None and found is not None and found[0] == marker["registry"]
    if marker is not None and marker["place"] != place_here(file):
        raise foreign(config.layout, str(file), marker, copied=same)
    if marker is not None and found is not None and not same and _has_rows(file):
        raise foreign(config.layout, str(file), marker, copied=False, in_place=True)
    if found is not None and same and (copied := second_archive(config.layout, str(file), found[0], found[2])):
        raise copied
    return []


def _identity(file: Path) -> tuple[str, str | None, str | None] | None:
    """Return the UUID of an SQLite registry, since when it has an archive, and where; None before it has an identity.

    Where is None of a registry of before schema 9, which the run upgrades when it opens it.
    """
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if "registry_identity" not in tables:
            return None
        columns = {row[1] for row in database.execute("PRAGMA table_info(registry_identity)")}
        root = "archive_root" if "archive_root" in columns else "NULL"
        found: tuple[str, str | None, str | None] | None = database.execute(
            f"SELECT uuid, archive_since, {root} FROM registry_identity"
        ).fetchone()
        return found


def _has_rows(file: Path) -> bool:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as database:
        return database.execute("SELECT 1 FROM data_registry LIMIT 1").fetchone() is not None
