"""What a person decides about a product: approve, reject, withdraw, retry; each recorded with who, when, why."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import update

from contimg import naming
from contimg.bundle.find import hidden_place
from contimg.errors import RegistryError
from contimg.publishing import markers
from contimg.publishing.checkpoints import checkpoint
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.registry.schema import data_registry
from contimg.storage import safe_files
from contimg.storage.process import operator
from contimg.times import now


def _decide(
    registry: Registry,
    data_id: str,
    version: int | None,
    *,
    allowed: tuple[str, ...],
    event: str,
    reason: str,
    values: dict[str, Any],
    hint: str,
) -> Mapping[str, Any]:
    if not reason.strip():
        raise RegistryError(f"{data_id}: no reason given: say why with --reason '...'")
    with registry.transaction(lock=data_id) as connection:
        row = queries.latest(connection, data_id, version)
        if row is not None and row["status"] in allowed:
            connection.execute(
                update(data_registry)
                .where(data_registry.c.data_id == data_id, data_registry.c.version == row["version"])
                .values(**values)
            )
            queries.add_event(connection, data_id, row["version"], event, reason)
    row = queries.get(registry, data_id, version) if row is None else row
    if row["status"] not in allowed:
        raise RegistryError(f"{data_id} version {row['version']} is {row['status']}: {hint}")
    return queries.get(registry, data_id, row["version"])


def approve(registry: Registry, data_id: str, reason: str, version: int | None = None) -> Mapping[str, Any]:
    """Let a held product be published all the same; the caller then publishes it.

    Raises
    ------
    RegistryError
        If it is not held, has no image, or no reason is given.
    """
    row = queries.get(registry, data_id, version)
    if row["status"] == "held" and not (Path(row["stage_path"]) / f"{data_id}.fits").is_file():
        raise RegistryError(f"{data_id} has no image (see {row['stage_path']}): there is nothing to publish")
    approval = {"approved_by": operator(), "approved_at": now(), "approved_reason": reason}
    return _decide(
        registry,
        data_id,
        version,
        allowed=("held",),
        event="approved",
        reason=reason,
        values={"status": "staging", "attempts": 0, "error": None, **approval},
        hint="only what is held needs an approval",
    )


def reject(
    registry: Registry, layout: naming.Layout, data_id: str, reason: str, version: int | None = None
) -> Mapping[str, Any]:
    """Refuse a product that is held or in staging, for good: only a new version can be published."""
    row = _decide(
        registry,
        data_id,
        version,
        allowed=("held", "staging"),
        event="rejected",
        reason=reason,
        values={"status": "rejected", **_closed(reason)},
        hint="only what is held or in staging can be rejected",
    )
    _mark(registry, layout, data_id)
    return row


def retry(
    registry: Registry, data_id: str, version: int | None = None, *, reason: str = "asked for by an operator"
) -> Mapping[str, Any]:
    """Forget the failed attempts of a product in staging; the caller then publishes it."""
    return _decide(
        registry,
        data_id,
        version,
        allowed=("staging", "publishing"),
        event="retry",
        reason=reason,
        values={"attempts": 0},
        hint="only what is in staging can be retried",
    )


def withdraw(
    registry: Registry, layout: naming.Layout, data_id: str, reason: str, version: int | None = None
) -> Mapping[str, Any]:
    """Hide a published product: its bundle moves to ``<products>/.withdrawn``, nothing is deleted.

    The decision is recorded first; `reconcile` moves the bundle if this process dies in between.
    """
    row = _decide(
        registry,
        data_id,
        version,
        allowed=("published",),
        event="withdrawn",
        reason=reason,
        values={"status": "withdrawn", **_closed(reason)},
        hint="only what is published can be withdrawn",
    )
    checkpoint("withdraw:recorded")
    hide(registry, layout, row)
    checkpoint("withdraw:hidden")
    _mark(registry, layout, data_id)
    return queries.get(registry, data_id, row["version"])


def _closed(reason: str) -> dict[str, Any]:
    return {"closed_at": now(), "closed_by": operator(), "closed_reason": reason}


def hide(registry: Registry, layout: naming.Layout, row: Mapping[str, Any]) -> bool:
    """Move a withdrawn product's bundle out of sight; return whether it was in sight."""
    data_id, version = row["data_id"], row["version"]
    hidden = hidden_place(layout, data_id, version)
    final = layout.bundle(data_id, version)
    source = safe_files.relative_to_root(final, layout.products, "paths.products")
    target = safe_files.relative_to_root(hidden, layout.products, "paths.products")
    with (
        safe_files.open_folder(layout.products, source.parent, create=True) as parent,
        safe_files.open_folder(layout.products, target.parent, create=True) as hidden_parent,
    ):
        moved = safe_files.exists(parent, source.name)
        if moved:
            safe_files.rename_new(parent, source.name, hidden_parent, target.name)
            os.fsync(parent)
            os.fsync(hidden_parent)
    with registry.transaction(lock=data_id) as connection:
        connection.execute(
            update(data_registry)
            .where(
                data_registry.c.data_id == data_id,
                data_registry.c.version == version,
                data_registry.c.status == "withdrawn",
            )
            .values(published_path=str(hidden))
        )
    return moved


def _mark(registry: Registry, layout: naming.Layout, data_id: str) -> None:
    content = markers.published(queries.get(registry, data_id))
    if content is not None:
        markers.write(layout, "published", content)
