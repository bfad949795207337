"""The `contimg` command: one module a command, loaded when it is called.

Exit codes: 0 done; 1 an error, in one sentence; 2 wrong usage of the command line; 3 a comparison found differences,
or a person must act (`verify`, `diff`, a held mosaic).
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from contimg import __version__
from contimg.errors import ContimgError

# command -> (module, attribute, help in one line); the modules import what they need.
COMMANDS = {
    "run": ("contimg.cli.run_workflow", "run", "Run the workflow on a configuration: a door to snakemake."),
    "simulate": ("contimg.cli.simulate", "simulate", "Simulate part of a night in the correlator's format."),
    "check": ("contimg.cli.check", "check", "Test the telescope's conventions on raw files of a transit."),
    "fingerprint": ("contimg.cli.fingerprint", "fingerprint", "Write a small file of a transit that a site can share."),
    "inspect": ("contimg.cli.inspect", "inspect", "Summarise a subband file or a Measurement Set."),
    "plan": ("contimg.cli.plan", "plan", "Show what the next run would do, and what waits for what."),
    "inbox": ("contimg.cli.inbox", "inbox", "Show which tiles are ready, wait, came late or were set aside."),
    "calibrators": ("contimg.cli.calibrators", "calibrators", "List the calibrators that cross the beam on a date."),
    "catalogue": ("contimg.cli.catalogue", "catalogue", "Make the catalogue of a strip from radio surveys."),
    "calibration": ("contimg.cli.calibration", "calibration", "List, show, certify or withdraw calibrations."),
    "beam": ("contimg.cli.beam", "beam", "Measure the primary beam on the sky."),
    "status": ("contimg.cli.status", "status", "Show the state of groups, their tiles and mosaics."),
    "watch": ("contimg.cli.watch", "watch", "Follow the inbox, and run the workflow when there is work."),
    "pause": ("contimg.cli.watch", "pause", "Let the watch finish its jobs and start no more."),
    "resume": ("contimg.cli.watch", "resume", "Let the watch go on."),
    "trends": ("contimg.cli.trends", "trends", "Show gains, delays, noise and flux scale over weeks."),
    "usage": ("contimg.cli.usage", "usage", "Show disk space by kind, and when the disks are full."),
    "why": ("contimg.cli.why", "why", "Explain the state of a tile, calibration or mosaic."),
    "log": ("contimg.cli.log", "log", "Show the logs of the jobs behind a tile, calibration or mosaic."),
    "report": ("contimg.cli.report", "report", "Show a mosaic's verdict, numbers and files."),
    "template": ("contimg.cli.template", "template", "Compare mosaics with their strip's template, and update it."),
    "registry": ("contimg.cli.registry", "registry", "List, show, verify mosaics; backup or restore the registry."),
    "publish": ("contimg.cli.publish", "publish", "Retry, approve, reject, withdraw, restore or cite a mosaic."),
    "verify": ("contimg.cli.verify", "verify", "Read every byte of published mosaics and compare."),
    "provenance": ("contimg.cli.provenance", "provenance", "Show what a mosaic was made from, down to hashes."),
    "diff": ("contimg.cli.diff", "diff", "List what differs between two mosaics or versions."),
    "reproduce": ("contimg.cli.reproduce", "reproduce", "Make a mosaic again from its files and compare pixels."),
    "archive": ("contimg.cli.archive", "archive", "Make the archive's tables and gallery again, or adopt it."),
    "prune": ("contimg.cli.prune", "prune", "Remove what settled groups no longer need from the stage."),
    "retain": ("contimg.cli.usage", "retain", "Remove what has passed its limits of age and size."),
    "replicas": ("contimg.cli.replicas", "replicas", "Adopt replicas of the archive, and sync them."),
    "reconcile": ("contimg.cli.reconcile", "reconcile", "Compare archive and registry, and repair them."),
    "replay": ("contimg.cli.replay", "replay", "Repeat a seed's simulated failures of processes and disk."),
}

GROUPS = ("calibration", "beam", "registry", "publish", "archive", "replicas", "catalogue")
"""Commands with subcommands."""
TYPED = "contimg.typed"
"""Where the words that were typed after a command's name stand in the context of click."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        return getattr(importlib.import_module(module), attribute)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what follows the command's name: messages repeat it."""
        ctx.meta[TYPED] = tuple(super().parse_args(ctx, args))
        return ctx.args

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; where there is none of this name, the error has the one that was meant."""
        if args[0] in COMMANDS:
            return super().resolve_command(ctx, args)
        from contimg.cli.mistakes import unknown_command

        groups = {name: one for name in GROUPS if isinstance(one := self.get_command(ctx, name), click.Group)}
        raise unknown_command(args[0], args[1:], _options(ctx), COMMANDS, groups)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command: an error of input, configuration or disk is one sentence and exit code 1."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            from contimg.cli.mistakes import misplaced_option

            words = ctx.meta.get(TYPED, ())
            raise (
                misplaced_option(error.option_name, ctx.invoked_subcommand or "", words, _options(ctx)) or error
            ) from None
        except (ContimgError, OSError) as error:
            from contimg.cli.common import echo
            from contimg.operations.job_log import sentence

            if isinstance(error, BrokenPipeError):
                raise
            said = sentence(error)
            if isinstance(error, OSError) and _is_of_printing(error):
                said = (
                    f"standard output: {error.strerror}: the command was carried out as far as its report, which is "
                    "lost: make room there; contimg status shows what is"
                )
            echo(f"contimg: {said}", err=True)
            ctx.exit(1)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


def _is_of_printing(error: BaseException) -> bool:
    """Return whether an error was raised where a command prints."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_code is click.echo.__code__ for frame in frames)


def _open_standard_streams() -> None:
    """Open those of standard input, output and error that whoever started this closed.

    Else the next files that are opened, a registry or a product, would get their numbers, and whatever a library
    prints would be written into them.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))  # noqa: SIM115  as long as the process
    if isinstance(sys.stdout, io.TextIOWrapper):  # a report must not fail for a letter, when its work is done
        sys.stdout.reconfigure(errors="backslashreplace")


def _options(ctx: click.Context) -> list[str]:
    """Return the options before the command as they are typed."""
    given = [word for file in ctx.params["configfiles"] for word in ("-c", str(file))]
    return given if ctx.params["directory"] is None else [*given, "-d", str(ctx.params["directory"])]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="contimg")
@click.option(
    "-c",
    "--configfile",
    "configfiles",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Overlay of config.yaml, as for snakemake; may be given more than once.",
)
@click.option(
    "-d",
    "--directory",
    type=click.Path(path_type=Path),
    help="Folder that relative paths of the config start from.",
)
@click.pass_context
def main(ctx: click.Context, configfiles: tuple[Path, ...], directory: Path | None) -> None:
    """Continuum imaging of the DSA-110: inspect the products of the workflow and decide about them.

    The work itself is done by `snakemake`; these commands take the same --configfile.
    """
    from contimg.cli.common import Context

    ctx.obj = Context(configfiles, directory, ctx.invoked_subcommand, ctx.meta.get(TYPED, ()))


def run() -> None:
    """Run the program `contimg`."""
    _open_standard_streams()
    try:
        os.getcwd()
    except FileNotFoundError:  # before imports: those of compiled modules fail there
        click.echo("contimg: the folder that you are in was deleted: cd to another, and type it again", err=True)
        sys.exit(1)
    main(prog_name="contimg")
