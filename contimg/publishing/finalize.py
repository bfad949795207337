"""Finalizing a registered bundle: its verdict, its validation, and whether it may be published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import update

from contimg.bundle import metadata
from contimg.bundle.record import read_record
from contimg.bundle.twins import read_twins
from contimg.bundle.validation import validate
from contimg.naming import Layout
from contimg.products.twin import Reason
from contimg.publishing.checkpoints import checkpoint
from contimg.publishing.superseding import decided_before, poorer_than_before
from contimg.registry.columns import held_reasons, held_text
from contimg.registry.engine import Registry
from contimg.registry.queries import add_event, get, latest
from contimg.registry.schema import data_registry
from contimg.times import now


@dataclass(frozen=True)
class Finalized:
    """What `finalize` found: where the product stands now, and why it is held, if it is."""

    data_id: str
    version: int
    status: str
    qa_status: str
    validation_status: str
    held: tuple[dict[str, Any], ...]


def finalize(
    registry: Registry,
    layout: Layout,
    data_id: str,
    version: int,
    *,
    just_read: bool = False,
    place: Path | None = None,
) -> Finalized:
    """Set the verdict of a registered product from its bundle; a second call changes nothing.

    The verdict is that of the twins in the bundle, and no argument of the caller; the validation reads the
    bundle itself. A product that did not pass, must not be published by itself, or would replace an
    earlier version made from more or better data, is held.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    data_id : str
    version : int
    just_read : bool
        This process has just made the bundle of files that it read: only the images are read, to look at their pixels.
        (Publishing compares every byte with the manifest.)
    place : Path, optional
        Where a copy of the bundle stands, whose record may say when it was judged before; on the stage by default.

    Raises
    ------
    UnknownIdError
        If it is not registered.
    InputError, RegistryError, OSError
        If the bundle is not as it was registered, or cannot be read. Nothing is decided then.
    """
    row = get(registry, data_id, version)
    if row["finalization_status"] == "finalized":
        return _finalized(row)
    path = Path(row["stage_path"]) if place is None else place
    values = judge(
        path,
        data_id,
        row["sha256"],
        auto_publish=row["auto_publish"],
        also=[*poorer_than_before(registry, layout, row, path), *decided_before(registry, row)],
        just_read=just_read,
    )
    before = None if place is None else read_record(place).get("staged_at")
    # That it is held is said to persons, and waits for the disk. What passed goes on to its publication, which does;
    # a power cut before that undoes a verdict that is found again from the same bundle.
    with registry.transaction(lock=data_id, durable=bool(values["held_json"])) as connection:
        now_row = latest(connection, data_id, version)
        assert now_row is not None, f"{data_id} version {version} vanished from {registry.where}"
        row = now_row
        if row["finalization_status"] == "pending":
            judged = "held" if values["held_json"] else "staging"
            # What a person has rejected before it was judged stays rejected.
            status = judged if row["status"] == "staging" else row["status"]
            row = dict(row) | values | {"staged_at": before or now(), "status": status}
            connection.execute(
                update(data_registry)
                .where(data_registry.c.data_id == data_id, data_registry.c.version == version)
                .values({key: row[key] for key in (*values, "staged_at", "status")})
            )
            event = "held" if row["status"] == "held" else "finalized"
            why = held_text(row) or "verdict passed, bundle validated"
            add_event(connection, data_id, version, event, why)
    checkpoint("finalize:committed")
    return _finalized(row)


def judge(
    path: Path,
    data_id: str,
    manifest_sha256: str,
    *,
    auto_publish: bool,
    also: Sequence[Reason] = (),
    just_read: bool = False,
) -> dict[str, Any]:
    """Return the columns of the row that finalizing sets.

    Parameters
    ----------
    path : Path
        The bundle.
    data_id, manifest_sha256 : str
        What the bundle must be.
    auto_publish : bool
        False holds it also when it passed.
    also : sequence of Reason
        Further reasons to hold it.
    just_read : bool
        As for `finalize`.
    """
    problems = validate(path, data_id, manifest_sha256, just_read=just_read)
    held: list[dict[str, Any]] = [reason.model_dump(mode="json") for reason in problems]
    twins = read_twins(path, data_id)
    qa_status = metadata.verdict(twins)
    if qa_status != "passed":
        reasons = [reason for twin in twins for reason in twin.reasons]
        if not reasons:
            reasons = [Reason(code="verdict", severity=qa_status, message=f"verdict {qa_status}, no reason stated")]
        held += [reason.model_dump(mode="json") for reason in reasons]
    held += [reason.model_dump(mode="json") for reason in also]
    if not held and not auto_publish:
        held = [{"code": "auto", "message": "publish.auto is false: every mosaic waits for an approval"}]
    return {
        "qa_status": qa_status,
        "validation_status": "failed" if problems else "validated",
        "finalization_status": "finalized",
        "held_json": json.dumps(held) if held else None,
    }


def _finalized(row: Any) -> Finalized:
    held = tuple(held_reasons(row))
    return Finalized(row["data_id"], row["version"], row["status"], row["qa_status"], row["validation_status"], held)
