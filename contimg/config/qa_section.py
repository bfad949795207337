"""The section with the thresholds that verdicts on tiles and mosaics are reached by."""

from __future__ import annotations

from pydantic import Field

from contimg.config.key_types import Count, Fraction, Positive, Section


class QaOptions(Section):
    """Thresholds of the verdicts; measured values are stored whatever these say."""

    version: Count = Field(3, description="number of this set of thresholds; raise it when one changes")
    commissioning: bool = Field(
        False,
        description="failures become warnings, mosaics are made of all tiles with an image, and every mosaic is held",
    )
    max_noise_ratio: Positive = Field(3.0, description="mosaic rms over the expected noise above which it is failed")
    warn_noise_ratio: Positive = Field(
        2.0, description="mosaic rms over the expected noise above which it is a warning"
    )
    min_flux_ratio: Positive = Field(0.8, description="median flux over catalogue below which a mosaic is failed")
    max_flux_ratio: Positive = Field(1.2, description="median flux over catalogue above which a mosaic is failed")
    max_offset_beams: Positive = Field(
        0.1, description="median offset from the catalogue, in beams, above which a mosaic is failed"
    )
    min_completeness: Fraction = Field(0.6, description="fraction of detectable catalogue sources that must be found")
    min_matches: Count = Field(3, description="matches below which flux and position count as not measured")
    max_flux_outliers: Fraction = Field(
        0.25,
        description="fraction of matched fluxes off their median by more than 30 % above which it is a warning",
    )
    significance: Positive = Field(
        4.0, description="a measured number with an error counts as off only by more than this many errors [sigma]"
    )
    max_flux_scale_error: Positive = Field(
        0.03, description="flux scale off the catalogue's by a larger fraction (and its error) is a warning"
    )
    max_flux_tilt_ra: Positive = Field(
        0.03, description="fluxes that change more from a mosaic's middle to its eastern edge are a warning"
    )
    max_flux_tilt_dec: Positive = Field(
        0.03, description="fluxes that change more from a mosaic's middle to its northern edge are a warning"
    )
    max_flux_bow_dec: Positive = Field(
        0.05, description="fluxes that change more from a mosaic's middle to both edges are a warning"
    )
    max_shift_beams: Positive = Field(
        0.03, description="shift of a mosaic against the catalogue above which it is a warning [beams]"
    )
    max_distortion_beams: Positive = Field(
        0.05, description="displacement at a mosaic's edge, as of a rotation, above which it is a warning [beams]"
    )
    max_peak_loss: Positive = Field(
        0.1, description="peaks off integrated fluxes by a larger fraction (smeared sources) are a warning"
    )
    max_unmatched: Fraction = Field(
        0.1, description="fraction of found bright sources missing in the catalogue above which it is a warning"
    )
    min_tile_fraction: Fraction = Field(0.6, description="fraction of a group's tiles used below which it is a warning")
    max_negative_outliers: Count = Field(
        5, description="places of a mosaic below -6 sigma above which it is a warning: no source is negative"
    )
    max_negative_sigma: Positive = Field(
        10.0, description="depth of a mosaic's most negative pixel above which it is a warning [sigma]"
    )
    max_noise_spread: Positive = Field(
        2.0, description="noise of the noisiest tile over the median tile's above which a mosaic is a warning"
    )
    max_warned_weight: Fraction = Field(
        0.05, description="fraction of a mosaic's weight from tiles with warnings above which it is a warning"
    )
    max_scale_spread: Positive = Field(
        0.03, description="difference of a tile's flux scale from the median tile's above which it is a warning"
    )
    max_shift_spread_beams: Positive = Field(
        0.05, description="shift of a tile from the median tile above which a mosaic is a warning [beams]"
    )
    max_band_tilt: Positive = Field(
        0.03, description="change of a tile's noise along the band against the others' above which it is a warning"
    )
    max_beam_offset_deg: Positive = Field(
        0.05, description="axis of a group's primary beam off the one used by more than this is a warning [deg]"
    )
    max_beam_width: Positive = Field(
        0.03, description="width of a group's primary beam, by its sources in each tile, off the one used by more warns"
    )
    max_beam_width_error: Positive = Field(
        0.02, description="primary beam wider or narrower than assumed by a larger fraction is a warning"
    )
    max_striping: Positive = Field(
        0.3, description="amplitude of the strongest stripe of a mosaic above which it is a warning [rms]"
    )
    max_pixel_scale_spread: Positive = Field(
        0.05, description="difference of a tile's flux scale from the median tile's, by pixels, that is a warning"
    )
    max_pixel_shift_spread_beams: Positive = Field(
        0.07, description="shift of a tile from the median tile, by pixels, above which it is a warning [beams]"
    )
    max_difference_width: Positive = Field(
        0.3, description="scatter of two tiles' difference off what their noises say by a larger fraction is a warning"
    )
    max_difference_residue: Positive = Field(
        1.0, description="mean of two tiles' difference over 12 beams above which a mosaic is a warning [rms]"
    )
    max_difference_stripe: Positive = Field(
        0.4, description="amplitude of the strongest stripe of two tiles' difference above which it is a warning [rms]"
    )
    max_pixel_outliers: Count = Field(
        4, description="places that one tile alone shows or lacks above which a mosaic is a warning"
    )
    max_pixel_outlier_sigma: Positive = Field(
        10.0, description="a place that one tile alone shows or lacks is a warning beyond this size [expected error]"
    )
    max_beam_ratio_error: Positive = Field(
        0.05, description="error of the primary beam where overlapping tiles show it above which it is a warning"
    )
    max_tile_noise_ratio: Positive = Field(5.0, description="tile rms over the expected noise above which it is failed")
    warn_tile_noise_ratio: Positive = Field(
        2.0, description="tile rms over the expected noise above which it is a warning"
    )
    min_tile_dynamic_range: Positive = Field(5.0, description="peak over rms of a tile below which it is a warning")
    max_tile_artefact_ratio: Positive = Field(
        2.0, description="rms round a tile's brightest source over that of all, above which it is a warning"
    )
    max_tile_negative_bowl: Positive = Field(
        1.0, description="depth of the deepest broad bowl above which a tile is a warning [rms]"
    )
    max_tile_striping: Positive = Field(
        0.5, description="amplitude of the strongest stripe above which a tile is a warning [rms]"
    )
    max_tile_psf_misfit: Positive = Field(
        0.5, description="largest difference of PSF and restoring beam in the core above which a tile is a warning"
    )
    max_tile_flagged: Fraction = Field(0.5, description="flagged fraction above which a tile is a warning")
    min_tile_flux_ratio: Positive = Field(0.7, description="median flux over catalogue below which a tile is failed")
    max_tile_flux_ratio: Positive = Field(1.3, description="median flux over catalogue above which a tile is failed")
    max_tile_flux_outliers: Fraction = Field(
        0.25, description="fraction of a tile's fluxes off their median by more than 30 % above which it is a warning"
    )
    max_tile_offset_beams: Positive = Field(
        0.2, description="median offset from the catalogue, in beams, above which a tile is failed"
    )
    max_tile_lost_integrations: Fraction = Field(
        0.1, description="fraction of a tile's integrations of which nothing is left above which it is a warning"
    )
    max_tile_lost_subbands: Count = Field(
        1, description="subbands that came but of which nothing is left above which a tile is a warning"
    )
    max_tile_scale_error: Positive = Field(
        0.05, description="flux scale of a tile off the catalogue's by a larger fraction (and its error) is a warning"
    )
    max_tile_shift_beams: Positive = Field(
        0.05, description="shift of a tile against the catalogue above which it is a warning [beams]"
    )
    max_tile_beam_width_error: Positive = Field(
        0.05, description="primary beam of a tile wider or narrower than assumed by a larger fraction is a warning"
    )
    max_tile_arm_delay_ns: Positive = Field(
        0.2, description="delay of an arm of the array against the others above which a tile is a warning [ns]"
    )
    max_tile_arm_phase_deg: Positive = Field(
        10.0, description="phase of an arm of the array against the others above which a tile is a warning [deg]"
    )
    max_tile_arm_gain: Positive = Field(
        0.1, description="gain of an arm of the array off the others' by a larger fraction is a warning"
    )
    max_tile_subband_gain: Positive = Field(
        0.05, description="gain of a subband off the others' by a larger fraction is a warning"
    )
    max_tile_time_gain: Positive = Field(
        0.1, description="gain of an integration off the others' by a larger fraction is a warning"
    )
    max_tile_antenna_gain: Positive = Field(
        0.25, description="gain of an antenna off the others' by a larger fraction is a warning"
    )
    max_tile_system_noise: Positive = Field(
        0.1, description="noise of the visibilities off that on the calibrator by a larger fraction is a warning"
    )
    max_tile_subband_noise: Positive = Field(
        0.25, description="noise of a subband off the median's by a larger fraction is a warning"
    )
    max_tile_time_noise: Positive = Field(
        0.5, description="noise of an integration off the median's by a larger fraction is a warning"
    )
    max_tile_pb_error: Positive = Field(
        0.001, description="error of a tile's beam map, of the direct mean, above which it is failed"
    )
    max_tile_pb_peak_offset_px: Positive = Field(
        1.0, description="offset of the beam map's maximum above which a tile is failed [pixels]"
    )
    max_tile_pb_asymmetry: Positive = Field(
        0.05, description="difference of opposite sides of the beam map above which a tile is a warning"
    )
    max_tile_centre_offset_arcsec: Positive = Field(
        10.0, description="offset of the phase centre from the beam's mean axis above which a tile is failed [arcsec]"
    )
    max_tile_uvw_error_m: Positive = Field(
        0.05, description="error of the length of any baseline above which a tile is failed [m]"
    )
