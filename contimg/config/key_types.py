"""Types of the configuration's values, and `Section`, the base class of the groups of keys."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

from contimg.naming import DATE_PATTERN

_EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+", re.ASCII)


def _number(value: object) -> object:
    """Convert a text such as 1e3 to a number: YAML 1.1 reads it as text if the point or the sign of the exponent is
    missing.
    """
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


_SPAN = re.compile(rf"({DATE_PATTERN})\s*\.\.\s*({DATE_PATTERN})", re.ASCII)
_LONGEST_SPAN = 366


def _nights(value: object) -> object:
    """Return a list of nights: of one alone, and with each night of a span such as 2026-02-11..2026-02-14."""
    listed = value if isinstance(value, list) else [value] if isinstance(value, str | date) else value
    return [night for one in listed for night in _span(one)] if isinstance(listed, list) else listed


def _span(value: object) -> list[object]:
    """Return the nights of a span; other values alone."""
    found = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return [value]
    first, last = (date.fromisoformat(_real_date(end)) for end in found.groups())
    count = (last - first).days + 1
    if not 1 <= count <= _LONGEST_SPAN:
        raise ValueError(f"nights: {value} must be 1 to {_LONGEST_SPAN} nights, the earlier date first")
    return [(first + timedelta(days=number)).isoformat() for number in range(count)]


def _night(value: object) -> object:
    """Return a night as text: YAML reads a bare 2026-02-11 as a date."""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if type(value) is int else value  # 20260211, of which the next check says how to write it


def _real_date(value: str) -> str:
    if not re.fullmatch(DATE_PATTERN, value, re.ASCII):
        raise ValueError(f"nights: {value} is no date: write 2026-02-11, or 2026-02-11..2026-02-14 for several")
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"nights: {value} is no date of the calendar") from None
    return value


Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
# A time span is a century at most: the calendar of programs ends soon after that.
Seconds = Annotated[Number, Field(ge=0, le=3_155_760_000)]
PositiveSeconds = Annotated[Number, Field(gt=0, le=3_155_760_000)]
Hours = Annotated[Number, Field(ge=0, le=876_600)]
PositiveHours = Annotated[Number, Field(gt=0, le=876_600)]
Days = Annotated[Number, Field(ge=0, le=36_525)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
WebAddress = Annotated[str, Field(pattern=r"^https?://[^\s?#]+[^\s?#/]$")]
IvoId = Annotated[str, Field(pattern=r"^ivo://[A-Za-z0-9][A-Za-z0-9._~*'()-]{2,}(/[A-Za-z0-9._~*'()-]+)+$")]
Spdx = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9.+-]*$")]
Umask = Annotated[str, Field(pattern="^0[0-7]{3}$")]
DOI_PATTERN = r"^10\.[0-9]{4,9}/[!-~]+$"
Doi = Annotated[str, Field(pattern=DOI_PATTERN)]
Mode = Annotated[str, Field(pattern="^06[046][046]$")]  # of files: their owner can always read and write them
# The pattern is for editors, which complete and check by the JSON schema.
_NIGHT_SCHEMA = WithJsonSchema({"type": "string", "pattern": rf"^{DATE_PATTERN}(\.\.{DATE_PATTERN})?$"})
Night = Annotated[str, BeforeValidator(_night), AfterValidator(_real_date), _NIGHT_SCHEMA]
Nights = Annotated[list[Night], BeforeValidator(_nights)]
Count = Annotated[int, Field(ge=1)]
Root = Annotated[Path, Strict(False)]


class Section(BaseModel):
    """A group of configuration keys: immutable, without type conversion, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
