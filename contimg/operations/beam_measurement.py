"""The primary beam measured on the sky, from the tile images on the stage (``contimg beam``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contimg import naming
from contimg.config import BeamOptions, Config
from contimg.crossmatch.beam_fit import BeamFit, TileFluxes, fit_beam
from contimg.errors import ConfigError, InputError, UnknownIdError
from contimg.mosaic.tile_images import TileImage, read_tiles, used
from contimg.plan.standing import read_group
from contimg.products.judged import options_of
from contimg.sky.catalogue import Catalogue, read_catalogue


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
        Ids; all groups with images on the stage where none is given.

    Returns
    -------
    list of Measurement
        The last one is of all groups, and has a fit.

    Raises
    ------
    ConfigError
        If there is no catalogue.
    UnknownIdError
        If there is no such group.
    InputError
        If no group has images, they were divided by different beams, or have too few catalogued sources.
    """
    if config.sky.catalogue is None:
        raise ConfigError("the beam is measured with the fluxes of a catalogue: name one in sky.catalogue")
    catalogue = read_catalogue(Path(config.sky.catalogue))
    groups = {name: _tiles(config, name) for name in _names(config, mosaics)}
    tiles = {name: [fluxes for fluxes, _ in found] for name, found in groups.items() if found}
    if not tiles:
        raise InputError(f"no group in {config.layout.stage} has tile images: run snakemake first")
    beams = [beam for found in groups.values() for _, beam in found]
    if any(beam != beams[0] for beam in beams):
        raise InputError("these tile images were divided by different beams: name the mosaics of one of them")
    every = {one.tile: one for found in tiles.values() for one in found}  # overlapping groups share tiles
    if len(tiles) == 1:
        (name,) = tiles
        return [_measure((name,), tiles[name], catalogue, beams[0])]
    single = []
    for name, found in tiles.items():
        try:
            single.append(_measure((name,), found, catalogue, beams[0]))
        except InputError as error:  # its sources count in all together
            single.append(Measurement((name,), len(found), None, str(error)))
    return [*single, _measure(tuple(tiles), list(every.values()), catalogue, beams[0])]


def _measure(names: tuple[str, ...], tiles: list[TileFluxes], catalogue: Catalogue, beam: BeamOptions) -> Measurement:
    """Return the beam of some tiles."""
    return Measurement(names, len(tiles), fit_beam(tiles, catalogue, beam))


def _names(config: Config, mosaics: Sequence[str]) -> list[str]:
    """Return the ids of the mosaics asked for, or of all groups."""
    folder = config.layout.stage / "groups"
    known = sorted(naming.mosaic_id(read_group(path)["id"]) for path in folder.glob("*.json"))
    for name in mosaics:
        if name not in known:
            raise UnknownIdError(f"there is no group of mosaic {name} in {folder}: see 'contimg status'")
    return list(mosaics) or known


def _tiles(config: Config, mosaic_id: str) -> list[tuple[TileFluxes, BeamOptions]]:
    """Return the bright sources of a group's tiles, and the beam that each was divided by."""
    group = read_group(config.layout.group(naming.iso(mosaic_id)))
    twins = [config.layout.twin("image", tile["id"]) for tile in group["tiles"]]
    found = read_tiles([twin for twin in twins if twin.exists()], config.image.pb_limit, options_of(config))
    return [(_fluxes(tile.id, image), BeamOptions(**tile.twin.parameters["beam"])) for tile, image in used(found)]


def _fluxes(tile_id: str, image: TileImage) -> TileFluxes:
    """Return the fluxes of the bright sources of a tile image."""
    facts, sources = image.facts, image.sources
    return TileFluxes(
        tile=tile_id,
        start_mjd=facts.start_mjd,
        end_mjd=facts.end_mjd,
        centre_deg=facts.centre_deg,
        freq_hz=facts.freq_hz,
        bandwidth_hz=facts.bandwidth_hz,
        beam_arcsec=(facts.beam.bmaj_arcsec * facts.beam.bmin_arcsec) ** 0.5,
        ra_deg=sources.ra_deg,
        dec_deg=sources.dec_deg,
        flux_jy=sources.flux_jy,
        e_flux_jy=sources.e_flux_jy,
    )
