"""`contimg template`: mosaics are compared with the deep template of their strip, and go into it."""

from __future__ import annotations

import click

from contimg.cli.common import Context


@click.command()
@click.argument("mosaics", metavar="ID...", nargs=-1, required=True)
@click.pass_obj
def template(context: Context, mosaics: tuple[str, ...]) -> None:
    """Compare mosaics with the deep template of their strip, and update it with each.

    The first mosaic of a strip begins its template. Each other one makes a new version, and a difference in units of
    its noise with a table of the sources that are new, brighter or fainter: <stage>/templates, <stage>/differences.
    """
    from contimg.template.update_template import update_template

    config = context.config
    left_out = 0
    for mosaic in mosaics:
        done = update_template(config.layout.twin("mosaic", mosaic), config)
        if done.difference is not None:
            qa = done.difference.qa
            click.echo(
                f"{done.difference.id}: verdict {done.difference.verdict}, differences"
                f" {qa['difference_width']} times their noise; {qa['n_new']} new, {qa['n_brighter']} brighter,"
                f" {qa['n_fainter']} fainter"
            )
            for note in done.difference.notes:
                click.echo(f"    {note}")
        if done.template is None:
            left_out += 1
            click.echo(f"not in the template: {done.why_not}")
        else:
            qa = done.template.qa
            click.echo(
                f"template {done.template.id}: verdict {done.template.verdict}, {qa['n_epochs']} mosaics, rms"
                f" {qa['rms_mjy']} mJy/beam, expected {qa['expected_rms_mjy']}"
            )
    if left_out:
        raise SystemExit(3)
