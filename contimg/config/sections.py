"""The whole configuration, and its sections about paths, ingest, groups, publishing and the registry.

Every key has a type, its unit in its name, and its meaning as description. The sections about processing are in
`contimg.config.science_sections`, the thresholds of verdicts in `contimg.config.qa_section`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from contimg.config.key_types import (
    Count,
    Days,
    Doi,
    Fraction,
    Hours,
    IvoId,
    Mode,
    Nights,
    Positive,
    PositiveHours,
    PositiveSeconds,
    Root,
    Seconds,
    Section,
    Spdx,
    Umask,
    WebAddress,
)
from contimg.config.operation_sections import RetentionOptions, WatchOptions
from contimg.config.qa_section import QaOptions
from contimg.config.science_sections import (
    BeamOptions,
    CalibrationOptions,
    CrossmatchOptions,
    FlagOptions,
    ImageOptions,
    MosaicOptions,
    SkyOptions,
    TemplateOptions,
)
from contimg.naming import Layout, Publisher


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
    cluster_s: PositiveSeconds = Field(
        120.0, description="names without a larger gap between them are files of one tile [s]"
    )
    settle_s: Seconds = Field(60.0, description="a file that was written to more recently may still grow [s]")
    deadline_s: Seconds = Field(
        3600.0, description="missing subbands are waited for this long after the time in the name [s]"
    )
    max_clock_error_s: PositiveSeconds = Field(
        600.0,
        description="a name may differ by this from the header's time, or be ahead of the clock [s]",
    )
    files_kept_h: PositiveHours | None = Field(
        84.0, description="the telescope removes its files after this long; null: never [h]"
    )
    warn_before_h: Hours = Field(
        24.0, description="files of open work that are removed within this time are named by the plan [h]"
    )
    keep_raw_until_calibrated: bool = Field(
        True, description="those of tiles that wait for a calibrator are then copied below paths.stage"
    )


class GroupOptions(Section):
    """How tiles become groups, one mosaic each."""

    tiles: Count = Field(10, description="tiles of a full group")
    min_tiles: Count = Field(1, description="fewest tiles of a group; what is left of a scan with fewer is not imaged")
    max_gap_s: PositiveSeconds = Field(450.0, description="largest start-to-start gap inside a scan [s]")
    max_dec_difference_deg: Positive = Field(0.1, description="largest change of declination inside a scan [deg]")
    stride: Count = Field(
        10, description="tiles from the start of one group to the next; below group.tiles they overlap"
    )
    late: Literal["reprocess", "report"] = Field(
        "report",
        description="files that arrive for a published group: make a new version, or only report them",
    )


class ReplicaOptions(Section):
    """A further place for copies of published bundles."""

    url: Annotated[str, Field(min_length=1)] = Field(description="a folder on another disk, or s3://bucket/prefix")
    keep: Literal["all", "current"] = Field("all", description="all published versions, or the current one of each")
    days: Days | None = Field(
        None,
        description="copies of what is withdrawn or no longer current go after this; null: never [days]",
    )


class PublishOptions(Section):
    """What becomes of registered mosaics."""

    auto: bool = Field(True, description="publish mosaics whose verdict is passed; false holds them all")
    max_attempts: Count = Field(5, description="attempts before a mosaic waits for a person")
    claim_s: PositiveSeconds = Field(900.0, description="a publisher's claim expires after this, unless renewed [s]")
    update_archive: bool = Field(
        True, description="keep the archive's tables, sky map and gallery current (else: contimg archive)"
    )
    max_repair_share: Fraction = Field(
        0.1, description="largest share of published mosaics that reconcile takes out of sight by itself"
    )
    mode: Mode = Field(
        "0644", description="permissions of files in the archive, whatever the umask; '0664' for a group of operators"
    )
    replicas: list[ReplicaOptions] = Field(
        default_factory=list, description="where published bundles are copied to: url, keep and days of each"
    )
    doi: Doi | None = Field(
        None, description="DOI of what is published, as 10.5555/dsa110.NAME; NAME stands for mosaic and version"
    )
    base_url: WebAddress | None = Field(
        None, description="web address of paths.products, for the archive's tables; null = file addresses"
    )
    ivoid: IvoId = Field(
        "ivo://dsa110.ovro/continuum",
        description="archive's identifier in the Virtual Observatory; register it before tables are harvested",
    )
    licence: Spdx = Field("CC-BY-4.0", description="licence of published data, a name of SPDX; stands in each bundle")
    read_only: bool = Field(True, description="files of published bundles cannot be written to")
    remove_stage: bool = Field(False, description="remove the staged bundle once the archive copy is verified again")


class RegistryOptions(Section):
    """The database of products."""

    url: str | None = Field(
        None,
        description="SQLAlchemy URL of a PostgreSQL, its password better in ~/.pgpass; null = SQLite below paths.state",
    )


class Config(Section):
    """The whole configuration."""

    paths: PathOptions = PathOptions()
    nights: Nights = Field(
        default_factory=list,
        description="UTC dates to look at, 2026-02-11..2026-02-14 for several; empty = every night with open work",
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
    template: TemplateOptions = TemplateOptions()
    qa: QaOptions = QaOptions()
    publish: PublishOptions = PublishOptions()
    registry: RegistryOptions = RegistryOptions()
    watch: WatchOptions = WatchOptions()
    retention: RetentionOptions = RetentionOptions()
    umask: Umask | None = Field(
        None,
        description="permissions that no file or folder gets; null: the umask of who runs it; '0002' for a group",
    )
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
        roots = {name: getattr(self.paths, name) for name in PathOptions.model_fields}
        publisher = Publisher(self.publish.base_url, self.publish.ivoid, self.publish.licence)
        return Layout(**roots, archive_mode=int(self.publish.mode, 8), publisher=publisher)
