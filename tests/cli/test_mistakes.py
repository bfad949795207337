"""Typical slips on the command line: one sentence with the command as it should be typed; and helps that are whole."""

import re

import click
import pytest
from click.testing import CliRunner

from contimg.cli import COMMANDS, main
from contimg.cli.entry import GROUPS
from tests.support.mosaics import MOSAIC


def said(*words):
    done = CliRunner().invoke(main, words)
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (["status", "-c", "n.yaml"], "contimg -c n.yaml status"),
        (["status", "-cn.yaml", "--all"], "contimg -c n.yaml status --all"),
        (["-d", "w", "why", MOSAIC, "--configfile=n.yaml"], f"contimg -d w -c n.yaml why {MOSAIC}"),
        (["publish", "approve", "--configfile", "a b.yaml", MOSAIC], f"contimg -c 'a b.yaml' publish approve {MOSAIC}"),
        (["-c", "n.yaml", "status", "-c", "n.yaml"], "contimg -c n.yaml status"),
        (["why", "x", "-d", "w"], "contimg -d w why x"),
        (["status", "-c"], "contimg -c FILE status"),
        (["watch", "-c", "n.yaml", "--cores", "2"], "contimg -c n.yaml watch --cores 2"),
    ],
)
def test_an_option_after_the_command_is_told_its_place(words, right):
    code, output = said(*words)
    assert code == 2
    assert re.fullmatch(rf"Error: (-c|-d|--configfile) stands before the command: {re.escape(right)}\n", output)


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (["statsu"], "contimg status"),
        (["-c", "n.yaml", "inbxo", "--json"], "contimg -c n.yaml inbox --json"),
        (["aprove", MOSAIC], f"contimg publish approve {MOSAIC}"),
        (["withdraw", MOSAIC], f"contimg calibration withdraw {MOSAIC} or contimg publish withdraw {MOSAIC}"),
        (["night.yaml", "-n"], "contimg run night.yaml -n"),
        (["xyzzy"], "contimg --help lists all"),
    ],
)
def test_a_command_that_is_not_there_is_answered_with_the_nearest(words, right):
    name = next(word for word in words if word not in ("-c", "n.yaml"))
    assert said(*words) == (2, f"Error: there is no command '{name}': {right}\n")


def test_another_option_that_is_not_there_is_named_as_ever():
    code, output = said("plan", "-x")
    assert code == 2 and "No such option '-x'" in output


def test_a_configuration_that_does_not_exist_is_named():
    answer = "contimg: gone.yaml does not exist: name an overlay of config.yaml that does\n"
    assert said("-c", "gone.yaml", "status") == (1, answer)


@pytest.mark.parametrize("words", [["calibration", "list", "--date"], ["calibrators", "--date"], ["report", "--night"]])
@pytest.mark.parametrize(
    ("date", "remedy"),
    [("20260211", ": write 2026-02-11"), ("2026/02/11", ": write 2026-02-11"), ("11.2.2026", ""), ("2026-02-30", "")],
)
def test_a_date_of_another_form_is_refused_with_the_right_one(words, date, remedy):
    code, output = said(*words, date)
    assert code == 2 and output.endswith(f": '{date}' is no date like 2026-02-11{remedy}\n")


def subcommands(name):
    """Return the names of a command's subcommands; none of what is no group."""
    one = main.get_command(click.Context(main), name)
    return list(one.commands) if isinstance(one, click.Group) else []


def test_the_groups_are_known():
    assert set(GROUPS) == {name for name in COMMANDS if subcommands(name)}


@pytest.mark.parametrize("group", [(), *((name,) for name in GROUPS)], ids=lambda names: "".join(names) or "contimg")
def test_each_command_of_a_help_has_one_whole_line_of_80(group):
    code, output = said(*group, "--help")
    listed = output.partition("Commands:\n")[2].splitlines()
    inside = subcommands(*group) if group else COMMANDS
    assert code == 0 and {line.split()[0] for line in listed} == set(inside) and len(listed) == len(inside)
    assert all(len(line) <= 80 and line.endswith(".") and not line.endswith("..") for line in listed)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_usage_line_names_nothing_twice(name):
    for names in ((name,), *((name, inner) for inner in subcommands(name))):
        words = [word.removesuffix("...") for word in said(*names, "--help")[1].partition("\n\n")[0].split()]
        assert len(words) == len(set(words)), words


@pytest.mark.parametrize("group", ["publish", "calibration", "registry"])
def test_the_help_of_a_group_names_all_its_commands(group):
    assert [name for name in subcommands(group) if name not in COMMANDS[group][2].lower()] == []


def numbers():
    """Every option of every command that takes a number."""
    for path, command in commands():
        for parameter in command.params:
            if isinstance(parameter.type, (click.types.FloatParamType, click.FloatRange)):
                yield path, parameter.opts[0]


def commands(command=main, path=()):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))
    yield path, command


@pytest.mark.parametrize(("path", "option"), [pytest.param(*one, id=" ".join((*one[0], one[1]))) for one in numbers()])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_no_finite_number_is_refused(path, option, value):
    code, output = said(*path, f"{option}={value}")
    assert code == 2 and (f"Invalid value for '{option}'" in output or "No such option '-i'" in output)


def test_fields_of_an_option_are_finite():
    code, output = said("simulate", "out", "--beam-offset", "0.1,nan")
    assert code == 2 and "'0.1,nan' holds what is no finite number" in output


@pytest.mark.parametrize("command", [["verify", "--all"], ["prune"]])
@pytest.mark.parametrize("days", ["36526", "1e7", "1e12"])
def test_days_are_a_century_at_most(command, days):
    code, output = said(*command, "--older-than", days)
    assert code == 2 and "is not in the range 0<=x<=36525" in output
