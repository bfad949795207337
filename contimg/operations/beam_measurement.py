"""The primary beam measured on the sky, from the tile images on the stage (``contimg beam``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contimg import naming
from contimg.config import Config
from contimg.errors import InputError, UnknownIdError
from contimg.mosaic.tile_fluxes import tile_fluxes
from contimg.mosaic.tile_images import read_tiles, used
from contimg.plan.standing import read_group
from contimg.products.judged import options_of
from contimg.sky.beam_fit import BeamFit, TileFluxes, fit_beam
from contimg.sky.catalogue import Catalogue, read_catalogue
from contimg.sky.strips import catalogue_at


@dataclass(frozen=True)
class Measurement:
    """A fitted beam, and the mosaics whose tiles it comes from; without a fit, why there is none."""

    mosaics: tuple[str, ...]
    n_tiles: int
    fit: BeamFit | None
    problem: str | None = None


def measure_beam(config: Config, mosaics: Sequence[str] = ()) -> list[Measurement]:
    """Fit the beam to the tiles of each group, and, of several, to all of them together.

    Parameters
    ----------
    config : Config
    mosaics : sequence of str
        Ids, or nights (YYYY-MM-DD); all groups with images on the stage where none is given.

    Returns
    -------
    list of Measurement
        The last one is of all groups, and has a fit. Without a catalogue (``sky.catalogue``) it is that of the drift of
        sources through the beam.

    Raises
    ------
    UnknownIdError
        If there is no such group.
    InputError
        If no group has images, or they have too few isolated bright sources.
    """
    groups = {name: fluxes_of_group(config, name) for name in groups_of(config, mosaics)}
    tiles = {name: found for name, found in groups.items() if found}
    if not tiles:
        raise InputError(f"no group in {config.layout.stage} has tile images: run snakemake first")
    if len(tiles) == 1:
        ((name, found),) = tiles.items()
        return [_measure((name,), found, config)]
    single = []
    for name, found in tiles.items():
        try:
            single.append(_measure((name,), found, config))
        except InputError as error:  # its sources count in all together
            single.append(Measurement((name,), len(found), None, str(error)))
    every = {one.tile: one for found in tiles.values() for one in found}  # overlapping groups share tiles
    return [*single, _measure(tuple(tiles), list(every.values()), config)]


def _measure(names: tuple[str, ...], tiles: list[TileFluxes], config: Config) -> Measurement:
    """Return the beam of some tiles."""
    return Measurement(names, len(tiles), fit_beam(tiles, catalogue_of(config, tiles), config.beam))


def catalogue_of(config: Config, tiles: Sequence[TileFluxes]) -> Catalogue | None:
    """Return the catalogue of some tiles' strip; None where none is configured."""
    if config.sky.catalogue is None:
        return None
    return read_catalogue(catalogue_at(Path(config.sky.catalogue), tiles[0].centre_deg[1]))


def groups_of(config: Config, names: Sequence[str]) -> list[str]:
    """Return the ids of mosaics, in order of time, that are named or belong to nights (YYYY-MM-DD); or of all groups.

    Raises
    ------
    UnknownIdError
        If there is no such group.
    """
    folder = config.layout.stage / "groups"
    known = {naming.mosaic_id(group): naming.date(group) for path in folder.glob("*.json") if (group := _id_of(path))}
    for name in names:
        if name not in known and name not in known.values():
            raise UnknownIdError(f"there is no group of mosaic or night {name} in {folder}: see 'contimg status'")
    return sorted(one for one, night in known.items() if not names or one in names or night in names)


def _id_of(path: Path) -> str:
    return str(read_group(path)["id"])


def fluxes_of_group(config: Config, mosaic_id: str) -> list[TileFluxes]:
    """Return the bright sources of a group's tile images."""
    group = read_group(config.layout.group(naming.iso(mosaic_id)))
    twins = [config.layout.twin("image", tile["id"]) for tile in group["tiles"]]
    found = read_tiles([twin for twin in twins if twin.exists()], config.image.pb_limit, options_of(config))
    return [tile_fluxes(tile, image) for tile, image in used(found)]
