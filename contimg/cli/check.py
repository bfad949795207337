"""`contimg check`: first light, the conventions of the telescope from raw files of one calibrator transit."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from contimg.cli.common import Context, json_option, print_json, print_table, progress_bar


@click.command()
@click.argument("places", nargs=-1, metavar="[NIGHT|FILES]...")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="HTML file to write.  "
              "[default: check_TILE.html in the current folder; none with --json]")  # fmt: skip
@click.option("--accept", multiple=True, metavar="NAME", help="A finding that is known: it does not set the exit code.")
@json_option
@click.pass_obj
def check(context: Context, places: tuple[str, ...], page: Path | None, accept: tuple[str, ...], as_json: bool) -> None:
    """Test the telescope's conventions on raw files of one calibrator transit, without calibration.

    NIGHT is a UTC date of paths.incoming, or a folder of subband files; FILES are those of one tile, or a fingerprint.
    Without either, everything in paths.incoming. Of several tiles the one with the brightest transit is taken. Exit
    code 3 when something is refuted.
    """
    from contimg.commissioning.check import first_light
    from contimg.commissioning.findings import STATEMENTS

    unknown = [name for name in accept if name not in STATEMENTS]
    if unknown:
        raise click.BadParameter(
            f"'{unknown[0]}' is no finding: use one of {', '.join(STATEMENTS)}", param_hint="--accept"
        )
    with progress_bar("check", not as_json) as tell:
        outcome = first_light(places, context.settings, tell)
    if page is None and not as_json:
        page = Path(f"check_{outcome.files.tile_id.replace(':', '').replace('-', '')}.html")
    if page is not None:
        from contimg.commissioning.page import write_page

        write_page(outcome, page)
    if as_json:
        print_json(outcome.as_json() | {"page": None if page is None else str(page.resolve())})
    else:
        calibrator = outcome.files.calibrator
        source = (
            "no calibrator" if calibrator is None else f"{calibrator.name}, {outcome.files.apparent_jy:.1f} Jy apparent"
        )
        made = " (SIMULATED)" if outcome.synthetic else ""
        rows = [(one.verdict, one.key, one.text) for one in outcome.findings]
        print_table(f"First light {outcome.files.tile_id}{made}: {source}", ("verdict", "finding", "measured"), rows)
        click.echo(f"\npage: {page}")
    if any(one.key not in accept for one in outcome.refuted):
        sys.exit(3)
