"""`contimg provenance`: the inputs of a mosaic down to the correlator's files, as a tree or as W3C PROV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contimg.cli.common import PIPE_WIDTH, Context, echo, in_words, json_option, print_json, terminal_width

if TYPE_CHECKING:
    from rich.tree import Tree

    from contimg.products.lineage import Lineage, Node


@click.command()
@click.argument("mosaic")
@click.option(
    "--export", type=click.Path(path_type=Path, dir_okay=False), help="Write it as W3C PROV-JSON to this file."
)
@json_option
@click.pass_obj
def provenance(context: Context, mosaic: str, export: Path | None, as_json: bool) -> None:
    """Show what MOSAIC was made from: images, calibrations, MSs, and the correlator's files with their hashes.

    MOSAIC is an id, with .v2 for a version, or the folder of a bundle; no registry is needed.
    """
    from contimg.bundle.find import find_bundle, read_lineage
    from contimg.products.w3c_prov import to_json
    from contimg.storage.atomic import atomic_path

    path = find_bundle(context.layout_of(mosaic), mosaic)
    metadata, lineage, top = read_lineage(path)
    if export is not None:
        with atomic_path(export.resolve()) as part:
            part.write_text(to_json(lineage))
    if as_json:
        print_json(_nested(lineage, top))
    elif export is not None:
        echo(f"{export}: provenance of {metadata['data_id']} as PROV-JSON")
    else:
        _print(path, metadata, lineage, top)


def _nested(lineage: Lineage, node: Node) -> dict[str, Any]:
    """Return a product with its inputs, their inputs and so on."""
    twin = node.twin
    made_from = [
        _nested(lineage, lineage.nodes[item.sha256]) if item.sha256 in lineage.nodes else item.model_dump(mode="json")
        for item in twin.inputs
    ]
    return {
        "kind": twin.kind,
        "id": twin.id,
        "sha256": node.sha256,
        "verdict": twin.verdict,
        "parameters": twin.parameters,
        "code_version": twin.code_version,
        "libraries": twin.libraries,
        "made_from": made_from,
    }


def _print(path: Path, metadata: dict[str, Any], lineage: Lineage, top: Node) -> None:
    from rich.console import Console
    from rich.tree import Tree

    room = terminal_width(sys.stdout)
    tree = Tree(_title(top), guide_style="dim")
    _grow(tree, lineage, top, set(), 12 if room else 64)
    versions = tree.add("versions")
    versions.add(f"contimg {', '.join(metadata['versions']['contimg'])}")
    for name, found in metadata["versions"]["libraries"].items():
        versions.add(f"{name} {', '.join(found)}")
    settings = tree.add("config")
    for kind in ("ms", "calibration", "calibrated", "image", "mosaic"):
        for section in _sections(lineage, kind):
            settings.add(section)
    console = Console(width=room or PIPE_WIDTH, highlight=False)
    console.print(tree)
    echo(f"\nBundle: {path}")


def _title(node: Node) -> str:
    colour = {"passed": "green", "warning": "yellow", "failed": "red"}[node.twin.verdict]
    return f"{node.twin.kind} [bold]{node.twin.id}[/] [{colour}]{node.twin.verdict}[/] [dim]{node.sha256[:12]}[/]"


def _grow(tree: Tree, lineage: Lineage, node: Node, shown: set[str], digits: int) -> None:
    """Add a product's inputs; of an input that is in the tree already only its name.

    Hashes of files have some digits: a terminal has no room for all of them.
    """
    for item in node.twin.inputs:
        below = lineage.nodes.get(item.sha256)
        if below is None:
            tree.add(f"{item.id} [dim]{item.sha256[:digits]}[/]")
        elif item.sha256 in shown:
            tree.add(f"{_title(below)} [dim](above)[/]")
        else:
            shown.add(item.sha256)
            _grow(tree.add(_title(below)), lineage, below, shown, digits)


def _sections(lineage: Lineage, kind: str) -> list[str]:
    """Return the parameters of a kind of product, a line a section; equal ones once."""
    found: dict[str, None] = {}
    for node in lineage.of_kind(kind):
        for section, content in node.twin.parameters.items():
            if isinstance(content, dict):
                values = "; ".join(f"{key} {in_words(value)}" for key, value in content.items())
                found[f"{kind}: {section}: {values}".replace("[", r"\[")] = None
    return list(found)
