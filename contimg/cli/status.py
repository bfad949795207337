"""`contimg status`: one screen about everything, for a person, a program, a browser or a monitor."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contimg.cli.common import Context, Number, echo, json_option, pasteable_values, print_json, print_table
from contimg.storage.process import one_line

if TYPE_CHECKING:
    from contimg.monitoring.overview import Overview

_NAMED = 5  # mosaics that a sentence names of many


@click.command()
@click.option("--all", "everything", is_flag=True, help="Every group, however long ago it was settled.")
@click.option("--watch", "every_s", is_flag=False, flag_value=10.0, type=Number(min=1),
              help="Show it again every 10 s, or SECONDS, until Ctrl-C.", metavar="[SECONDS]")  # fmt: skip
@click.option(
    "--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write one static page to a file."
)
@click.option("--prometheus", "metrics", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the numbers to a .prom file for Prometheus.")  # fmt: skip
@click.option("--check", is_flag=True, help="Exit code 3 while there is an alarm, for monitors.")
@json_option
@click.pass_obj
def status(
    context: Context,
    everything: bool,
    every_s: float | None,
    page: Path | None,
    metrics: Path | None,
    check: bool,
    as_json: bool,
) -> None:
    """Show what came, waits, runs, failed, is held and was published, the disks, and the health of antennas.

    Groups: all with open work, and the last 50 others.
    """
    from contimg.monitoring.overview import overview

    work = context.work
    while True:
        seen = overview(context.config, work, everything=everything)
        _write(seen, page, metrics)
        if every_s is None:
            break
        click.clear()
        _show(seen.content)
        time.sleep(every_s)
    if as_json:
        print_json(seen.content)
    else:
        _show(seen.content)
        _show_unread(context)
    for alarm in ("no_registry", "wrong_archive"):  # where the output goes to a program or a page, too
        if alarm in seen.needs:
            echo(f"contimg: {one_line(seen.needs[alarm])}", err=True)
    if check and seen.needs:
        sys.exit(3)


def _show_unread(context: Context) -> None:
    """Say how many published mosaics were found wrong, or not read for long, and of replicas, with what to type."""
    from contimg.operations.status import UNREAD_DAYS, found_wrong, replica_counts, unverified

    wrong = found_wrong(context.config)
    if wrong:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        first = wrong[0]
        remedy = f"contimg reconcile {first}, contimg publish retry {first}, then contimg verify {first}"
        echo(f"wrong when last verified: {', '.join(wrong[:_NAMED])}{more}: {remedy}")
    unread, published = unverified(context.config)
    if unread:
        echo(
            f"{unread} of {published} published mosaics were not verified for {UNREAD_DAYS} days: contimg verify --all "
            f"--older-than {UNREAD_DAYS}"
        )
    for url, counts in replica_counts(context.config).items():
        if any(counts.values()):
            echo(
                f"replica {url} lacks {counts['missing']} copies and has {counts['damaged']} damaged ones: contimg "
                "replicas sync"
            )


def _write(seen: Overview, page: Path | None, metrics: Path | None) -> None:
    """Write the page and the file for Prometheus that were asked for."""
    if page is not None:
        from contimg.monitoring.overview_page import write_page

        write_page(pasteable_values(seen.content), page)
    if metrics is not None:
        from contimg.monitoring.prometheus import write_metrics

        write_metrics(seen.content, metrics)


def _show(content: dict[str, Any]) -> None:
    """Print the sections that have something to show."""
    from contimg.monitoring.screen import sections

    for one in sections(content):
        if one.title == "Groups":
            _show_groups(content["groups"])
        else:
            print_table(f"\n{one.title}", one.columns, pasteable_values([list(row) for row in one.rows]))
    if content["groups_not_listed"]:
        echo(f"{content['groups_not_listed']} older settled groups are not listed: --all lists them.")


def _show_groups(groups: Sequence[dict[str, Any]]) -> None:
    """Print the table of groups and, below it, what each open one waits for: sentences and commands need the width."""
    columns = ("mosaic", "calibrated", "imaged", "verdict", "Sun", "state", "version")
    rows = [
        (one["mosaic"], *(None if one["tiles"] is None else f"{one[made]}/{one['tiles']}" for made in columns[1:3]),
         one["verdict"], one["sun"], one["state"], one["version"])
        for one in groups
    ]  # fmt: skip
    print_table("\nGroups", columns, rows)
    steps: dict[str, list[str]] = {}
    for one in groups:
        if one["error"]:
            echo(f"{one['mosaic']} waits for a person: {one_line(one['error'])}; then: {one['next']}")
        elif one["next"]:
            steps.setdefault(str(one["next"]), []).append(one["mosaic"])
    for step, mosaics in steps.items():
        echo(f"{', '.join(mosaics)}: {step}")
