"""Typed reading of a twin's ``qa``, the measured numbers, one model for each kind of product.

Null and missing both mean 'not measured', and both read as None. See `facts`.
"""

from __future__ import annotations

from pathlib import Path

from contimg.products.record import Record, read_record
from contimg.products.twin import Twin


class MsQa(Record):
    """Numbers of a converted tile; fractions are of what was received."""

    flagged_fraction: float | None = None
    flagged_by_reason: dict[str, float] | None = None
    flagged_by_antenna: dict[str, float] = {}
    flagged_by_subband: dict[str, float] = {}


class CalibrationQa(Record):
    """Numbers of a calibration; fractions are of the solutions for which there was data."""

    snr_median: float | None = None
    flagged_fraction: float | None = None
    lost_by_antenna: dict[str, float] = {}


class ImageQa(Record):
    """Numbers of a tile image; ``peak_mjy`` is its highest pixel, by which its file is checked."""

    rms_mjy: float | None = None
    expected_rms_mjy: float | None = None
    noise_ratio: float | None = None
    sun_jy: float | None = None
    flagged_fraction: float | None = None
    peak_mjy: float | None = None
    min_mjy: float | None = None
    lowest_sigma: float | None = None
    negative_pixels: int | None = None


class MosaicQa(Record):
    """Numbers of a mosaic."""

    rms_mjy: float | None = None
    rms_min_mjy: float | None = None
    rms_from_weights_mjy: float | None = None
    rms_over_weights: float | None = None
    expected_rms_mjy: float | None = None
    confusion_mjy: float | None = None
    noise_ratio: float | None = None
    peak_mjy: float | None = None
    dynamic_range: float | None = None
    area_deg2: float | None = None
    coverage: float | None = None
    projection_error: float | None = None
    tiles_per_pixel: float | None = None
    beam_spread: float | None = None
    flagged_fraction: float | None = None
    n_images: int | None = None
    tile_fraction: float | None = None
    negative_outliers: int | None = None
    worst_negative: float | None = None
    lowest_sigma: float | None = None
    negative_pixels: int | None = None
    min_mjy: float | None = None
    tile_noise_spread: float | None = None
    warned_weight: float | None = None
    warned_weight_of: str | None = None
    compared_tiles: float | None = None
    tile_scale_spread: float | None = None
    e_tile_scale_spread: float | None = None
    tile_shift_spread_beams: float | None = None
    e_tile_shift_spread_beams: float | None = None
    band_tilt: float | None = None
    e_band_tilt: float | None = None
    band_tilt_of: str | None = None
    beam_width_error: float | None = None
    e_beam_width_error: float | None = None
    striping: float | None = None
    pixel_scale_spread: float | None = None
    e_pixel_scale_spread: float | None = None
    pixel_shift_spread_beams: float | None = None
    e_pixel_shift_spread_beams: float | None = None
    difference_width: float | None = None
    difference_width_of: str | None = None
    difference_residue: float | None = None
    difference_residue_of: str | None = None
    difference_stripe: float | None = None
    difference_stripe_of: str | None = None
    pixel_outliers: int | None = None
    pixel_outliers_of: str | None = None
    pixel_outlier_sigma: float | None = None
    pixel_outlier_sigma_of: str | None = None
    beam_ratio_error: float | None = None
    e_beam_ratio_error: float | None = None
    beam_ratio_error_of: str | None = None
    beam_ratio_map: list[list[float]] | None = None
    diagnosis: str | None = None


class CrossmatchQa(Record):
    """Numbers of a comparison with a catalogue; all None where nothing was compared."""

    n_sources: int | None = None
    n_doubtful: int | None = None
    n_negative: int | None = None
    n_catalogue: int | None = None
    n_matched: int | None = None
    n_compared: int | None = None
    n_expected: int | None = None
    n_expected_found: int | None = None
    n_unmatched: int | None = None
    median_flux_ratio: float | None = None
    flux_ratio_mad: float | None = None
    flux_ratio_p05: float | None = None
    flux_ratio_p95: float | None = None
    median_peak_ratio: float | None = None
    flux_outliers: float | None = None
    median_dra_arcsec: float | None = None
    median_ddec_arcsec: float | None = None
    median_offset_arcsec: float | None = None
    median_offset_beams: float | None = None
    systematic_offset_arcsec: float | None = None
    scatter_ra_arcsec: float | None = None
    scatter_dec_arcsec: float | None = None
    offset_p95_arcsec: float | None = None
    completeness: float | None = None
    flux_scale: float | None = None
    e_flux_scale: float | None = None
    flux_tilt_ra: float | None = None
    e_flux_tilt_ra: float | None = None
    flux_tilt_dec: float | None = None
    e_flux_tilt_dec: float | None = None
    flux_bow_dec: float | None = None
    e_flux_bow_dec: float | None = None
    shift_beams: float | None = None
    e_shift_beams: float | None = None
    shift_ra_arcsec: float | None = None
    shift_dec_arcsec: float | None = None
    e_shift_arcsec: float | None = None
    distortion_beams: float | None = None
    e_distortion_beams: float | None = None
    field_rotation_deg: float | None = None
    field_stretch: float | None = None
    peak_over_total: float | None = None
    e_peak_over_total: float | None = None
    unmatched_fraction: float | None = None
    diagnosis: str | None = None
    beam_offset_deg: float | None = None
    e_beam_offset_deg: float | None = None
    beam_offset_deg_of: str | None = None
    beam_width: float | None = None
    e_beam_width: float | None = None
    beam_width_of: str | None = None
    beam_east_deg: float | None = None
    e_beam_east_deg: float | None = None
    beam_north_deg: float | None = None
    e_beam_north_deg: float | None = None
    beam_flux_scale: float | None = None
    e_beam_flux_scale: float | None = None
    beam_scatter: float | None = None
    beam_sources: int | None = None


def ms_qa(twin: Twin, where: Path | str | None = None) -> MsQa:
    """Return the numbers of a converted tile."""
    return read_record(MsQa, twin.qa, twin, where)


def calibration_qa(twin: Twin, where: Path | str | None = None) -> CalibrationQa:
    """Return the numbers of a calibration."""
    return read_record(CalibrationQa, twin.qa, twin, where)


def image_qa(twin: Twin, where: Path | str | None = None) -> ImageQa:
    """Return the numbers of a tile image."""
    return read_record(ImageQa, twin.qa, twin, where)


def mosaic_qa(twin: Twin, where: Path | str | None = None) -> MosaicQa:
    """Return the numbers of a mosaic."""
    return read_record(MosaicQa, twin.qa, twin, where)


def crossmatch_qa(twin: Twin, where: Path | str | None = None) -> CrossmatchQa:
    """Return the numbers of a comparison with a catalogue."""
    return read_record(CrossmatchQa, twin.qa, twin, where)
