"""The JSON schema of the configuration: editors complete keys, show their meanings and mark errors with it."""

from __future__ import annotations

import json
from typing import Any

from contimg.config.sections import Config

# pydantic leaves a limit that stands before a validator under its own name.
_LIMITS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def as_json_schema() -> str:
    """Return the text of ``config.schema.json``: every key with type, limits, default and meaning.

    An overlay names it in its first line, ``# yaml-language-server: $schema=PATH/config.schema.json``. What concerns
    several keys at once (`Config`'s validators) is not in it.
    """
    schema = Config.model_json_schema()
    schema |= {"$schema": _DIALECT, "title": "contimg", "description": "An overlay of contimg's config.yaml."}
    _tidy(schema)
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _tidy(part: Any) -> None:
    """Remove titles that repeat a key and defaults of whole sections, and name limits as JSON schema does, in place."""
    if isinstance(part, list):
        for item in part:
            _tidy(item)
    elif isinstance(part, dict):
        for value in part.get("properties", {}).values():
            value.pop("title", None)
            if isinstance(value.get("default"), dict):
                del value["default"]
        for ours, theirs in _LIMITS.items():
            if isinstance(part.get(ours), (int, float)):
                part[theirs] = part.pop(ours)
        for value in part.values():
            _tidy(value)
