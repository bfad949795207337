"""Commands of README and docs: they stand in shell blocks, name what exists, and what cannot run here says why."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import click

from contimg.cli import main
from tests.cli.test_remedies import unknown_commands

ROOT = Path(__file__).parents[2]
# The first page makes the night that the others look at.
PAGES = [ROOT / "docs/first-ten-minutes.md", ROOT / "README.md", ROOT / "docs/night.md", ROOT / "docs/daily.md"]
PAGES += [page for page in sorted([*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "config/README.md"])
          if page not in PAGES]  # fmt: skip
FENCE = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
ELSEWHERE = ("text", "python", "sql", "console")  # the last is typed by test_operations.py
PROGRAMS = ("contimg", "snakemake", "make", "pip", "podman", "docker", "python", "sqlite3", "uvx", "apt-get")


@dataclass(frozen=True)
class Block:
    """A fenced block: the page, the language, the reason why it is not run, its text, and where it begins."""

    page: str
    language: str
    why: str | None
    text: str
    place: int

    @property
    def commands(self):
        """The commands, without comments; a line that ends with a backslash goes on."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines) if line]


def blocks(page):
    """Return the fenced blocks of a page."""
    found = FENCE.finditer(page.read_text())
    return [
        Block(page.relative_to(ROOT).as_posix(), one["language"], one["why"], one["text"], one.start()) for one in found
    ]


BLOCKS = [block for page in PAGES for block in blocks(page)]
INLINE = re.compile(r"`(contimg (?:-c|run) [^`.]*\.yaml[^`\n]*)`")
"""Commands in the text that name a configuration: they are typed as well; others name a command or its options."""


def typed(page):
    """Return the commands of a page that are run, in its order."""
    found = [(block.place, command) for block in BLOCKS if block.page == page.relative_to(ROOT).as_posix()
             if block.language == "sh" and block.why is None for command in block.commands]  # fmt: skip
    text = re.sub(r"^```.*?^```$", lambda block: " " * len(block[0]), page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found += [(one.start(), one[1]) for one in INLINE.finditer(text) if "..." not in one[1]]
    return [command for _, command in sorted(found, key=lambda one: one[0])]


RUN = [(page.relative_to(ROOT).as_posix(), command) for page in PAGES for command in typed(page)]


def test_commands_stand_in_blocks_that_are_run_or_say_why_not():
    unmarked = [
        (block.page, line)
        for block in BLOCKS
        if block.language != "sh"
        for line in block.text.splitlines()
        if re.match(rf"(?:\$ )?(?:{'|'.join(PROGRAMS)}) ", line) and block.language not in ELSEWHERE
    ]
    assert unmarked == []
    assert all(len(block.why) > 20 for block in BLOCKS if block.why is not None)
    assert len(RUN) >= 40 and len([block for block in BLOCKS if block.why]) <= 10


def test_every_page_is_read_whole():
    for page in PAGES:
        assert page.read_text().count("\n```") + page.read_text().startswith("```") == 2 * len(blocks(page)), page


def test_every_contimg_command_is_one_that_exists():
    """Program, subcommand and options, as `tests/cli/test_remedies.py` checks those of messages."""
    typed = [command for _, command in RUN if command.startswith("contimg ")]
    assert len(typed) >= 30
    wrong = {}
    for command in typed:
        words = [one for one in shlex.split(command)[1:] if one]
        try:
            main.make_context("contimg", words, resilient_parsing=True)
            if faults := unknown_commands(f"'contimg {' '.join(_after_options(words))}'"):
                wrong[command] = faults
        except click.ClickException as error:
            wrong[command] = error.format_message()
    assert wrong == {}


def _after_options(words):
    """Return the words after the program's own options."""
    while words and words[0] in ("-c", "-d"):
        words = words[2:]
    return words
