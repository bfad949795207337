"""The configuration keys that each rule depends on: the rule runs again when one of these changes, and only then.

Thresholds of verdicts are not among them. Verdicts follow from the numbers in a product's twin and are derived
again wherever they are read (`contimg.products.judged`), so that a changed threshold costs no processing.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_CALIBRATOR_CHOICE = ("calibrators", "min_calibrator_jy", "min_beam", "max_extent_arcsec")

# rule -> section -> its keys; None: all of them.
USED_KEYS: dict[str, dict[str, tuple[str, ...] | None]] = {
    "convert_tile": {"ingest": ("subbands", "min_subbands", "max_clock_error_s"), "flag": None},
    "solve_calibration": {
        "calibration": (
            *_CALIBRATOR_CHOICE, "refant", "min_uv_klambda", "sun_min_uv_klambda", "min_snr", "gain_interval_s",
            "min_field_jy",
            "max_gain_change", "max_flagged",
            "max_dec_difference_deg",
        ),
        "beam": None,
    },
    "apply_calibration": {"calibration": ("max_dec_difference_deg",)},
    "image_tile": {"image": None, "beam": None},
    "mosaic_group": {"mosaic": None},
    "crossmatch_mosaic": {"crossmatch": ("radius_arcsec", "min_snr"), "beam": None},
}  # fmt: skip
# Keys that came later than the first products: without effect while they have their defaults, and left out then, so
# that an upgrade alone makes nothing again.
LATER_KEYS = {"mosaic": ("compression",), "publish": ("base_url", "ivoid", "licence")}


def used_options(rule: str, section: str, options: BaseModel) -> dict[str, Any]:
    """Return the options of a section that a rule depends on, as JSON content; `LATER_KEYS` only where they are set.

    Parameters
    ----------
    rule : str
    section : str
        The section's name in the configuration.
    options : Section

    Raises
    ------
    KeyError
        If the rule uses nothing of the section.
    """
    keys = USED_KEYS[rule][section]
    return _dumped(section, options, None if keys is None else set(keys))


def section_options(section: str, options: BaseModel) -> dict[str, Any]:
    """Return all options of a section as JSON content, `LATER_KEYS` only where they are set."""
    return _dumped(section, options, None)


def _dumped(section: str, options: BaseModel, keys: set[str] | None) -> dict[str, Any]:
    defaults = type(options).model_fields
    unset = {key for key in LATER_KEYS.get(section, ()) if getattr(options, key) == defaults[key].default}
    return options.model_dump(mode="json", include=keys, exclude=unset)
