"""The table of a product's measured numbers beside their thresholds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from contimg.products.gates import Gate, gates_of
from contimg.products.twin import Twin, worst
from contimg.report.markup import Html, badge, number, table

# Key of a twin's qa -> (name and unit for readers), in the order of the page.
LABELS = {
    "rms_mjy": ("noise, median where well covered (weight ≥ half of its 95th percentile)", "mJy/beam"),
    "rms_min_mjy": ("noise, lowest where well covered", "mJy/beam"),
    "expected_rms_mjy": ("noise expected of receivers, gains and confusion", "mJy/beam"),
    "confusion_mjy": ("confusion: faint sources that the beam does not resolve", "mJy/beam"),
    "rms_from_weights_mjy": ("noise promised by the weights, median where well covered", "mJy/beam"),
    "rms_over_weights": ("noise over that promised by the weights", ""),
    "noise_ratio": ("noise over the expected", ""),
    "peak_mjy": ("peak, between pixels", "mJy/beam"),
    "min_mjy": ("lowest pixel", "mJy/beam"),
    "lowest_sigma": ("lowest pixel over the local noise", "σ"),
    "negative_pixels": ("pixels below −5 σ of the local noise", ""),
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
    "n_doubtful": ("of these, in doubt: near a bright source or at the edge", ""),
    "n_negative": ("found in the negative image, where no source is", ""),
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

_ON_PAGE = ("mosaic", "crossmatch")
_OTHERS = {
    "flagged_fraction": ("flagged fraction", ""),
    "flagged_fraction_before": ("flagged fraction before the calibration", ""),
    "flagged_by_calibration": ("fraction flagged for want of a solution", ""),
    "dead_antennas": ("antennas without data", ""),
    "dead_receptors": ("receptors without data", ""),
    "residual_rms_mjy": ("noise of the residual", "mJy/beam"),
    "radiometer_rms_mjy": ("noise expected of the receivers", "mJy/beam"),
    "gain_rms_mjy": ("noise expected of errors of the gains", "mJy/beam"),
    "sun_jy": ("apparent flux of the Sun", "Jy"),
    "antenna_gain_scatter": ("scatter of the antennas' gains, alike in the whole band", ""),
    "local_dynamic_range": ("peak over the noise beside it", ""),
    "psf_sidelobe": ("highest sidelobe of the PSF over its peak", ""),
    "offset_p95_beams": ("offset, 95th percentile", "beams"),
    "beam_response": ("beam's response to the calibrator, largest in the tile", ""),
    "field_model_error": ("error of the field's other sources over the calibrator's flux", ""),
    "flux_ratio_to_catalogue": ("flux scale of the bandpass over the catalogue's", ""),
    "ensemble_scale": ("flux scale against other catalogued sources of the field", ""),
    "ensemble_scatter": ("scatter of their flux ratios", ""),
    "ensemble_references": ("catalogued sources that it rests on", ""),
    "working_receptors": ("receptors with data that are not lost", ""),
    "antennas_with_data": ("antennas with data", ""),
    "lost_antennas": ("antennas with data but without a solution", ""),
    "changed_antennas": ("antennas whose amplitude changed since the bandpass before", ""),
    "delay_max_ns": ("largest delay", "ns"),
    "bandpass_amplitude_median": ("median amplitude of the bandpass", ""),
    "bandpass_amplitude_scatter": ("scatter of the bandpass's amplitudes over the channels", ""),
    "gain_amplitude_median": ("median amplitude of the gains", ""),
    "gain_amplitude_scatter": ("scatter of the gains' amplitudes over the tile", ""),
    "sefd_median_jy": ("median SEFD of the receptors", "Jy"),
    "gain_error": ("expected error of the bandpass's gains", ""),
    "n_epochs": ("mosaics in the template", ""),
    "difference_width": ("width of the differences over their noise", ""),
    "compared_fraction": ("fraction of the mosaic that was compared", ""),
    "n_new": ("new sources", ""),
    "n_brighter": ("sources that became brighter", ""),
    "n_fainter": ("sources that became fainter", ""),
}
"""As `LABELS`, of numbers that the page of a mosaic does not list."""
_OF_TABLES = (
    ("flagged_fraction", "lost fraction of the working receptors' solutions"),
    ("dead_receptors", "receptors without a solution"),
    ("snr_median", "median signal-to-noise ratio of the solutions"),
)
"""Numbers of one table of a calibration, whose name follows: ``snr_median_B``."""
_TABLE_NAMES = {"K": "delays", "B": "bandpass", "G": "gains"}
_LOST = re.compile(r"lost_(p|ap)_(all|[\d.e+]+s)")
_TRIED = {"p": "phases", "ap": "amplitudes and phases"}


# Of tiles, whose noise is even before the correction for the primary beam.
_OF_TILES = {
    "rms_mjy": ("noise of the image", "mJy/beam"),
    "peak_mjy": ("highest pixel", "mJy/beam"),
    "lowest_sigma": ("lowest pixel over the noise of the image", "σ"),
    "streak": ("strongest sinusoid along one row or column", "rms"),
    "negative_pixels": ("pixels below −5 σ of the image", ""),
}

# Standard errors that do not belong to the number after whose ``e_`` they are named.
_ERRORS = {"shift_ra_arcsec": "e_shift_arcsec", "shift_dec_arcsec": "e_shift_arcsec"}


def words_of(kind: str, key: str) -> tuple[str, str]:
    """Return what a number of a kind of product is, in words, and its unit; the key itself where no word is known."""
    if kind == "image" and key in _OF_TILES:
        return _OF_TILES[key]
    # A comma at the end of a gate's label ends a clause in the middle of a reason.
    of_gate = {name: (gates[0].label.rstrip(","), gates[0].unit) for name, gates in gates_of(kind).items()}
    for known in (LABELS, of_gate, _OTHERS) if kind in _ON_PAGE else (of_gate, _OTHERS, LABELS):
        if key in known:
            return known[key]
    if key.startswith("e_"):
        whole = next((one for one, error in _ERRORS.items() if error == key), key.removeprefix("e_"))
        words, unit = words_of(kind, whole)
        return (key, "") if words == whole else (f"error of: {words}", unit)
    if key.endswith("_of"):
        whole = key.removesuffix("_of")
        words, _ = words_of(kind, whole)
        return (key if words == whole else f"{words}: which one", "")
    return _words_of_solutions(key), ""


def _words_of_solutions(key: str) -> str:
    """Return what a number of one table of a calibration, or of one way of solving it, is; the key if it is no such."""
    if tried := _LOST.fullmatch(key):
        span = "the whole tile" if tried[2] == "all" else f"{tried[2].removesuffix('s')} s"
        return f"solutions lost where {_TRIED[tried[1]]} were solved over {span}"
    for stem, words in _OF_TABLES:
        if key.startswith(f"{stem}_") and key.removeprefix(f"{stem}_") in _TABLE_NAMES:
            return f"{words}: {_TABLE_NAMES[key.removeprefix(f'{stem}_')]}"
    return key


def numbers_in_words(kind: str, qa: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the rows of a table of a product's numbers: what it is, its value, its unit and its key.

    The error of a number stands beside its value, and which part a worst case is of behind it.
    """
    rows = []
    for key, value in qa.items():
        error, part = qa.get(_ERRORS.get(key, f"e_{key}")), qa.get(f"{key}_of")
        beside = (key.startswith("e_") and (key[2:] in qa or key in _ERRORS.values())) or (
            key.endswith("_of") and key.removesuffix("_of") in qa
        )
        if isinstance(value, dict) or beside:
            continue
        words, unit = words_of(kind, key)
        if isinstance(value, float | int) and isinstance(error, float | int):
            text = with_error(float(value), float(error))
        else:
            text = _text(value)
        rows.append((words, f"{text} ({part})" if part else text, unit, key))
    return rows


def _text(value: Any) -> str:
    """Return a value for a table of a terminal."""
    if value is None:
        return "not measured"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return _short(value) if isinstance(value, float) else str(value)


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
