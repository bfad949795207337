"""The rows of the registry's tables for a mosaic and all products and files in its lineage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, exists, insert, select

from contimg import naming
from contimg.bundle.metadata import summary
from contimg.errors import RegistryError
from contimg.products.lineage import Lineage, Node
from contimg.products.numbers import image_qa, ms_qa
from contimg.products.record import Record, read_record
from contimg.products.twin import Input
from contimg.registry import schema
from contimg.times import now


class TileColumns(Record):
    """Facts that rows hold of any product of one tile; None where its twin states nothing.

    A row can be made of every twin, those of failed products and of earlier versions of contimg too: nothing is
    required here, unlike in `contimg.products.facts`.
    """

    start_mjd: float | None = None
    end_mjd: float | None = None
    dec_app_deg: float | None = None
    telescope: str | None = None
    n_subbands: int | None = None
    freq_hz: float | None = None
    beam: dict[str, Any] | None = None


class CalibrationColumns(Record):
    """Facts that rows hold of a calibration."""

    type: str | None = None
    calibrator: str | None = None
    flux_anchor: str | dict[str, Any] | None = None
    mid_mjd: float | None = None
    dec_app_deg: float | None = None


class MosaicColumns(Record):
    """Facts that rows hold of a mosaic."""

    n_images: int | None = None
    start_mjd: float | None = None
    end_mjd: float | None = None
    tiles_used: list[str] | None = None


def _tile_columns(node: Node) -> TileColumns:
    return read_record(TileColumns, node.twin.facts, node.twin, node.path)


def _mosaic_columns(node: Node) -> MosaicColumns:
    return read_record(MosaicColumns, node.twin.facts, node.twin, node.path)


def rows(tree: Lineage, mosaic: Node) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the tables that a mosaic's registry row depends on, by table, in a fixed order."""
    tile_rows: dict[str, dict[str, Any]] = {}
    # The MS states most of a tile: it is the last, so that its row replaces those of other products.
    for kind in ("image", "calibrated", "calibration", "ms"):
        for node in tree.of_kind(kind):
            tile_id = naming.iso(node.twin.id)
            tile_rows[tile_id] = _tile_row(tile_id, node)
    facts = _mosaic_columns(mosaic)
    return {
        "tiles": [tile_rows[tile_id] for tile_id in sorted(tile_rows)],
        "subband_files": _subband_rows(tree),
        "ms_index": [_ms_row(node) for kind in ("ms", "calibrated") for node in tree.of_kind(kind)],
        "caltables": [_calibration_row(node) for node in tree.of_kind("calibration")],
        "images": [_image_row(node) for node in tree.of_kind("image")],
        "lineage": _edge_rows(tree),
        "mosaic_groups": [
            {
                "group_id": naming.iso(mosaic.twin.id),
                "sha256": mosaic.sha256,
                "verdict": mosaic.twin.verdict,
                "n_images": facts.n_images,
                "start_mjd": facts.start_mjd,
                "end_mjd": facts.end_mjd,
            }
        ],
        "mosaic_tiles": _membership_rows(mosaic, facts.tiles_used or []),
    }


def _tile_row(tile_id: str, node: Node) -> dict[str, Any]:
    facts = _tile_columns(node)
    return {
        "tile_id": tile_id,
        "date": naming.date(tile_id),
        "start_mjd": facts.start_mjd,
        "end_mjd": facts.end_mjd,
        "dec_app_deg": facts.dec_app_deg,
        "telescope": facts.telescope,
        "synthetic": node.twin.synthetic,
    }


def _subband_rows(tree: Lineage) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for node in tree.of_kind("ms"):
        for item in node.twin.inputs:
            if item.kind != "subband_file":
                continue
            parsed = naming.SubbandName.parse(Path(item.path).name)
            found[item.sha256, item.id] = {
                "sha256": item.sha256,
                "name": item.id,
                "path": item.path,
                "subband": None if parsed is None else parsed.subband,
                "tile_id": naming.iso(node.twin.id),
            }
    return [found[key] for key in sorted(found)]


def _common(node: Node) -> dict[str, Any]:
    twin = node.twin
    return {
        "sha256": node.sha256,
        "path": node.path,
        "verdict": twin.verdict,
        "reasons_json": json.dumps([reason.model_dump(mode="json") for reason in twin.reasons]),
        "code_version": twin.code_version,
        "synthetic": twin.synthetic,
    }


def _ms_row(node: Node) -> dict[str, Any]:
    return _common(node) | {
        "kind": node.twin.kind,
        "tile_id": naming.iso(node.twin.id),
        "n_subbands": _tile_columns(node).n_subbands,
        "flagged_fraction": ms_qa(node.twin, node.path).flagged_fraction,
    }


def _calibration_row(node: Node) -> dict[str, Any]:
    facts = read_record(CalibrationColumns, node.twin.facts, node.twin, node.path)
    anchor = facts.flux_anchor
    return _common(node) | {
        "calibration_id": node.twin.id,
        "tile_id": naming.iso(node.twin.id),
        "type": facts.type,
        "calibrator": facts.calibrator,
        "flux_anchor": anchor if anchor is None or isinstance(anchor, str) else json.dumps(anchor, sort_keys=True),
        "mid_mjd": facts.mid_mjd,
        "dec_app_deg": facts.dec_app_deg,
    }


