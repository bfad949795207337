"""The markers ``registered`` and ``published``: the workflow's final targets, JSON with content.

The content of a marker follows from the registry's row alone, so that writing it again changes nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contimg.naming import Layout
from contimg.publishing.commands import approve_command, reject_command
from contimg.registry import queries
from contimg.registry.columns import held_text, summary
from contimg.registry.engine import Registry
from contimg.storage import safe_files
from contimg.storage.atomic import write_json
from contimg.storage.json_files import read_json

_FINAL = ("published", "held", "rejected", "withdrawn")


def registered(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the marker of a registered product."""
    verdict = summary(row)["verdict"]["verdict"]
    return _content(
        row,
        status="registered",
        path=row["stage_path"],
        time=row["created_at"],
        message=f"registered as version {row['version']} with verdict {verdict}",
    )


def published(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the marker of a product that reached an outcome; None when it has not.

    For a row of `newest` the message also says which earlier version stays the current one.
    """
    status = row["status"]
    if status not in _FINAL:
        return None
    if status == "published":
        approval = f", approved by {row['approved_by']}: {row['approved_reason']}" if row["approved_by"] else ""
        return _content(
            row,
            status=status,
            path=row["published_path"],
            time=row["published_at"],
            message=f"published as version {row['version']}{approval}",
        )
    current = row.get("current_version")
    stays = f"; version {current} is the current one" if current is not None else ""
    if status == "held":
        message = (
            f"held: {held_text(row)}{stays}. To publish it all the same: {approve_command(row)}; "
            f"to refuse it: {reject_command(row)}"
        )
        return _content(row, status=status, path=row["stage_path"], time=row["staged_at"], message=message)
    path = row["published_path"] if status == "withdrawn" else row["stage_path"]
    message = f"{status} by {row['closed_by']}: {row['closed_reason']}{stays}"
    return _content(row, status=status, path=path, time=row["closed_at"], message=message)


def newest(registry: Registry, data_id: str) -> dict[str, Any]:
    """Return the row of a product's newest version, with the number of the current one as ``current_version``.

    Raises
    ------
    UnknownIdError
        If it is not registered.
    """
    return dict(queries.get(registry, data_id)) | {"current_version": queries.current_version(registry, data_id)}


CONTENT: dict[str, Callable[[Mapping[str, Any]], dict[str, Any] | None]] = {
    "registered": registered,
    "published": published,
}


def _content(row: Mapping[str, Any], *, status: str, path: str, time: str, message: str) -> dict[str, Any]:
    return {
        "data_id": row["data_id"],
        "version": row["version"],
        "status": status,
        "manifest_sha256": row["sha256"],
        "path": path,
        "time": time,
        "message": message,
    }


def place(layout: Layout, kind: str, data_id: str) -> Path:
    """Return where a marker stands."""
    return layout.twin(kind, data_id)


def write(layout: Layout, kind: str, content: Mapping[str, Any]) -> None:
    """Write a marker unless it has the same content already."""
    path = place(layout, kind, content["data_id"])
    if read_json(path) != content:
        relative = safe_files.relative_to_root(path, layout.stage, "paths.stage")
        with safe_files.open_folder(layout.stage, relative.parent, create=True):
            write_json(path, content)


def write_published(registry: Registry, layout: Layout, data_id: str) -> None:
    """Write the marker of a product's newest version, if that has reached an outcome."""
    content = published(newest(registry, data_id))
    if content is not None:
        write(layout, "published", content)


def remove(layout: Layout, kind: str, data_id: str) -> None:
    """Remove a marker if it exists, so that the workflow makes it again."""
    relative = safe_files.relative_to_root(place(layout, kind, data_id), layout.stage, "paths.stage")
    with contextlib.suppress(FileNotFoundError), safe_files.open_folder(layout.stage, relative.parent) as folder:
        os.unlink(relative.name, dir_fd=folder)
