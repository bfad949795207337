"""`contimg report`: a mosaic's verdict and numbers on the terminal."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from contimg.cli.common import DATE, Context, echo, json_option, pasteable_values, print_json, print_table
from contimg.storage.process import one_line

SHOWN = {
    "rms_mjy": "rms [mJy/beam]",
    "noise_ratio": "rms over expected noise",
    "n_images": "tiles used",
    "n_sources": "sources found",
    "n_doubtful": "of these, in doubt",
    "n_matched": "sources matched",
    "median_flux_ratio": "median flux / catalogue",
    "median_offset_arcsec": "median offset from catalogue [arcsec]",
    "completeness": "completeness",
}

AGAINST_TRUTH = {
    "median_flux_ratio": "median flux / truth",
    "flux_ratio_mad": "scatter of flux / truth",
    "median_offset_arcsec": "median offset from truth [arcsec]",
    "median_offset_beams": "median offset from truth [beams]",
    "completeness": "completeness against truth",
    "n_unmatched": "found (S/N ≥ 10), not in the truth",
}


@click.command()
@click.argument("mosaic", metavar="[ID]", required=False)
@click.option("--truth", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Catalogue of the true sources, truth.csv of a simulated night, to compare with.")  # fmt: skip
@click.option(
    "--night", type=DATE, metavar="DATE", help="Report of a night (UTC date) instead: what was planned and done."
)
@click.option("--run", "last_run", is_flag=True, help="Report of the last run instead.")
@click.option("--html", "place", type=click.Path(path_type=Path, dir_okay=False),
              help="With --night or --run: write one page that needs no network.")  # fmt: skip
@json_option
@click.pass_obj
def report(
    context: Context, mosaic: str | None, truth: Path | None, night: str | None, last_run: bool, place: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show a mosaic's verdict, its measured numbers, and the paths of mosaic, picture and page.

    Without ID: every mosaic. With --night or --run: products planned and done, verdicts, slow jobs, what jobs asked for
    and took, and failures with the end of their logs. All pictures together are in `snakemake --report`.
    """
    if night is not None or last_run:
        if mosaic or truth or (night is not None and last_run):
            raise click.UsageError("--night, --run and ID exclude each other, and --truth belongs to ID")
        _report_of_period(context, night, place, as_json)
        return
    if place is not None:
        raise click.UsageError("--html belongs to --night or --run; the page of a mosaic is named by: contimg report")
    from contimg.operations.status import mosaic_record
    from contimg.plan.observe import committed_groups

    config = context.config
    ids = (
        [mosaic] if mosaic else [g.id for g in committed_groups(config) if config.layout.twin("mosaic", g.id).exists()]
    )
    records = [mosaic_record(config, one) for one in ids]
    if truth is not None:
        for record in records:
            record["truth"] = _against_truth(context, record["mosaic"], truth)
    if as_json:
        print_json(records)
        return
    for record in records:
        made = " (SIMULATED)" if record["synthetic"] else ""
        echo(f"\n{record['mosaic']}{made}: verdict {record['verdict']}, {record['state']}")
        for reason in record["reasons"]:
            echo(f"    {one_line(reason)}")
        if record["error"]:
            echo(f"    not published: {one_line(record['error'])}")
        if record["error"] or record["state"] == "held":
            echo(f"    then: {record['next']}")
        rows = [(label, _shown(record["qa"].get(name))) for name, label in SHOWN.items() if name in record["qa"]]
        measured = record.get("truth", {})
        rows += [(label, _shown(measured[name])) for name, label in AGAINST_TRUTH.items() if name in measured]
        rows += [("mosaic", record["fits"]), ("picture", record["png"]), ("page", record["page"])]
        print_table("", ("measured", "value"), rows)


def _report_of_period(context: Context, night: str | None, place: Path | None, as_json: bool) -> None:
    """Print or write the report of a night, or of the last run."""
    from contimg.monitoring.period_page import write_period_page
    from contimg.monitoring.period_report import of_night, of_run, period_report

    scope = of_run(context.config) if night is None else of_night(context.config, night)
    content = period_report(context.config, context.work, scope)
    if place is not None:
        write_period_page(pasteable_values(content), place)
    if as_json:
        print_json(content)
        return
    keys = ("rule", "planned", "done", "jobs")
    rows = [(*(one[key] for key in keys), f"{one['cpu_s'] / 60:.1f}") for one in content["work"]]
    mark = f" ({content['simulated']})" if content["simulated"] else ""
    print_table(f"Report of {content['title']}{mark}", ("rule", "planned", "done", "jobs", "CPU [min]"), rows)
    for kind in ("mosaics", "calibrations", "tiles"):
        judged = [(one["id"], one["verdict"], "; ".join(one["reasons"])) for one in content[kind]]
        print_table(f"\n{kind.capitalize()}", ("id", "verdict", "reasons"), judged)
    for one in content["failures"]:
        echo(f"\n{one['rule']} {one['id']} failed: {one['reason']} ({one['log']})\n{one['tail']}")
    for one in content["waiting"]:
        echo(f"waits: {one['what']} {one['id']}: {one['message']}")


def _against_truth(context: Context, mosaic_id: str, truth: Path) -> dict[str, Any]:
    """Return the measured numbers of a comparison of the mosaic with the true sources."""
    from contimg.crossmatch.crossmatch_mosaic import crossmatch_mosaic

    config = context.config
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        twin = crossmatch_mosaic(
            config.layout.twin("mosaic", mosaic_id),
            place / "truth",
            place / "truth.json",
            catalogue=truth,
            options=config.crossmatch,
            qa=config.qa,
        )
    return twin.qa


def _shown(value: object) -> str:
    if value is None:
        return "not measured"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
