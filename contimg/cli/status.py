"""`contimg status`: state of groups, of their tiles and of their mosaics."""

from __future__ import annotations

import click

from contimg.cli.common import Context, json_option, print_json, print_table


@click.command()
@click.option("--all", "everything", is_flag=True, help="Every group, however long ago it was settled.")
@json_option
@click.pass_obj
def status(context: Context, everything: bool, as_json: bool) -> None:
    """Show groups with the state of their tiles, the verdict on their mosaic and its publication.

    All groups with open work, and the last 50 others.
    """
    from contimg.operations.status import group_states

    states, left_out = group_states(context.config, everything=everything)
    if as_json:
        print_json(states)
        return
    columns = ("mosaic", "tiles", "calibrated", "imaged", "verdict", "Sun", "state", "version", "next step")
    rows = [
        (
            s["mosaic"],
            s["tiles"],
            s["calibrated"],
            s["imaged"],
            s["verdict"],
            s["sun"],
            s["state"],
            s["version"],
            s["next"],
        )
        for s in states
    ]
    print_table("Groups", columns, rows)
    for s in states:
        if s["error"]:
            click.echo(f"{s['mosaic']} waits for a person: {s['error']}; then: {s['next']}")
    if left_out:
        click.echo(f"{left_out} older settled groups are not listed: --all lists them.")
