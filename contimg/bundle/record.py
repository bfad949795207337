"""A bundle's own record: what persons decided about it, in ``publication.json`` beside the manifest.

The record is moved and copied with the bundle, so that rows and decisions of the registry can be rebuilt when it is
lost or older than the archive. The manifest does not list it, since a decision changes no product.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Json, ValidationError

from contimg.bundle.bundle import MANIFEST, PUBLICATION, json_bytes, put_file, read_file
from contimg.config.key_types import DOI_PATTERN
from contimg.errors import RegistryError
from contimg.storage import safe_files, trees
from contimg.storage.process import one_line, part_name

_TIME = re.compile(r"2[01]\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)


def _time(text: str) -> str:
    """Return a time of a record; raise ValueError where it is none, also for one of centuries from now."""
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"{text!a} is no time")
    datetime.fromisoformat(text)
    return text


_Time = Annotated[str, AfterValidator(_time)]
PLACING = ("approved", "rejected", "withdrawn", "restored")  # that say where a bundle belongs
KINDS = (*PLACING, "cited")
_SAID = 5  # so many decisions are named in a sentence


@dataclass(frozen=True, order=True)
class Decision:
    """What a person decided about one version of a mosaic. Decisions are ordered by time.

    Attributes
    ----------
    time : str
        UTC, ``YYYY-MM-DDTHH:MM:SS.mmmZ``.
    decision : str
        One of `KINDS`.
    reason, by, host : str
        Why (of ``cited``, the DOI), the person's login name, and the machine.
    """

    time: str
    decision: str
    reason: str
    by: str
    host: str


class _Form(BaseModel):
    """The types of what rows are rebuilt from; `contimg.publishing.recording.publication` writes it."""

    model_config = ConfigDict(strict=True)

    data_id: str | None = None
    version: int | None = None
    sha256: str | None = None
    qa_status: str | None = None
    validation_status: str | None = None
    auto_publish: bool | None = None
    doi: str | None = None
    held_json: Json[list[dict[str, Any]]] | None = None
    created_at: _Time | None = None
    staged_at: _Time | None = None
    published_at: _Time | None = None
    tags_sha256: str | None = None
    approved_by: str | None = None
    approved_at: _Time | None = None
    approved_reason: str | None = None


def read_record(path: Path) -> dict[str, Any]:
    """Return the record of the bundle at a path; empty when it has none.

    Raises
    ------
    RegistryError
        If it is not JSON, of another form, or holds something that is not a decision.
    """
    with safe_files.open_folder(path) as folder:
        try:
            text = read_file(folder, PUBLICATION)
        except FileNotFoundError:
            return {}
    return parse_record(text, path)


def parse_record(text: bytes, path: Path) -> dict[str, Any]:
    """Return the content of a bundle's record; `path` is the bundle's, for messages. Raises as `read_record` does."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise RegistryError(f"{path / PUBLICATION} is no JSON: restore it from a copy, or remove it") from None
    if not isinstance(content, dict):
        raise RegistryError(f"{path / PUBLICATION} holds no JSON object: restore it from a copy, or remove it")
    try:
        _Form.model_validate(content)
    except (ValidationError, RecursionError) as error:
        first = str(error.errors(include_url=False)[0]["loc"][0]) if isinstance(error, ValidationError) else "held_json"
        raise RegistryError(
            f"{path / PUBLICATION} is damaged ('{first}'): restore it from a copy, or remove it"
        ) from None
    decisions_in(content, path)
    return content


