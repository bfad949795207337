"""Typed reading of a twin's ``facts``, one model for each kind of product; `numbers` does the same for its ``qa``.

A twin holds plain JSON, and these models name what stands in it. A field without a default is always there; one with
the default None may be missing or null: not known, or not applicable. The functions read a twin's facts and raise one
sentence where a needed key is missing. Keys that a model does not name are left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from contimg.products.conditions import ClockEpochFacts, SunFacts, SunRange
from contimg.products.record import Record, read_record
from contimg.products.twin import DamagedTwinError, Twin

Direction = tuple[float, float]
"""ICRS right ascension and declination, deg."""


class BeamFacts(Record):
    """A restoring beam: full widths at half maximum, and position angle from north to east."""

    bmaj_arcsec: float
    bmin_arcsec: float
    bpa_deg: float


class Choice(Record):
    """Which calibrations a tile was given, why, and each rejected candidate: (candidate, for what, why not)."""

    bandpass: str | None = None
    gains: str | list[str] | None = None
    why: list[str] = []
    rejected: list[tuple[str, str, str]] = []


class MsFacts(Record):
    """Facts of a converted tile (``ms``)."""

    start_mjd: float
    end_mjd: float
    mid_mjd: float
    dec_app_deg: float
    phase_centre_deg: Direction
    n_times: int
    integration_s: float
    n_antennas: int
    antennas: list[str]
    n_subbands: int
    missing_subbands: list[int]
    n_channels: int
    bandwidth_hz: float
    band_hz: tuple[float, float]
    channel_width_hz: float
    polarisations: list[str]
    location: tuple[float, float, float]
    freq_hz: float | None = None
    telescope: str | None = None
    fs_table: str | None = None
    applied_delays_sha256: str | None = None
    antenna_order_sha256: str | None = None
    sun: SunFacts | None = None
    clock_epoch: ClockEpochFacts | None = None


class CalibratedFacts(MsFacts):
    """Facts of a calibrated tile: those of the converted tile, and where its calibration comes from."""

    bandpass: str | None = None
    gains: str | None = None
    gain_sets: list[str] = []
    calibrator: str | None = None
    flux_anchor: str | None = None
    primary_beam: dict[str, Any] | None = None
    inverse_variance_weights: bool = False
    choice: Choice = Choice()


class CalibrationFacts(Record):
    """Facts of a calibration, which may have failed at any stage.

    ``flux_scale`` says what the amplitudes rest on: ``standard`` (a calibrator of known flux density), ``ensemble`` (20
    catalogued sources of the field or more), ``list`` (the flux density of a listed calibrator) or ``field`` (fewer
    catalogued sources).
    """

    type: str
    tile: str
    start_mjd: float | None = None
    end_mjd: float | None = None
    mid_mjd: float | None = None
    dec_app_deg: float | None = None
    telescope: str | None = None
    missing_subbands: list[int] | None = None
    calibrator: str | None = None
    bandpass: str | None = None
    flux_anchor: str | None = None
    flux_scale: str | None = None
    primary_beam: dict[str, Any] | None = None
    flux_jy: float | None = None
    apparent_flux_jy: float | None = None
    transit_mjd: float | None = None
    outcome: str | None = None
    refant: str | None = None
    refant_list: list[str] = []
    sun: SunFacts | None = None
    clock_epoch: ClockEpochFacts | None = None
    files: dict[str, str] = {}
    sefd_jy: dict[str, list[float | None]] = {}
    nsamples: float | None = None


class TileFacts(Record):
    """Facts of a tile image that hold even where the tile could not be imaged: what the calibrated tile said."""

    telescope: str | None = None
    dec_app_deg: float | None = None
    n_subbands: int | None = None
    missing_subbands: list[int] | None = None
    bandpass: str | None = None
    gains: str | None = None
    calibrator: str | None = None
    flux_anchor: str | None = None
    sun: SunFacts | None = None
    clock_epoch: ClockEpochFacts | None = None


class ChannelGroupFacts(Record):
    """Effective frequency and bandwidth of a part of the band that is imaged apart."""

    freq_hz: float
    bandwidth_hz: float


class BrightSourceFacts(Record):
    """A source of the model that was subtracted from a tile: name in the catalogue, if it is there; place (ICRS)."""

    name: str | None
    ra_deg: float
    dec_deg: float


class ImageFacts(TileFacts):
    """Facts of a tile image that was made.

    Attributes
    ----------
    beam : BeamFacts
        Restoring beam.
    centre_deg : (float, float)
        Phase centre.
    freq_hz, bandwidth_hz : float
        Effective frequency (weighted as the image is), and bandwidth that has weight.
    start_mjd, end_mjd : float
        UTC (days).
    size_px, cell_arcsec
        Width and height, and pixel size.
    files : dict
        Name of a plane (``image``, ``pb``, ...) -> file in the folder.
    pb_peak_deg : (float, float), optional
        Maximum of the effective beam.
    groups : list of ChannelGroupFacts
        Of the parts of the band that are imaged apart, in the order of their files ``group<n>.image`` and ``.pb``.
    bright_sources : list of BrightSourceFacts
        Of the model that was subtracted; none where no source is bright.
    """

    beam: BeamFacts
    centre_deg: Direction
    freq_hz: float
    bandwidth_hz: float
    start_mjd: float
    end_mjd: float
    size_px: int
    cell_arcsec: float
    files: dict[str, str]
    pb_peak_deg: Direction | None = None
    groups: list[ChannelGroupFacts] = []
    bright_sources: list[BrightSourceFacts] = []


class MosaicFacts(Record):
    """Facts of a mosaic that hold even where no tile of the group is usable.

    Attributes
    ----------
    group : str
        Id of the first tile.
    tiles, tiles_used : list of str
    left_out : dict
        Tile -> why it is not in the mosaic.
    n_images : int
        Number of tiles used.
    start_mjd, end_mjd : float or None
        First and last UTC of the tiles used (days).
    bandpass, gains, calibrators : list of str
    telescope, flux_anchor : str or None
    sun : SunRange or None
        Of the tiles used.
    clock_epochs : list of ClockEpochFacts
        Of the tiles used, without repetition.
    """

    group: str | None = None
    tiles: list[str]
    tiles_used: list[str]
    left_out: dict[str, str] = {}
    n_images: int
    start_mjd: float | None = None
    end_mjd: float | None = None
    telescope: str | None = None
    bandpass: list[str] = []
    gains: list[str] = []
    calibrators: list[str] = []
    flux_anchor: str | None = None
    sun: SunRange | None = None
    clock_epochs: list[ClockEpochFacts] = []


class MosaicFiles(Record):
    """Names of the files in a mosaic's folder; None where it has no such file."""

    image: str
    weights: str
    rms: str
    picture: str
    tiles: str
    coverage: str | None = None
    frequency: str | None = None
    spectral_index: str | None = None
    tile_fluxes: str | None = None
    picture_narrow: str | None = None