def _image_row(node: Node) -> dict[str, Any]:
    facts = _tile_columns(node)
    return _common(node) | {
        "tile_id": naming.iso(node.twin.id),
        "rms_mjy": image_qa(node.twin, node.path).rms_mjy,
        "freq_hz": facts.freq_hz,
        "beam_json": None if facts.beam is None else json.dumps(facts.beam, sort_keys=True),
    }


def _edge_rows(tree: Lineage) -> list[dict[str, Any]]:
    edges = {
        (node.sha256, item.sha256, item.id): {
            "product_sha256": node.sha256,
            "input_sha256": item.sha256,
            "input_id": item.id,
            "product_kind": node.twin.kind,
            "product_id": node.twin.id,
            "input_kind": item.kind,
        }
        for node in tree.nodes.values()
        for item in node.twin.inputs
    }
    return [edges[key] for key in sorted(edges)]


def _membership_rows(mosaic: Node, tiles_used: Sequence[str]) -> list[dict[str, Any]]:
    images: Sequence[Input] = [item for item in mosaic.twin.inputs if item.kind == "image"]
    used = {naming.iso(tile) for tile in tiles_used}
    ordered = sorted(images, key=lambda item: naming.iso(item.id))
    return [
        {
            "position": position,
            "tile_id": naming.iso(item.id),
            "image_sha256": item.sha256,
            "used": naming.iso(item.id) in used,
        }
        for position, item in enumerate(ordered)
    ]


# Tables whose rows several mosaics share, in the order that foreign keys need; then those of one version of a mosaic.
_SHARED = ("tiles", "subband_files", "ms_index", "caltables", "images", "lineage")
_OWN = ("mosaic_groups", "mosaic_tiles")


def new_row(
    layout: naming.Layout, metadata: Mapping[str, Any], manifest_sha256: str, version: int, *, auto_publish: bool
) -> dict[str, Any]:
    """Return the row of a product that was just registered."""
    data_id = metadata["data_id"]
    return {
        "data_id": data_id,
        "version": version,
        "data_type": metadata["data_type"],
        "status": "staging",
        "stage_path": str(layout.product("registered", data_id) / f"v{version}"),
        "sha256": manifest_sha256,
        "metadata_json": json.dumps(summary(dict(metadata)), allow_nan=False),
        "synthetic": metadata["synthetic"],
        "auto_publish": auto_publish,
        "attempts": 0,
        "doi": None,
        "tags_sha256": None,
        "created_at": now(),
    }


def insert_product(connection: Connection, row: Mapping[str, Any], lineage: Lineage, mosaic: Node) -> None:
    """Insert a product's row and all rows that it depends on; rows that exist already stay as they are."""
    content = rows(lineage, mosaic)
    for table in _SHARED:
        _insert_missing(connection, schema.metadata.tables[table], content[table])
    connection.execute(insert(schema.data_registry), dict(row))
    for table, entries in _of_version(row, content).items():
        if entries:
            connection.execute(insert(schema.metadata.tables[table]), entries)


def insert_lineage(connection: Connection, row: Mapping[str, Any], lineage: Lineage, mosaic: Node) -> None:
    """Insert the rows on which a product's row depends, apart from those that exist."""
    content = rows(lineage, mosaic)
    for table, entries in (content | _of_version(row, content)).items():
        _insert_missing(connection, schema.metadata.tables[table], entries)


def _of_version(row: Mapping[str, Any], content: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return those rows of `rows` that are of one version of a mosaic, with its key."""
    key = {"data_id": row["data_id"], "version": row["version"]}
    return {table: [entry | key for entry in content[table]] for table in _OWN}


def without_lineage(connection: Connection) -> set[tuple[str, int]]:
    """Return ids and versions of the products that have no row in a table of what they were made of.

    Some have none for a good reason, as a mosaic of no image: `missing_lineage` tells.
    """
    products, groups, tiles = (schema.metadata.tables[name] for name in ("data_registry", *_OWN))
    edges = schema.metadata.tables["lineage"]
    known = exists().where(_is_of(groups, products.c) & (edges.c.product_sha256 == groups.c.sha256))
    placed = exists().where(_is_of(tiles, products.c))
    query = select(products.c.data_id, products.c.version).where(~known | ~placed)
    return {(row.data_id, row.version) for row in connection.execute(query)}


def missing_lineage(connection: Connection, row: Mapping[str, Any], lineage: Lineage, mosaic: Node) -> list[str]:
    """Return the tables in which a product has no row, although its lineage says that it has some."""
    content = rows(lineage, mosaic)
    tables = [schema.metadata.tables[name] for name in (*_OWN, "lineage")]
    found = []
    for table in tables:
        own = table.c.product_sha256 == mosaic.sha256 if table.name == "lineage" else _is_of(table, row)
        if content[table.name] and connection.execute(select(table).where(own).limit(1)).first() is None:
            found.append(table.name)
    return found


def _is_of(table: Table, row: Any) -> ColumnElement[bool]:
    """Return whether rows are of a version; `row` holds its id and version, as values or as columns."""
    return (table.c.data_id == row["data_id"]) & (table.c.version == row["version"])


def _insert_missing(connection: Connection, table: Table, content: list[dict[str, Any]]) -> None:
    if not content:
        return
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        connection.execute(postgresql.insert(table).on_conflict_do_nothing(), content)
    elif connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        connection.execute(sqlite.insert(table).on_conflict_do_nothing(), content)
    else:
        raise RegistryError(f"registry.url names a {connection.dialect.name} database: use PostgreSQL or SQLite")
