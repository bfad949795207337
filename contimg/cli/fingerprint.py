"""`contimg fingerprint`: headers, autocorrelations and thirty baselines of a tile in a file that a site can share."""

from __future__ import annotations

from pathlib import Path

import click

from contimg.cli.common import Context, json_option, print_json, progress_bar
from contimg.storage.process import one_line


@click.command()
@click.argument("places", nargs=-1, required=True, metavar="NIGHT|FILES...")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--antenna", "antennas", multiple=True, metavar="NAME", help="An antenna that must have baselines in it: "
              "one that contimg check named. May be given more than once.")  # fmt: skip
@json_option
@click.pass_obj
def fingerprint(context: Context, places: tuple[str, ...], out: Path, antennas: tuple[str, ...], as_json: bool) -> None:
    """Write headers, autocorrelations and thirty baselines of one transit to OUT: at most 2 MB, nothing private.

    NIGHT is a UTC date of paths.incoming, or a folder of subband files; FILES are those of one tile. Of several tiles
    the one with the brightest transit is taken. `contimg check OUT` reads the file.
    """
    from contimg.commissioning.fingerprint import write_fingerprint
    from contimg.commissioning.tile import find_transit

    files = find_transit(places, context.settings)
    with progress_bar("fingerprint", not as_json) as tell:
        made = write_fingerprint(files.headers, out, antennas, tell)
    if as_json:
        print_json({
            "path": str(made.path.resolve()), "tile": files.tile_id, "bytes": made.bytes,
            "subbands": [header.subband for header in files.headers], "channels": made.channels,
            "baselines": made.baselines, "antennas": list(made.antennas), "left_out": list(files.faults),
        })  # fmt: skip
        return
    for fault in files.faults:
        click.echo(f"left out: {one_line(str(fault))}", err=True)
    click.echo(
        f"{made.path}: {made.bytes / 1e6:.2f} MB, tile {files.tile_id}, {len(files.headers)} subbands of "
        f"{made.channels} channels, {made.baselines} baselines of antennas {' '.join(made.antennas)}"
    )
