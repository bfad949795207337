"""Types of the configuration's values, and `Section`, the base class of the groups of keys."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict

from contimg.naming import DATE_PATTERN

_EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+", re.ASCII)


def _number(value: object) -> object:
    """Convert a text such as 1e3 to a number: YAML 1.1 reads it as text if the point or the sign of the exponent is
    missing.
    """
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def _night(value: object) -> object:
    """Return a night as text: YAML reads a bare 2026-02-11 as a date."""
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value


def _real_date(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"nights: {value} is no date of the calendar") from None
    return value


Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
WebAddress = Annotated[str, Field(pattern=r"^https?://[^\s?#]+[^\s?#/]$")]
IvoId = Annotated[str, Field(pattern=r"^ivo://[A-Za-z0-9][A-Za-z0-9._~*'()-]{2,}(/[A-Za-z0-9._~*'()-]+)+$")]
Spdx = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9.+-]*$")]
Umask = Annotated[str, Field(pattern="^0[0-7]{3}$")]
DOI_PATTERN = r"^10\.[0-9]{4,9}/[!-~]+$"
Doi = Annotated[str, Field(pattern=DOI_PATTERN)]
Mode = Annotated[str, Field(pattern="^06[046][046]$")]  # of files: their owner can always read and write them
Night = Annotated[str, Field(pattern=f"^{DATE_PATTERN}$"), BeforeValidator(_night), AfterValidator(_real_date)]
Count = Annotated[int, Field(ge=1)]
Root = Annotated[Path, Strict(False)]


class Section(BaseModel):
    """A group of configuration keys: immutable, without type conversion, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
