"""The table of gates: every limit that a verdict follows from, by kind of product."""

from __future__ import annotations

from contimg.products.gates.gate import Bound, Gate, Sample, Severity

# number, its label, unit, bound, limit, severity
_Row = tuple[str, str, str, Bound, str | float, Severity]


def _gates(kind: str, *rows: _Row, sample: Sample | None = None, when: str = "") -> tuple[Gate, ...]:
    """Return gates of one kind that share their sample and their condition."""
    return tuple(Gate(kind, *row, sample=sample, when=when) for row in rows)


MS: tuple[Gate, ...] = ()

CALIBRATION: tuple[Gate, ...] = ()

CALIBRATED: tuple[Gate, ...] = ()

IMAGE = _gates(
    "image",
    ("noise_ratio", "noise over the radiometer's", "", "max", "qa.max_tile_noise_ratio", "failed"),
    ("noise_ratio", "noise over the radiometer's", "", "max", "qa.warn_tile_noise_ratio", "warning"),
    ("dynamic_range", "peak over noise", "", "min", "qa.min_tile_dynamic_range", "warning"),
    ("artefact_ratio", "rms by the brightest source", "", "max", "qa.max_tile_artefact_ratio", "warning"),
    ("negative_bowl", "deepest broad bowl", "rms", "max", "qa.max_tile_negative_bowl", "warning"),
    ("striping", "strongest stripe", "rms", "max", "qa.max_tile_striping", "warning"),
    ("psf_misfit", "PSF less restoring beam", "", "max", "qa.max_tile_psf_misfit", "warning"),
    ("flagged_fraction", "flagged fraction", "", "max", "qa.max_tile_flagged", "warning"),
    ("pb_error", "error of the beam map", "", "max", "qa.max_tile_pb_error", "failed"),
    ("pb_peak_offset_px", "beam map off centre", "px", "max", "qa.max_tile_pb_peak_offset_px", "failed"),
    ("pb_asymmetry", "asymmetry of the beam map", "", "max", "qa.max_tile_pb_asymmetry", "warning"),
    ("centre_offset_arcsec", "phase centre off", "″", "max", "qa.max_tile_centre_offset_arcsec", "failed"),
    ("uvw_error_m", "error of baseline lengths", "m", "max", "qa.max_tile_uvw_error_m", "failed"),
)

# Of images that were compared with a catalogue.
CATALOGUED_IMAGE = _gates(
    "image",
    ("median_flux_ratio", "median flux over catalogue", "", "min", "qa.min_tile_flux_ratio", "failed"),
    ("median_flux_ratio", "median flux over catalogue", "", "max", "qa.max_tile_flux_ratio", "failed"),
    ("flux_outliers", "fluxes off the median by > 30 %", "", "max", "qa.max_tile_flux_outliers", "warning"),
    ("median_offset_beams", "median offset", "beams", "max", "qa.max_tile_offset_beams", "failed"),
    sample=Sample("n_compared", "qa.min_matches", "isolated catalogue sources of 20 sigma"),
    when="n_compared",
)

MOSAIC = _gates(
    "mosaic",
    ("noise_ratio", "noise over the radiometer's", "", "max", "qa.max_noise_ratio", "failed"),
    ("noise_ratio", "noise over the radiometer's", "", "max", "qa.warn_noise_ratio", "warning"),
    ("tile_fraction", "tiles used of the group", "", "min", "qa.min_tile_fraction", "warning"),
)

CROSSMATCH = (
    *_gates(
        "crossmatch",
        ("median_flux_ratio", "median flux over catalogue", "", "min", "qa.min_flux_ratio", "failed"),
        ("median_flux_ratio", "median flux over catalogue", "", "max", "qa.max_flux_ratio", "failed"),
        ("flux_outliers", "fluxes off the median by > 30 %", "", "max", "qa.max_flux_outliers", "warning"),
        ("median_offset_beams", "median offset", "beams", "max", "qa.max_offset_beams", "failed"),
        sample=Sample("n_compared", "qa.min_matches", "isolated sources to compare"),
    ),
    *_gates(
        "crossmatch",
        ("completeness", "detectable sources found", "", "min", "qa.min_completeness", "failed"),
        sample=Sample("n_expected", "qa.min_matches", "detectable catalogue sources"),
    ),
)

BUNDLE: tuple[Gate, ...] = ()

GATES: tuple[Gate, ...] = (
    *MS, *CALIBRATION, *CALIBRATED, *IMAGE, *CATALOGUED_IMAGE, *MOSAIC, *CROSSMATCH, *BUNDLE,
)  # fmt: skip
