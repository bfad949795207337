"""The command ``contimg inbox --accept-loss``: let a tile be made again without subband files that are gone.

Only a person decides this, as the new version rests on fewer data than the one before.
"""

from __future__ import annotations

from datetime import UTC, datetime

from contimg import naming
from contimg.config import Config
from contimg.correlator.facts import FactsCache, inspect
from contimg.correlator.inbox import arrange, subbands_text
from contimg.errors import InputError, UnknownIdError
from contimg.plan.model import CommittedTile, Plan
from contimg.plan.observe import committed_groups
from contimg.plan.raw_copies import inbox_files
from contimg.plan.standing import read_group
from contimg.plan.tiles import sound_files
from contimg.publishing import markers
from contimg.storage.atomic import write_json


def accept_loss(config: Config, tile_id: str) -> list[str]:
    """Let the groups of a tile be made again from the subband files of the tile that are left.

    From now on the committed membership of these groups names only those files, and their published markers are
    removed: the next run of snakemake makes the tile again, and published mosaics get a new version.

    Parameters
    ----------
    config : Config
    tile_id : str
        UTC of the first integration.

    Returns
    -------
    list of str
        Ids of the mosaics whose groups are open now.

    Raises
    ------
    UnknownIdError
        If no committed group has the tile.
    InputError
        If no file of it is gone, or too few are left.
    """
    tile_id = naming.iso(tile_id)
    holders = [(group, tile) for group in committed_groups(config) for tile in group.tiles if tile.id == tile_id]
    if not holders:
        raise UnknownIdError(f"no group has been made with tile {tile_id}: see `contimg plan` for what waits")
    left = _sound_subbands(config, tile_id)
    wanted = frozenset[int]().union(*(tile.subbands for _, tile in holders))
    if wanted <= left:
        raise InputError(f"all {len(wanted)} files that tile {tile_id} was made from are there: nothing is lost")
    if len(wanted & left) < config.ingest.min_subbands:
        raise InputError(
            f"only {len(wanted & left)} subbands of tile {tile_id} are left ({subbands_text(sorted(wanted & left))}):"
            f" ingest.min_subbands is {config.ingest.min_subbands}"
        )
    opened = []
    for group, _ in holders:
        place = config.layout.group(group.id)
        content = read_group(place)
        for tile in content["tiles"]:
            if tile["id"] == tile_id:
                tile["files"] = [name for name in tile["files"] if CommittedTile("", "", (name,)).subbands <= left]
        write_json(place, content)
        markers.remove(config.layout, "published", group.id)
        opened.append(naming.mosaic_id(group.id))
    return opened


def _sound_subbands(config: Config, tile_id: str) -> frozenset[int]:
    """Return the subbands of a committed tile that are in the inbox and can be read."""
    tiles = [tile for group in committed_groups(config) for tile in group.tiles if tile.id == tile_id]
    names = {name for tile in tiles for name in tile.files}
    listing = arrange(inbox_files(config), config.ingest)
    clusters = [cluster for cluster in listing.clusters if any(file.name in names for file in cluster.files)]
    facts = inspect(clusters, FactsCache(config.layout.cache / "headers"), config.ingest, datetime.now(UTC))
    return frozenset[int]().union(*(sound_files(cluster, facts, Plan()).subbands for cluster in clusters))
