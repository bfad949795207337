"""Whether a new version may be published without a person: with data that are no poorer, and that nobody took away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contimg.bundle.find import read_lineage
from contimg.bundle.quality import measure, poorer
from contimg.errors import ContimgError
from contimg.naming import Layout
from contimg.products.twin import Reason
from contimg.publishing.commands import approve_command
from contimg.publishing.places import Places
from contimg.registry import queries
from contimg.registry.engine import Registry


def rival(registry: Registry, data_id: str, version: int) -> Mapping[str, Any] | None:
    """Return the earlier version that a new one would replace: the latest published, or else the latest that passed.

    One whose published bundle was lost, and is to be published again, counts as published. A version that passed and
    was not published yet is superseded when the next one is registered; it counts, since the next one would go into the
    archive in its stead.
    """
    earlier = [row for row in queries.versions(registry, data_id) if row["version"] < version]
    published = [row for row in earlier if row["status"] in ("published", "staging", "publishing")]
    passed = [row for row in earlier if row["status"] == "superseded" and row["qa_status"] == "passed"]
    return next(reversed(published or passed), None)


def poorer_than_before(registry: Registry, layout: Layout, row: Mapping[str, Any], path: Path) -> list[Reason]:
    """Return the reasons why a registered version must not replace the one before it without a person.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    row : mapping
        The row of the new version.
    path : Path
        Where a copy of its bundle stands.

    Raises
    ------
    InputError, OSError
        If the new bundle cannot be read. One of an earlier version that is lost or damaged is a reason; a disk that
        cannot read it is not, as it may the next time.
    """
    before = rival(registry, row["data_id"], row["version"])
    if before is None:
        return []
    _, lineage, mosaic = read_lineage(path)
    new = measure(lineage, mosaic)
    command = approve_command(row)
    failed = None
    while before is not None:
        named = Path(before["published_path"] or before["stage_path"])
        try:
            _, lineage, mosaic = read_lineage(Places.of(layout, before).found(named))
            return poorer(new, measure(lineage, mosaic), before["version"], command)
        except (ContimgError, FileNotFoundError, NotADirectoryError) as error:
            if failed == before:  # twice: it was not moved or withdrawn since its row was read
                message = f"version {before['version']} cannot be compared with ({error}): {command}"
                return [Reason(code="poorer_unknown", severity="warning", message=message)]
            failed, before = before, rival(registry, row["data_id"], row["version"])
    return []


def decided_before(registry: Registry, row: Mapping[str, Any]) -> list[Reason]:
    """Return the reason why a version waits for a person whose very bytes a person has rejected or withdrawn before.

    They are made again when a mosaic is made from an earlier set of inputs once more, or by a process that was stopped.
    """
    closed = [
        one
        for one in queries.versions(registry, row["data_id"])
        if one["version"] != row["version"] and one["sha256"] == row["sha256"]
        if one["status"] in ("rejected", "withdrawn")
    ]
    if not closed:
        return []
    last = closed[-1]
    message = (
        f"it is byte for byte version {last['version']}, which {last['closed_by']} has {last['status']} "
        f"({last['closed_reason']}): {approve_command(row)}"
    )
    return [Reason(code="decided_before", severity="warning", message=message)]
