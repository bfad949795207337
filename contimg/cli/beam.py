"""`contimg beam`: the primary beam, measured on the sky."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from contimg.cli.common import Context, echo, json_option, print_json, print_table
from contimg.storage.process import one_line

if TYPE_CHECKING:
    from contimg.sky.beam_fit import BeamFit

_COLUMNS = ("mosaic", "tiles", "sources", "east (deg)", "north (deg)", "width", "flux scale", "scatter")


@click.group()
def beam() -> None:
    """Measure the primary beam on the sky."""


@beam.command(short_help="Fit the beam's offset and width and the flux scale.")
@click.argument("mosaics", nargs=-1, metavar="[MOSAIC|NIGHT]...")
@click.option(
    "--cube", type=click.Path(dir_okay=False, path_type=Path), help="Write the beam in bands here (beam.cube)."
)
@json_option
@click.pass_obj
def measure(context: Context, mosaics: tuple[str, ...], cube: Path | None, as_json: bool) -> None:
    """Fit the beam's offset and width and the flux scale to the catalogued sources in the tile images on the stage.

    Without MOSAIC or NIGHT (YYYY-MM-DD) all groups are measured, one by one and together. Copy the last lines printed
    into your configuration: the next run makes images and mosaics with the measured beam. Without sky.catalogue the
    drift of the sources through the beam gives the offset to the east and the width.

    With --cube the beam is measured in each of image.channel_groups (16 is best) of all tiles together, without any
    assumption on its pattern, and written as a FITS cube for beam.cube.
    """
    if cube is not None:
        _measure_cube(context, mosaics, cube, as_json)
        return
    from contimg.operations.beam_measurement import measure_beam

    found = measure_beam(context.config, mosaics)
    if as_json:
        fits = [_numbers(one.fit) if one.fit else {"problem": one.problem} for one in found]
        print_json([{"mosaics": one.mosaics, "tiles": one.n_tiles} | fit for one, fit in zip(found, fits, strict=True)])
        return
    rows = []
    for one in found:
        if one.fit is None:
            echo(f"{one.mosaics[0]}: {one_line(str(one.problem))}", err=True)
        else:
            name = one.mosaics[0] if len(one.mosaics) == 1 else f"all {len(one.mosaics)}"
            rows.append((name, str(one.n_tiles), *_texts(one.fit)))
    print_table("Primary beam", _COLUMNS, rows)
    best = found[-1].fit
    if best is not None and math.isfinite(best.e_north_deg):
        echo("In the configuration:\nbeam:")
        echo(f"  offset_deg: [{best.east_deg:.3f}, {best.north_deg:.3f}]\n  fwhm_scale: {best.fwhm_scale:.3f}")


def _measure_cube(context: Context, names: tuple[str, ...], output: Path, as_json: bool) -> None:
    """Measure and write a cube, and print what it says."""
    from contimg.operations.beam_bands import measure_cube

    found = measure_cube(context.config, names, output)
    rows = [
        {
            "freq_mhz": round(band.freq_hz / 1e6, 3),
            "fwhm_deg": round(2 * math.degrees(band.radius_rad(0.5)), 4),
            "radius_at_0.2_deg": round(math.degrees(band.radius_rad(0.2)), 4),
            "error_at_0.2": round(band.error(band.radius_rad(0.2)), 5),
            "sources": band.n_sources,
            "fluxes": band.n_fluxes,
            "scatter": round(band.scatter, 2),
        }
        for band in found.bands
    ]
    if as_json:
        print_json({"cube": str(output), "offset_deg": found.offset_deg, "tiles": found.n_tiles, "bands": rows})
        return
    columns = ("MHz", "FWHM (deg)", "0.2 at (deg)", "error there", "sources", "fluxes", "scatter")
    print_table("Primary beam in bands", columns, [tuple(map(str, row.values())) for row in rows])
    east, north = found.offset_deg
    echo(f"In the configuration:\nbeam:\n  cube: {output.absolute()}\n  offset_deg: [{east:.3f}, {north:.3f}]")
    echo("  fwhm_scale: 1.0")


def _numbers(fit: BeamFit) -> dict[str, float | None]:
    """Return the numbers of a fit, None where they were not measured."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(fit).items()}


def _with_error(value: float, error: float, form: str) -> str:
    """Return a number with its error, or that it was not measured."""
    return f"{value:{form}} ± {error:.3f}" if math.isfinite(value + error) else "not measured"


def _texts(fit: BeamFit) -> tuple[str, ...]:
    """Return the numbers of a fit, with their errors, for the table."""
    return (
        str(fit.n_sources),
        _with_error(fit.east_deg, fit.e_east_deg, "+.3f"),
        _with_error(fit.north_deg, fit.e_north_deg, "+.3f"),
        _with_error(fit.fwhm_scale, fit.e_fwhm_scale, ".3f"),
        _with_error(fit.flux_scale, fit.e_flux_scale, ".3f"),
        f"{fit.scatter:.2f}",
    )
