"""Commands in messages name the configuration that the reader uses."""

import subprocess
import sys
from pathlib import Path

import pytest

from contimg.cli.entry import COMMANDS
from contimg.operations import typed_commands

FILES_ONLY = {"simulate", "inspect", "catalogue", "check", "fingerprint", "replay", "run"}


def test_every_command_that_reads_the_configuration_is_known():
    """But `watch`, of which messages speak as a program."""
    assert set(typed_commands.WITH_CONFIGURATION) == set(COMMANDS) - FILES_ONLY - {"watch"}


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("see 'contimg registry list'", "see 'contimg -c night.yaml registry list'"),
        ("contimg status, then contimg why x", "contimg -c night.yaml status, then contimg -c night.yaml why x"),
        ("contimg -c other.yaml status", "contimg -c other.yaml status"),
        ("contimg -d FOLDER log x", "contimg -c night.yaml -d FOLDER log x"),
        ("contimg itself is at fault", "contimg itself is at fault"),
        ("contimg simulate OUT", "contimg simulate OUT"),
        ("/opt/contimg status", "/opt/contimg status"),
    ],
)
def test_commands_get_the_options_once(text, typed):
    assert typed_commands.with_options(text, "-c night.yaml") == typed


def test_commands_in_quotes_or_brackets_are_found_whole():
    text = "gone (contimg inbox --accept-loss X), see 'contimg registry list' and `contimg plan`; contimg status"
    assert typed_commands.quoted(text) == ["contimg inbox --accept-loss X", "contimg registry list", "contimg plan"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see 'contimg registry list' and `contimg plan`", ["contimg registry list", "contimg plan"]),
        ("held: contimg -c '/my a.yaml' -d /w publish approve m --reason '...'",
         ["contimg -c '/my a.yaml' -d /w publish approve m --reason '...'"]),
        ("contimg why 2026-02-11T00:26:49: no bandpass", ["contimg why 2026-02-11T00:26:49"]),
        ("room (contimg usage, contimg prune).", ["contimg usage", "contimg prune"]),
        ("contimg itself; contimg watch runs", []),
    ],
)  # fmt: skip
def test_commands_are_found_with_their_options_and_words(text, found):
    assert [text[first:last] for first, last in typed_commands.spans(text)] == found


def test_without_options_a_message_stays():
    assert typed_commands.with_options("contimg status", "") == "contimg status"


def test_options_are_quoted_for_a_shell():
    assert typed_commands.options([Path("/a night.yaml"), "/b.yaml"], "/w") == "-c '/a night.yaml' -c /b.yaml -d /w"


def test_options_hold_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert typed_commands.options(["n.yaml"], "w") == f"-c {tmp_path}/n.yaml -d {tmp_path}/w"


def test_jobs_know_the_options_that_their_controller_announced(monkeypatch):
    monkeypatch.delenv("CONTIMG_OPTIONS", raising=False)
    assert typed_commands.announced() is None
    monkeypatch.setenv("CONTIMG_OPTIONS", "")  # put back afterwards
    typed_commands.announce("-c '/data/a night.yaml'")
    done = subprocess.run(
        [sys.executable, "-c", "from contimg.operations import typed_commands; print(typed_commands.announced())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "-c '/data/a night.yaml'"
