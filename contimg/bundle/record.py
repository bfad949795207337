"""A bundle's own record: what persons decided about it, in ``publication.json`` beside the manifest.

The record goes with the bundle, wherever it is moved, so that rows *and* decisions can be rebuilt when the
registry is lost or older than the archive. It is no part of the manifest: a decision changes no pixel.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from contimg.bundle.bundle import PUBLICATION, json_bytes, put_file, read_file
from contimg.errors import RegistryError
from contimg.storage import safe_files
from contimg.storage.process import part_name

KINDS = ("approved", "rejected", "withdrawn", "restored")


@dataclass(frozen=True, order=True)
class Decision:
    """What a person decided about one version of a mosaic: when [UTC], what, why, who and where."""

    time: str
    decision: str
    reason: str
    by: str
    host: str


def read_record(path: Path) -> dict[str, Any]:
    """Return the record of the bundle at a path; empty when it has none.

    Raises
    ------
    RegistryError
        If it cannot be understood.
    """
    with safe_files.open_folder(path) as folder:
        try:
            content = json.loads(read_file(folder, PUBLICATION))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            raise RegistryError(f"{path / PUBLICATION} is no JSON: restore it from a copy, or remove it") from None
    if not isinstance(content, dict):
        raise RegistryError(f"{path / PUBLICATION} holds no JSON object: restore it from a copy, or remove it")
    decisions_in(content, path)
    return content


def decisions_in(record: Mapping[str, Any], path: Path) -> list[Decision]:
    """Return the decisions of a record, the oldest first; `path` is the bundle's, for messages.

    Raises
    ------
    RegistryError
        If one of them is none.
    """
    listed = record.get("decisions")
    if listed is None and record.get("approved_by"):  # written before records held decisions
        keys = ("approved_at", "approved_reason", "approved_by")
        time, reason, by = (str(record.get(key) or "") for key in keys)
        listed = [asdict(Decision(time, "approved", reason, by, ""))]
    names = {field.name for field in fields(Decision)}
    found = []
    for entry in listed or [] if isinstance(listed, list | None) else [None]:
        if not isinstance(entry, dict) or set(entry) != names or not all(isinstance(v, str) for v in entry.values()):
            raise RegistryError(f"{path / PUBLICATION} holds a decision that is none: restore it from a copy")
        if entry["decision"] not in KINDS:
            raise RegistryError(f"{path / PUBLICATION} holds an unknown decision '{entry['decision']}': update contimg")
        found.append(Decision(**entry))
    return sorted(found)


def with_decisions(record: Mapping[str, Any], decisions: Iterable[Decision]) -> dict[str, Any]:
    """Return a record with these decisions."""
    return dict(record) | {"decisions": [asdict(one) for one in sorted(set(decisions))]}


def write_record(root: Path, path: Path, key: str, content: Mapping[str, Any]) -> None:
    """Replace the record of the bundle at a path below a root, down to the disk, whole or not at all.

    The temporary file stands beside the bundle: a process that dies leaves nothing in it.
    """
    relative = safe_files.relative_to_root(path, root, key)
    with (
        safe_files.open_folder(root, relative.parent) as parent,
        safe_files.open_folder(root, relative) as folder,
    ):
        part = part_name(f"{relative.name}.{PUBLICATION}")
        safe_files.remove_tree(parent, part)
        try:
            put_file(parent, part, json_bytes(content))
            os.rename(part, PUBLICATION, src_dir_fd=parent, dst_dir_fd=folder)
        except BaseException as error:
            safe_files.remove_tree(parent, part)
            if isinstance(error, OSError):
                error.filename = str(path / PUBLICATION)  # and not the temporary one
            raise
        os.fsync(folder)
        os.fsync(parent)
