"""`contimg reconcile`: archive and registry compared, and repaired."""

from __future__ import annotations

import sys

import click

from contimg.cli.common import Context, echo, json_option, opened, print_json, print_table


@click.command()
@click.argument("mosaic", required=False)
@click.option("--dry-run", is_flag=True, help="List what differs and change nothing.")
@click.option("--repair-all", is_flag=True, help="Repair also more than publish.max_repair_share of the archive.")
@json_option
@click.pass_obj
def reconcile(context: Context, mosaic: str | None, dry_run: bool, repair_all: bool, as_json: bool) -> None:
    """Compare archive and registry (of MOSAIC, or of all) and repair what differs.

    Every published byte is read. Exit code 3 when a difference is left that only an operator can resolve, and
    on a dry run when anything differs.
    """
    from contimg import naming
    from contimg.products.judged import options_of
    from contimg.publishing import reconcile as reconciling

    data_id = None if mosaic is None else naming.as_mosaic_id(mosaic)
    with opened(context) as database:
        found = reconciling.reconcile(
            database,
            context.config.layout,
            data_id,
            dry_run=dry_run,
            judged_by=options_of(context.config),
            max_share=1.0 if repair_all else context.config.publish.max_repair_share,
            replicas=context.config.publish.replicas,
        )
    if as_json:
        print_json([vars(one) for one in found])
    elif found:
        columns = ("mosaic", "version", "difference", "repaired", "what")
        table = [
            (one.data_id, one.version or None, one.code, "yes" if one.repaired else "no", one.message) for one in found
        ]
        print_table("Differences", columns, table)
    else:
        echo("Archive and registry agree.")
    if any(one.needs_person for one in found) or (dry_run and found):
        sys.exit(3)
