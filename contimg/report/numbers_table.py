"""The table of a product's measured numbers beside their thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from contimg.products.gates import Gate, gates_of
from contimg.products.twin import Twin, worst
from contimg.report.markup import Html, badge, number, table

# Key of a twin's qa -> (name and unit for readers), in the order of the page.
LABELS = {
    "rms_mjy": ("noise, median", "mJy/beam"),
    "rms_min_mjy": ("noise, lowest", "mJy/beam"),
    "expected_rms_mjy": ("noise expected of receivers, gains and confusion", "mJy/beam"),
    "confusion_mjy": ("confusion: faint sources that the beam does not resolve", "mJy/beam"),
    "rms_from_weights_mjy": ("noise promised by the weights", "mJy/beam"),
    "rms_over_weights": ("noise over that promised by the weights", ""),
    "noise_ratio": ("noise over the expected", ""),
    "peak_mjy": ("peak", "mJy/beam"),
    "min_mjy": ("lowest pixel", "mJy/beam"),
    "lowest_sigma": ("lowest pixel over the noise of its weight", "σ"),
    "negative_pixels": ("pixels below −5 σ of that noise", ""),
    "dynamic_range": ("dynamic range", ""),
    "area_deg2": ("area", "deg²"),
    "coverage": ("covered part of the picture", ""),
    "projection_error": ("lengths wrong by the projection, at most", ""),
    "tiles_per_pixel": ("tiles per covered pixel", ""),
    "beam_spread": ("largest deviation of a tile's beam", ""),
    "flagged_fraction": ("flagged fraction, mean of the tiles", ""),
    "n_images": ("tiles used", ""),
    "tile_fraction": ("tiles used of the group", ""),
    "compared_tiles": ("tiles used that were compared with a neighbour", ""),
    "n_sources": ("sources found", ""),
    "n_catalogue": ("catalogue sources on the mosaic", ""),
    "n_matched": ("catalogue sources matched", ""),
    "n_compared": ("sources compared (isolated, bright enough)", ""),
    "n_expected": ("catalogue sources expected (S/N ≥ 10)", ""),
    "n_expected_found": ("of these, found", ""),
    "n_unmatched": ("found (S/N ≥ 10), not in the catalogue", ""),
    "median_flux_ratio": ("median flux over catalogue", ""),
    "flux_ratio_mad": ("scatter of the flux ratio", ""),
    "flux_ratio_p05": ("flux ratio, 5th percentile", ""),
    "flux_ratio_p95": ("flux ratio, 95th percentile", ""),
    "median_peak_ratio": ("median peak over catalogue", ""),
    "flux_outliers": ("fluxes off the median by more than 30 %", ""),
    "median_dra_arcsec": ("median ΔRA cos δ", "arcsec"),
    "median_ddec_arcsec": ("median ΔDec", "arcsec"),
    "median_offset_arcsec": ("median offset", "arcsec"),
    "median_offset_beams": ("median offset", "beams"),
    "systematic_offset_arcsec": ("offset of the medians", "arcsec"),
    "scatter_ra_arcsec": ("scatter in RA", "arcsec"),
    "scatter_dec_arcsec": ("scatter in Dec", "arcsec"),
    "offset_p95_arcsec": ("offset, 95th percentile", "arcsec"),
    "completeness": ("detectable sources found", ""),
    "shift_ra_arcsec": ("shift of the field in RA", "arcsec"),
    "shift_dec_arcsec": ("shift of the field in Dec", "arcsec"),
    "field_rotation_deg": ("rotation of the field", "deg"),
    "field_stretch": ("stretch of the field, less 1", ""),
    "beam_ratio_map": ("error of the primary beam over its map, lowest and highest", ""),
    "beam_east_deg": ("axis of the primary beam, east of the pointing", "deg"),
    "beam_north_deg": ("axis of the primary beam, north of the pointing", "deg"),
    "beam_flux_scale": ("flux scale with that beam", ""),
    "beam_sources": ("sources that show the beam", ""),
    "beam_scatter": ("scatter of their fluxes over the expected", ""),
    "diagnosis": ("best explanation of the differences", ""),
}


# Standard errors that do not belong to the number after whose ``e_`` they are named.
_ERRORS = {"shift_ra_arcsec": "e_shift_arcsec", "shift_dec_arcsec": "e_shift_arcsec"}


def words_of(kind: str, key: str) -> tuple[str, str]:
    """Return what a number of a kind of product is, in words, and its unit; the key itself where no word is known."""
    if key in LABELS:
        return LABELS[key]
    if key.startswith("e_"):
        words, unit = words_of(kind, key.removeprefix("e_"))
        return (key, "") if words == key.removeprefix("e_") else (f"error of: {words}", unit)
    gates = gates_of(kind).get(key)
    # A comma ends a clause in the middle of a reason.
    return (gates[0].label.rstrip(","), gates[0].unit) if gates else (key, "")


def numbers_table(twin: Twin) -> str:
    """Return a product's measured numbers as an HTML table, those with thresholds first; errors stand beside them."""
    gates = gates_of(twin.kind, twin.qa)
    keys = [*gates, *(key for key in LABELS if key in twin.qa and key not in gates)]
    rows = [_row(twin, key, gates.get(key, [])) for key in keys]
    version = f'<p class="soft small">Thresholds: version {twin.judged_with["qa"]["version"]} (qa.version).</p>'
    return table(("number", "measured", "unit", "threshold", "verdict"), rows, numbers=("measured",)) + version


