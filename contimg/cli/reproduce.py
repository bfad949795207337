"""`contimg reproduce`: a mosaic made again from the correlator's files and compared with the published one."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import click

from contimg.cli.common import Context, echo, json_option, print_json
from contimg.operations import job_log


@click.command()
@click.argument("mosaic")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Work in this new folder, and keep it "
              "with what the imager says, libraries.log.")  # fmt: skip
@json_option
@click.pass_obj
def reproduce(context: Context, mosaic: str, keep: Path | None, as_json: bool) -> None:
    """Make MOSAIC again from the correlator's files and its recorded parameters, and compare the pixels.

    The files must be unchanged and at the same paths as then. Exit code 3 when a pixel differs by more than a
    thousandth of the mosaic's rms.
    """
    from contimg.bundle.find import find_bundle
    from contimg.errors import InputError
    from contimg.operations import reproduce as reproducing

    path = find_bundle(context.layout_of(mosaic), mosaic)
    with contextlib.ExitStack() as stack:
        if keep is None:
            stage = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contimg-reproduce-")))
        else:
            if keep.exists() and any(keep.iterdir()):
                raise InputError(f"{keep} is not empty: name a new folder with --keep")
            stage = keep
            stage.mkdir(parents=True, exist_ok=True)
        stack.enter_context(job_log.stdout_to_file(stage / "libraries.log"))
        found = reproducing.reproduce(path, stage, lambda what: echo(f"reproducing: {what}", err=True))
    if as_json:
        print_json(vars(found) | {"same": found.same, "kept": keep is not None})
    else:
        echo(
            f"{found.data_id}: {'reproduced' if found.same else 'NOT reproduced'}: of {found.n_pixels} pixels the "
            f"largest difference is {found.max_difference:.2e} and the rms {found.rms_difference:.2e} of the mosaic's "
            f"rms ({found.rms_jy * 1e3:.3g} mJy/beam), {found.n_only_one} are blank in one only"
        )
    if not found.same:
        sys.exit(3)
