"""Finding a mosaic's bundle on disk, without a database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.bundle import bundle
from contimg.errors import ContimgError, InputError, UnknownIdError
from contimg.products.lineage import Lineage, Node
from contimg.storage import safe_files

WITHDRAWN = ".withdrawn"  # folder of paths.products to which withdrawn bundles are moved
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")  # of a version, as folders are named; databases hold it too
_VERSIONED = re.compile(rf"(?P<id>.*?)(?:\.v(?P<version>{_NUMBER.pattern}))?", re.DOTALL)


def find_bundle(layout: naming.Layout, text: str) -> Path:
    """Return the folder of a bundle that a person means.

    Parameters
    ----------
    layout : Layout
    text : str
        The folder of a bundle; or a mosaic's id, ``mosaic_20260211T002649``, with ``.v2`` for a version.
        Of several versions the latest published one is meant, else the latest on the stage, else
        the latest withdrawn.

    Raises
    ------
    UnknownIdError
        If there is no such bundle.
    """
    if (bundle.payload(Path(text)) / bundle.METADATA).exists():
        return Path(text).resolve()
    match = _VERSIONED.fullmatch(text)
    assert match is not None, "any text matches"
    data_id, version = naming.as_mosaic_id(match["id"]), match["version"]
    published: dict[int, Path] = {}
    withdrawn: dict[int, Path] = {}
    for place, _, found, hidden in find_bundles(layout, data_id):
        (withdrawn if hidden else published)[found] = place
    for places in (published, _staged(layout, data_id), withdrawn):
        number = int(version) if version else max(places, default=0)
        if number in places:
            return places[number]
    raise UnknownIdError(f"no bundle of {text} stands in the archive or on the stage: see 'contimg registry list'")


def _staged(layout: naming.Layout, data_id: str) -> dict[int, Path]:
    """Return the bundles of a mosaic on the stage, by version."""
    places = layout.product("registered", data_id).glob("v*")
    return {int(place.name[1:]): place for place in places if _NUMBER.fullmatch(place.name[1:]) is not None}


def read_lineage(path: Path) -> tuple[dict[str, Any], Lineage, Node]:
    """Return a bundle's metadata, its lineage (digests checked) and the mosaic's node in it.

    Raises
    ------
    InputError
        If they are missing or were altered.
    """
    metadata = bundle.read_metadata(path)
    where = str(bundle.payload(path) / bundle.METADATA)
    if not isinstance(metadata.get("lineage"), dict):
        raise InputError(f"{where} holds no lineage: restore it from a copy")
    lineage = Lineage.from_json(metadata["lineage"], where)
    mosaics = lineage.of_kind("mosaic")
    if len(mosaics) != 1:
        raise InputError(f"{where} holds no lineage of one mosaic: restore it from a copy")
    return metadata, lineage, mosaics[0]


def find_bundles(layout: naming.Layout, data_id: str | None = None) -> Iterator[tuple[Path, str, int, bool]]:
    """Give every bundle's folder in the archive: path, id, version, and whether it is withdrawn."""
    for top, hidden in ((layout.products, False), (layout.products / WITHDRAWN, True)):
        pattern = "mosaics/*/mosaic_*"
        if data_id is not None:
            pattern = f"{layout.bundle(data_id, 1).relative_to(layout.products)}*"
        for path in sorted(top.glob(pattern)):
            parsed = _parse_name(path.name)
            if parsed is None or path.is_symlink() or not path.is_dir():
                continue
            if path == (hidden_place(layout, *parsed) if hidden else layout.bundle(*parsed)):
                yield path, *parsed, hidden


def find_misnamed(layout: naming.Layout) -> Iterator[Path]:
    """Give the folders among the archive's bundles that hold one where none belongs, as no name of a bundle says.

    Below another date, with a version as ``.v02``, or with the name of no mosaic; a symlink is one too.
    """
    for top, hidden in ((layout.products, False), (layout.products / WITHDRAWN, True)):
        for path in sorted([*top.glob("mosaics/*"), *top.glob("mosaics/*/*")]):
            parsed = _parse_name(path.name)
            belongs = parsed is not None and path == (
                hidden_place(layout, *parsed) if hidden else layout.bundle(*parsed)
            )
            if (not belongs or path.is_symlink()) and (path / bundle.MANIFEST).is_file():
                yield path


def find_links(layout: naming.Layout) -> Iterator[tuple[Path, str]]:
    """Give the symlinks in the place of folders behind which no bundle is found, and a sentence about each.

    They lead nowhere, as to a disk that is not mounted, or stand for a mosaic's folder on the stage. Those through
    which `find_bundles`, `find_staged` or `find_misnamed` see bundles are not among them.
    """
    archive = ("mosaics", "mosaics/*", "mosaics/*/*")
    patterns = [(layout.products, "archive", top + name) for top in ("", f"{WITHDRAWN}/") for name in archive]
    patterns += [(layout.products, "archive", WITHDRAWN), (layout.stage, "stage", "registered")]
    patterns += [(layout.stage, "stage", f"registered/*{name}") for name in ("", "/mosaic_*", "/mosaic_*/v*")]
    for root, what, pattern in patterns:
        of_mosaic = pattern.startswith("registered/*/")
        # glob() passes over a name without wildcard that leads nowhere
        for path in sorted(root.glob(pattern)) if "*" in pattern else [root / pattern]:
            found = safe_files.link_on_the_way(root, path, what) if path.is_symlink() else None
            if found is not None and (of_mosaic or not path.exists()):
                yield path, found


def find_staged(layout: naming.Layout, data_id: str | None = None) -> Iterator[tuple[Path, str, int]]:
    """Give every bundle's folder on the stage: path, id and version, the oldest version first."""
    pattern = "*/mosaic_*" if data_id is None else f"{naming.date(data_id)}/{data_id}"
    for home in sorted((layout.stage / "registered").glob(pattern)):
        parsed = _parse_name(home.name)
        if parsed is None or home.is_symlink() or not home.is_dir() or home != layout.product("registered", parsed[0]):
            continue
        for version, path in sorted(_staged(layout, parsed[0]).items()):
            if path.is_dir() and not path.is_symlink():
                yield path, parsed[0], version


def _parse_name(name: str) -> tuple[str, int] | None:
    """Return id and version from the name of a bundle's folder; None when the name is not that of a bundle."""
    data_id, _, suffix = name.partition(".v")
    try:
        if naming.as_mosaic_id(data_id) != data_id:
            return None
    except ContimgError:
        return None
    if name == data_id:
        return data_id, 1
    return (data_id, int(suffix)) if _NUMBER.fullmatch(suffix) is not None and int(suffix) > 1 else None


def hidden_place(layout: naming.Layout, data_id: str, version: int) -> Path:
    """Return the path of a bundle after it was withdrawn, below ``<products>/.withdrawn``."""
    final = layout.bundle(data_id, version)
    return layout.products / WITHDRAWN / final.relative_to(layout.products)
