"""The table of gates: every limit that a verdict follows from, by kind of product."""

from __future__ import annotations

from contimg.products.gates.gate import Bound, Gate, Sample, Severity

# number, its label, unit, bound, limit, severity
_Row = tuple[str, str, str, Bound, str | float, Severity]


def _gates(kind: str, *rows: _Row, sample: Sample | None = None, when: str = "") -> tuple[Gate, ...]:
    """Return gates of one kind that share their sample and their condition."""
    return tuple(Gate(kind, *row, sample=sample, when=when) for row in rows)


MS: tuple[Gate, ...] = ()

_CalibrationRow = tuple[str, str, str, Bound, str, Severity, str, Severity | None]


def _calibration_gates(*rows: _CalibrationRow) -> tuple[Gate, ...]:
    """Return gates of calibrations: with their codes, and the verdict where the number was not measured.

    A calibration that could not be solved has none of these numbers and is judged by none of these gates.
    """
    return tuple(Gate("calibration", *row[:6], code=row[6], unmeasured=row[7], when=row[0]) for row in rows)


CALIBRATION = _calibration_gates(
    ("flagged_fraction", "lost fraction of the working receptors' solutions", "", "max", "calibration.max_flagged",
     "failed", "solutions_lost", "failed"),
    ("lost_antennas_fraction", "fraction of antennas with data but without a solution", "", "max",
     "calibration.max_lost_antennas", "failed", "antennas_lost", "failed"),
    ("snr_median", "median signal-to-noise ratio of the solutions", "", "min", "calibration.min_median_snr",
     "failed", "low_snr", "failed"),
    ("gain_phase_scatter_deg", "phase scatter of the gains over the tile", "deg", "max",
     "calibration.max_phase_scatter_deg", "warning", "phase_scatter", None),
    ("bandpass_phase_step_deg", "rms phase step between channels of the bandpass", "deg", "max",
     "calibration.max_phase_step_deg", "warning", "phase_steps", None),
    ("subband_phase_offset_deg", "largest phase offset of a subband from its neighbours", "deg", "max",
     "calibration.max_subband_phase_deg", "warning", "subband_phases", None),
    ("amplitude_range", "range of the receptors' amplitudes, 95th percentile over 5th", "", "max",
     "calibration.max_amplitude_range", "warning", "amplitude_range", None),
    ("flux_scale_change", "difference between the flux scales of bandpass and catalogue", "", "max",
     "calibration.max_flux_scale_change", "warning", "flux_scale_disagrees", None),
    ("gain_level_ratio", "gain of the array over that of the bandpass before", "", "factor",
     "calibration.max_level_change", "warning", "gain_level_changed", None),
    ("changed_antennas_fraction", "fraction of antennas whose amplitude changed since the bandpass before", "", "max",
     "calibration.max_changed_antennas", "warning", "antennas_changed", None),
    ("bandpass_change_rms", "rms change of the bandpasses' shape since the bandpass before", "", "max",
     "calibration.max_bandpass_change", "warning", "bandpass_changed", None),
    ("subband_change", "largest change of a subband's amplitude since the bandpass before", "", "max",
     "calibration.max_subband_change", "warning", "subband_changed", None),
)  # fmt: skip

CALIBRATED: tuple[Gate, ...] = ()

