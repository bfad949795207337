"""One limit on one measured number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from contimg.products.twin import Reason

Severity = Literal["warning", "failed"]
Bound = Literal["max", "min", "factor", "abs"]
Measured = float | int | None
Options = Mapping[str, BaseModel | Mapping[str, Any]]
"""Sections of the configuration by name: typed, or as the ``parameters`` of a twin hold them."""

_SUFFIX = {"max": "high", "min": "low", "factor": "off", "abs": "off"}
_SIGN = {"max": "≤", "min": "≥", "factor": "within a factor of", "abs": "within ±"}
_BEYOND = {"max": "above", "min": "below", "factor": "off 1 by more than a factor of", "abs": "off 0 by more than"}
SIGNIFICANCE = "qa.significance"
"""The key of the significance: the number of its errors by which a value with an error must exceed the limit."""


@dataclass(frozen=True)
class Sample:
    """The smallest sample from which a number counts as measured.

    Attributes
    ----------
    count : str
        The sample's size, a number of the twin's ``qa``.
    option : str
        The smallest size: ``section.key`` of the configuration.
    label : str
        What is counted, in the plural.
    """

    count: str
    option: str
    label: str

    def shortage(self, measured: Mapping[str, Any], options: Options) -> str | None:
        """Return a sentence if the sample is too small, else None."""
        count, needed = measured[self.count], option_value(self.option, options)
        if count is not None and count >= needed:
            return None
        return f"{count or 0} {self.label}, at least {needed:g} are needed ({self.option})"


@dataclass(frozen=True)
class Gate:
    """One limit on one measured number.

    Attributes
    ----------
    kind : str
        Kind of product, as in its twin: ``ms``, ``calibration``, ``calibrated``, ``image``, ``mosaic``,
        ``crossmatch``; or ``bundle``.
    key : str
        The number's name in the twin's ``qa``.
    label, unit : str
        The number's name and unit in messages.
    bound : ``max``, ``min``, ``factor`` or ``abs``
        Good values are up to the limit, from the limit, between 1/(1 + limit) and 1 + limit, or between -limit and
        limit.
    limit : str or float
        ``section.key`` of the configuration that holds the limit; a number where nothing can be configured.
    severity : ``warning`` or ``failed``
        The verdict beyond the limit.
    code : str
        The reason's code; by default ``<key>_high``, ``<key>_low`` or ``<key>_off``.
    unmeasured : ``warning``, ``failed`` or None
        The verdict where the number is None or not finite; None: no reason.
    sample : Sample or None
        The number counts as measured only where the sample suffices.
    when : str
        The gate applies only to products whose ``qa`` has this key, empty: to all of the kind.
    error : str
        Key of the number's standard error in ``qa``. Then a value beyond the limit counts only where it also differs
        from the ideal one (1 for ``factor``, else 0) by ``qa.significance`` errors. Empty: the number has none.
    """

    kind: str
    key: str
    label: str
    unit: str
    bound: Bound
    limit: str | float
    severity: Severity
    code: str = ""
    unmeasured: Severity | None = "warning"
    sample: Sample | None = None
    when: str = ""
    error: str = ""

    def threshold(self, options: Options) -> float:
        """Return the largest (``max``, ``factor``) or smallest (``min``) good value."""
        limit = option_value(self.limit, options) if isinstance(self.limit, str) else self.limit
        return 1 + limit if self.bound == "factor" else limit

    def crossed(self, value: float, options: Options, error: float | None = None) -> bool:
        """Return whether a value exceeds the threshold significantly; a value equal to it does not."""
        limit = self.threshold(options)
        if self.error and error is not None:
            ideal = 1.0 if self.bound == "factor" else 0.0
            if abs(value - ideal) <= option_value(SIGNIFICANCE, options) * error:
                return False
        if self.bound == "abs":
            return abs(value) > limit
        if self.bound == "max":
            return value > limit
        if self.bound == "min":
            return value < limit
        return not 1 / limit <= value <= limit

    def shown_threshold(self, options: Options) -> str:
        """Return the condition that good values meet: ``≤ 3``."""
        return f"{_SIGN[self.bound]} {self.threshold(options):g}"

    def reason(self, value: float, options: Options, error: float | None = None) -> Reason:
        """Return the reason of a value beyond the threshold, with its error where it has one."""
        limit = self.threshold(options)
        unit = f" {self.unit}" if self.unit else ""
        shown = f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.2g}"
        option = f" ({self.limit})" if isinstance(self.limit, str) else ""
        return Reason(
            code=self.reason_code,
            severity=self.severity,
            message=f"{self.label} is {shown}{unit}, {_BEYOND[self.bound]} {limit:.4g}{unit}{option}",
            measured=value,
            threshold=limit,
        )

    @property
    def reason_code(self) -> str:
        """The code of its reason: ``noise_ratio_high``."""
        return self.code or f"{self.key}_{_SUFFIX[self.bound]}"

    @property
    def unmeasured_code(self) -> str:
        """The code of the reason that the number was not measured: ``noise_ratio_not_measured``."""
        return f"{self.key}_not_measured"


def option_value(name: str, options: Options) -> float:
    """Return the value of a key of the configuration, ``section.key``.

    Raises
    ------
    KeyError
        If the section or the key is not among the options.
    """
    section, _, key = name.partition(".")
    values = options[section]
    if isinstance(values, BaseModel):
        return float(getattr(values, key))
    return float(values[key])


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; None, NaN and infinities are not measured."""
    return value is not None and math.isfinite(value)