def failed_numbers(twins: Sequence[Twin]) -> str:
    """Return the table of the numbers of some products that are beyond a threshold, or a sentence that none is.

    Numbers that could not be measured stand in it where that is a reason of the verdict.
    """
    rows, judged, unmeasured = [], 0, 0
    for twin in twins:
        for key, gates in gates_of(twin.kind, twin.qa).items():
            row = _row(twin, key, gates)
            missing = twin.qa.get(key) is None
            judged += not missing
            unmeasured += missing
            missed = {gate.unmeasured_code for gate in gates} & {reason.code for reason in twin.reasons}
            if missed if missing else "passed" not in row[-1].text:
                rows.append((twin.kind, *row))
    if not rows:
        others = f"; {unmeasured} could not be measured" if unmeasured else ""
        return f'<p class="soft">All {judged} measured numbers that have a threshold are within it{others}.</p>'
    columns = ("product", "number", "measured", "unit", "threshold", "verdict")
    return table(columns, rows, numbers=("measured",))


def _short(value: float) -> str:
    return number(float(value)) if abs(value) >= 9999.5 else f"{value:.4g}"


def with_error(value: float, error: float) -> str:
    """Return a number with its error, both to the second digit of the error: 0.0019 ± 0.0080."""
    if not (math.isfinite(error) and error > 0):
        return f"{_short(value)} ± {error:g}"
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{places}f} ± {error:.{places}f}"


def _row(twin: Twin, key: str, gates: list[Gate]) -> tuple[str, object, str, str, Html]:
    label, unit = words_of(twin.kind, key)
    value, error = twin.qa.get(key), twin.qa.get(_ERRORS.get(key, f"e_{key}"))
    limits = "; ".join(f"{gate.shown_threshold(twin.judged_with)} (else {gate.severity})" for gate in gates)
    if not gates:
        verdict = Html("")
    elif value is None:
        verdict = badge("not measured", "warning")
    else:
        verdict = badge(worst([gate.severity for gate in gates if gate.crossed(value, twin.judged_with, error)]))
    if unit == "mJy/beam" and isinstance(value, float) and abs(value) >= 999.5:
        value, unit = value / 1e3, "Jy/beam"
    measured = value if value is None or error is None else with_error(value, error)
    if isinstance(value, list):  # a map, in rows
        measured = f"{min(map(min, value)):+.3f} to {max(map(max, value)):+.3f}"
    return label, measured, unit, limits, verdict
