"""Every command, option, rule, package and extra that a message of the library names exists."""

import ast
import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from contimg.cli import main
from contimg.cli.entry import COMMANDS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@functools.cache
def messages(folder: Path = ROOT / "contimg") -> tuple[tuple[str, str], ...]:
    """Return every text of the source that is no docstring, values in it as ``{}``: (file:line, text)."""
    return tuple(_messages(folder))


def _messages(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text())
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        parts |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr):
                yield where, "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                yield where, node.value


def unknown_commands(text: str) -> list[str]:
    """Return what is wrong with the ``contimg …`` commands in a text."""
    wrong = []
    for match in re.finditer(r"(^|['`(]|: )contimg ([a-z][a-z-]*)((?: (?:--?[a-z][a-z-]*|[a-z]+|[A-Z{}]+))*)", text):
        first, rest = match[2], match[3].split()
        if first not in COMMANDS:
            wrong += [f"contimg {first}"] if match[1] else []  # "contimg itself is at fault" begins a sentence
            continue
        command = main.get_command(click.Context(main), first)
        if isinstance(command, click.Group):
            if not rest or rest[0] not in command.commands:  # '{}' stands for the command that was typed
                wrong += [f"contimg {first} {rest[0]}"] if rest and rest[0] != "{}" else []
                continue
            command, rest = command.commands[rest[0]], rest[1:]
        options = {name for option in command.params for name in option.opts}
        wrong += [f"contimg {first}: {word}" for word in rest if word.startswith("-") and word not in options]
    return wrong


def unknown_packages(text: str) -> list[str]:
    """Return the packages after ``pip install`` that contimg does not depend on, and extras that do not exist."""
    wrong = []
    extras = PROJECT["optional-dependencies"]
    wrong += [f"contimg[{name}]" for name in re.findall(r"contimg\[(\w+)\]", text) if name not in extras]
    known = [*PROJECT["dependencies"], *(one for some in extras.values() for one in some)]
    for wanted in re.findall(r"pip install '?(?!contimg\b)([\w.\[\]-]+)", text):
        if not any(re.match(re.escape(wanted) + r"(?=$|[<>=~! ])", one) for one in known):
            wrong.append(f"pip install {wanted}")
    return wrong


@functools.cache
def of_snakemake() -> tuple[set[str], set[str]]:
    """Return the options of ``snakemake`` and the names of our rules."""
    from snakemake.cli import get_argument_parser

    workflow = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    return set(get_argument_parser()._option_string_actions), set(re.findall(r"^rule (\w+):", workflow, re.MULTILINE))


def unknown_to_snakemake(text: str) -> list[str]:
    """Return options of ``snakemake`` and names of rules that do not exist."""
    wrong = []
    for words in re.findall(r"snakemake((?: --?[a-z][a-z-]*(?: [a-z_]+)?)+)", text):
        for option, value in re.findall(r" (--?[a-z][a-z-]*)(?: ([a-z_]+))?", words):
            options, rules = of_snakemake()
            if option not in options:
                wrong.append(f"snakemake {option}")
            if option in ("--forcerun", "-R") and value not in rules:
                wrong.append(f"rule {value}")
    return wrong


CHECKS = (unknown_commands, unknown_packages, unknown_to_snakemake)


@pytest.mark.parametrize("check", CHECKS)
def test_what_messages_name_exists(check):
    assert [(where, wrong) for where, text in messages() if (wrong := check(text))] == []


def test_messages_are_found():
    found = [text for _, text in messages()]
    assert any("contimg publish retry {}" in text for text in found)
    assert any("snakemake --forcerun register_mosaic" in text for text in found)
    assert any("psycopg[binary]" in text for text in found)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (unknown_commands, "type 'contimg mend {}'"),
        (unknown_commands, "type 'contimg publish bless {}'"),
        (unknown_commands, "type 'contimg publish approve {} --because TEXT'"),
        (unknown_packages, "pip install 'contimg[postgres]'"),
        (unknown_packages, "pip install psycopg2"),
        (unknown_to_snakemake, "snakemake --again"),
        (unknown_to_snakemake, "snakemake --forcerun mosaic"),
    ],
)
def test_what_does_not_exist_is_found(check, text):
    assert len(check(text)) == 1
