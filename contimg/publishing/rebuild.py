"""Rebuilding rows of the registry from bundles, when it was lost or is older than the archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from contimg import naming
from contimg.bundle import bundle
from contimg.bundle.find import find_bundles, find_staged, hidden_place
from contimg.bundle.record import Decision, decisions_in, is_of, last_placing, read_record
from contimg.errors import RegistryError
from contimg.products.lineage import Lineage, Node
from contimg.publishing.finalize import finalize, judge
from contimg.publishing.recording import add_decisions
from contimg.publishing.register import supersede_before
from contimg.registry.columns import held_text
from contimg.registry.engine import Registry
from contimg.registry.queries import add_event, latest, states
from contimg.registry.rows import insert_product, new_row
from contimg.registry.schema import data_registry
from contimg.storage import safe_files
from contimg.times import now


def rebuild_archived(
    registry: Registry, layout: naming.Layout, path: Path, data_id: str, version: int, manifest_sha256: str
) -> Callable[[], bool]:
    """Return the action that inserts the row of a verified bundle of the archive, with all rows it depends on.

    The verdict is judged again from the bundle; a bundle that did not pass needs the approval in its
    record. The last decision in the record tells whether it is published, rejected or withdrawn.

    Raises
    ------
    RegistryError
        If the bundle is not what its name says, or nothing shows that it was allowed to be published.
    """
    record = read_record(path)
    decisions = decisions_in(record, path)
    row, lineage, mosaic = _base(registry, layout, path, data_id, version, manifest_sha256, record)
    values = judge(path, data_id, manifest_sha256, auto_publish=True)
    approval = next((one for one in reversed(decisions) if one.decision == "approved"), None)
    if values["held_json"] is not None and approval is None:
        reasons = held_text({**row, **values})
        raise RegistryError(f"{path} did not pass ({reasons}) and no approval is recorded in it: move it away")
    row |= (
        values
        | _state(layout, path, (data_id, version), decisions, record.get("published_at"))
        | {"staged_at": record.get("staged_at") or now()}
    )
    row["held_json"] = record.get(
        "held_json", values["held_json"]
    )  # it may have been held for what an earlier version had
    if approval is not None:
        row |= {"approved_by": approval.by, "approved_at": approval.time, "approved_reason": approval.reason}

    def insert() -> bool:
        return _insert(registry, row, lineage, mosaic, decisions, path)

    return insert


def rebuild_staged(
    registry: Registry, layout: naming.Layout, path: Path, data_id: str, version: int, manifest_sha256: str
) -> Callable[[], bool]:
    """Return the action that inserts the row of a verified bundle of the stage, judged as when it was registered.

    What its record says was decided is applied afterwards, as for any row that does not know it.

    Raises
    ------
    RegistryError
        If the bundle is not what its name says.
    """
    record = read_record(path)
    row, lineage, mosaic = _base(registry, layout, path, data_id, version, manifest_sha256, record)
    judge(path, data_id, manifest_sha256, auto_publish=True)  # what cannot be judged gets no row

    def insert() -> bool:
        if not _insert(registry, row, lineage, mosaic, [], path):
            return False
        finalize(registry, layout, data_id, version)
        with registry.transaction(lock=data_id) as connection:
            supersede_before(connection, data_id, max(states(connection, data_id))[0], now())
        return True

    return insert


def _base(
    registry: Registry,
    layout: naming.Layout,
    path: Path,
    data_id: str,
    version: int,
    manifest_sha256: str,
    record: Mapping[str, Any],
) -> tuple[dict[str, Any], Lineage, Node]:
    metadata = bundle.read_metadata(path)
    missing = {"data_id", "data_type", "synthetic", "verdict", "lineage"} - set(metadata)
    if missing:
        raise RegistryError(
            f"{bundle.payload(path) / bundle.METADATA} states no '{min(missing)}': move the folder away"
        )
    if metadata["data_id"] != data_id:
        raise RegistryError(f"{path} holds {metadata['data_id']}: give it its own name")
    lineage = Lineage.from_json(metadata["lineage"], str(bundle.payload(path) / bundle.METADATA))
    auto_publish = bool(record.get("auto_publish", True))
    row = new_row(layout, metadata, manifest_sha256, version, auto_publish=auto_publish)
    row["created_at"] = record.get("created_at") or row["created_at"]
    row["doi"] = record.get("doi")
    with safe_files.open_folder(path) as folder:
        row["tags_sha256"] = record.get("tags_sha256") or bundle.tag_digest(folder)
    mosaic = _mosaic(path, lineage, data_id)
    _require_its_own(registry, layout, path, row, record)
    return row, lineage, mosaic


def _state(
    layout: naming.Layout, path: Path, key: tuple[str, int], decisions: list[Decision], first: str | None
) -> dict[str, Any]:
    """Return the columns for state and place of a bundle of the archive, from its path and the last decision.

    `first` is when it was published, as its record says.
    """
    hidden = hidden_place(layout, *key)
    last = last_placing(decisions)
    if last is not None and last.decision == "restored" and path == hidden:
        return {"status": "staging", "published_at": first}  # moved back, and then recorded, by the steps that follow
    published = {"status": "published", "published_path": str(path), "published_at": first or now()}
    if last is not None and last.decision == "rejected":
        return _closed("rejected", last)
    if last is not None and last.decision == "withdrawn":
        return published | _closed("withdrawn", last) | {"published_path": str(hidden)}
    if path == hidden:
        unknown = Decision(now(), "withdrawn", "withdrawn before the registry was lost", "unknown", "")
        return published | _closed("withdrawn", unknown)
    return published


def _closed(status: str, one: Decision) -> dict[str, Any]:
    return {"status": status, "closed_at": one.time, "closed_by": one.by, "closed_reason": one.reason}


def _insert(
    registry: Registry, row: dict[str, Any], lineage: Lineage, mosaic: Node, decisions: list[Decision], path: Path
) -> bool:
    with registry.transaction(lock=row["data_id"]) as connection:
        if latest(connection, row["data_id"], row["version"]) is not None:
            return False
        insert_product(connection, row, lineage, mosaic)
        add_decisions(connection, row, decisions)
        add_event(connection, row["data_id"], row["version"], "rebuilt", f"row made again from {path}")
    return True


def _require_its_own(
    registry: Registry, layout: naming.Layout, path: Path, row: Mapping[str, Any], record: Mapping[str, Any]
) -> None:
    """Raise where a bundle is that of another version, copied under this one's name: it would be published twice."""
    if record and not is_of(record, row):
        of = f"version {record.get('version')} of {record.get('data_id')}, manifest {record.get('sha256')}"
        raise RegistryError(
            f"{path / bundle.PUBLICATION} is that of another bundle ({of}): move the folder away if it is a copy of "
            "that one, or else restore the record from a copy"
        )
    data_id, column = row["data_id"], data_registry.c
    with registry.read() as connection:
        same = select(column.version, column.published_path).where(
            column.data_id == data_id, column.sha256 == row["sha256"]
        )
        other = connection.execute(same.order_by(column.version)).first()
    if other is not None and other.published_path == str(path):
        raise RegistryError(
            f"the registry's row of version {other.version} says that it stands there, as after a change with SQL: "
            "correct that row, or restore the registry from a backup"
        )
    if other is not None:
        raise RegistryError(f"{path} holds the files of version {other.version}: move it away")
    archived = ((place, version) for place, _, version, _ in find_bundles(layout, data_id))
    staged = ((place, version) for place, _, version in find_staged(layout, data_id))
    for place, version in (*archived, *staged):
        if version == row["version"] or bundle.manifest_digest(place) != row["sha256"]:
            continue
        if not record or is_of(read_record(place), {**row, "version": version}):  # else that one is the copy
            raise RegistryError(f"{path} and {place} are the same bundle: move the one away that is a copy")


def _mosaic(path: Path, lineage: Lineage, data_id: str) -> Node:
    for node in lineage.of_kind("mosaic"):
        if naming.as_mosaic_id(node.twin.id) == data_id:
            return node
    raise RegistryError(
        f"{bundle.payload(path) / bundle.METADATA} names no mosaic {data_id} in its lineage: restore it from a copy"
    )
