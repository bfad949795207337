"""`contimg run` becomes the snakemake command that it prints."""

import os
import sys

import pytest
from click.testing import CliRunner

from contimg.cli import main
from contimg.config import workflow_folder

FOLDER = str(workflow_folder())


@pytest.fixture
def become(monkeypatch, tmp_path):
    """Return a function that gives the words of the program that a call becomes, and what it printed before."""
    config = tmp_path / "night.yaml"
    config.write_text("{}\n")
    called = []
    monkeypatch.setattr(os, "execv", lambda program, words: called.append((program, words)))

    def call(*options):
        called.clear()
        done = CliRunner().invoke(main, ["run", str(config), *options])
        assert done.exit_code == 0, done.output
        ((program, words),) = called
        assert program == sys.executable and words[:5] == [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            f"{FOLDER}/Snakefile",
        ]
        assert words[5:7] == ["--configfile", str(config)]
        return words[7:], done.output

    return call


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["--cores", "all"]),
        (["-n"], ["-n", "--cores", "all"]),
        (["--cores", "8", "--report", "r.html"], ["--cores", "8", "--report", "r.html"]),
        (["-j", "4"], ["-j", "4"]),
        (["--cores=2"], ["--cores=2"]),
        (["--profile", "slurm"], ["--profile", f"{FOLDER}/profiles/slurm"]),
        (["--profile", "./slurm"], ["--profile", "./slurm"]),
        (["--profile", "of-my-site"], ["--profile", "of-my-site"]),
    ],
)
def test_options_are_handed_on(become, options, words):
    assert become(*options)[0] == words


def test_the_command_is_printed_as_it_would_be_typed(become):
    assert become("--cores", "2")[1].startswith(f"snakemake -s {FOLDER}/Snakefile --configfile ")


@pytest.mark.parametrize("words", [["run", "nowhere.yaml"], ["-c", "nowhere.yaml", "run", "-n"]])
def test_a_configuration_that_does_not_exist_is_refused(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and "nowhere.yaml is no file" in done.output
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("words", [["run"], ["run", "-n"]])
def test_without_a_configuration_the_command_says_how_to_name_it(words):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and "contimg run night.yaml" in done.output


def test_configuration_and_folder_named_before_the_command_are_handed_on(monkeypatch, tmp_path):
    called = []
    monkeypatch.setattr(os, "execv", lambda program, words: called.append(words[5:]))
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("{}\n")
    for words in (["-c", "a.yaml", "-d", "W", "run", "-n"], ["-c", "a.yaml", "run", "b.yaml", "-j", "2"]):
        assert CliRunner().invoke(main, words).exit_code == 0
    assert called == [
        ["--configfile", "a.yaml", "--directory", "W", "-n", "--cores", "all"],
        ["--configfile", "a.yaml", "b.yaml", "-j", "2"],
    ]


def test_shells_complete_commands(monkeypatch):
    monkeypatch.setenv("COMP_WORDS", "contimg re")
    monkeypatch.setenv("COMP_CWORD", "1")
    done = CliRunner().invoke(main, [], prog_name="contimg", env={"_CONTIMG_COMPLETE": "bash_complete"})
    found = {line.split(",")[1] for line in done.output.split()}
    assert found == {"report", "registry", "reproduce", "replay", "reconcile", "replicas", "resume", "retain"}
