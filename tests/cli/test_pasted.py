"""Commands that messages print are pasted into a shell elsewhere: the configuration's path has spaces, its roots are
relative to the folder in which the first command was typed."""

import html
import os
import re
import shlex
import sys

import pytest
import yaml

from contimg.cli import run
from tests.cli.conftest import publish  # noqa: F401  a fixture
from tests.cli.test_printed_states import commit
from tests.support import mosaics

COMMAND = re.compile(r"contimg -c '[^']+' -d (?:'[^']+'|\S+)(?: (?:[\w.:/-]+|'[^']*'))+")


@pytest.fixture
def typed(sqlite_config, tmp_path, monkeypatch, capsys):
    """Return a function that types words after ``contimg`` in a folder: exit code, and all that it printed."""
    place = tmp_path / "my nights"
    place.mkdir()
    roots = {name: os.path.relpath(root, tmp_path) for name, root in sqlite_config.paths.model_dump().items()}
    sections = {"paths": roots, "crossmatch": {"enabled": False}, "publish": {"update_archive": False}}
    (place / "a night.yaml").write_text(yaml.safe_dump(sections))

    def call(words, folder=tmp_path):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["contimg", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out + err

    return call


FIRST = ["-c", "my nights/a night.yaml"]


def pasted(said, typed, elsewhere):
    """Type each command of a message in another folder; return command -> exit code."""
    found = dict.fromkeys(one for one in COMMAND.findall(said) if "FOLDER" not in one)  # which the reader replaces
    return {one: typed(shlex.split(one)[1:], elsewhere)[0] for one in found}


def test_a_held_mosaic_is_approved_by_the_command_that_status_prints(typed, sqlite_config, publish, tmp_path):  # noqa: F811
    commit(sqlite_config, mosaics.TILES)
    publish(reasons=(mosaics.FAILED,))
    code, said = typed([*FIRST, "status"])
    assert code == 0 and f"-c '{tmp_path}/my nights/a night.yaml' -d {tmp_path} publish approve" in said
    assert set(pasted(said, typed, tmp_path / "else").values()) == {0}
    code, said = typed([*FIRST, "registry", "list", "--status", "published"])
    assert code == 0 and mosaics.MOSAIC in said


@pytest.mark.parametrize("words", [["status"], ["report", "--night", mosaics.GROUP[:10]]], ids=lambda words: words[0])
def test_a_page_has_commands_that_work_elsewhere(words, typed, sqlite_config, publish, tmp_path):  # noqa: F811
    commit(sqlite_config, mosaics.TILES)
    publish(reasons=(mosaics.FAILED,))
    assert typed([*FIRST, *words, "--html", str(tmp_path / "page.html")])[0] == 0
    said = html.unescape((tmp_path / "page.html").read_text())
    assert set(pasted(said, typed, tmp_path / "else").values()) == {0}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["why", "mosaic_20990101T000000"], 1),
        (["registry", "show", "mosaic_20990101T000000"], 1),
        (["log", mosaics.MOSAIC], 1),
        (["publish", "approve", mosaics.MOSAIC, "--reason", "seen"], 1),
        (["publish", "retry", mosaics.MOSAIC], 0),
        (["calibration", "show", "cal_20990101T000000"], 1),
        (["status"], 0),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else str(one),
)
def test_what_messages_of_a_published_mosaic_name_works_elsewhere(words, code, typed, publish, tmp_path):  # noqa: F811
    publish()
    found, said = typed([*FIRST, *words])
    assert found == code, said
    codes = pasted(said, typed, tmp_path / "else")
    assert set(codes.values()) <= {0, 3}, codes
    assert "contimg status" not in said and "contimg registry" not in said  # without the configuration
