"""Where a product comes from: the tree of twins below it, down to the hashes of the subband files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contimg import naming
from contimg.errors import InputError, RegistryError
from contimg.product import Input, Twin, read_twin, twin_digest

# Kinds of inputs that have a twin of their own; every other kind is a file, known by its bytes.
TWIN_KINDS = frozenset({"ms", "calibration", "calibrated", "image", "mosaic", "crossmatch"})


@dataclass(frozen=True)
class Node:
    """A product in the tree: where its twin stands, the twin's digest, and the twin itself."""

    path: str
    sha256: str
    twin: Twin


@dataclass(frozen=True)
class Lineage:
    """Everything that went into some products, the products themselves included.

    Attributes
    ----------
    nodes : dict
        Digest of the twin -> node.
    files : dict
        (sha256, id) -> input that is a file: subband files, catalogues.
    """

    nodes: dict[str, Node]
    files: dict[tuple[str, str], Input]

    def of_kind(self, kind: str) -> list[Node]:
        """Return the nodes of a kind, in order of id and digest."""
        chosen = [node for node in self.nodes.values() if node.twin.kind == kind]
        return sorted(chosen, key=lambda node: (node.twin.id, node.sha256))

    def to_json(self) -> dict[str, Any]:
        """Return the content for ``metadata.json``: the same for the same twins."""
        return {
            "products": [
                {"path": node.path, "sha256": node.sha256, "twin": twin_content(node.twin)}
                for node in sorted(self.nodes.values(), key=lambda node: (node.twin.kind, node.twin.id, node.sha256))
            ],
            "files": [
                item.model_dump(mode="json")
                for item in sorted(self.files.values(), key=lambda item: (item.kind, item.id, item.sha256))
            ],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str) -> Lineage:
        """Read what `to_json` gave; `where` names the file in messages.

        Raises
        ------
        InputError
            If it is no lineage, or a product's content does not have the digest that it is listed under.
        """
        nodes = {}
        try:
            products = [(entry, Twin.model_validate(entry["twin"])) for entry in content["products"]]
            files = [Input.model_validate(entry) for entry in content["files"]]
        except (KeyError, TypeError, ValidationError):
            raise InputError(f"{where} holds no lineage that can be read: restore it from a copy") from None
        for entry, twin in products:
            if twin_digest(twin) != entry["sha256"]:
                raise InputError(
                    f"{where}: the {twin.kind} {twin.id} in its lineage does not have the digest it is listed under: "
                    "the file was altered, so restore it from a copy"
                )
            nodes[entry["sha256"]] = Node(entry["path"], entry["sha256"], twin)
        return cls(nodes, {(item.sha256, item.id): item for item in files})


def twin_content(twin: Twin) -> dict[str, Any]:
    """Return a twin as JSON without what making it cost, so that equal products give equal content."""
    return twin.model_dump(mode="json", exclude={"run"})


def collect(twin_paths: Iterable[Path]) -> Lineage:
    """Walk from some twins through their inputs down to files.

    Raises
    ------
    InputError
        If a twin on the way is missing or unreadable.
    RegistryError
        If a product was made again after what was made from it: the two no longer belong together.
    """
    nodes: dict[str, Node] = {}
    files: dict[tuple[str, str], Input] = {}
    open_paths = [(Path(path), None) for path in twin_paths]
    digests: dict[Path, str] = {}
    while open_paths:
        path, expected = open_paths.pop()
        if path not in digests:
            twin = read_twin(path)
            digests[path] = twin_digest(twin)
            nodes[digests[path]] = Node(str(path), digests[path], twin)
            for item in twin.inputs:
                if item.kind in TWIN_KINDS:
                    open_paths.append((Path(item.path), item))
                else:
                    files[item.sha256, item.id] = item
        if expected is not None and digests[path] != expected.sha256:
            raise RegistryError(
                f"{path} was made again after a product was made from it ({expected.kind} {expected.id}): rerun "
                "snakemake to bring what depends on it up to date"
            )
    return Lineage(nodes, files)


def rows(tree: Lineage, mosaic: Node) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the tables that a mosaic's registry row depends on, by table, in a fixed order."""
    tile_rows: dict[str, dict[str, Any]] = {}
    for kind in ("image", "calibrated", "calibration", "ms"):  # the MS knows a tile best, so it speaks last
        for node in tree.of_kind(kind):
            tile_id = _tile_of(node.twin)
            if tile_id is not None:
                tile_rows[tile_id] = _tile_row(tile_id, node.twin)
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
                "n_images": mosaic.twin.facts.get("n_images"),
                "start_mjd": mosaic.twin.facts.get("start_mjd"),
                "end_mjd": mosaic.twin.facts.get("end_mjd"),
            }
        ],
        "mosaic_tiles": _membership_rows(tree, mosaic),
    }


def _tile_of(twin: Twin) -> str | None:
    """Return the id of the tile that a product was made of."""
    if twin.kind in ("ms", "calibrated", "image", "calibration"):
        return naming.iso(twin.id)
    return None


def _tile_row(tile_id: str, twin: Twin) -> dict[str, Any]:
    return {
        "tile_id": tile_id,
        "date": naming.date(tile_id),
        "start_mjd": twin.facts.get("start_mjd"),
        "end_mjd": twin.facts.get("end_mjd"),
        "dec_app_deg": twin.facts.get("dec_app_deg"),
        "telescope": twin.facts.get("telescope"),
        "synthetic": twin.synthetic,
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
        "n_subbands": node.twin.facts.get("n_subbands"),
        "flagged_fraction": node.twin.qa.get("flagged_fraction"),
    }


def _calibration_row(node: Node) -> dict[str, Any]:
    facts = node.twin.facts
    anchor = facts.get("flux_anchor")
    return _common(node) | {
        "calibration_id": node.twin.id,
        "tile_id": naming.iso(node.twin.id),
        "type": facts.get("type"),
        "calibrator": facts.get("calibrator"),
        "flux_anchor": anchor if anchor is None or isinstance(anchor, str) else json.dumps(anchor, sort_keys=True),
        "mid_mjd": facts.get("mid_mjd"),
        "dec_app_deg": facts.get("dec_app_deg"),
    }


def _image_row(node: Node) -> dict[str, Any]:
    beam = node.twin.facts.get("beam")
    return _common(node) | {
        "tile_id": naming.iso(node.twin.id),
        "rms_mjy": node.twin.qa.get("rms_mjy"),
        "freq_hz": node.twin.facts.get("freq_hz"),
        "beam_json": None if beam is None else json.dumps(beam, sort_keys=True),
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


def _membership_rows(tree: Lineage, mosaic: Node) -> list[dict[str, Any]]:
    images: Sequence[Input] = [item for item in mosaic.twin.inputs if item.kind == "image"]
    used = {naming.iso(tile) for tile in mosaic.twin.facts.get("tiles_used") or []}
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
