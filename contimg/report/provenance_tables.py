"""Tables of a mosaic's provenance: counts of files and products, parameters, software, and digests of twins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contimg.naming import Layout
from contimg.products.facts import mosaic_facts
from contimg.products.lineage import Lineage
from contimg.products.twin import Twin
from contimg.report.markup import code, ident, table


def provenance_tables(mosaic: Twin, lineage: Lineage, layout: Layout) -> str:
    """Return two tables as HTML: inputs, parameters and software of a mosaic; and the SHA-256 of the twins."""
    products = (f"{len(lineage.of_kind(kind))} {kind}" for kind in ("ms", "calibration", "calibrated", "image"))
    files = Counter(item.kind for item in lineage.files.values())
    rows: list[tuple[str, Any]] = [
        ("subband files", files.pop("subband_file", 0)),
        *((f"files: {kind}", count) for kind, count in sorted(files.items())),
        ("products", ", ".join(products)),
        ("mosaic parameters", code(_parameters(mosaic.parameters))),
        ("calibrators", mosaic_facts(mosaic).calibrators),
        ("software", ", ".join(_software(lineage))),
    ]
    digests = [
        (node.twin.kind, ident(node.twin.id), code(_relative(Path(node.path), layout)), code(node.sha256[:16]))
        for kind in ("mosaic", "crossmatch", "image", "calibration")
        for node in lineage.of_kind(kind)
    ]
    return (
        table(("what", "value"), rows)
        + '<p class="soft small" style="margin-top: 14px">Twins, and the first 16 digits of their SHA-256. Each'
        " names its own inputs, down to the SHA-256 of every subband file.</p>"
        + table(("product", "id", "twin", "sha256"), digests)
    )


def _software(lineage: Lineage) -> list[str]:
    """Return contimg and each library with all versions that made a product in the lineage."""
    versions: dict[str, set[str]] = {}
    for node in lineage.nodes.values():
        for name, version in node.twin.libraries.items():
            versions.setdefault(name, set()).add(version)
    contimg = sorted({f"contimg {node.twin.code_version}" for node in lineage.nodes.values()})
    return contimg + [f"{name} {', '.join(sorted(found))}" for name, found in sorted(versions.items())]


def _parameters(parameters: Mapping[str, Any]) -> str:
    """Return parameters as ``section.key=value``; not the thresholds, which stand beside the measured numbers."""
    words = []
    for section, content in sorted(parameters.items()):
        if section == "qa":
            continue
        pairs = content.items() if isinstance(content, Mapping) else [("", content)]
        words += [f"{section}{'.' if key else ''}{key}={value}" for key, value in pairs]
    return "  ".join(words)


def _relative(path: Path, layout: Layout) -> str:
    """Return a path below the stage or the archive, with the name of its root."""
    for name in ("stage", "products"):
        root = getattr(layout, name)
        if path.is_relative_to(root):
            return f"{name}/{path.relative_to(root)}"
    return str(path)
