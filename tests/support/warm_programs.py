"""Programs run in forks of a process that has imported them: the same arguments, folder, environment and output.

Importing snakemake and contimg takes longer than a dry run of a small night, and tests make a hundred of these. A fork
starts with what a fresh interpreter has after its imports, and with nothing that another run has done.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


class WarmPrograms:
    """The process whose forks run `snakemake` and `contimg`."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        atexit.register(self.close)

    def run(
        self, program: str, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end in a fork; ``snakemake`` or ``contimg``."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.TemporaryDirectory() as outputs:
            request = {
                "program": program, "arguments": list(arguments), "folder": str(folder),
                "environment": dict(environment), "out": f"{outputs}/out", "err": f"{outputs}/err",
            }  # fmt: skip
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            assert answer, "the process with the imports has ended: its standard error says why"
            code = int(answer)
            said = [Path(request[name]).read_text() for name in ("out", "err")]
        return subprocess.CompletedProcess([program, *arguments], code, *said)

    def close(self) -> None:
        """End the process; its forks have ended already."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)


@functools.cache
def warm_programs() -> WarmPrograms:
    """Return the process of this run of the tests, started at the first call."""
    return WarmPrograms()


def _become(request: dict) -> None:
    """Turn this fork into a program that was just started."""
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(n, mode) for n, mode in ((0, "r"), (1, "w"), (2, "w"))
    )  # fmt: skip
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = [request["program"], *request["arguments"]]


def _call(request: dict) -> int:
    """Run the program of a fork; return its exit code."""
    try:
        _become(request)
        if request["program"] == "snakemake":
            from snakemake.cli import main

            main()
        else:
            from contimg.cli import run

            run()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    except Exception:  # noqa: BLE001  as the interpreter does at the end of a program
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _serve() -> None:
    import importlib

    for name in (
        "snakemake.cli", "snakemake.workflow", "contimg.cli.common", "contimg.config", "contimg.plan.observe",
        "contimg.plan.frozen", "contimg.operations.preflight", "contimg.operations.resources",
        "contimg.registry.engine",
    ):  # fmt: skip
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = _call(json.loads(line))
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
