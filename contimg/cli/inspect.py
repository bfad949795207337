"""`contimg inspect`: a quick look at a subband file or a Measurement Set."""

from __future__ import annotations

from pathlib import Path

import click

from contimg.cli.common import json_option, print_json, print_table


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Folder for quick-look pictures.")
@json_option
def inspect(path: Path, plots: Path | None, as_json: bool) -> None:
    """Summarise a subband file or a Measurement Set: times, frequencies, antennas, flags, amplitudes."""
    from contimg.operations.inspect import lines, look

    seen = look(path)
    made = []
    if plots:
        from contimg.operations.inspect_plots import plot

        made = plot(seen, plots)
    if as_json:
        print_json(seen.facts | {"plots": [str(picture) for picture in made]})
        return
    print_table(str(path), ("", ""), [*lines(seen.facts), *(("picture", picture) for picture in made)])
