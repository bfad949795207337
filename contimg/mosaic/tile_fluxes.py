"""Fluxes of bright sources in each tile of a group: by which the primary beam is measured."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from contimg.config import BeamOptions
from contimg.errors import InputError
from contimg.mosaic.tile_images import GroupTile, TileImage
from contimg.sky.beam_fit import TileFluxes

_OF_TILE = ("tile", "start_mjd", "end_mjd", "centre_ra_deg", "centre_dec_deg", "freq_hz", "bandwidth_hz", "beam_arcsec")
_OF_BEAM = ("axis_east_deg", "axis_north_deg", "width")
_OF_SOURCE = ("ra_deg", "dec_deg", "east_deg", "north_deg", "flux_jy", "e_flux_jy")
COLUMNS = (*_OF_TILE, *_OF_BEAM, *_OF_SOURCE)
"""Columns of the table: of the tile, of the beam that it was divided by, and of a source in it."""


def tile_fluxes(tile: GroupTile, image: TileImage) -> TileFluxes:
    """Return the fluxes of the bright sources of a tile image."""
    facts, sources = image.facts, image.sources
    return TileFluxes(
        tile=tile.id,
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
        divided_by=BeamOptions(**tile.twin.parameters["beam"]) if "beam" in tile.twin.parameters else None,
    )


def write_tile_fluxes(path: Path, tiles: Iterable[TileFluxes]) -> None:
    """Write the sources of tiles as CSV, a row for each source in each tile.

    ``east_deg`` and ``north_deg`` are the source's offset from the direction of the dishes at the middle of the tile
    (gnomonic), ``axis_*_deg`` that of the beam which its flux was divided by; ``width`` is that beam's ``fwhm_scale``.
    """
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for tile in tiles:
            # The beam that the tile's twin names, with numbers: not the configuration's.
            beam = (tile.divided_by or BeamOptions()).model_dump()
            head = (tile.tile, tile.start_mjd, tile.end_mjd, *tile.centre_deg, tile.freq_hz, tile.bandwidth_hz)
            axis = (round(tile.beam_arcsec, 4), *beam["offset_deg"], beam["fwhm_scale"])
            places = zip(tile.ra_deg, tile.dec_deg, tile.flux_jy, tile.e_flux_jy, strict=True)
            for ra, dec, flux, error in places:
                east, north = _offset_deg(ra, dec, tile.centre_deg)
                source = (round(ra, 7), round(dec, 7), round(east, 5), round(north, 5), round(flux, 7), round(error, 7))
                writer.writerow((*head, *axis, *map(float, source)))


def read_tile_fluxes(path: Path, beam: BeamOptions) -> list[TileFluxes]:
    """Read a table that `write_tile_fluxes` wrote.

    Parameters
    ----------
    path : Path
    beam : BeamOptions
        Dish and cube of the beam; offset and width are those of the table.

    Raises
    ------
    InputError
        If a column is missing or holds no number.
    """
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return [_tile(name, list(mine), beam) for name, mine in groupby(rows, key=lambda row: row["tile"])]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a table of fluxes in tiles ({error}): make the mosaic again") from None


def _tile(name: str, rows: list[Mapping[str, Any]], beam: BeamOptions) -> TileFluxes:
    """Return one tile of the table."""
    first = {key: float(rows[0][key]) for key in (*_OF_TILE[1:], *_OF_BEAM)}
    ra, dec, _, _, flux, error = np.array([[float(row[key]) for key in _OF_SOURCE] for row in rows]).T
    return TileFluxes(
        tile=name,
        start_mjd=first["start_mjd"],
        end_mjd=first["end_mjd"],
        centre_deg=(first["centre_ra_deg"], first["centre_dec_deg"]),
        freq_hz=first["freq_hz"],
        bandwidth_hz=first["bandwidth_hz"],
        beam_arcsec=first["beam_arcsec"],
        ra_deg=ra,
        dec_deg=dec,
        flux_jy=flux,
        e_flux_jy=error,
        divided_by=beam.with_axis([first["axis_east_deg"], first["axis_north_deg"]], first["width"]),
    )


def _offset_deg(ra_deg: float, dec_deg: float, centre_deg: tuple[float, float]) -> tuple[float, float]:
    """Return the gnomonic offset of a direction from another to east and north (deg)."""
    ra, dec = math.radians(ra_deg - centre_deg[0]), math.radians(dec_deg)
    dec0 = math.radians(centre_deg[1])
    along = math.sin(dec) * math.sin(dec0) + math.cos(dec) * math.cos(dec0) * math.cos(ra)
    north = math.sin(dec) * math.cos(dec0) - math.cos(dec) * math.sin(dec0) * math.cos(ra)
    return math.degrees(math.cos(dec) * math.sin(ra) / along), math.degrees(north / along)
