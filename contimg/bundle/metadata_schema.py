"""The form of a bundle's ``metadata.json``: what readers rely on has the type that they expect, or is null."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from contimg import naming
from contimg.errors import InputError
from contimg.products.twin import Verdict

MAX_DEPTH = 100  # what contimg writes is nested nine deep


def _is_id(text: str) -> str:
    try:
        naming.parse_id(text)
    except InputError as error:
        raise ValueError(str(error)) from None
    return text


_Id = Annotated[str, AfterValidator(_is_id)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Reason(_Part):
    code: str = ""
    severity: str = ""
    message: str


class _Verdict(_Part):
    verdict: Verdict
    reasons: list[_Reason] = Field(default_factory=list)
    notes: list[dict[str, Any]] = Field(default_factory=list)


class _Lineage(_Part):
    products: list[dict[str, Any]]
    files: list[dict[str, Any]]


class _Metadata(_Part):
    """All keys may be missing here: who needs one says so by its name."""

    data_type: str = ""
    data_id: str = ""
    synthetic: bool = False
    verdict: _Verdict | None = None
    lineage: _Lineage | None = None
    group: _Id | None = None
    n_images: int | None = None
    start_mjd: float | None = None
    end_mjd: float | None = None
    start_utc: str | None = None
    end_utc: str | None = None
    calibrators: list[str] | None = None
    flux_anchor: str | None = None
    freq_hz: float | None = None
    bandwidth_hz: float | None = None
    beam: dict[str, float | None] | None = None
    centre_deg: list[float] | None = Field(None, min_length=2, max_length=2)
    rms_mjy: float | None = None
    tiles: list[_Id] | None = None
    tiles_used: list[_Id] | None = None
    calibrations: list[dict[str, Any]] = Field(default_factory=list)
    facts: dict[str, Any] = Field(default_factory=dict)
    qa: dict[str, dict[str, Any]] = Field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)


def parse(content: bytes) -> dict[str, Any]:
    """Return the metadata in the bytes of a file.

    Raises
    ------
    ValueError
        If it is not JSON (NaN and infinities are none), no object, nested too deeply, or of another form. Says what the
        file 'is' or 'holds', and where.
    """
    try:
        found = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ValueError("is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("holds no JSON object")
    if _is_deeper(found, MAX_DEPTH):
        raise ValueError("is nested too deeply")
    try:
        _Metadata.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"is damaged: '{where}': {first['msg'][:1].lower()}{first['msg'][1:]}") from None
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _is_deeper(content: object, depth: int) -> bool:
    """Return whether something stands more than so many containers deep, by one level of containers after the other."""
    level = [content]
    for _ in range(depth + 1):
        values = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [inner for some in values for inner in some]
    return bool(level)
