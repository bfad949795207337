"""`contimg beam`: the primary beam, measured on the sky."""

from __future__ import annotations

from dataclasses import asdict

import click

from contimg.cli.common import Context, json_option, print_json, print_table


@click.group()
def beam() -> None:
    """Measure the primary beam on the sky."""


@beam.command()
@click.argument("mosaics", nargs=-1, metavar="[MOSAIC]...")
@json_option
@click.pass_obj
def measure(context: Context, mosaics: tuple[str, ...], as_json: bool) -> None:
    """Fit the beam's offset and width and the flux scale to the catalogued sources in the tile images on the stage.

    Without MOSAIC all groups are measured, each and together. With the lines that are printed last in the
    configuration the next run makes images and mosaics with the beam where it is.
    """
    from contimg.operations.beam_measurement import measure_beam

    found = measure_beam(context.config, mosaics)
    if as_json:
        print_json([{"mosaics": one.mosaics, "tiles": one.n_tiles, **asdict(one.fit)} for one in found])
        return
    rows = []
    for one in found:
        fit = one.fit
        rows.append(
            (
                one.mosaics[0] if len(one.mosaics) == 1 else f"all {len(one.mosaics)}", str(one.n_tiles),
                f"{fit.n_sources}", f"{fit.east_deg:+.3f} ± {fit.e_east_deg:.3f}",
                f"{fit.north_deg:+.3f} ± {fit.e_north_deg:.3f}", f"{fit.fwhm_scale:.3f} ± {fit.e_fwhm_scale:.3f}",
                f"{fit.flux_scale:.3f} ± {fit.e_flux_scale:.3f}", f"{fit.scatter:.2f}",
            )
        )  # fmt: skip
    columns = ("mosaic", "tiles", "sources", "east (deg)", "north (deg)", "width", "flux scale", "scatter")
    print_table("Primary beam", columns, rows)
    best = found[-1].fit
    click.echo("In the configuration:")
    click.echo(f"beam:\n  offset_deg: [{best.east_deg:.3f}, {best.north_deg:.3f}]\n  fwhm_scale: {best.fwhm_scale:.3f}")
