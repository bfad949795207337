"""What a plan is made from, read from disk."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from contimg import calibrators, inbox, naming
from contimg.config import Config
from contimg.errors import InputError
from contimg.plan import has_open_work, make_plan
from contimg.plan.model import CalibrationRecord, CommittedGroup, CommittedTile, Plan, Tile
from contimg.product import read_twin

# A mosaic with one of these outcomes needs nothing more, unless its night is asked for by name.
SETTLED = ("published", "rejected", "withdrawn")


def current_plan(config: Config, *, now: datetime | None = None) -> Plan:
    """Look at the disk and plan.

    Raises
    ------
    InputError
        If the inbox is missing, unreadable or empty.
    """
    now = now or datetime.now(UTC)
    layout = config.layout
    listing = inbox.arrange(inbox.list_files(layout.incoming), config.ingest)
    if not listing.clusters and not listing.quarantined:
        raise InputError(f"paths.incoming {layout.incoming} holds no subband files: wait for some or correct the key")
    committed = committed_groups(config)
    owner = {tile.name_time: group for group in committed for tile in group.tiles}
    in_scope = [c for c in listing.clusters if _near(c, config) and has_open_work(c, owner, config)]
    cache = inbox.FactsCache(layout.cache / "headers")
    facts = inbox.inspect(in_scope, cache, config.ingest, now)
    cache.save()
    records = calibration_records(config)
    return make_plan(listing, facts, committed, records, calibrator_finder(config), config, now)


def _near(cluster: inbox.Cluster, config: Config) -> bool:
    """Tell whether a cluster can matter to the nights asked for (calibrations reach across them)."""
    if not config.nights:
        return True
    reach_days = config.calibration.bandpass_validity_h / 24 + 1
    moment = naming.mjd_from_datetime(cluster.name_time)
    midnights = [naming.mjd_from_datetime(naming.parse_id(f"{night}T00:00:00")) for night in config.nights]
    return any(midnight - reach_days <= moment <= midnight + 1 + reach_days for midnight in midnights)


def calibrator_finder(config: Config) -> Callable[[Tile], str | None]:
    """Return a function that names the strongest calibrator transiting within the beam in a tile."""
    known = calibrators.load(config.calibration.calibrators)

    def find(tile: Tile) -> str | None:
        half_day = tile.integration_s / 2 / 86400  # tile times are the centres of integrations
        transits = calibrators.transits(
            known,
            math.radians(tile.dec_app_deg),
            tile.start_mjd - half_day,
            tile.end_mjd + half_day,
            tile.longitude_rad,
            tile.latitude_rad,
            config.beam,
            config.calibration,
        )
        return transits[0].name if transits else None

    return find


def committed_groups(config: Config) -> list[CommittedGroup]:
    """Read the groups whose membership is fixed, and which of them are settled."""
    layout = config.layout
    groups = []
    for place in sorted((layout.stage / "groups").glob("*.json")):
        content = json.loads(place.read_text())
        tiles = tuple(CommittedTile(t["id"], t["name_time"], tuple(t["files"])) for t in content["tiles"])
        groups.append(CommittedGroup(content["id"], tiles, _settled(config, content["id"], tiles)))
    return groups


def _settled(config: Config, group_id: str, tiles: Iterable[CommittedTile]) -> bool:
    """Tell whether a group's mosaic has its final outcome and all that it was made from still stands."""
    layout = config.layout
    marker = layout.twin("published", group_id)
    try:
        status = json.loads(marker.read_text())["status"]
    except FileNotFoundError:
        return False
    if status not in SETTLED:
        return False
    if config.publish.remove_stage:
        return True
    kept = [layout.twin("mosaic", group_id), layout.product("mosaic", group_id)]
    kept += [layout.twin("registered", group_id)]
    for tile in tiles:
        kept += [layout.twin("image", tile.id), layout.product("image", tile.id)]
    return all(path.exists() for path in kept)


def calibration_records(config: Config) -> list[CalibrationRecord]:
    """Read the twins of all calibrations on the stage."""
    withdrawn = read_withdrawn(config)
    records = []
    for place in sorted((config.layout.stage / "calibrations").glob("*/cal_*.json")):
        twin = read_twin(place)
        facts = twin.facts
        reason = "; ".join(f"{r.code}: {r.message}" for r in twin.reasons) or "passed"
        if twin.id in withdrawn:
            reason = f"withdrawn: {withdrawn[twin.id]}"
        records.append(
            CalibrationRecord(
                id=twin.id,
                type=facts["type"],
                tile=naming.iso(twin.id),
                mid_mjd=facts["mid_mjd"],
                dec_app_deg=facts["dec_app_deg"],
                certified=twin.verdict != "failed" and twin.id not in withdrawn,
                reason=reason,
                calibrator=facts.get("calibrator"),
                bandpass=facts.get("bandpass"),
            )
        )
    return records


def read_withdrawn(config: Config) -> dict[str, str]:
    """Return the calibrations that a person has withdrawn, with the reason given."""
    place = config.layout.stage / "calibrations" / "withdrawn.json"
    try:
        return {item["id"]: item["reason"] for item in json.loads(place.read_text())}
    except FileNotFoundError:
        return {}
