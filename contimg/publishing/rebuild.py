"""A row made again from a bundle of the archive, when the registry was lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.bundle import bundle
from contimg.bundle.find import hidden_place
from contimg.errors import RegistryError
from contimg.products.lineage import Lineage, Node
from contimg.publishing.finalize import judge
from contimg.registry.engine import Registry
from contimg.registry.queries import add_event, latest
from contimg.registry.rows import insert_product, new_row
from contimg.storage import safe_files
from contimg.times import now


def rebuild_row(
    registry: Registry,
    layout: naming.Layout,
    path: Path,
    data_id: str,
    version: int,
    manifest_sha256: str,
    *,
    hidden: bool,
) -> Callable[[], bool]:
    """Return the action that inserts the row of a verified bundle, with all the rows it depends on.

    The verdict is judged again from the bundle; a bundle that did not pass needs the approval that
    the publisher wrote into its ``publication.json``.

    Raises
    ------
    RegistryError
        If the bundle is not what its name says, or nothing shows that it was allowed to be published.
    """
    metadata = bundle.read_metadata(path)
    missing = {"data_id", "data_type", "synthetic", "verdict", "lineage"} - set(metadata)
    if missing:
        raise RegistryError(f"{path / bundle.METADATA} states no '{min(missing)}': move the folder away")
    if metadata["data_id"] != data_id:
        raise RegistryError(f"{path} holds {metadata['data_id']}: give it its own name")
    record = _publication(path)
    values = judge(path, data_id, manifest_sha256, auto_publish=True)
    if values["held_json"] is not None and not record.get("approved_by"):
        reasons = "; ".join(reason["message"] for reason in json.loads(values["held_json"]))
        raise RegistryError(f"{path} did not pass ({reasons}) and no approval is recorded in it: move it away")
    lineage = Lineage.from_json(metadata["lineage"], str(path / bundle.METADATA))
    mosaic = _mosaic(path, lineage, data_id)
    time = now()
    row: dict[str, Any] = new_row(
        layout, metadata, manifest_sha256, version, auto_publish=record.get("auto_publish", True)
    )
    row |= values | {
        "status": "withdrawn" if hidden else "published",
        "published_path": str(hidden_place(layout, data_id, version) if hidden else path),
        "published_at": time,
        "staged_at": record.get("staged_at") or time,
        "created_at": record.get("created_at") or time,
        "approved_by": record.get("approved_by"),
        "approved_at": record.get("approved_at"),
        "approved_reason": record.get("approved_reason"),
    }
    if hidden:
        row |= {"closed_at": time, "closed_by": "unknown", "closed_reason": "withdrawn before the registry was lost"}

    def insert() -> bool:
        with registry.transaction(lock=data_id) as connection:
            if latest(connection, data_id, version) is not None:
                return False
            insert_product(connection, row, lineage, mosaic)
            add_event(connection, data_id, version, "rebuilt", f"row made again from {path}")
        return True

    return insert


def _publication(path: Path) -> dict[str, Any]:
    """Return what the publisher noted beside the manifest; nothing when that is gone."""
    with safe_files.open_folder(path) as folder:
        try:
            return json.loads(bundle.read_file(folder, bundle.PUBLICATION))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise RegistryError(f"{path / bundle.PUBLICATION} is no JSON: remove it") from None


def _mosaic(path: Path, lineage: Lineage, data_id: str) -> Node:
    for node in lineage.of_kind("mosaic"):
        if naming.as_mosaic_id(node.twin.id) == data_id:
            return node
    raise RegistryError(f"{path / bundle.METADATA} names no mosaic {data_id} in its lineage: restore it from a copy")
