"""Standard streams that are closed, or whose disk is full, as under cron or in a log on a full disk."""

import subprocess
import sys
from pathlib import Path

import pytest

from contimg.registry import queries
from contimg.registry.engine import open_registry
from tests.support import mosaics

ID = mosaics.MOSAIC
PROGRAM = "import contimg.cli; contimg.cli.run()"


@pytest.fixture
def shell(program, sqlite_config, publish, tmp_path):
    """Return a function that types a command with redirections in a shell of its own."""
    publish()

    def call(words, redirected):
        overlay = tmp_path / "overlay.yaml"
        line = f'"$1" -c "$2" -c "$3" {words} {redirected}'
        return subprocess.run(
            ["bash", "-c", line, "bash", sys.executable, PROGRAM, str(overlay)], capture_output=True, text=True,
            cwd=Path(__file__).parents[2], check=False,
        )  # fmt: skip

    return call


@pytest.mark.parametrize("redirected", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(shell, sqlite_config, redirected):
    done = shell("registry list", redirected)
    assert (done.returncode, done.stderr) == (0, "")
    done = shell(f"publish withdraw {ID} --reason wrong", redirected)
    assert (done.returncode, done.stderr) == (0, "")
    assert queries.get(open_registry(sqlite_config), ID)["status"] == "withdrawn"


def test_a_report_that_cannot_be_written_is_not_taken_for_a_failed_decision(shell, sqlite_config):
    done = shell(f"publish withdraw {ID} --reason wrong", ">/dev/full")
    assert done.returncode != 0
    assert done.stderr.startswith("contimg: standard output: No space left on device: the command was carried out")
    assert queries.get(open_registry(sqlite_config), ID)["status"] == "withdrawn"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_letter_that_the_terminal_cannot_write_does_not_end_a_command(shell, sqlite_config, monkeypatch, encoding):
    """The withdrawal was recorded, and its report ended in a traceback and exit code 1."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = shell(f"publish withdraw {ID} --reason 'snow ☃'", "2>&1 | iconv -c -t utf-8; exit ${PIPESTATUS[0]}")
    assert done.returncode == 0 and f"{ID}: withdrawn by " in done.stdout and "Traceback" not in done.stdout
    registry = open_registry(sqlite_config)
    assert queries.get(registry, ID)["closed_reason"] == "snow ☃"
    registry.close()
    assert shell(f"registry show {ID}", "> /dev/null").returncode == 0


def test_a_reason_that_the_locale_cannot_read_is_refused_with_the_remedy(shell, monkeypatch):
    for name, value in {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    done = shell(f"publish withdraw {ID} --reason $'sn\\xc3\\xb6w'", "")
    assert done.returncode == 1 and done.stderr.endswith(
        "(sn\\udcc3\\udcb6w) is not written as this shell's locale says: export LC_ALL=C.UTF-8, then type it again\n"
    )
