"""`contimg beam`: the primary beam, measured on the sky."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from contimg.cli.common import Context, json_option, print_json, print_table

if TYPE_CHECKING:
    from contimg.crossmatch.beam_fit import BeamFit

_COLUMNS = ("mosaic", "tiles", "sources", "east (deg)", "north (deg)", "width", "flux scale", "scatter")


@click.group()
def beam() -> None:
    """Measure the primary beam on the sky."""


@beam.command()
@click.argument("mosaics", nargs=-1, metavar="[MOSAIC]...")
@json_option
@click.pass_obj
def measure(context: Context, mosaics: tuple[str, ...], as_json: bool) -> None:
    """Fit the beam's offset and width and the flux scale to the catalogued sources in the tile images on the stage.

    Without MOSAIC all groups are measured, one by one and together. Copy the last lines printed into your
    configuration: the next run makes images and mosaics with the measured beam.
    """
    from contimg.operations.beam_measurement import measure_beam

    found = measure_beam(context.config, mosaics)
    if as_json:
        fits = [asdict(one.fit) if one.fit else {"problem": one.problem} for one in found]
        print_json([{"mosaics": one.mosaics, "tiles": one.n_tiles} | fit for one, fit in zip(found, fits, strict=True)])
        return
    rows = []
    for one in found:
        if one.fit is None:
            click.echo(f"{one.mosaics[0]}: {one.problem}", err=True)
        else:
            name = one.mosaics[0] if len(one.mosaics) == 1 else f"all {len(one.mosaics)}"
            rows.append((name, str(one.n_tiles), *_texts(one.fit)))
    print_table("Primary beam", _COLUMNS, rows)
    best = found[-1].fit
    if best is not None:
        click.echo("In the configuration:\nbeam:")
        click.echo(f"  offset_deg: [{best.east_deg:.3f}, {best.north_deg:.3f}]\n  fwhm_scale: {best.fwhm_scale:.3f}")


def _texts(fit: BeamFit) -> tuple[str, ...]:
    """Return the numbers of a fit, with their errors, for the table."""
    return (
        str(fit.n_sources),
        f"{fit.east_deg:+.3f} ± {fit.e_east_deg:.3f}",
        f"{fit.north_deg:+.3f} ± {fit.e_north_deg:.3f}",
        f"{fit.fwhm_scale:.3f} ± {fit.e_fwhm_scale:.3f}",
        f"{fit.flux_scale:.3f} ± {fit.e_flux_scale:.3f}",
        f"{fit.scatter:.2f}",
    )
