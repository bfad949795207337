"""Verdicts: one table of thresholds, and the reasons that follow from measured numbers.

Every gate of tile images, of mosaics and of their comparison with the catalogue is a line of `GATES`; its
threshold is a key of `QaOptions`. What was not measured is a reason of its own, never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from contimg.config import QaOptions
from contimg.products.twin import Reason

Severity = Literal["warning", "failed"]

# Of an image, where there is a catalogue to compare it with.
CATALOGUED = "image_catalogue"


@dataclass(frozen=True)
class Gate:
    """One limit on one measured number.

    Attributes
    ----------
    kind : str
        Kind of product: ``image``, ``mosaic`` or ``crossmatch``, or `CATALOGUED`.
    key : str
        The number's name in the twin's ``qa``.
    label, unit : str
        How a person calls it.
    bound : ``max`` or ``min``
        Which side is good: up to, or from, the limit.
    option : str
        The limit's key in `QaOptions`.
    severity : ``warning`` or ``failed``
        What crossing it means.
    """

    kind: str
    key: str
    label: str
    unit: str
    bound: Literal["max", "min"]
    option: str
    severity: Severity

    def limit(self, options: QaOptions) -> float:
        """Return the threshold."""
        return float(getattr(options, self.option))

    def crossed(self, measured: float, options: QaOptions) -> bool:
        """Say whether a measured number lies beyond the threshold; on it, it does not."""
        limit = self.limit(options)
        return measured > limit if self.bound == "max" else measured < limit

    @property
    def code(self) -> str:
        """The reason's code: ``noise_ratio_high``."""
        return f"{self.key}_{'high' if self.bound == 'max' else 'low'}"


GATES = (
    Gate("mosaic", "noise_ratio", "noise over the radiometer's", "", "max", "max_noise_ratio", "failed"),
    Gate("mosaic", "noise_ratio", "noise over the radiometer's", "", "max", "warn_noise_ratio", "warning"),
    Gate("mosaic", "tile_fraction", "tiles used of the group", "", "min", "min_tile_fraction", "warning"),
    Gate("image", "noise_ratio", "noise over the radiometer's", "", "max", "max_tile_noise_ratio", "failed"),
    Gate("image", "noise_ratio", "noise over the radiometer's", "", "max", "warn_tile_noise_ratio", "warning"),
    Gate("image", "dynamic_range", "peak over noise", "", "min", "min_tile_dynamic_range", "warning"),
    Gate("image", "artefact_ratio", "rms by the brightest source", "", "max", "max_tile_artefact_ratio", "warning"),
    Gate("image", "negative_bowl", "deepest broad bowl", "rms", "max", "max_tile_negative_bowl", "warning"),
    Gate("image", "striping", "strongest stripe", "rms", "max", "max_tile_striping", "warning"),
    Gate("image", "psf_misfit", "PSF less restoring beam", "", "max", "max_tile_psf_misfit", "warning"),
    Gate("image", "flagged_fraction", "flagged fraction", "", "max", "max_tile_flagged", "warning"),
    Gate("image", "pb_error", "error of the beam map", "", "max", "max_tile_pb_error", "failed"),
    Gate("image", "pb_peak_offset_px", "beam map off centre", "px", "max", "max_tile_pb_peak_offset_px", "failed"),
    Gate("image", "pb_asymmetry", "asymmetry of the beam map", "", "max", "max_tile_pb_asymmetry", "warning"),
    Gate("image", "centre_offset_arcsec", "phase centre off", "″", "max", "max_tile_centre_offset_arcsec", "failed"),
    Gate("image", "uvw_error_m", "error of baseline lengths", "m", "max", "max_tile_uvw_error_m", "failed"),
    Gate(CATALOGUED, "median_flux_ratio", "median flux over catalogue", "", "min", "min_tile_flux_ratio", "failed"),
    Gate(CATALOGUED, "median_flux_ratio", "median flux over catalogue", "", "max", "max_tile_flux_ratio", "failed"),
    Gate(
        CATALOGUED, "flux_outliers", "fluxes off the median by > 30 %", "", "max", "max_tile_flux_outliers", "warning"
    ),
    Gate(CATALOGUED, "median_offset_beams", "median offset", "beams", "max", "max_tile_offset_beams", "failed"),
    Gate("crossmatch", "median_flux_ratio", "median flux over catalogue", "", "min", "min_flux_ratio", "failed"),
    Gate("crossmatch", "median_flux_ratio", "median flux over catalogue", "", "max", "max_flux_ratio", "failed"),
    Gate("crossmatch", "flux_outliers", "fluxes off the median by > 30 %", "", "max", "max_flux_outliers", "warning"),
    Gate("crossmatch", "median_offset_beams", "median offset", "beams", "max", "max_offset_beams", "failed"),
    Gate("crossmatch", "completeness", "detectable sources found", "", "min", "min_completeness", "failed"),
)


def gates_of(kind: str) -> dict[str, list[Gate]]:
    """Return the gates of a kind of product by the number they judge, in the table's order."""
    found: dict[str, list[Gate]] = {}
    for gate in GATES:
        if gate.kind == kind:
            found.setdefault(gate.key, []).append(gate)
    return found


def judge(
    kind: str,
    measured: Mapping[str, float | int | None],
    options: QaOptions,
    why_not: Mapping[str, str] | None = None,
) -> list[Reason]:
    """Return the reasons against a product; none when every number was measured and lies within its limits.

    Parameters
    ----------
    kind : str
        As in `Gate`.
    measured : mapping
        The twin's ``qa``. Every number of the table must be named; None or not finite is 'not measured', a warning.
    options : QaOptions
        The thresholds.
    why_not : mapping, optional
        Why a number was not measured, for its reason's message.

    Raises
    ------
    KeyError
        If a number of the table is not named.
    """
    reasons = []
    for key, gates in gates_of(kind).items():
        value = measured[key]
        if value is None or not math.isfinite(value):
            because = f": {why_not[key]}" if why_not and key in why_not else ""
            message = f"{gates[0].label}: not measured{because}"
            reasons.append(Reason(code=f"{key}_not_measured", severity="warning", message=message))
            continue
        crossed = [gate for gate in gates if gate.crossed(value, options)]
        if crossed:
            reasons.append(_reason(next((g for g in crossed if g.severity == "failed"), crossed[0]), value, options))
    return reasons


def no_usable_tile(tiles: int) -> Reason:
    """Return the reason of a mosaic that had nothing to be made from."""
    message = f"none of the {tiles} tiles of the group is usable"
    return Reason(code="no_usable_tile", severity="failed", message=message, measured=0, threshold=1)


def no_mosaic(mosaic_id: str) -> Reason:
    """Return the reason of a comparison whose mosaic has no image."""
    return Reason(code="no_mosaic", severity="failed", message=f"{mosaic_id} failed and holds no image to compare")


def _reason(gate: Gate, value: float | int, options: QaOptions) -> Reason:
    limit = gate.limit(options)
    unit = f" {gate.unit}" if gate.unit else ""
    side = "above" if gate.bound == "max" else "below"
    return Reason(
        code=gate.code,
        severity=gate.severity,
        message=f"{gate.label} is {value:.4g}{unit}, {side} {limit:.4g}{unit} (qa.{gate.option})",
        measured=value,
        threshold=limit,
    )
