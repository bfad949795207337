"""`contimg usage` and `contimg retain`: what takes the space, and the limits of what is kept."""

from __future__ import annotations

from pathlib import Path

import click

from contimg.cli.common import Context, echo, json_option, print_json, print_table


@click.command()
@click.option("--jobs", is_flag=True, help="Show what the jobs of each rule asked for and took, instead.")
@json_option
@click.pass_obj
def usage(context: Context, jobs: bool, as_json: bool) -> None:
    """Show the disk space of each kind of file, how fast the disks fill, and the day on which they are full."""
    if jobs:
        _show_jobs(context.work, as_json)
        return
    from contimg.retention.usage import RECENT_DAYS
    from contimg.retention.usage import usage as measure

    found = measure(context.config, context.work)
    if as_json:
        print_json(found.to_json())
        return
    kinds = sorted((one for one in found.kinds if one.files), key=lambda one: -one.bytes)
    rows = [(k.kind, k.root, k.files, f"{k.bytes / 1e9:.3f}", f"{k.recent_bytes / 1e9:.3f}") for k in kinds]
    print_table("Space", ("kind", "below", "files", "GB", f"GB of the last {RECENT_DAYS} days"), rows)
    disks = [
        (
            ", ".join(disk.roots),
            f"{disk.total_bytes / 1e9:.1f}",
            f"{disk.free_bytes / 1e9:.1f}",
            f"{disk.growth_bytes_per_day / 1e9:+.3f}",
            disk.full_on or "not in ten years",
        )
        for disk in found.disks
    ]
    print_table("\nDisks", ("roots on it", "GB", "free GB", "GB a day", "full on"), disks)


def _show_jobs(work: Path, as_json: bool) -> None:
    """Print memory and time that each rule asked for and took."""
    from contimg.monitoring.resource_use import resource_use

    found = resource_use(work)
    if as_json:
        print_json([one.to_json() for one in found])
        return
    rows = [
        (one.rule, one.jobs, f"{one.asked_mb:.0f}", f"{one.used_mb:.0f}", f"{one.asked_min:.0f}",
         f"{one.used_min:.1f}", f"{one.cpu_h:.2f}")
        for one in found
    ]  # fmt: skip
    columns = ("rule", "jobs", "asked MB", "took MB", "asked min", "took min", "CPU hours")
    print_table("Jobs: what was asked for, and the most that one took", columns, rows)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@json_option
@click.pass_obj
def retain(context: Context, dry_run: bool, as_json: bool) -> None:
    """Remove what has passed its limit in the configuration's section `retention`, as the end of each run does.

    Inputs, archive, calibrations, decisions, twins and what open groups need are never touched.
    """
    from contimg.retention.retain import retain as apply_limits

    done = apply_limits(context.config, context.work, dry_run=dry_run)
    if as_json:
        print_json(done.to_json())
        return
    rows = [(item.kind, item.group, f"{item.bytes / 1e6:.1f}", item.path) for item in done.items]
    if rows:
        print_table("Would be removed" if dry_run else "Removed", ("kind", "group", "MB", "path"), rows)
    for sentence in done.trouble:
        echo(sentence, err=True)
    echo(f"{done.freed_bytes / 1e9:.3f} GB {'would be freed' if dry_run else 'freed'}.")
