"""The lineage of a product: the twins of all that it was made from, down to the hashes of the subband files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contimg.errors import InputError, RegistryError
from contimg.products.gates import Options
from contimg.products.judged import judged
from contimg.products.twin import Input, Twin, read_twin, twin_digest

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

    def judged(self, options: Options) -> Lineage:
        """Return the lineage with every product's verdict by given thresholds."""
        nodes = {key: replace(node, twin=judged(node.twin, options)) for key, node in self.nodes.items()}
        return Lineage(nodes, self.files)

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
    """Return a twin as JSON without its ``run`` (time, host, cost), so that equal products give equal content."""
    return twin.model_dump(mode="json", exclude={"run"})


def collect(twin_paths: Iterable[Path]) -> Lineage:
    """Return the lineage of some products, read from their twins and, recursively, the twins of their inputs.

    Raises
    ------
    InputError
        If a twin on the way is missing or unreadable.
    RegistryError
        If a product was made again after what was made from it: the two no longer belong together.
    """
    nodes: dict[str, Node] = {}
    files: dict[tuple[str, str], Input] = {}
    open_paths: list[tuple[Path, Input | None]] = [(Path(path), None) for path in twin_paths]
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
