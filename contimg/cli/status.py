"""`contimg status`: what became of everything."""

from __future__ import annotations

import click

from contimg.cli.common import Context, json_option, print_json, print_table


@click.command()
@json_option
@click.pass_obj
def status(context: Context, as_json: bool) -> None:
    """Show every group with the state of its tiles, its mosaic's verdict and its publication."""
    from contimg.status import group_states

    states = group_states(context.config)
    if as_json:
        print_json(states)
        return
    columns = ("mosaic", "tiles", "calibrated", "imaged", "verdict", "state", "version", "next step")
    rows = [
        (
            s["mosaic"],
            s["tiles"],
            s["calibrated"],
            s["imaged"],
            s["verdict"],
            s["state"],
            s["version"],
            s["next"],
        )
        for s in states
    ]
    print_table("Groups", columns, rows)
