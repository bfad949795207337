"""The tables of the registry, with the promises of docs/design.md as constraints.

Times are UTC text ``YYYY-MM-DDTHH:MM:SS.mmmZ`` (sortable, the same in both databases); a claim's
expiry is Unix time [s] because it is only ever compared. JSON columns hold text. Products are named
by id and by ``sha256``, the digest of their twin: one tile may have been converted twice. Paths are relative to a root
of the configuration (`contimg.registry.relative_paths`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from contimg.registry.relative_paths import PathBelow
from contimg.registry.version_number import VersionNumber

VERSION = 12
STATUSES = ("staging", "publishing", "published", "held", "rejected", "superseded", "withdrawn")
QA_STATUSES = ("pending", "passed", "warning", "failed")
VALIDATION_STATUSES = ("pending", "validated", "failed")
FINALIZATION_STATUSES = ("pending", "finalized")

metadata = MetaData()


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def _of_published(name: str, column: str) -> Index:
    """Return an index over a column of the published bundles alone."""
    published = text("status = 'published'")
    return Index(name, column, sqlite_where=published, postgresql_where=published)


def _digest(name: str = "sha256", **options: Any) -> Column[str]:
    return Column(name, String(64), CheckConstraint(f"length({name}) = 64"), **options)


schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", String, nullable=False),
    Column("code_version", String, nullable=False),
)

# One row: which registry this is, since when it has had an archive, and where (contimg.registry.identity).
registry_identity = Table(
    "registry_identity",
    metadata,
    Column("uuid", String, primary_key=True),
    Column("archive_since", String),
    Column("archive_root", String),
    Column("archive_inode", String),
)

tiles = Table(
    "tiles",
    metadata,
    Column("tile_id", String, primary_key=True),
    Column("date", String, nullable=False),
    Column("start_mjd", Float),
    Column("end_mjd", Float),
    Column("dec_app_deg", Float),
    Column("telescope", String),
    Column("synthetic", Boolean, nullable=False),
)

subband_files = Table(
    "subband_files",
    metadata,
    _digest(primary_key=True),
    Column("name", String, primary_key=True),
    Column("path", PathBelow("incoming"), nullable=False),
    Column("subband", Integer),
    Column("tile_id", ForeignKey("tiles.tile_id"), nullable=False, index=True),
)

ms_index = Table(
    "ms_index",
    metadata,
    _digest(primary_key=True),
    Column("kind", String, CheckConstraint("kind IN ('ms', 'calibrated')"), nullable=False),
    Column("tile_id", ForeignKey("tiles.tile_id"), nullable=False, index=True),
    Column("path", PathBelow("stage"), nullable=False),
    Column("verdict", String, nullable=False),
    Column("n_subbands", Integer),
    Column("flagged_fraction", Float),
    Column("reasons_json", Text, nullable=False),
    Column("code_version", String, nullable=False),
    Column("synthetic", Boolean, nullable=False),
)

caltables = Table(
    "caltables",
    metadata,
    _digest(primary_key=True),
    Column("calibration_id", String, nullable=False, index=True),
    Column("tile_id", String),
    Column("type", String),
    Column("calibrator", String),
    Column("flux_anchor", Text),
    Column("mid_mjd", Float),
    Column("dec_app_deg", Float),
    Column("path", PathBelow("stage"), nullable=False),
    Column("verdict", String, nullable=False),
    Column("reasons_json", Text, nullable=False),
    Column("code_version", String, nullable=False),
    Column("synthetic", Boolean, nullable=False),
)

images = Table(
    "images",
    metadata,
    _digest(primary_key=True),
    Column("tile_id", ForeignKey("tiles.tile_id"), nullable=False, index=True),
    Column("path", PathBelow("stage"), nullable=False),
    Column("verdict", String, nullable=False),
    Column("rms_mjy", Float),
    Column("freq_hz", Float),
    Column("beam_json", Text),
    Column("reasons_json", Text, nullable=False),
    Column("code_version", String, nullable=False),
    Column("synthetic", Boolean, nullable=False),
)

lineage = Table(
    "lineage",
    metadata,
    _digest("product_sha256", primary_key=True),
    _digest("input_sha256", primary_key=True),
    Column("input_id", String, primary_key=True),
    Column("product_kind", String, nullable=False),
    Column("product_id", String, nullable=False),
    Column("input_kind", String, nullable=False),
    Index("lineage_by_input", "input_sha256"),
)

# A published row has passed and was validated, or a person's approval stands in it: whoever writes it.
_PUBLISHED_IS_EARNED = (
    "status <> 'published' OR ("
    "published_path IS NOT NULL AND published_at IS NOT NULL AND finalization_status = 'finalized' AND ("
    "(qa_status = 'passed' AND validation_status = 'validated') OR "
    "(approved_by IS NOT NULL AND length(approved_by) > 0 AND approved_at IS NOT NULL "
    "AND approved_reason IS NOT NULL AND length(approved_reason) > 0)))"
)

data_registry = Table(
    "data_registry",
    metadata,
    Column("data_id", String, primary_key=True),
    Column("version", VersionNumber, CheckConstraint("version >= 1"), primary_key=True, autoincrement=False),
    Column("data_type", String, nullable=False),
    Column("status", String, nullable=False),
    Column("stage_path", PathBelow("stage"), nullable=False),
    Column("published_path", PathBelow("products"), unique=True),
    _digest(nullable=False),
    Column("qa_status", String, nullable=False, server_default="pending"),
    Column("validation_status", String, nullable=False, server_default="pending"),
    Column("finalization_status", String, nullable=False, server_default="pending"),
    Column("metadata_json", Text, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Column("auto_publish", Boolean, nullable=False),
    Column("held_json", Text),
    Column("doi", String),  # under which this version is cited
    Column("tags_sha256", String),  # of the tag manifest, which the manifest does not list; null of before it was kept
    Column("attempts", Integer, CheckConstraint("attempts >= 0"), nullable=False, server_default="0"),
    Column("error", Text),
    Column("claim_token", String),
    Column("claim_owner", Text),
    Column("claim_expires_unix_s", Float),
    Column("created_at", String, nullable=False),
    Column("staged_at", String),
    Column("published_at", String),
    Column("closed_at", String),
    Column("closed_by", String),
    Column("closed_reason", Text),
    Column("approved_by", String),
    Column("approved_at", String),
    Column("approved_reason", Text),
    Column("verified_at", String),  # when every byte of the published bundle was last read and found right
    Column("problem_at", String),  # when a verification last found it wrong; before `verified_at`: settled
    UniqueConstraint("data_id", "version", name="data_id_version_once"),
    Index("data_registry_by_status", "status", "data_id"),  # which products are in a state, without reading the rows
    # Which published bundles were not verified for long, and which are new, of 100 000 in milliseconds.
    _of_published("data_registry_by_verified", "verified_at"),
    _of_published("data_registry_by_published", "published_at"),
    Index(
        "data_registry_by_problem",
        "problem_at",
        sqlite_where=text("problem_at IS NOT NULL"),
        postgresql_where=text("problem_at IS NOT NULL"),
    ),
    _one_of("status", STATUSES),
    _one_of("qa_status", QA_STATUSES),
    _one_of("validation_status", VALIDATION_STATUSES),
    _one_of("finalization_status", FINALIZATION_STATUSES),
    CheckConstraint(_PUBLISHED_IS_EARNED, name="published_is_earned"),
    CheckConstraint(
        "(status = 'publishing') = (claim_token IS NOT NULL AND claim_owner IS NOT NULL "
        "AND claim_expires_unix_s IS NOT NULL)",
        name="publishing_is_claimed",
    ),
    CheckConstraint("status <> 'held' OR held_json IS NOT NULL", name="held_has_reasons"),
)

mosaic_groups = Table(
    "mosaic_groups",
    metadata,
    Column("data_id", String, primary_key=True),
    Column("version", VersionNumber, primary_key=True, autoincrement=False),
    Column("group_id", String, nullable=False, index=True),
    _digest(nullable=False, index=True),
    Column("verdict", String, nullable=False),
    Column("n_images", Integer),
    Column("start_mjd", Float),
    Column("end_mjd", Float),
    ForeignKeyConstraint(["data_id", "version"], ["data_registry.data_id", "data_registry.version"]),
)

mosaic_tiles = Table(
    "mosaic_tiles",
    metadata,
    Column("data_id", String, primary_key=True),
    Column("version", VersionNumber, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("tile_id", ForeignKey("tiles.tile_id"), nullable=False, index=True),
    Column("image_sha256", ForeignKey("images.sha256"), nullable=False),
    Column("used", Boolean, nullable=False),
    ForeignKeyConstraint(["data_id", "version"], ["data_registry.data_id", "data_registry.version"]),
)

# Which published bundles have a copy in which replica (contimg.replicas), and what was wrong with it when it was read.
replica_copies = Table(
    "replica_copies",
    metadata,
    Column("url", String, primary_key=True),
    Column("data_id", String, primary_key=True),
    Column("version", VersionNumber, primary_key=True, autoincrement=False),
    Column("write_id", String, nullable=False),
    Column("copied_at", String, nullable=False),
    Column("verified_at", String, nullable=False),
    Column("problem", Text),
    ForeignKeyConstraint(["data_id", "version"], ["data_registry.data_id", "data_registry.version"]),
)

publish_events = Table(
    "publish_events",
    metadata,
    Column("event_id", Integer, primary_key=True),
    Column("data_id", String, nullable=False),
    Column("version", VersionNumber, nullable=False),
    Column("event", String, nullable=False),
    Column("time", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("message", Text, nullable=False),
    ForeignKeyConstraint(["data_id", "version"], ["data_registry.data_id", "data_registry.version"]),
    Index("publish_events_by_id", "data_id", "version"),
)
