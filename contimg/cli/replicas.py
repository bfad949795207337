"""`contimg replicas`: further copies of the archive, adopted and brought up to date."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from contimg.cli.common import Context, json_option, opened, print_json, print_table

if TYPE_CHECKING:
    from contimg.config.sections import ReplicaOptions


@click.group()
def replicas() -> None:
    """Adopt the replicas of publish.replicas, and bring them up to date."""


def configured(context: Context) -> list[ReplicaOptions]:
    """Return the configured replicas.

    Raises
    ------
    ConfigError
        If there are none.
    """
    from contimg.errors import ConfigError

    if not context.config.publish.replicas:
        raise ConfigError("config key 'publish.replicas' is empty: name a folder or s3://bucket/prefix as url of one")
    return context.config.publish.replicas


@replicas.command(short_help="Make the configured replicas those of this registry, once.")
@json_option
@click.pass_obj
def adopt(context: Context, as_json: bool) -> None:
    """Make the configured replicas those of this registry: once, before the first copy.

    A folder must exist, and a bucket too: one that is not mounted is never filled.
    """
    from contimg.replicas import sync as syncing

    with opened(context) as database:
        for one in configured(context):
            syncing.adopt(database, one)
    urls = [one.url for one in configured(context)]
    if as_json:
        print_json({"replicas": urls})
    else:
        click.echo("\n".join(f"{url} is a replica of this archive" for url in urls))


@replicas.command(short_help="Bring the copies in the replicas up to date.")
@json_option
@click.pass_obj
def sync(context: Context, as_json: bool) -> None:
    """Make missing copies, write damaged ones again, and remove those that their policy does not keep.

    A copy is read back before it counts. Exit code 3 when something could not be done.
    """
    from contimg.errors import ContimgError
    from contimg.publishing import archive_root
    from contimg.replicas import sync as syncing

    found, unreachable = [], []
    with opened(context) as database:
        archive_root.require_whole(database, context.config.layout)
        for one in configured(context):
            try:
                for done in syncing.sync(database, context.config.layout, one):
                    found.append(done)
            except ContimgError as error:  # the others are brought up to date
                unreachable.append(str(error))
    if as_json:
        print_json({"copies": [vars(one) for one in found], "unreachable": unreachable})
    elif found:
        columns = ("replica", "mosaic", "version", "what", "message")
        print_table("Copies", columns, [tuple(vars(one).values()) for one in found])
    elif not unreachable:
        click.echo("The replicas are up to date.")
    for sentence in unreachable:
        click.echo(f"contimg: {sentence}", err=True)
    if unreachable or any(one.what == "problem" for one in found):
        sys.exit(3)
