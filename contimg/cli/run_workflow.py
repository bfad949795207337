"""`contimg run`: the workflow on a configuration, by the same command that `snakemake` is given."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from contimg.cli.common import Context

_SAYS_WHERE = ("--cores", "-c", "--jobs", "-j", "--profile", "--executor", "-e")
"""Options of snakemake that say where and on how many cores jobs run; without any, all cores are used."""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", metavar="CONFIG [SNAKEMAKE_OPTIONS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def run(context: Context, words: tuple[str, ...]) -> None:
    """Run the workflow on CONFIG, an overlay of config.yaml, with any options of snakemake.

    \b
    contimg run night.yaml -n                    what would be done
    contimg run night.yaml --cores 8             do it
    contimg run night.yaml --profile slurm       on a cluster

    It prints the snakemake command and becomes it: after any failure, type the same command again. Without --cores,
    --jobs, --profile or --executor all cores are used. The profiles of contimg are found by name. contimg -c FILE and
    -d FOLDER before the command do what --configfile and --directory do.
    """  # noqa: D301  # \b keeps click from filling the lines
    from contimg.config import workflow_folder

    folder = workflow_folder()
    files, options = [str(one) for one in context.configfiles], words
    if words and not words[0].startswith("-"):
        files, options = [*files, words[0]], words[1:]
    if not files:
        raise click.UsageError("no configuration is named: contimg run night.yaml")
    if gone := [one for one in files if not Path(one).is_file()]:
        raise click.UsageError(f"{gone[0]} is no file: name an overlay of config.yaml, contimg run night.yaml")
    command = ["-s", str(folder / "Snakefile"), "--configfile", *files]
    if context.directory is not None:
        command += ["--directory", str(context.directory)]
    command += _with_profiles(options, folder / "profiles")
    if not any(word.split("=")[0] in _SAYS_WHERE for word in options):
        command += ["--cores", "all"]
    click.echo(shlex.join(["snakemake", *command]), err=True)
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *command])


def _with_profiles(options: tuple[str, ...], profiles: Path) -> list[str]:
    """Return the options with the name of one of contimg's profiles replaced by its folder."""
    words = list(options)  # the value stands after the option
    for place, word in enumerate(words[1:], start=1):
        if words[place - 1] == "--profile" and "/" not in word and (profiles / word).is_dir():
            words[place] = str(profiles / word)
    return words
