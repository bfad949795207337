"""`contimg prune`: removal of intermediate products of settled groups from the stage."""

from __future__ import annotations

import click

from contimg.cli.common import DAYS, Context, Number, echo, json_option, print_json, print_table

KINDS = ("ms", "calibrated", "image", "logs", "benchmarks")  # as in contimg.operations.prune, which is loaded later


@click.command()
@click.option("--older-than", "days", type=DAYS, default=7.0, show_default=True,
              help="Only groups that were settled more than this many days ago.")  # fmt: skip
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="Only this kind of product; may be given more than once.",
)
@click.option("--until-free", "free_gb", type=Number(min=0), help="Stop when the stage's disk has this room, GB.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@json_option
@click.pass_obj
def prune(
    context: Context, days: float, kinds: tuple[str, ...], free_gb: float | None, dry_run: bool, as_json: bool
) -> None:
    """Remove MSs, images, logs and benchmarks of settled groups; they stay settled, and their night is not made again.

    Inputs, archive, mosaics, calibrations, decisions and open groups are never touched. To make a pruned group again,
    withdraw its mosaic or calibration with --reprocess; that takes its subband files.
    """
    from contimg.operations.prune import prune

    done = prune(
        context.config,
        context.work,
        kinds=kinds or KINDS,
        older_than_days=days,
        free_bytes=None if free_gb is None else int(free_gb * 1e9),
        dry_run=dry_run,
    )
    if as_json:
        print_json(done.to_json())
        return
    rows = [(item.kind, item.group, f"{item.bytes / 1e6:.1f}", item.path) for item in done.items]
    if rows:
        print_table("Would be removed" if dry_run else "Removed", ("kind", "group", "MB", "path"), rows)
    verb = "would be freed" if dry_run else "freed"
    echo(f"{done.freed_bytes / 1e9:.3f} GB {verb}; {done.free_bytes / 1e9:.1f} GB of room on the stage's disk.")
