"""`contimg run`: the workflow on a configuration, by the same command that `snakemake` is given."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

_SAYS_WHERE = ("--cores", "-c", "--jobs", "-j", "--profile", "--executor", "-e")
"""Options of snakemake that say where and on how many cores jobs run; without any, all cores are used."""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("config", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def run(config: Path, options: tuple[str, ...]) -> None:
    """Run the workflow on CONFIG, an overlay of config.yaml; OPTIONS are those of snakemake.

    \b
    contimg run night.yaml -n                    what would be done
    contimg run night.yaml --cores 8             do it
    contimg run night.yaml --profile slurm       on a cluster

    It prints the snakemake command and becomes it: after any failure, type the same command again. Without --cores,
    --jobs, --profile or --executor all cores are used. The profiles of contimg are found by name.
    """  # noqa: D301  # \b keeps click from filling the lines
    from contimg.config import workflow_folder

    folder = workflow_folder()
    words = [
        "-s",
        str(folder / "Snakefile"),
        "--configfile",
        str(config),
        *_with_profiles(options, folder / "profiles"),
    ]
    if not any(word.split("=")[0] in _SAYS_WHERE for word in options):
        words += ["--cores", "all"]
    click.echo(shlex.join(["snakemake", *words]), err=True)
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *words])


def _with_profiles(options: tuple[str, ...], profiles: Path) -> list[str]:
    """Return the options with the name of one of contimg's profiles replaced by its folder."""
    words = list(options)
    for place, word in enumerate(words[1:], start=1):
        if words[place - 1] == "--profile" and "/" not in word and (profiles / word).is_dir():
            words[place] = str(profiles / word)
    return words
