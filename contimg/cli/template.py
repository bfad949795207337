"""`contimg template`: mosaics compared with the deep template of their strip, and added to it."""

from __future__ import annotations

import click

from contimg.cli.common import Context, echo
from contimg.storage.process import one_line


@click.command()
@click.argument("mosaics", metavar="ID...", nargs=-1, required=True)
@click.pass_obj
def template(context: Context, mosaics: tuple[str, ...]) -> None:
    """Compare each mosaic with the deep template of its strip, and add it to the template.

    The first mosaic of a strip starts its template. Each further one makes a new version of it (in
    <stage>/templates), and a difference image in units of its noise with a table of new, brighter and fainter sources
    (in <stage>/differences). Where the template holds mosaics that were withdrawn or rejected since, a version without
    them is made first.
    """
    from contimg.template.update_template import update_template

    config = context.config
    left_out = 0
    for mosaic in mosaics:
        done = update_template(config.layout.twin("mosaic", mosaic), config)
        if done.remade is not None:
            click.echo(f"template {done.remade.id}: {'; '.join(done.remade.notes)}")
        if done.difference is not None:
            qa = done.difference.qa
            echo(
                f"{done.difference.id}: verdict {done.difference.verdict}, differences"
                f" {qa['difference_width']} times their noise; {qa['n_new']} new, {qa['n_brighter']} brighter,"
                f" {qa['n_fainter']} fainter"
            )
            for note in done.difference.notes:
                echo(f"    {one_line(note)}")
        if done.template is None:
            left_out += 1
            echo(f"not in the template: {one_line(done.why_not)}")
        else:
            qa = done.template.qa
            echo(
                f"template {done.template.id}: verdict {done.template.verdict}, {qa['n_epochs']} mosaics, rms"
                f" {qa['rms_mjy']} mJy/beam, expected {qa['expected_rms_mjy']}"
            )
    if left_out:
        raise SystemExit(3)
