"""`contimg archive`: tables, sky map and gallery of the archive."""

from __future__ import annotations

import click

from contimg.cli.common import Context, json_option, opened, print_json


@click.command()
@click.option("--anew", is_flag=True, help="Read every bundle again, also those that have not changed.")
@json_option
@click.pass_obj
def archive(context: Context, anew: bool, as_json: bool) -> None:
    """Make the ObsCore tables, the sky coverage and the gallery of all published mosaics again.

    Each publish does so; this repairs what was deleted or could not be written.
    """
    from contimg.archive.update import rebuild

    products = context.config.layout.products
    with opened(context) as database:
        count = rebuild(database, context.config.layout, anew=anew)
    names = ("index.html", "obscore.vot", "obscore.fits", "coverage.moc.fits")
    if as_json:
        print_json({"mosaics": count, "files": [str(products / name) for name in names]})
    else:
        click.echo(f"{count} mosaics: {products / 'index.html'}, with {', '.join(names[1:])} beside it")
