"""The sections of the configuration: every key typed, its unit in its name, with its meaning."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator

from contimg.naming import DATE_PATTERN, Layout

_EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+", re.ASCII)


def _number(value: object) -> object:
    """Return the number of a text like 1e3: without a point or the exponent's sign YAML 1.1 takes it for a text."""
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def _night(value: object) -> object:
    """Return a night as text: YAML reads a bare 2026-02-11 as a date."""
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value


def _real_date(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"nights: {value} is no date of the calendar") from None
    return value


Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Night = Annotated[str, Field(pattern=f"^{DATE_PATTERN}$"), BeforeValidator(_night), AfterValidator(_real_date)]
Count = Annotated[int, Field(ge=1)]
Root = Annotated[Path, Strict(False)]


class Section(BaseModel):
    """A frozen, strict group of keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class PathOptions(Section):
    """The four roots; nothing outside them is written."""

    incoming: Root = Field(Path("incoming"), description="where the correlator drops its HDF5 files; never written to")
    stage: Root = Field(Path("stage"), description="intermediate and final products on their way to the archive")
    products: Root = Field(Path("products"), description="the archive: published bundles only")
    state: Root = Field(Path("state"), description="registry, caches, run lock and frozen plan; a local disk")


class IngestOptions(Section):
    """When a tile is ready, and what is done with an incomplete one."""

    subbands: Count = Field(16, description="subband files of a complete tile")
    min_subbands: Count = Field(12, description="fewest subbands with which a late tile is still converted")
    cluster_s: Positive = Field(120.0, description="names without a larger gap between them are files of one tile [s]")
    settle_s: NotNegative = Field(60.0, description="a file that was written to more recently may still grow [s]")
    deadline_s: NotNegative = Field(
        3600.0, description="missing subbands are waited for this long after the time in the name [s]"
    )
    max_clock_error_s: Positive = Field(
        600.0,
        description="a name may differ by this from the header's time, or be ahead of the clock [s]",
    )


class GroupOptions(Section):
    """How tiles become groups, one mosaic each."""

    tiles: Count = Field(10, description="tiles of a full group")
    min_tiles: Count = Field(1, description="fewest tiles of a group; what is left of a scan with fewer is not imaged")
    max_gap_s: Positive = Field(450.0, description="largest start-to-start gap inside a scan [s]")
    max_dec_difference_deg: Positive = Field(0.1, description="largest change of declination inside a scan [deg]")
    stride: Count = Field(
        10, description="tiles from the start of one group to the next; below group.tiles they overlap"
    )
    late: Literal["reprocess", "report"] = Field(
        "report",
        description="files that arrive for a published group: make a new version, or only report them",
    )


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
        description="'builtin' (Perley & Butler 2017), a CSV, VOTable or FITS file, or the VLA's list (.txt)",
    )
    refant: str = Field("auto", description="'auto', or the name of an antenna")
    policy: Literal["nearest", "causal"] = Field(
        "nearest", description="nearest, or causal: only calibrations from before the tile"
    )
    bandpass_validity_h: Positive = Field(
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
    gain_interval_s: Positive = Field(60.0, description="time that one gain solution covers [s]")
    max_flux_scale_change: Positive = Field(
        0.25, description="a field's flux may differ from the catalogue's by this fraction, else gains are a warning"
    )
    min_field_jy: Positive = Field(0.5, description="apparent flux of the catalogue sky that gains need [Jy]")


class SkyOptions(Section):
    """The sky that is known beforehand."""

    catalogue: str | None = Field(None, description="CSV, VOTable or FITS catalogue of the strip, or null")


class BeamOptions(Section):
    """The primary beam: an Airy pattern with central blockage, or a FITS cube."""

    dish_diameter_m: Positive = Field(4.65, description="diameter of a dish [m]")
    blockage_diameter_m: NotNegative = Field(0.4064, description="diameter of its central blockage [m]")
    cube: str | None = Field(
        None, description="FITS cube of the power beam instead (east and north of the axis, frequency), or null"
    )


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
        100.0, description="sources above this are subtracted exactly, with the moving beam [sigma]"
    )
    min_uv_klambda: NotNegative = Field(
        0.0, description="shortest baseline that is imaged [thousands of wavelengths] (backend contimg)"
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


class MosaicOptions(Section):
    """The mosaic."""

    cell_arcsec: Positive = Field(3.0, description="pixel size [arcsec]")
    max_size_px: Count = Field(40000, description="a mosaic wider or higher than this is an error [pixels]")
    max_beam_deviation: Positive = Field(0.2, description="tiles whose beam differs more from the median are left out")
    max_rms_ratio: Positive = Field(5.0, description="tiles with an rms above this many medians are left out")
    max_scale_difference: Positive = Field(
        0.05, description="tiles whose fluxes differ from their neighbours' by more than this fraction are left out"
    )
    max_shift_beams: Positive = Field(
        0.1, description="tiles shifted against their neighbours by more than this are left out [beams]"
    )


class CrossmatchOptions(Section):
    """The comparison of the mosaic with the catalogue."""

    enabled: bool = Field(True, description="find sources in the mosaic and match them with sky.catalogue")
    radius_arcsec: Positive = Field(30.0, description="largest offset of a match [arcsec]")
    min_snr: Positive = Field(8.0, description="sources fainter than this do not enter the ratios [sigma]")


class QaOptions(Section):
    """Thresholds of the verdicts; measured values are stored whatever these say."""

    version: Count = Field(1, description="number of this set of thresholds; raise it when one changes")
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
    min_tile_fraction: Fraction = Field(0.5, description="fraction of a group's tiles used below which it is a warning")
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


class PublishOptions(Section):
    """What becomes of registered mosaics."""

    auto: bool = Field(True, description="publish mosaics whose verdict is passed; false holds them all")
    max_attempts: Count = Field(5, description="attempts before a mosaic waits for a person")
    claim_s: Positive = Field(900.0, description="a publisher's claim expires after this, unless renewed [s]")
    update_archive: bool = Field(
        True, description="keep the archive's tables, sky map and gallery current (else: contimg archive)"
    )
    remove_stage: bool = Field(False, description="remove the staged bundle once the archive copy is verified again")


class RegistryOptions(Section):
    """The database of products."""

    url: str | None = Field(None, description="SQLAlchemy URL of a PostgreSQL; null = SQLite below paths.state")


class Config(Section):
    """The whole configuration."""

    paths: PathOptions = PathOptions()
    nights: list[Night] = Field(
        default_factory=list, description="UTC dates to look at; empty = every night with open work"
    )
    processing_epoch: str = Field("2026.1", description="raise it to remake open products after a change of the code")
    ingest: IngestOptions = IngestOptions()
    group: GroupOptions = GroupOptions()
    flag: FlagOptions = FlagOptions()
    calibration: CalibrationOptions = CalibrationOptions()
    sky: SkyOptions = SkyOptions()
    beam: BeamOptions = BeamOptions()
    image: ImageOptions = ImageOptions()
    mosaic: MosaicOptions = MosaicOptions()
    crossmatch: CrossmatchOptions = CrossmatchOptions()
    qa: QaOptions = QaOptions()
    publish: PublishOptions = PublishOptions()
    registry: RegistryOptions = RegistryOptions()
    keep: list[Literal["ms", "calibrated"]] = Field(
        default_factory=list, description="intermediate kinds that are kept: ms, calibrated"
    )

    @model_validator(mode="after")
    def _agree(self) -> Config:
        if self.ingest.min_subbands > self.ingest.subbands:
            raise ValueError("ingest.min_subbands is larger than ingest.subbands")
        if self.group.min_tiles > self.group.tiles:
            raise ValueError("group.min_tiles is larger than group.tiles")
        if self.group.stride > self.group.tiles:
            raise ValueError("group.stride is larger than group.tiles: tiles between groups would be lost")
        if self.beam.blockage_diameter_m >= self.beam.dish_diameter_m:
            raise ValueError("beam.blockage_diameter_m is not smaller than beam.dish_diameter_m")
        return self

    @property
    def layout(self) -> Layout:
        """Where everything stands."""
        return Layout(**{name: getattr(self.paths, name) for name in PathOptions.model_fields})
