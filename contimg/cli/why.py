"""`contimg why`: reasons for the state of a tile, calibration or mosaic."""

from __future__ import annotations

from typing import Any

import click

from contimg.cli.common import Context, echo, json_option, print_json, print_table


@click.command()
@click.argument("thing", metavar="ID")
@json_option
@click.pass_obj
def why(context: Context, thing: str, as_json: bool) -> None:
    """Explain the state of a tile, calibration or mosaic: choices, rejected candidates, verdicts, inputs.

    ID is a tile (2026-02-11T00:26:49), a calibration (cal_...) or a mosaic (mosaic_...).
    """
    from contimg.operations.explain import explain

    story = explain(context.config, thing)
    if as_json:
        print_json(story)
        return
    echo(story["headline"])
    for section in story["sections"]:
        _print_section(section)


def _print_section(section: dict[str, Any]) -> None:
    from contimg.report.numbers_table import numbers_in_words

    columns, rows = section["columns"], section["rows"]
    if "kind" in section:
        columns = ("number", "value", "unit", "key")
        rows = numbers_in_words(section["kind"], dict(rows))
    if rows:
        print_table("\n" + section["title"], columns, rows)