IMAGE = _gates(
    "image",
    ("noise_ratio", "noise over the expected", "", "max", "qa.max_tile_noise_ratio", "failed"),
    ("noise_ratio", "noise over the expected", "", "max", "qa.warn_tile_noise_ratio", "warning"),
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

_FittedRow = tuple[str, str, str, Bound, str, str]
_TILE_FITS: tuple[_FittedRow, ...] = (
    ("flux_scale", "flux scale against the catalogue", "", "factor", "qa.max_tile_scale_error", "e_flux_scale"),
    ("shift_beams", "shift against the catalogue", "beams", "max", "qa.max_tile_shift_beams", "e_shift_beams"),
    ("beam_width_error", "width of the primary beam over the assumed one, less 1", "", "abs",
     "qa.max_tile_beam_width_error", "e_beam_width_error"),
    ("arm_delay_ns", "delay of one arm of the array against the others in ns", "", "abs", "qa.max_tile_arm_delay_ns",
     "e_arm_delay_ns"),
    ("arm_phase_deg", "phase of one arm of the array against the others in deg", "", "abs",
     "qa.max_tile_arm_phase_deg", "e_arm_phase_deg"),
    ("arm_gain", "gain of one arm of the array over the others'", "", "factor", "qa.max_tile_arm_gain", "e_arm_gain"),
    ("subband_gain", "gain of one subband over the others'", "", "factor", "qa.max_tile_subband_gain",
     "e_subband_gain"),
    ("time_gain", "gain of one integration over the others'", "", "factor", "qa.max_tile_time_gain", "e_time_gain"),
    ("antenna_gain", "gain of one antenna over the others'", "", "factor", "qa.max_tile_antenna_gain",
     "e_antenna_gain"),
    ("lost_integrations", "fraction of the integrations that are a gap, flagged or not finite", "", "max",
     "qa.max_tile_lost_integrations", ""),
    ("lost_subbands", "number of subbands that came but are empty or flagged", "", "max",
     "qa.max_tile_lost_subbands", ""),
    ("system_noise", "noise of the visibilities over that on the calibrator", "", "factor",
     "qa.max_tile_system_noise", ""),
    ("subband_noise", "noise of one subband over the median's", "", "factor", "qa.max_tile_subband_noise", ""),
    ("time_noise", "noise of one integration over the median's", "", "factor", "qa.max_tile_time_noise", ""),
)  # fmt: skip
# Of fits to the sources of a tile and its visibilities: judged where there was enough to measure them.
IMAGE_FITS = tuple(Gate("image", *row[:5], "warning", unmeasured=None, when=row[0], error=row[5]) for row in _TILE_FITS)

MOSAIC = _gates(
    "mosaic",
    ("noise_ratio", "noise over the expected", "", "max", "qa.max_noise_ratio", "failed"),
    ("noise_ratio", "noise over the expected", "", "max", "qa.warn_noise_ratio", "warning"),
    ("tile_fraction", "tiles used of the group", "", "min", "qa.min_tile_fraction", "warning"),
)

_TILE_ROWS: tuple[tuple[str, str, Bound, str, str], ...] = (
    ("negative_outliers", "number of places below -6 sigma of the local noise and a thousandth of bright sources near",
     "max", "qa.max_negative_outliers", ""),
    ("worst_negative", "largest depth of a negative pixel over the local noise and a thousandth of bright sources near",
     "max", "qa.max_negative_sigma", ""),
    ("tile_noise_spread", "noise of the noisiest tile over the median tile's", "max", "qa.max_noise_spread", ""),
    ("warned_weight", "fraction of the weight from tiles with warnings", "max", "qa.max_warned_weight", ""),
    ("tile_scale_spread", "largest difference of a tile's flux scale from the median tile's", "abs",
     "qa.max_scale_spread", "e_tile_scale_spread"),
    ("tile_shift_spread_beams", "largest shift of a tile from the median tile, in beams,", "max",
     "qa.max_shift_spread_beams", "e_tile_shift_spread_beams"),
    ("band_tilt", "change of a tile's noise along the band against the other tiles'", "abs", "qa.max_band_tilt",
     "e_band_tilt"),
    ("beam_width_error", "width of the primary beam over the assumed one, less 1", "abs", "qa.max_beam_width_error",
     "e_beam_width_error"),
    ("striping", "amplitude of the strongest stripe over the noise", "max", "qa.max_striping", ""),
    ("pixel_scale_spread", "largest difference of a tile's flux scale from the median tile's, by pixels", "abs",
     "qa.max_pixel_scale_spread", "e_pixel_scale_spread"),
    ("pixel_shift_spread_beams", "largest shift of a tile from the median tile in beams, by pixels", "max",
     "qa.max_pixel_shift_spread_beams", "e_pixel_shift_spread_beams"),
    ("difference_width", "scatter of the difference of two tiles over their noise", "factor",
     "qa.max_difference_width", ""),
    ("difference_residue", "largest mean over 12 beams of the difference of two tiles over its noise", "max",
     "qa.max_difference_residue", ""),
    ("difference_stripe", "amplitude of the strongest stripe in the difference of two tiles over its noise", "max",
     "qa.max_difference_stripe", ""),
    ("pixel_outliers", "number of places that one tile alone shows or lacks", "max", "qa.max_pixel_outliers", ""),
    ("pixel_outlier_sigma", "difference of the worst place that one tile alone shows or lacks, over its expected size,",
     "max", "qa.max_pixel_outlier_sigma", ""),
    ("beam_ratio_error", "error of the primary beam at one place, by the ratio of overlapping tiles", "abs",
     "qa.max_beam_ratio_error", "e_beam_ratio_error"),
)  # fmt: skip
# Of the tiles of a mosaic compared with each other. A single tile has no neighbours.
MOSAIC_TILES = tuple(
    Gate("mosaic", key, label, "", bound, limit, "warning", unmeasured=None, when=key, error=error)
    for key, label, bound, limit, error in _TILE_ROWS
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

# Of fits to the compared sources: limits that count only beyond the errors. Where too few sources are there to be
# fitted, flux ratio and offset above say so.
CATALOGUE_FIT = tuple(
    Gate("crossmatch", *row, "warning", unmeasured=None, when=row[0], error=f"e_{row[0]}")
    for row in (
        ("beam_offset_deg", "axis of the primary beam off the one used", "deg", "max", "qa.max_beam_offset_deg"),
        ("beam_width", "width of the primary beam over the one used", "", "factor", "qa.max_beam_width"),
        ("flux_scale", "flux scale against the catalogue", "", "factor", "qa.max_flux_scale_error"),
        ("flux_tilt_ra", "change of fluxes with right ascension", "", "abs", "qa.max_flux_tilt_ra"),
        ("flux_tilt_dec", "change of fluxes with declination", "", "abs", "qa.max_flux_tilt_dec"),
        ("flux_bow_dec", "change of fluxes from the strip's middle to its edges", "", "abs", "qa.max_flux_bow_dec"),
        ("shift_beams", "shift against the catalogue", "beams", "max", "qa.max_shift_beams"),
        ("distortion_beams", "distortion of the field", "beams", "max", "qa.max_distortion_beams"),
        ("peak_over_total", "peaks over integrated fluxes", "", "factor", "qa.max_peak_loss"),
    )
)
CATALOGUE_LACKS = (
    Gate(
        "crossmatch", "unmatched_fraction", "bright sources that the catalogue lacks", "", "max", "qa.max_unmatched",
        "warning", unmeasured=None, sample=Sample("n_expected", "qa.min_matches", "detectable catalogue sources"),
        when="unmatched_fraction",
    ),
)  # fmt: skip

# Of a mosaic's differences from the template of its strip, and of the template.
DIFFERENCE = _gates(
    "difference",
    ("difference_width", "differences from the template over their noise", "", "factor", "template.max_width_error",
     "warning"),
)  # fmt: skip
TEMPLATE = _gates(
    "template",
    ("noise_ratio", "noise over that of weights and confusion", "", "max", "template.max_noise_ratio", "warning"),
)

BUNDLE: tuple[Gate, ...] = ()

GATES: tuple[Gate, ...] = (
    *MS, *CALIBRATION, *CALIBRATED, *IMAGE, *CATALOGUED_IMAGE, *IMAGE_FITS, *MOSAIC, *MOSAIC_TILES, *CROSSMATCH,
    *CATALOGUE_FIT, *CATALOGUE_LACKS, *DIFFERENCE, *TEMPLATE, *BUNDLE,
)  # fmt: skip
