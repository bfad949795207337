"""`contimg diff`: inputs, parameters and versions in which two mosaics differ."""

from __future__ import annotations

import sys

import click

from contimg.cli.common import Context, echo, json_option, print_json, print_table


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@json_option
@click.pass_obj
def diff(context: Context, first: str, second: str, as_json: bool) -> None:
    """List every input, parameter and version in which mosaics A and B differ.

    Each is an id, with .v2 for a version, or the folder of a bundle. Exit code 3 when they differ.
    """
    from contimg.bundle.find import find_bundle, read_lineage
    from contimg.products.lineage_diff import compare

    a, b = (read_lineage(find_bundle(context.layout_of(text), text))[1] for text in (first, second))
    found = compare(a, b)
    if as_json:
        print_json([vars(one) for one in found])
    elif found:
        rows = [(one.what, one.where, one.name, one.a, one.b) for one in found]
        print_table("Differences", ("what", "of", "name", first, second), rows)
    else:
        echo("No input, parameter or version differs.")
    if found:
        sys.exit(3)
