"""Typed reading of a part of a twin: the base class of its models, and the one sentence about a key that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from contimg.products.twin import DamagedTwinError, Twin


class Record(BaseModel):
    """A part of a twin, frozen; infinities and NaN are refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


Model = TypeVar("Model", bound=Record)


def read_record(model: type[Model], content: Mapping[str, Any], twin: Twin, where: Path | str | None) -> Model:
    """Return a part of a twin as a typed record.

    Parameters
    ----------
    model : type of Record
    content : mapping
        The twin's ``facts`` or ``qa``.
    twin : Twin
    where : Path or str, optional
        The twin's path, for messages.

    Raises
    ------
    DamagedTwinError
        If a key is missing or of another type than the model's.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        name = where or f"the twin of {twin.kind} {twin.id}"
        problem = (
            f"does not say its {key}" if first["type"] == "missing" else f"holds an impossible {key} ({first['msg']})"
        )
        raise DamagedTwinError(f"{name} {problem}: delete it and rerun snakemake") from None
