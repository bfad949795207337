"""`contimg archive`: the archive's tables, sky map and gallery; whose archive it is."""

from __future__ import annotations

import click

from contimg.cli.common import Context, echo, json_option, opened, pasteable, print_json


@click.group(invoke_without_command=True)
@click.option("--anew", is_flag=True, help="Read every bundle again, also those that have not changed.")
@json_option
@click.pass_context
def archive(ctx: click.Context, anew: bool, as_json: bool) -> None:
    """Make the tables, sky coverage and gallery of all published mosaics again, and the page of those that are held.

    Each publish does so; this repairs what was deleted or could not be written.
    """
    from contimg.archive.held_page import page_of, write_held_page
    from contimg.archive.update import rebuild
    from contimg.plotting.words import counted
    from contimg.publishing import archive_root
    from contimg.publishing.commands import decision_commands

    if ctx.invoked_subcommand is not None:
        return
    context: Context = ctx.obj
    products = context.config.layout.products
    with opened(context) as database:
        archive_root.require(database, context.config.layout, make=True)
        count = rebuild(database, context.config.layout, anew=anew)
        held = write_held_page(database, context.config.layout, lambda row: decision_commands(row, pasteable))
    names = ("index.html", "obscore.vot", "obscore.fits", "coverage.moc.fits")
    if as_json:
        print_json({"mosaics": count, "files": [str(products / name) for name in names], "held": held})
    else:
        echo(f"{counted(count, 'mosaic')}: {products / 'index.html'}, with {', '.join(names[1:])} beside it")
        if held:
            echo(f"{held} held: {page_of(context.config.layout)}")


@archive.command(short_help="Make paths.products the archive of this registry.")
@json_option
@click.pass_obj
def adopt(context: Context, as_json: bool) -> None:
    """Make paths.products the archive of the configured registry, whatever was there before.

    A registry takes possession of its archive by itself, once. This is for a registry that was moved, for one that
    takes the place of another that is gone for good (`contimg reconcile` then rebuilds its rows), and for an archive
    that was copied to another disk: the folder that it was copied from is refused from then on.
    """
    from contimg.publishing import archive_root
    from contimg.publishing.archive_marker import marker_place

    layout = context.config.layout
    with opened(context) as database:
        content = archive_root.adopt(database, layout)
    if as_json:
        print_json(content)
    else:
        echo(f"{layout.products} is the archive of this registry now ({marker_place(layout)})")
