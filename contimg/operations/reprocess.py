"""The products made with a calibration, and the reopening of their groups to be made again without it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.config import Config
from contimg.plan.standing import read_group
from contimg.products.twin import read_twin
from contimg.publishing import markers


def products_of(config: Config, calibration_id: str) -> dict[str, Any]:
    """Return every product made with a calibration, on the stage and in the registry.

    Returns
    -------
    dict
        ``calibrations`` (gains solved on top of it), ``calibrated``, ``images`` and ``mosaics``: lists of ids;
        ``versions``: list of ``{data_id, version, status, path}`` of the registry, superseded ones too.
    """
    layout = config.layout
    calibrations = _users(layout.stage / "calibrations", "cal_*.json", {("calibration", calibration_id)})
    sets = {("calibration", one) for one in (calibration_id, *calibrations)}
    calibrated = _users(layout.stage / "calibrated", "*.json", sets)
    images = _users(layout.stage / "images", "*.json", {("calibrated", one) for one in calibrated})
    mosaics = _users(layout.stage / "mosaics", "*.json", {("image", one) for one in images})
    return {
        "calibrations": calibrations,
        "calibrated": calibrated,
        "images": images,
        "mosaics": mosaics,
        "versions": _registered(config, calibration_id),
    }


def _users(folder: Path, pattern: str, used: set[tuple[str, str]]) -> list[str]:
    """Return the ids of the products in a folder of dates that name one of some inputs."""
    if not used:
        return []
    twins = (read_twin(path) for path in sorted(folder.glob(f"*/{pattern}")))
    return [twin.id for twin in twins if any((item.kind, item.id) in used for item in twin.inputs)]


def _registered(config: Config, calibration_id: str) -> list[dict[str, Any]]:
    """Return the registered versions of mosaics below which the registry's lineage has a calibration."""
    from sqlalchemy import select

    from contimg.registry.engine import open_registry
    from contimg.registry.schema import caltables, data_registry, lineage, mosaic_groups

    if config.registry.url is None and not config.layout.registry_file.exists():
        return []
    with contextlib.closing(open_registry(config)) as registry, registry.read() as connection:
        start = select(caltables.c.sha256).where(caltables.c.calibration_id == calibration_id)
        above = start.cte("above", recursive=True)
        above = above.union(select(lineage.c.product_sha256).join(above, lineage.c.input_sha256 == above.c.sha256))
        query = (
            select(data_registry.c.data_id, data_registry.c.version, data_registry.c.status,
                   data_registry.c.published_path, data_registry.c.stage_path)
            .join(mosaic_groups, (mosaic_groups.c.data_id == data_registry.c.data_id)
                  & (mosaic_groups.c.version == data_registry.c.version))
            .where(mosaic_groups.c.sha256.in_(select(above.c.sha256)))
            .order_by(data_registry.c.data_id, data_registry.c.version)
        )  # fmt: skip
        rows = connection.execute(query).mappings()
        return [
            {
                "data_id": row["data_id"],
                "version": row["version"],
                "status": row["status"],
                "path": row["published_path"] or row["stage_path"],
            }
            for row in rows
        ]


def reopen(config: Config, products: dict[str, Any]) -> list[str]:
    """Open the groups of some products again, so that the next plan looks at them.

    A settled group is one whose published marker says so; without the marker its outcome is open until the rules
    have made it anew: a new version where the pixels come out of other calibrations, else the marker alone.

    Returns
    -------
    list of str
        The mosaics whose groups are open now, and were not before.
    """
    tiles, opened = {naming.iso(one) for one in products["calibrated"]}, []
    mosaics = {*products["mosaics"], *(one["data_id"] for one in products["versions"])}  # if the stage was cleared
    for path in sorted((config.layout.stage / "groups").glob("*.json")):
        group = read_group(path)
        concerned = naming.mosaic_id(group["id"]) in mosaics or any(tile["id"] in tiles for tile in group["tiles"])
        if concerned and config.layout.twin("published", group["id"]).exists():
            markers.remove(config.layout, "published", group["id"])
            opened.append(naming.mosaic_id(group["id"]))
    return opened
