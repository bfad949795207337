"""`contimg log`: the logs of the jobs that made a tile, calibration or mosaic."""

from __future__ import annotations

import click

from contimg.cli.common import Context, echo, json_option, print_json


@click.command()
@click.argument("thing", metavar="ID")
@click.option("--rule", metavar="RULE", help="Only of this rule, for example image_tile.")
@click.option("--paths", "only_paths", is_flag=True, help="Print only the paths of the logs.")
@json_option
@click.pass_obj
def log(context: Context, thing: str, rule: str | None, only_paths: bool, as_json: bool) -> None:
    """Show the logs of the jobs behind a tile, calibration or mosaic, in the order in which they ran.

    ID is a tile (2026-02-11T00:26:49), a calibration (cal_...) or a mosaic (mosaic_...). Logs are below the folder
    that snakemake worked in last, or the one given by contimg -d.
    """
    from contimg.operations.job_logs import find_logs

    found = find_logs(context.config, thing, folder=context.directory, rule=rule)
    if as_json:
        print_json([{"rule": one.rule, "path": str(one.path)} for one in found])
        return
    for one in found:
        if only_paths:
            click.echo(str(one.path))
        else:
            echo(f"{one.rule}: {one.path}")
            with open(one.path, errors="replace") as lines:
                for line in (part for some in lines for part in some.splitlines()):
                    echo(f"    {line.expandtabs()}")
