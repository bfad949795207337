"""`contimg trends`: gains, delays, noise, flags, flux scale and beam over weeks."""

from __future__ import annotations

from pathlib import Path

import click

from contimg.cli.common import Context, echo, json_option, print_json, print_table


@click.command()
@click.option("--days", type=click.IntRange(1, 36_525), default=42, show_default=True, help="How far back.")
@click.option(
    "--html", "place", type=click.Path(path_type=Path, dir_okay=False), help="Write one page that needs no network."
)
@json_option
@click.pass_obj
def trends(context: Context, days: int, place: Path | None, as_json: bool) -> None:
    """Show what happened to receptors and how the numbers went over the last weeks.

    Dead receptors, steps of delays and amplitudes and exchanged cables are named; the page has maps of all receptors
    over time. Days are counted back from the last date of which there are data.
    """
    from contimg.monitoring.trends import trends as follow
    from contimg.monitoring.trends_page import write_trends_page

    found = follow(context.config, days=days)
    if place is not None:
        write_trends_page(found, place)
    if as_json:
        print_json(found.to_json())
        return
    events = [(one.kind.replace("_", " "), ", ".join(one.receptors), one.since, one.message) for one in found.events]
    print_table("What happened", ("what", "receptors", "since", "in words"), events)
    rows = []
    for one in found.series:
        last = one.values[-max(1, len(one.values) // 5) :]
        numbers = (sorted(one.values)[len(one.values) // 2], sorted(last)[len(last) // 2], min(one.values))
        rows.append((one.title, len(one.values), *(f"{value:.4g}" for value in (*numbers, max(one.values)))))
    print_table("\nNumbers", ("what", "values", "median", "median of the last fifth", "least", "most"), rows)
    for sentence in found.trouble:
        echo(sentence, err=True)
