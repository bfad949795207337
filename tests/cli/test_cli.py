import functools
import subprocess
import sys

import pytest
from click.testing import CliRunner

from contimg.cli import COMMANDS, main


def contimg(*words):
    command = [sys.executable, "-c", "from contimg.cli import run; run()", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command):
    done = CliRunner().invoke(main, [command, "--help"], prog_name="contimg")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: contimg {command} ")
    assert COMMANDS[command][2] in " ".join(contimg_help().split())


@functools.cache
def contimg_help():
    """Return the help of the program, as a process of its own prints it."""
    done = contimg("--help")
    assert done.returncode == 0
    return done.stdout


def test_usage_errors_exit_with_2():
    assert contimg("no-such-command").returncode == 2
    assert contimg("why").returncode == 2


def test_the_library_is_light():
    """`import contimg` and its config load none of the heavy libraries, and not Snakemake either."""
    heavy = ("astropy", "casacore", "casatasks", "h5py", "matplotlib", "pyuvdata", "snakemake", "sqlalchemy")
    code = (
        "import sys, contimg, contimg.cli, contimg.config, contimg.naming\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
