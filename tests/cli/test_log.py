"""`contimg log`, commands without a configuration, and tables on narrow terminals."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import click
import pytest

from contimg.cli import common, run
from contimg.cli.entry import COMMANDS
from contimg.cli.status import _show_groups
from contimg.storage.atomic import write_json
from tests.operations.test_job_logs import TILE, write_log

MOSAIC = "mosaic_20260211T002649"


def test_log_prints_each_jobs_lines_and_the_paths(program, sqlite_config, tmp_path):
    path = write_log(tmp_path / "work", "image_tile", "20260211T002649", 0)
    write_json(sqlite_config.layout.frozen_plan, {"working_folder": str(tmp_path / "work")})
    assert program("log", TILE).out == f"image_tile: {path}\n    image_tile worked\n"
    assert program("log", TILE, "--paths").out == f"{path}\n"
    assert program("log", TILE, "--json").json == [{"rule": "image_tile", "path": str(path)}]
    assert "contimg -c " in program("log", MOSAIC).raw  # the remedy names the configuration


def plain(text):
    """Return a text without the terminal's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


WORDS = {
    "calibration": ["list"], "beam": ["measure"], "why": [MOSAIC], "log": [MOSAIC], "template": [MOSAIC],
    "registry": ["list"], "publish": ["retry", "--all"], "verify": ["--all"], "reproduce": [MOSAIC],
    "pause": ["--reason", "cable swap"], "replicas": ["sync"], "watch": ["--cores", "2"], "provenance": [MOSAIC],
    "diff": [MOSAIC, f"{MOSAIC}.v2"],
}  # fmt: skip


@pytest.mark.parametrize("command", sorted(common.NEEDS_STATE))
def test_without_configuration_and_state_a_command_says_so_and_creates_nothing(command, tmp_path, monkeypatch, capsys):
    assert command in COMMANDS
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["contimg", command, *WORDS.get(command, [])])
    with pytest.raises(SystemExit) as ended:
        run()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    typed = shlex.join([command, *WORDS.get(command, [])])  # whole: what is pasted needs a file's name alone
    assert err.endswith(f"name your configuration, contimg -c FILE {typed}\n") and err.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("words", [["provenance"], ["diff", MOSAIC], ["reproduce"]], ids=lambda words: words[0])
def test_a_bundles_folder_needs_no_configuration(words, tmp_path, monkeypatch, capsys):
    """What is said is about the folder: it is looked into."""
    (tmp_path / "a bundle").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["contimg", words[0], "a bundle", *words[1:]])
    with pytest.raises(SystemExit) as ended:
        run()
    err = capsys.readouterr().err
    assert ended.value.code == 1 and "is not the id of a mosaic" in err, err
    assert os.listdir(tmp_path) == ["a bundle"]


@pytest.mark.parametrize("width", [40, 80, 132])
def test_no_table_splits_an_id(width, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(common.shutil, "get_terminal_size", lambda: os.terminal_size((width, 24)))
    ids = [MOSAIC, "cal_20260211T002649", TILE]
    long = "words that go on and on until the line of the terminal is full, and then on the next"
    common.print_table("Ids", ("mosaic", "calibration", "tile", "what", "more"), [(*ids, long, long)])
    shown = plain(capsys.readouterr().out).splitlines()
    # As the terminal shows it, which goes on in the next line where one is full.
    screen = [line[start : start + width] for line in shown for start in range(0, len(line), width)]
    for one in ids:
        assert sum(line.count(one) for line in screen) == 1


def test_a_table_fills_the_terminal_and_not_more(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(common.shutil, "get_terminal_size", lambda: os.terminal_size((60, 24)))
    common.print_table("T", ("tile", "text"), [(TILE, "a sentence of many words, " * 5)])
    assert max(map(len, plain(capsys.readouterr().out).splitlines())) <= 60


def test_a_message_has_the_options_and_no_control_characters(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    context = click.Context(click.Command("why"), obj=common.Context((Path("a night.yaml"),), None))
    with context:
        common.echo("\x1b[2Jsee 'contimg why x'\r\n[red]next")
    given = f"-c '{tmp_path}/a night.yaml'"
    assert capsys.readouterr().out == f"\\x1b[2Jsee 'contimg {given} why x'\\r\n[red]next\n"


@pytest.mark.parametrize(
    ("overlay", "folder"),
    [
        ("paths: {incoming: /i, stage: /s, products: /p, state: /t}", False),
        ("paths: {incoming: /i, stage: s, products: /p, state: /t}", True),
        ("paths: {incoming: /i, stage: /s, products: /p}", True),  # the default state is a folder here
        ("paths: {incoming: /i, stage: ~/s, products: /p, state: /t}\nsky: {catalogue: strip.csv}", True),
    ],
)
def test_a_command_names_the_folder_where_a_path_starts_from_it(overlay, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("n.yaml").write_text(overlay + "\n")
    given = common.Context((Path("n.yaml"),), None).typed_options
    assert given == f"-c {tmp_path}/n.yaml" + (f" -d {tmp_path}" if folder else "")


def test_a_message_without_commands_reads_no_configuration(capsys):
    with click.Context(click.Command("simulate"), obj=common.Context((Path("gone.yaml"),), None)) as context:
        common.echo("Simulated night in night")
        assert "_content" not in vars(context.obj)
    assert capsys.readouterr().out == "Simulated night in night\n"


def test_what_groups_wait_for_stands_whole_below_their_table(monkeypatch, capsys):
    """At 80 columns: one line a step, with all mosaics that have it; a command is a line of its own."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: os.terminal_size((80, 24)))
    names = [f"mosaic_2026021{day}T002649" for day in (1, 2, 3, 4)]
    state = {"tiles": 3, "calibrated": 3, "imaged": 2, "verdict": None, "sun": None, "state": "open", "version": None}
    command = f"contimg -c /data/a/long/folder/night.yaml publish approve {names[2]} --sha256 {'0' * 12}"
    steps = ["snakemake", "snakemake", command, ""]
    _show_groups(
        [state | {"mosaic": name, "next": step, "error": None} for name, step in zip(names, steps, strict=True)]
    )
    said = plain(capsys.readouterr().out).splitlines()
    assert said[1:4] == [
        "Groups",
        "mosaic                  calibrated  imaged  verdict  Sun  state  version",
        f"{names[0]}  3/3         2/3                   open",
    ]
    assert said[7:] == [f"{names[0]}, {names[1]}: snakemake", f"{names[2]}:", command]
