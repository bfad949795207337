"""The sections that choose how data are flagged, calibrated, imaged, combined and compared with a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from contimg.config.key_types import (
    Count,
    Fraction,
    NotNegative,
    Number,
    Positive,
    PositiveHours,
    PositiveSeconds,
    Section,
)

_Offset = Annotated[Number, Field(ge=-2, le=2)]


class FlagOptions(Section):
    """Interference and bad-data flagging, done while converting."""

    interference: bool = Field(True, description="search for interference; otherwise flag only what is no data")
    aoflagger: bool = Field(True, description="run AOFlagger on every baseline in that search")
    edge_channels: Annotated[int, Field(ge=0)] = Field(0, description="channels flagged at each end of every subband")
    mad_sigma: Positive = Field(
        7.0, description="samples beyond this many robust standard deviations are flagged after that search [sigma]"
    )
    max_flagged: Fraction = Field(0.6, description="a tile with a larger flagged fraction is failed")


class CalibrationOptions(Section):
    """Which calibrators, and how far solutions reach."""

    calibrators: str = Field(
        "builtin",
        description="'builtin' (Perley & Butler 2017), the VLA's list (.txt) with these, or a CSV, VOTable or FITS",
    )
    refant: str = Field("auto", description="'auto', or the name of an antenna")
    policy: Literal["nearest", "causal"] = Field(
        "nearest", description="nearest, or causal: only calibrations from before the tile"
    )
    bandpass_validity_h: PositiveHours = Field(
        24.0, description="time before and after it in which a bandpass may be used [h]"
    )
    gain_validity_min: Positive = Field(30.0, description="time before and after them in which gains may be used [min]")
    max_dec_difference_deg: Positive = Field(1.0, description="largest difference of declination strips [deg]")
    min_calibrator_jy: Positive = Field(1.0, description="apparent flux that a calibrator must have [Jy]")
    min_beam: Fraction = Field(0.5, description="beam response that a calibrator must reach at transit")
    max_extent_arcsec: Positive = Field(
        10.0, description="calibrators of a larger extent are not used, as they are resolved [arcsec]"
    )
    min_uv_klambda: NotNegative = Field(0.0, description="shortest baseline used in solving [thousands of wavelengths]")
    sun_min_uv_klambda: NotNegative = Field(
        0.3, description="the same where the Sun is found in the calibrator's tile [thousands of wavelengths]"
    )
    min_snr: Positive = Field(3.0, description="solutions below this signal-to-noise ratio are flagged")
    max_flagged: Fraction = Field(
        0.3, description="a calibration that lost a larger fraction of its solutions is failed"
    )
    max_lost_antennas: Fraction = Field(
        0.2, description="a calibration that lost a larger fraction of the antennas with data is failed"
    )
    min_median_snr: Positive = Field(
        10.0, description="a calibration whose solutions have a lower median signal-to-noise ratio is failed"
    )
    max_phase_scatter_deg: Positive = Field(
        30.0, description="gains whose phases scatter more over the tile are a warning [deg]"
    )
    max_phase_step_deg: Positive = Field(
        20.0, description="bandpasses whose phases step more from channel to channel, rms, are a warning [deg]"
    )
    max_amplitude_range: Positive = Field(
        20.0,
        description="95th over 5th percentile of the receptors' amplitudes above which a bandpass is a warning",
    )
    max_level_change: Positive = Field(
        0.5,
        description="the array's gain may differ by this fraction from the certified bandpass before, else a warning",
    )
    max_gain_change: Positive = Field(
        0.3,
        description="an antenna whose amplitude differs by a larger fraction (array's median out) has changed",
    )
    max_changed_antennas: Fraction = Field(
        0.3, description="a bandpass with a larger fraction of changed antennas is a warning"
    )
    max_bandpass_change: Positive = Field(
        0.1, description="a larger change of the bandpasses' shape, rms of the amplitude, is a warning"
    )
    max_subband_change: Positive = Field(
        0.1, description="a larger change of one subband's amplitude since the bandpass before is a warning"
    )
    max_subband_phase_deg: Positive = Field(
        20.0, description="a subband whose bandpass phases are further off its neighbours' is a warning [deg]"
    )
    gain_interval_s: PositiveSeconds = Field(60.0, description="time that one gain solution covers [s]")
    max_flux_scale_change: Positive = Field(
        0.25, description="a field's flux may differ from the catalogue's by this fraction, else gains are a warning"
    )
    min_field_jy: Positive = Field(0.5, description="apparent flux of the catalogue sky that gains need [Jy]")
    field_bandpass: bool = Field(
        True, description="solve the bandpass on the catalogue sky in strips that no calibrator of the list crosses"
    )


class SkyOptions(Section):
    """The sky that is known beforehand."""

    catalogue: str | None = Field(
        None, description="catalogue (CSV, VOTable, FITS), a folder of 'contimg catalogue make' strips, or null"
    )


class BeamOptions(Section):
    """The primary beam: an Airy pattern with central blockage, or a FITS cube."""

    dish_diameter_m: Positive = Field(4.65, description="diameter of a dish [m]")
    blockage_diameter_m: NotNegative = Field(0.4064, description="diameter of its central blockage [m]")
    cube: str | None = Field(
        None, description="FITS cube of the power beam instead (east and north of the axis, frequency), or null"
    )
    offset_deg: Literal["auto"] | Annotated[list[_Offset], Field(min_length=2, max_length=2)] = Field(
        [0.0, 0.0],
        description="the beam's axis from the pointing, to the east and to the north [deg]; or auto: measured with "
        "each bandpass",
    )
    fwhm_scale: Literal["auto"] | Annotated[Number, Field(ge=0.5, le=2)] = Field(
        1.0, description="width of the beam over that of the pattern or cube; or auto: measured with each bandpass"
    )

    @property
    def measures(self) -> tuple[bool, bool]:
        """Whether offset and width are measured on the sky."""
        return self.offset_deg == "auto", self.fwhm_scale == "auto"

    @property
    def offset(self) -> tuple[float, float]:
        """The offset to east and north (deg); none where it is to be measured and is not yet."""
        return (0.0, 0.0) if self.offset_deg == "auto" else (self.offset_deg[0], self.offset_deg[1])

    @property
    def width(self) -> float:
        """The width over that of pattern or cube; 1 where it is to be measured and is not yet."""
        return 1.0 if self.fwhm_scale == "auto" else self.fwhm_scale

    def with_axis(self, offset_deg: Sequence[float], fwhm_scale: float) -> BeamOptions:
        """Return this beam with another offset (deg) and width."""
        return self.model_copy(update={"offset_deg": [float(one) for one in offset_deg], "fwhm_scale": fwhm_scale})


class SelfcalOptions(Section):
    """Antennas' phases, then amplitudes, corrected by the tile's own bright sources (backend contimg)."""

    rounds: Annotated[int, Field(ge=0)] = Field(0, description="most rounds of phases; 0 = no self-calibration")
    solint: Positive | None = Field(
        None, description="time that one phase covers; null = as short as the data call for and allow [s]"
    )
    mode: Literal["phase", "amplitude"] = Field(
        "phase", description="phases alone, or then amplitudes too, of which the mean is kept"
    )
    min_snr: Positive = Field(
        20.0, description="what the median antenna's signal-to-noise ratio in each hand and interval must be"
    )


class ImageOptions(Section):
    """The tile images."""

    size_px: Annotated[int, Field(ge=64)] | None = Field(
        4800, description="width and height; null = as wide as the beam reaches pb_limit [pixels]"
    )
    cell_arcsec: Positive = Field(3.0, description="pixel size [arcsec]")
    robust: Annotated[Number, Field(ge=-2, le=2)] = Field(0.5, description="Briggs robustness, -2 uniform to 2 natural")
    pb_limit: Annotated[Number, Field(gt=0, lt=1)] = Field(0.2, description="blank where the effective beam is lower")
    backend: Literal["contimg", "wsclean"] = Field("contimg", description="the imager: contimg's own, or WSClean")
    max_iterations: Count = Field(20000, description="most CLEAN components of a tile")
    auto_mask_sigma: Positive = Field(
        5.0, description="depth of the first CLEAN, whose components make the mask [sigma]"
    )
    threshold_sigma: Positive = Field(1.5, description="depth of CLEAN within that mask [sigma]")
    bright_sigma: Positive = Field(
        100.0,
        description="sources above this are subtracted exactly, with the moving beam; known ones from a fifth of it "
        "where sidelobes exceed the noise [sigma]",
    )
    min_uv_klambda: NotNegative = Field(
        0.0, description="shortest baseline that is imaged [thousands of wavelengths] (backend contimg)"
    )
    sun_min_uv_klambda: NotNegative = Field(
        0.3, description="the same in tiles in which the Sun is found [thousands of wavelengths] (backend contimg)"
    )
    peel_far_sources: bool = Field(
        True,
        description="take the Sun, Cas A, Cyg A, Tau A and Vir A out of the visibilities of the baselines on which far "
        "sidelobes show them (backend contimg)",
    )
    taper_arcsec: NotNegative = Field(
        0.0, description="width of a Gaussian by which the beam is made wider, 0 for none [arcsec] (backend contimg)"
    )
    multiscale: bool = Field(False, description="CLEAN with extended components too")
    local_rms: bool = Field(
        False, description="take the thresholds from the noise round each pixel, not the whole image's"
    )
    catalogue_mask: bool = Field(
        False, description="CLEAN down to threshold_sigma round sky.catalogue's sources too (backend contimg)"
    )
    channel_groups: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="parts of the band cleaned together and imaged apart, for spectra (backend contimg)"
    )
    max_averaging_loss: Annotated[Number, Field(ge=0, le=0.05)] = Field(
        0.003, description="channels are averaged until a source at pb_limit loses this fraction on any baseline"
    )
    smearing: bool | None = Field(
        None,
        description="divide out, and model, what finite channels and integrations take; null = in real data, not "
        "in simulated ones (backend contimg)",
    )
    selfcal: SelfcalOptions = SelfcalOptions()

    @property
    def peels(self) -> bool:
        """Whether far sources are taken out of the visibilities; WSClean reads them from the Measurement Set."""
        return self.peel_far_sources and self.backend == "contimg"


class MosaicOptions(Section):
    """The mosaic."""

    cell_arcsec: Positive = Field(3.0, description="pixel size [arcsec]")
    max_size_px: Count = Field(40000, description="a mosaic wider or higher than this is an error [pixels]")
    max_beam_deviation: Positive = Field(0.2, description="tiles whose beam differs more from the median are left out")
    max_rms_ratio: Positive = Field(5.0, description="tiles with an rms above this many medians are left out")
    odd_tiles: Literal["leave_out", "rescale"] = Field(
        "leave_out",
        description="tiles that differ from their neighbours are left out; or, where only fluxes do, rescaled",
    )
    max_scale_difference: Positive = Field(
        0.03, description="tiles whose fluxes differ from their neighbours' by more than this fraction are odd"
    )
    max_shift_beams: Positive = Field(
        0.05, description="tiles shifted against their neighbours by more than this are odd, and left out [beams]"
    )
    local_noise: bool = Field(
        True, description="weight the pixels of a tile by the noise round them, not by the whole tile's"
    )
    confusion_ujy: NotNegative | None = Field(
        None,
        description="confusion in the expected noise; null = by Condon et al. 2012, none in simulated data [uJy/beam]",
    )
    compression: Literal["none", "lossless", "quantised"] = Field(
        "none",
        description="tile-compressed FITS, which CASA cannot read: all bits kept, or 1/16 of the noise in the image",
    )
    reject_sigma: NotNegative = Field(
        0.0, description="of 3 tiles or more, leave out pixels that differ by more than this; 0 = none [sigma]"
    )


class TemplateOptions(Section):
    """The deep template of a strip, and the differences of mosaics from it."""

    beam_margin: Annotated[Number, Field(ge=0, le=1)] = Field(
        0.1, description="by this fraction a new template's beam is wider than its first mosaic's"
    )
    confusion_ujy: NotNegative | None = Field(
        None, description="confusion noise at the template's beam; null = by Condon et al. 2012 [uJy/beam]"
    )
    flux_error: Fraction = Field(
        0.05, description="fraction by which the flux scale of a mosaic may differ without a source having changed"
    )
    change_sigma: Positive = Field(6.0, description="sources that differ from the template by this are listed [sigma]")
    max_width_error: Positive = Field(
        0.2, description="differences over their expected noise may be wider or narrower than 1 by this, else a warning"
    )
    max_width: Positive = Field(2.0, description="a mosaic whose differences are wider stays out of the template")
    max_noise_ratio: Positive = Field(
        1.5, description="rms of a template over that of its weights and confusion above which it is a warning"
    )


class CrossmatchOptions(Section):
    """The comparison of the mosaic with the catalogue."""

    enabled: bool = Field(True, description="find sources in the mosaic and match them with sky.catalogue")
    radius_arcsec: Positive = Field(30.0, description="largest offset of a match [arcsec]")
    min_snr: Positive = Field(8.0, description="sources fainter than this do not enter the ratios [sigma]")
