"""Reading the columns of a row that hold JSON, and finding what is wrong with a damaged row.

Somebody may have edited the database, or its disk may have changed it, in a way that no constraint of the schema sees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contimg import naming
from contimg.errors import ContimgError, RegistryError
from contimg.registry.schema import QA_STATUSES
from contimg.storage.json_files import parse_json
from contimg.storage.process import one_line


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
        raise _damaged(row, f"{column} ({error})") from None


def held_reasons(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the reasons why a mosaic is held: each with ``code`` and ``message``; none where it is not.

    Raises
    ------
    RegistryError
        If the column holds something else.
    """
    reasons = json_column(row, "held_json") or []
    if not isinstance(reasons, list) or not all(isinstance(one, dict) and "message" in one for one in reasons):
        raise _damaged(row, "held_json")
    return reasons


def held_text(row: Mapping[str, Any]) -> str:
    """Return the reasons why a mosaic is held as one text; see `held_reasons`."""
    return "; ".join(str(reason["message"]) for reason in held_reasons(row))


def summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a mosaic that its row holds, with the key ``verdict``.

    Raises
    ------
    RegistryError
        If the column holds something else.
    """
    content = json_column(row, "metadata_json")
    verdict = content.get("verdict") if isinstance(content, dict) else None
    if not isinstance(verdict, dict) or verdict.get("verdict") not in QA_STATUSES:
        raise _damaged(row, "metadata_json")
    return dict(content)


def damage(row: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a row of ``data_registry``, as a sentence with a remedy; None where all is well."""
    try:
        if naming.as_mosaic_id(row["data_id"]) != row["data_id"]:
            return str(_damaged(row, "data_id"))
    except ContimgError:
        return str(_damaged(row, "data_id"))
    for column in ("stage_path", "published_path"):
        if ".." in str(row[column]).split("/"):
            return str(_damaged(row, column))
    if re.fullmatch(r"[0-9a-f]{64}", str(row["sha256"])) is None:
        return str(_damaged(row, "sha256"))
    if not isinstance(row["claim_expires_unix_s"], int | float | None):
        return str(_damaged(row, "claim_expires_unix_s"))
    try:
        held_reasons(row)
        summary(row)
    except RegistryError as error:
        return str(error)
    return None


def _damaged(row: Mapping[str, Any], what: str) -> RegistryError:
    return RegistryError(
        f"the registry's row of {one_line(str(row['data_id']))} version {row['version']} is damaged in its column "
        f"{what}: restore the registry from a backup"
    )
