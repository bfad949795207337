"""`contimg calibration`: calibrations and the decisions of operators about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from contimg.cli.calibration_facts import facts_in_words
from contimg.cli.common import DATE, Context, echo, json_option, print_json, print_table
from contimg.storage.process import one_line

if TYPE_CHECKING:
    from contimg.products.twin import Twin

_reason = click.option("--reason", required=True, help="Why; it is recorded with your name and the time.")


@click.group()
def calibration() -> None:
    """List, show, certify or withdraw calibrations."""


@calibration.command("list", short_help="List calibrations with calibrator, verdict and usability.")
@click.option(
    "--date", "dates", type=DATE, multiple=True, metavar="DATE", help="Only of a UTC date; may be given more than once."
)
@json_option
@click.pass_obj
def list_calibrations(context: Context, dates: tuple[str, ...], as_json: bool) -> None:
    """List the calibrations on the stage with type, calibrator, verdict and whether the plan may use them."""
    from contimg.calibration import certification
    from contimg.products.judged import options_of, read_judged

    config = context.config
    standing = certification.standing(config.layout)
    folder = config.layout.stage / "calibrations"
    paths = [path for date in (dates or ("*",)) for path in sorted(folder.glob(f"{date}/cal_*.json"))]
    records = [_record(read_judged(path, options_of(config)), standing, config.qa.commissioning) for path in paths]
    if as_json:
        print_json(records)
        return
    columns = ("calibration", "type", "calibrator", "dec [deg]", "verdict", "usable", "S/N", "lost", "reasons")
    rows = [
        (r["id"], r["type"], r["calibrator"] or "catalogue sky", _number(r["dec_app_deg"], ".2f"), r["verdict"],
         r["standing"], _number(r["snr_median"], ".0f"), _number(r["flagged_fraction"], ".1%"), "; ".join(r["reasons"]))
        for r in records
    ]  # fmt: skip
    print_table("Calibrations", columns, rows)


@calibration.command(short_help="Show numbers, reasons and decisions of a calibration.")
@click.argument("calibration_id", metavar="ID")
@json_option
@click.pass_obj
def show(context: Context, calibration_id: str, as_json: bool) -> None:
    """Show one calibration: facts, measured numbers, reasons, decisions, and the products calibrated with it."""
    from contimg.calibration import certification
    from contimg.operations.reprocess import products_of
    from contimg.report.numbers_table import numbers_in_words

    config = context.config
    twin = certification.find(config, calibration_id)
    record = _record(twin, certification.standing(config.layout), config.qa.commissioning) | {
        "facts": twin.facts,
        "qa": twin.qa,
        "notes": twin.notes,
        "folder": str(config.layout.product("calibration", twin.id)),
        "decisions": [item for item in certification.history(config.layout) if item["calibration"] == twin.id],
        "used_by": products_of(config, twin.id),
    }
    if as_json:
        print_json(record)
        return
    echo(f"{twin.id}: verdict {twin.verdict}; usable: {record['standing']} ({record['folder']})")
    print_table("\nFacts", ("", ""), facts_in_words(twin.facts))
    measured = numbers_in_words(twin.kind, twin.qa)
    if measured:
        print_table("\nMeasured", ("number", "value", "unit", "key"), measured)
    found = (twin.facts.get("first_light") or {}).get("findings", [])
    if found:
        findings = [(one["key"], one["verdict"], one["text"]) for one in found]
        print_table("\nFirst light: conventions of the telescope", ("finding", "verdict", "what"), findings)
    lost = [(name, f"{share:.1%}") for name, share in twin.qa.get("lost_by_antenna", {}).items() if share > 0]
    if lost:
        print_table("\nSolutions lost", ("antenna", "lost"), lost)
    reasons = [(r.severity, r.code, r.message, r.measured, r.threshold) for r in twin.reasons]
    if reasons:
        print_table("\nReasons", ("severity", "code", "reason", "measured", "threshold"), reasons)
    for note in twin.notes:
        echo(f"note: {one_line(note)}")
    if record["decisions"]:
        decisions = [(d["time"], d["decision"], d["by"], d["reason"]) for d in record["decisions"]]
        print_table("\nDecisions", ("time", "decision", "by", "reason"), decisions)
    _print_products(record["used_by"])


@calibration.command(short_help="Let the plan use a calibration that has a warning.")
@click.argument("calibration_id", metavar="ID")
@_reason
@json_option
@click.pass_obj
def certify(context: Context, calibration_id: str, reason: str, as_json: bool) -> None:
    """Let the plan use a calibration that has a warning or was withdrawn; a failed one it never uses."""
    from contimg.calibration import certification

    made = certification.certify(context.config, calibration_id, reason)
    if as_json:
        print_json(made)
        return
    echo(f"{calibration_id}: certified by {one_line(made['by'])}: {one_line(made['reason'])}")


@calibration.command(short_help="Take a calibration out of use; list what used it.")
@click.argument("calibration_id", metavar="ID")
@_reason
@click.option("--reprocess", is_flag=True, help="Open the groups that used it again: the next snakemake redoes them.")
@json_option
@click.pass_obj
def withdraw(context: Context, calibration_id: str, reason: str, reprocess: bool, as_json: bool) -> None:
    """Take a calibration out of use, and list every product that used it.

    What was made with it stays as it is, published mosaics too, unless --reprocess is given: then the next snakemake
    makes it again with other calibrations, and published mosaics get a new version. Groups that are still open are
    made again in any case.
    """
    from contimg.calibration import certification
    from contimg.operations.reprocess import products_of, reopen

    config = context.config
    made = certification.withdraw(config, calibration_id, reason)
    products = products_of(config, calibration_id)
    opened = reopen(config, products) if reprocess else []
    if as_json:
        print_json(made | {"used_by": products, "reopened": opened})
        return
    echo(f"{calibration_id}: withdrawn by {one_line(made['by'])}: {one_line(made['reason'])}")
    _print_products(products)
    if reprocess:
        echo(f"\nSettled groups opened again: {len(opened)}; 'contimg plan' shows what will be made anew")
    elif products["versions"] or products["mosaics"]:
        echo("\nSettled groups stay as they are; with --reprocess the next snakemake makes them again")


def _record(twin: Twin, standing: dict[str, Any], commissioning: bool) -> dict[str, Any]:
    from contimg.calibration import certification

    decision = standing.get(twin.id)
    if decision is not None:
        words = f"{'no' if decision['decision'] == 'withdrawn' else 'yes'}: {decision['decision']} by {decision['by']}"
    else:
        words = "yes" if certification.is_certified(twin, None, commissioning=commissioning) else f"no: {twin.verdict}"
    return {
        "id": twin.id,
        "type": twin.facts["type"],
        "tile": twin.facts["tile"],
        "calibrator": twin.facts.get("calibrator"),
        "bandpass": twin.facts.get("bandpass"),
        "flux_anchor": twin.facts.get("flux_anchor"),
        "dec_app_deg": twin.facts.get("dec_app_deg"),
        "verdict": twin.verdict,
        "certified": certification.is_certified(twin, decision, commissioning=commissioning),
        "standing": words,
        "snr_median": twin.qa.get("snr_median"),
        "flagged_fraction": twin.qa.get("flagged_fraction"),
        "reasons": [f"{r.code}: {r.message}" for r in twin.reasons],
    }


def _print_products(products: dict[str, Any]) -> None:
    rows = [
        (kind, len(products[key]), ", ".join(products[key]))
        for kind, key in (("gains on top of it", "calibrations"), ("calibrated tiles", "calibrated"),
                          ("tile images", "images"), ("mosaics", "mosaics"))
    ]  # fmt: skip
    print_table("\nMade with it, on the stage", ("what", "number", "ids"), rows)
    if products["versions"]:
        versions = [(v["data_id"], v["version"], v["status"], v["path"]) for v in products["versions"]]
        print_table("\nMade with it, registered", ("mosaic", "version", "state", "where"), versions)


def _number(value: float | None, form: str) -> str | None:
    return None if value is None else format(value, form)
