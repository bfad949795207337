"""`contimg catalogue`: catalogues of a strip from the surveys as they are distributed."""

from __future__ import annotations

from pathlib import Path

import click

from contimg.cli.common import Number
from contimg.sky.surveys import SURVEYS


@click.group()
def catalogue() -> None:
    """Make the catalogue of a declination strip from radio surveys."""


@catalogue.command(short_help="Convert surveys to a catalogue for sky.catalogue.")
@click.option("--from", "surveys", multiple=True, required=True, type=click.Choice(list(SURVEYS)),
              help="The survey of the files; given several times, the survey of each file in turn.")  # fmt: skip
@click.option("--dec", type=Number(-90, 90), metavar="DEG", help="Declination of the strip's middle; "
              "the whole sky without it.")  # fmt: skip
@click.option("--width", type=Number(0, 180, min_open=True), default=10.0, show_default=True, metavar="DEG",
              help="Full width of the strip. The beam's sidelobes reach 8 deg, its main lobe 2.5 deg.")  # fmt: skip
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.argument("out", type=click.Path(path_type=Path))
def make(surveys: tuple[str, ...], dec: float | None, width: float, files: tuple[Path, ...], out: Path) -> None:
    """Convert surveys to a catalogue for sky.catalogue: fluxes and spectral indices at 1.4 GHz.

    FILE is a survey as it is distributed: CSV, TSV, FITS or VOTable of VizieR, CASDA or CIRADA, or tdat of HEASARC,
    also with .gz. OUT is a file (.fits), or a folder of strips, in which the plan finds that of a tile's declination.

    \b
    contimg catalogue make --from nvss heasarc_nvss.tdat.gz --dec 16.3 strips/
    contimg catalogue make --from nvss nvss.tsv --from tgss tgss.tsv --dec 16.3 --width 8 strip.fits
    """  # noqa: D301  # \b keeps click from filling the lines
    from contimg.errors import InputError
    from contimg.sky.catalogue_making import make_catalogue

    if len(surveys) not in (1, len(files)):
        raise click.UsageError(f"{len(surveys)} --from and {len(files)} files: give --from once, or once for each file")
    named = list(zip(files, surveys * len(files) if len(surveys) == 1 else surveys, strict=True))
    strip = (-90.0, 90.0) if dec is None else (max(-90.0, dec - width / 2), min(90.0, dec + width / 2))
    if out.is_dir() or out.suffix == "":
        out = out / ("sky.fits" if dec is None else f"strip_{dec:+06.2f}.fits")
    if out.suffix != ".fits":
        raise InputError(f"{out} cannot be the catalogue: name a folder or a file with the suffix .fits")
    if any(file.exists() and out.exists() and file.samefile(out) for file in files):
        raise InputError(f"{out} is one of the surveys' files: name another")
    made = make_catalogue(named, strip, out)
    for note in made.notes:
        click.echo(note)
    click.echo(f"{out}: {len(made)} sources from {strip[0]:+.1f} to {strip[1]:+.1f} deg")