def is_of(record: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Return whether a record is that of a row: of the same id, version and manifest."""
    return all(record.get(key) == row[key] for key in ("data_id", "version", "sha256"))


def decisions_in(record: Mapping[str, Any], path: Path) -> list[Decision]:
    """Return the decisions of a record, the oldest first; `path` is the bundle's, for messages.

    Raises
    ------
    RegistryError
        If an entry is not a decision, or of a kind that this version of contimg does not know.
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
        one = Decision(**entry)
        if one.decision not in KINDS:
            raise RegistryError(
                f"{path / PUBLICATION} holds an unknown decision '{one_line(one.decision)}': update contimg"
            )
        if not is_decision(one):
            what = "DOI" if one.decision == "cited" and is_time(one.time) else "decision"
            raise RegistryError(f"{path / PUBLICATION} holds a {what} that is none: restore it from a copy")
        found.append(one)
    return sorted(found)


def is_decision(one: Decision) -> bool:
    """Return whether a record may hold a decision: of a known kind, at a time, in single lines; a DOI where cited."""
    in_lines = all(text.isprintable() for text in vars(one).values())
    is_cited = one.decision != "cited" or re.fullmatch(DOI_PATTERN, one.reason) is not None
    return one.decision in KINDS and in_lines and is_time(one.time) and is_cited


def last_placing(decisions: Iterable[Decision]) -> Decision | None:
    """Return the last decision that says where a bundle belongs; None where there is none."""
    return max((one for one in decisions if one.decision in PLACING), default=None)


def unknown_to(known: Collection[Decision], found: Iterable[Decision]) -> list[Decision]:
    """Return those of the decisions in `found` that are not among `known`, the oldest first.

    An approval without a host comes from a record of before records held decisions: any approval is that one.
    """
    approved = any(one.decision == "approved" for one in known)
    new = set(found) - set(known)
    return sorted(one for one in new if not (approved and one.decision == "approved" and one.host == ""))


def said(decisions: Iterable[Decision]) -> str:
    """Return decisions as words of a sentence; of many the last ones, and how many came before."""
    listed = list(decisions)
    before = len(listed) - _SAID
    words = ", ".join(f"{one.by} has {one.decision} it on {one.time}" for one in listed[-_SAID:])
    return f"{words} (and {before} decision{'s' if before > 1 else ''} before)" if before > 0 else words


def is_time(text: str) -> bool:
    """Return whether a text is a time that a record may hold: UTC, of these two centuries."""
    try:
        _time(text)
    except ValueError:
        return False
    return True


def with_decisions(record: Mapping[str, Any], decisions: Iterable[Decision]) -> dict[str, Any]:
    """Return a copy of a record that holds these decisions, each once, the oldest first."""
    return dict(record) | {"decisions": [dict(vars(one)) for one in sorted(set(decisions))]}


def _is_read_only(folder: int) -> bool:
    """Return whether a bundle's files are read-only, as its manifest shows: the record is then too."""
    try:
        return not os.stat(MANIFEST, dir_fd=folder).st_mode & 0o222
    except FileNotFoundError:
        return False


def write_record(root: Path, path: Path, key: str, content: Mapping[str, Any]) -> None:
    """Replace the record of a bundle, atomically, and fsync it.

    The temporary file stands beside the bundle, so that a process that dies leaves nothing in the bundle.

    Parameters
    ----------
    root : Path
        The stage or the archive.
    path : Path
        The bundle, below the root.
    key : str
        The key of the configuration that names the root, for messages.
    content : mapping
        The whole record.

    Raises
    ------
    RegistryError
        If the bundle is not below the root, or behind a symlink.
    OSError
        If it cannot be written; the old record is then as it was.
    """
    relative = safe_files.relative_to_root(path, root, key)
    with (
        safe_files.open_folder(root, relative.parent) as parent,
        safe_files.open_folder(root, relative) as folder,
    ):
        part = part_name(f"{relative.name}.{PUBLICATION}")
        trees.remove_tree(parent, part)
        try:
            put_file(parent, part, json_bytes(content), read_only=_is_read_only(folder))
            os.rename(part, PUBLICATION, src_dir_fd=parent, dst_dir_fd=folder)
        except BaseException as error:
            trees.remove_tree(parent, part)
            if isinstance(error, OSError):
                error.filename = str(path / PUBLICATION)  # and not the temporary one
            raise
        safe_files.fsync(folder)
        safe_files.fsync(parent)
