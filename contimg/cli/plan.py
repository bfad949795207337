"""`contimg plan`: what the next run would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

import click

from contimg.cli.common import Context, echo, json_option, print_json, print_table
from contimg.config import IngestOptions
from contimg.correlator.inbox import arrange, subbands_text
from contimg.plotting.words import counted
from contimg.storage.process import one_line

if TYPE_CHECKING:
    from contimg.plan.model import Plan


@click.command()
@json_option
@click.option(
    "--names",
    type=click.File(),
    help="Cluster the file names listed in FILE, one a line ('-' = standard input), and open nothing.",
)
@click.option("--forecast", "foretell", is_flag=True, help="Show what the plan will take: jobs, CPU, disk, time.")
@click.option("--cores", "cores", type=click.IntRange(min=1), multiple=True, help="With --forecast: on so many cores.")
@click.pass_obj
def plan(context: Context, as_json: bool, names: TextIO | None, foretell: bool, cores: tuple[int, ...]) -> None:
    """Show groups, calibrations, and what waits or was set aside; opens headers, changes nothing.

    `snakemake -n` shows the same plan as a list of jobs.
    """
    if names is not None:
        _show_names(names, context.settings.ingest, as_json)
        return
    from contimg.operations.room_for_plan import plan_within_room

    made = plan_within_room(context.config)
    if foretell:
        _show_forecast(context, made, cores or (1, 2, 4, 8, 16), as_json)
        return
    if as_json:
        print_json(made.to_json())
        return
    for group in made.groups.values():
        rows = []
        for tile_id in group.tiles:
            tile, choice = made.tiles[tile_id], made.choices[tile_id]
            gains = " and ".join(one for one in (choice.gains, choice.partner) if one)
            rows.append((tile_id, f"{tile.dec_app_deg:.2f}", len(tile.subbands), choice.bandpass, gains))
        print_table(f"\n{group.mosaic_id}", ("tile", "dec [deg]", "subbands", "bandpass", "gains"), rows)
    if made.calibrations:
        print_table(
            "\nCalibrations used",
            ("calibration", "type", "calibrator", "on top of"),
            [(c.id, c.type, c.calibrator or "catalogue sky", c.bandpass) for c in made.calibrations.values()],
        )
    for note in made.notes:
        echo(one_line(note))
    lacking = [(t.id, subbands_text(t.missing)) for t in made.tiles.values() if t.missing]
    if lacking:
        print_table("\nTiles without all subbands", ("tile", "missing"), lacking)
    if made.waiting:
        print_table(
            "\nWaiting",
            ("what", "id", "for", "since"),
            [(w.what, w.id, w.message, w.since) for w in made.waiting],
        )
    if made.late:
        print_table(
            "\nLate files of settled groups",
            ("group", "tile", "files", "action"),
            [(x.group, x.tile, ", ".join(x.files), x.action) for x in made.late],
        )
    if made.quarantined:
        print_table("\nSet aside", ("reason", "what"), [(q.code, q.message) for q in made.quarantined])
    tiles = sum(len(group.tiles) for group in made.groups.values())
    numbers = ((len(made.groups), "group"), (tiles, "tile"), (len(made.calibrations), "calibration"))
    echo("\n" + ", ".join(counted(*one) for one in numbers))


def _show_names(names: TextIO, options: IngestOptions, as_json: bool) -> None:
    """Show the tiles that a list of file names would make, for example the listing of another host."""
    listing = arrange(sorted({line.strip() for line in names} - {""}), options)
    missing = {c.key: [sb for sb in range(options.subbands) if sb not in c.subbands] for c in listing.clusters}
    if as_json:
        tiles = [
            {
                "name_time": cluster.key,
                "n_subbands": len(cluster.files),
                "complete": not missing[cluster.key],
                "missing": missing[cluster.key],
                "files": [file.path for file in cluster.files],
            }
            for cluster in listing.clusters
        ]
        quarantined = [item.__dict__ for item in listing.quarantined]
        print_json({"tiles": tiles, "quarantined": quarantined, "open": listing.open_files})
        return
    rows = [(cluster.key, len(cluster.files), subbands_text(missing[cluster.key])) for cluster in listing.clusters]
    print_table("Tiles", ("name", "subbands", "missing"), rows)
    if listing.quarantined:
        print_table("\nSet aside", ("reason", "what"), [(q.code, q.message) for q in listing.quarantined])
    complete = sum(not lacking for lacking in missing.values())
    echo(f"\n{len(rows)} tiles, {complete} complete; {len(listing.open_files)} files are still open")


def _show_forecast(context: Context, made: Plan, cores: tuple[int, ...], as_json: bool) -> None:
    """Print what a plan will take, by rule and by number of cores."""
    from contimg.monitoring.forecast import forecast

    seen = forecast(context.config, made, context.work, cores)
    if as_json:
        print_json(seen.to_json())
        return
    rows = [
        (rule, number, f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", cost.measured or "none: scaled from full size")
        for rule, number, cost in ((rule, number, seen.costs[rule]) for rule, number in seen.jobs.items())
    ]
    print_table("Jobs", ("rule", "jobs", "s each", "CPU s each", "jobs measured"), rows)
    walls = [(number, f"{hours:.2f}") for number, hours in seen.wall_h.items()]
    print_table("\nWall time", ("cores", "hours"), walls)
    total = sum(seen.jobs.values())
    echo(f"\n{total} jobs, {seen.cpu_h:.2f} CPU hours, at most {seen.disk_peak_gb:.2f} GB more on the stage.")
