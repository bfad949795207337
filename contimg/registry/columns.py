"""Reading the columns of a row that hold JSON, and finding what is wrong with a damaged row.

Somebody may have edited the database, or its disk may have changed it, in a way that no constraint of the schema sees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contimg import naming
from contimg.bundle import metadata_schema
from contimg.bundle.record import is_time
from contimg.errors import ContimgError, RegistryError
from contimg.storage.json_files import parse_json
from contimg.storage.process import one_line

# When a bundle was last verified is not among them: who cannot read it reads the bundle.
_TIMES = ("created_at", "staged_at", "published_at", "closed_at", "approved_at")


def json_column(row: Mapping[str, Any], column: str) -> Any:
    """Return the content of a column that holds JSON; None where it holds nothing.

    Raises
    ------
    RegistryError
        If it is not JSON.
    """
    if row[column] is None:
        return None
    try:
        return parse_json(row[column])
    except (ValueError, TypeError) as error:
        raise damaged(row, f"{column} ({error})") from None


def held_reasons(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the reasons why a mosaic is held: each with ``code`` and ``message``; none where it is not.

    Raises
    ------
    RegistryError
        If the column holds something else.
    """
    reasons = json_column(row, "held_json") or []
    if not isinstance(reasons, list) or not all(map(_is_reason, reasons)):
        raise damaged(row, "held_json")
    return reasons


def _is_reason(one: object) -> bool:
    return isinstance(one, dict) and isinstance(one.get("message"), str) and isinstance(one.get("code", ""), str)


def held_text(row: Mapping[str, Any]) -> str:
    """Return the reasons why a mosaic is held as one text; see `held_reasons`."""
    return "; ".join(str(reason["message"]) for reason in held_reasons(row))


def summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a mosaic that its row holds, with the keys ``verdict`` and ``synthetic``.

    Raises
    ------
    RegistryError
        If the column holds something else.
    """
    try:
        content = metadata_schema.parse(row["metadata_json"].encode())
    except (ValueError, AttributeError) as error:
        raise damaged(row, f"metadata_json (it {error})") from None
    if "synthetic" not in content or "reasons" not in (content.get("verdict") or {}):
        raise damaged(row, "metadata_json")
    return content


def damage(row: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a row of ``data_registry``, as a sentence with a remedy; None where all is well."""
    try:
        if naming.as_mosaic_id(row["data_id"]) != row["data_id"]:
            return str(damaged(row, "data_id"))
    except ContimgError:
        return str(damaged(row, "data_id"))
    for column in ("stage_path", "published_path"):
        if ".." in str(row[column]).split("/"):
            return str(damaged(row, column))
    if re.fullmatch(r"[0-9a-f]{64}", str(row["sha256"])) is None:
        return str(damaged(row, "sha256"))
    if not isinstance(row["claim_expires_unix_s"], int | float | None):
        return str(damaged(row, "claim_expires_unix_s"))
    if not isinstance(row["attempts"], int):  # SQLite keeps any text in any column
        return str(damaged(row, "attempts"))
    for column in _TIMES:
        if row[column] is not None and not is_time(str(row[column])):
            return str(damaged(row, column))
    try:
        held_reasons(row)
        summary(row)
    except RegistryError as error:
        return str(error)
    return None


def damaged(row: Mapping[str, Any], what: str) -> RegistryError:
    """Return the error that a row is damaged in a column."""
    return RegistryError(
        f"the registry's row of {one_line(str(row['data_id']))} version {row['version']} is damaged in its column "
        f"{what}: restore the registry from a backup"
    )
