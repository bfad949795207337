"""The differences between two mosaics, or two versions of one: inputs, parameters, thresholds, files, versions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contimg.products.lineage import Lineage, Node

ABSENT = "-"


@dataclass(frozen=True)
class Difference:
    """One difference between two lineages.

    Attributes
    ----------
    what : str
        ``input``, ``parameter``, ``threshold``, ``file`` or ``version``.
    where : str
        The kind of product, with the ids of those that differ alike.
    name : str
        Of the input, parameter, file or library.
    a, b : str
        Both values; `ABSENT` where one side has none.
    """

    what: str
    where: str
    name: str
    a: str
    b: str


def compare(a: Lineage, b: Lineage) -> list[Difference]:
    """Return every input, parameter and version in which two lineages differ, in a fixed order.

    Products of the same kind and id are compared one by one; equal differences of several products are listed once.
    Those that only one side has are inputs that differ; their parameters and versions are compared as
    all that their kind has.
    """
    found = list(_files(a, b))
    left, right = _by_name(a), _by_name(b)
    for kind, name in sorted(left.keys() ^ right.keys()):
        side = left if (kind, name) in left else right
        digest = side[kind, name].sha256
        pair = (digest, ABSENT) if side is left else (ABSENT, digest)
        found.append(Difference("input", kind, name, *pair))
    alike: dict[tuple[str, str, str, str, str], list[str]] = defaultdict(list)
    for key in sorted(left.keys() & right.keys()):
        for what, name, one, other in _unequal(_settings(left[key]), _settings(right[key])):
            alike[what, key[0], name, one, other].append(key[1])
    for (what, kind, name, one, other), ids in alike.items():
        found.append(Difference(what, f"{kind} {', '.join(ids)}", name, one, other))
    for kind in sorted({kind for kind, _ in left.keys() ^ right.keys()}):
        one_kind = [_of_kind(side, other, kind) for side, other in ((left, right), (right, left))]
        for what, name, one, other in _unequal(*one_kind):
            found.append(Difference(what, kind, name, one, other))
    return found


def _by_name(lineage: Lineage) -> dict[tuple[str, str], Node]:
    return {(node.twin.kind, node.twin.id): node for node in lineage.nodes.values()}


def _files(a: Lineage, b: Lineage) -> Iterator[Difference]:
    sides = []
    for lineage in (a, b):
        digests: dict[tuple[str, str], set[str]] = defaultdict(set)
        for item in lineage.files.values():
            digests[item.kind, item.id].add(item.sha256)
        sides.append(digests)
    for kind, name in sorted(sides[0].keys() | sides[1].keys()):
        one, other = (", ".join(sorted(side.get((kind, name), ()))) or ABSENT for side in sides)
        if one != other:
            yield Difference("input", kind, name, one, other)


def _settings(node: Node) -> dict[tuple[str, str], str]:
    """Return parameters, thresholds, files' digests and versions of a product: (what, name) -> value."""
    twin = node.twin
    settings = {("parameter", name): value for name, value in _flat(twin.parameters)}
    settings |= {("threshold", name): value for name, value in _flat(twin.judged_with)}
    settings |= {("file", name): record.sha256 for name, record in (twin.files or {}).items()}
    versions = {"contimg": twin.code_version, **twin.libraries}
    return settings | {("version", name): version for name, version in versions.items()}


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def _of_kind(
    side: Mapping[tuple[str, str], Node], other: Mapping[tuple[str, str], Node], kind: str
) -> dict[tuple[str, str], str]:
    """Return the settings of all products of a kind on one side, by name; empty when the other side has none."""
    if not any(key[0] == kind for key in other):
        return {}
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key, node in side.items():
        if key[0] == kind:
            for name, value in _settings(node).items():
                values[name].add(value)
    return {name: ", ".join(sorted(found)) for name, found in values.items()}


def _unequal(
    one: Mapping[tuple[str, str], str], other: Mapping[tuple[str, str], str]
) -> Iterator[tuple[str, str, str, str]]:
    for what, name in sorted(one.keys() | other.keys()):
        pair = one.get((what, name), ABSENT), other.get((what, name), ABSENT)
        if pair[0] != pair[1]:
            yield what, name, *pair
