"""The primary beam of a group, fitted to the fluxes of catalogued sources in its tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contimg.config import BeamOptions
from contimg.errors import InputError
from contimg.mosaic.tile_fluxes import read_tile_fluxes
from contimg.sky.beam_fit import BeamFit, fit_beam
from contimg.sky.catalogue import Catalogue


@dataclass(frozen=True)
class GroupBeam:
    """What the tiles of a group say of the primary beam: numbers for the twin, and a sentence.

    Attributes
    ----------
    numbers : dict
        ``beam_offset_deg`` ±: distance of the axis from the one that the tiles were divided by; ``beam_width`` ±: over
        the one they were divided by; ``beam_east_deg`` ±, ``beam_north_deg`` ±: axis from the pointing; and
        ``beam_flux_scale`` ±, ``beam_sources``, ``beam_scatter``. Empty where they could not be measured.
    sentence : str
    """

    numbers: dict[str, Any]
    sentence: str


def measure_group_beam(table: Path, catalogue: Catalogue, beam: BeamOptions) -> GroupBeam:
    """Measure the primary beam of a group.

    Parameters
    ----------
    table : Path
        Of the fluxes in its tiles (`contimg.mosaic.tile_fluxes`).
    catalogue : Catalogue
        Of the strip.
    beam : BeamOptions
        Dish and cube.

    Raises
    ------
    InputError
        If the table cannot be read.
    """
    tiles = read_tile_fluxes(table, beam)
    used = next((tile.divided_by for tile in tiles if tile.divided_by is not None), beam)
    try:
        fit = fit_beam(tiles, catalogue, used)
    except InputError as error:
        return GroupBeam({}, f"the primary beam was not measured: {error}")
    return GroupBeam(_numbers(fit, used), f"primary beam: {_sentence(fit)}")


def _numbers(fit: BeamFit, used: BeamOptions) -> dict[str, Any]:
    """Return the numbers of a fit, rounded as twins hold them."""
    east, north = fit.east_deg - used.offset[0], fit.north_deg - used.offset[1]
    offset = math.hypot(east, north)
    e_offset = math.hypot(fit.e_east_deg, fit.e_north_deg) / math.sqrt(2)
    if offset > 0:
        e_offset = math.hypot(east * fit.e_east_deg, north * fit.e_north_deg) / offset
    numbers: dict[str, Any] = {
        "beam_offset_deg": offset,
        "e_beam_offset_deg": e_offset,
        "beam_width": fit.fwhm_scale / used.width,
        "e_beam_width": fit.e_fwhm_scale / used.width,
        "beam_east_deg": fit.east_deg,
        "e_beam_east_deg": fit.e_east_deg,
        "beam_north_deg": fit.north_deg,
        "e_beam_north_deg": fit.e_north_deg,
        "beam_flux_scale": fit.flux_scale,
        "e_beam_flux_scale": fit.e_flux_scale,
        "beam_scatter": fit.scatter,
    }
    rounded: dict[str, Any] = {key: round(float(value), 5) for key, value in numbers.items()}
    said = {f"{key}_of": _sentence(fit) for key in ("beam_offset_deg", "beam_width")}
    return rounded | {"beam_sources": fit.n_sources} | said


def _sentence(fit: BeamFit) -> str:
    """Return a fit in words, as the lines of the configuration that correct it."""
    return (
        f"axis {fit.east_deg:+.3f} ± {fit.e_east_deg:.3f} deg east and {fit.north_deg:+.3f} ± {fit.e_north_deg:.3f} deg"
        f" north of the pointing, {fit.fwhm_scale:.3f} ± {fit.e_fwhm_scale:.3f} times as wide"
        f" (beam.offset_deg: [{fit.east_deg:.3f}, {fit.north_deg:.3f}], beam.fwhm_scale: {fit.fwhm_scale:.3f})"
    )
