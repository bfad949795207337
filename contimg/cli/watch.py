"""`contimg watch`, `pause` and `resume`: the workflow is run while data come."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import click

from contimg.cli.common import Context, echo


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", metavar="[SNAKEMAKE_OPTIONS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def watch(context: Context, options: tuple[str, ...]) -> None:
    """Follow the inbox and run the workflow when there is work, until SIGTERM or Ctrl-C.

    SNAKEMAKE_OPTIONS are, for example, --cores 2, or --profile PATH/profiles/slurm. Runs happen in the folder of -d,
    or in the present one. One watch works on a state at a time; after a restart it goes on where it was.
    """
    from contimg.config import default_file
    from contimg.watching.config_file import ConfigFiles
    from contimg.watching.watch import snakemake_command
    from contimg.watching.watch import watch as watch_inbox

    for option, value in pairwise(options):
        if option == "--configfile" or (option == "-c" and not value.isdigit() and value != "all"):
            raise click.NoSuchOption(option)  # of snakemake, -c is a number of cores
    _ = context.config  # a folder without a night is refused before anything is made in it
    work = (context.directory or Path.cwd()).resolve()
    work.mkdir(parents=True, exist_ok=True)
    command = snakemake_command(context.configfiles, work, options or ("--cores", "all"), context.typed_options)
    files = [default_file(), *(file.resolve() for file in context.configfiles)]
    watch_inbox(ConfigFiles(files, context.directory).load, command, _say)


def _say(line: str) -> None:
    from contimg import times

    echo(f"{times.now(0)} {line}")


@click.command()
@click.option("--reason", required=True, help="Why, for whoever looks at it later.")
@click.pass_obj
def pause(context: Context, reason: str) -> None:
    """Let `contimg watch` finish its running jobs and start nothing more, until `contimg resume`."""
    from contimg.watching import pause as notes

    echo(str(notes.pause(context.config.layout, reason)))


@click.command()
@click.pass_obj
def resume(context: Context) -> None:
    """Let `contimg watch` go on."""
    from contimg.watching import pause as notes

    echo(f"resumed; it was {notes.resume(context.config.layout)}")