class MosaicImageFacts(MosaicFacts):
    """Facts of a mosaic that has an image."""

    start_mjd: float
    end_mjd: float
    files: MosaicFiles
    beam: BeamFacts
    freq_hz: float
    bandwidth_hz: float
    centre_deg: Direction
    size_px: tuple[int, int]
    cell_arcsec: float
    area_deg2: float


class CrossmatchFiles(Record):
    """Names of the files in the folder of a comparison with a catalogue; None in those of earlier versions."""

    sources: str
    matches: str
    flux: str
    astrometry: str
    sources_votable: str | None = None
    sources_fits: str | None = None
    matches_votable: str | None = None
    matches_fits: str | None = None


class CrossmatchFacts(Record):
    """Facts of a comparison with a catalogue; ``files`` is None where the mosaic had no image."""

    mosaic: str
    catalogue: str
    files: CrossmatchFiles | None = None
    freq_hz: float | None = None
    search_sigma: tuple[float, float] | None = None
    completeness_snr: float | None = None
    catalogue_assumed: list[str] = []


def is_converted(ms: Twin) -> bool:
    """Return whether a Measurement Set was written: not where too few subbands were usable."""
    return "start_mjd" in ms.facts


def ms_facts(twin: Twin, where: Path | str | None = None) -> MsFacts:
    """Return the facts of a converted tile (`is_converted`).

    Parameters
    ----------
    twin : Twin
    where : Path or str, optional
        The twin's path, for messages.

    Raises
    ------
    DamagedTwinError
        If a key is missing or of the wrong type, as in all functions of this module.
    """
    return read_record(MsFacts, twin.facts, twin, where)


def calibrated_facts(twin: Twin, where: Path | str | None = None) -> CalibratedFacts:
    """Return the facts of a calibrated tile."""
    return read_record(CalibratedFacts, twin.facts, twin, where)


def calibration_facts(twin: Twin, where: Path | str | None = None) -> CalibrationFacts:
    """Return the facts of a calibration."""
    return read_record(CalibrationFacts, twin.facts, twin, where)


def tile_facts(twin: Twin, where: Path | str | None = None) -> TileFacts:
    """Return the facts that every twin of kind ``image`` has, those of tiles that could not be imaged too."""
    return read_record(TileFacts, twin.facts, twin, where)


def image_facts(twin: Twin, where: Path | str | None = None) -> ImageFacts:
    """Return the facts of a tile image that was made (`has_image`)."""
    return read_record(ImageFacts, twin.facts, twin, where)


def mosaic_facts(twin: Twin, where: Path | str | None = None) -> MosaicFacts:
    """Return the facts that every mosaic has, failed ones too."""
    return read_record(MosaicFacts, twin.facts, twin, where)


def mosaic_image_facts(twin: Twin, where: Path | str | None = None) -> MosaicImageFacts:
    """Return the facts of a mosaic that has an image (`has_image`)."""
    return read_record(MosaicImageFacts, twin.facts, twin, where)


def has_image(twin: Twin) -> bool:
    """Return whether the folder of a tile image or mosaic holds files: not where there was no usable data."""
    return "files" in twin.facts


def crossmatch_facts(twin: Twin, where: Path | str | None = None) -> CrossmatchFacts:
    """Return the facts of a comparison with a catalogue."""
    return read_record(CrossmatchFacts, twin.facts, twin, where)


def check_facts(twin: Twin, where: Path | str | None = None) -> None:
    """Check that a twin has the facts of its kind; a failed product may lack what could not be measured.

    Raises
    ------
    DamagedTwinError
        If a key is missing or of the wrong type.
    """
    check = _READERS.get(twin.kind)
    if check is None or twin.verdict == "failed":
        return
    facts = check(twin, where)
    if isinstance(facts, CalibrationFacts) and (facts.mid_mjd is None or facts.dec_app_deg is None):
        name = where or f"the twin of {twin.kind} {twin.id}"
        raise DamagedTwinError(f"{name} does not say its mid_mjd and dec_app_deg: delete it and rerun snakemake")


_READERS: dict[str, Callable[[Twin, Path | str | None], Record]] = {
    "ms": ms_facts,
    "calibrated": calibrated_facts,
    "calibration": calibration_facts,
    "image": image_facts,
    "mosaic": mosaic_image_facts,
    "crossmatch": crossmatch_facts,
}
