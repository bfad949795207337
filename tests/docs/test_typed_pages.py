"""The commands of README and docs, typed as they stand, page after page, in one folder with a small simulated night.

`test_commands` reads the pages: what cannot run here stands below a comment that says why ("not run: ...").
"""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from contimg.cli import run
from contimg.report.numbers_table import numbers_in_words, words_of
from tests.docs.test_commands import BLOCKS, RUN
from tests.support import surveys
from tests.support.warm_programs import warm_programs

ROOT = Path(__file__).parents[2]
SHELL = re.compile(r"^(?!contimg |snakemake )|>")
"""Lines that only a shell can run; of the others it makes the words, and a fork of a warm process runs them."""


DRY_RUN = "contimg run night/config.yaml -n"


class Typist:
    """The folder in which the commands are typed; PATH of the pages is the clone, W Snakemake's working folder."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def type(self, command):
        """Run a command; return its exit code and all that it printed."""
        line = command.replace("PATH/", f"{ROOT}/")
        if SHELL.search(line):
            return self._said(self._bash(line))
        program, *words = self._bash(f"printf '%s\\0' {line}").stdout.split("\0")[:-1]
        if program == "snakemake" and "-n" not in words:
            return self._said(self._bash(line))
        return self._said(warm_programs().run(program, words, folder=self.folder, environment=self.environment))

    def _bash(self, line):
        return subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    @staticmethod
    def _said(done):
        return done.returncode, done.stdout + done.stderr


def printed_overlay(page):
    """Return the overlay that a page prints."""
    (block,) = (block for block in BLOCKS if block.page == page and block.language == "yaml")
    return block.text


def write_overlay(folder):
    """Write night.yaml as the README prints it, with the folders of the night here and what its simulation needs."""
    simulated = yaml.safe_load((folder / "night/config.yaml").read_text())
    printed = yaml.safe_load(printed_overlay("README.md"))
    places = {"paths": simulated["paths"], "sky": simulated["sky"]}
    assert printed.keys() <= simulated.keys()
    (folder / "night.yaml").write_text(yaml.safe_dump(simulated | printed | places))


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Type the commands of all pages in order; return (page, command) -> exit code and what was printed."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "W").mkdir()
    surveys.vizier_text(folder / "nvss.tsv")
    typist, said = Typist(folder), {}
    for page, command in RUN:
        if not (folder / "night.yaml").exists() and (folder / "night/config.yaml").exists():
            write_overlay(folder)
        if command == DRY_RUN and not (folder / "before").exists():
            (folder / "before").write_text("\n".join(files_below(folder)))
        said[page, command] = typist.type(command)
        if command == DRY_RUN and not (folder / "after").exists():
            (folder / "after").write_text("\n".join(files_below(folder)))
    return folder, said


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_first_dry_run_writes_what_the_page_says(walk):
    before, after = ((walk[0] / name).read_text().splitlines() for name in ("before", "after"))
    made = {re.match(r"\.snakemake|night/state/cache|.*", one)[0] for one in set(after) - set(before) - {"before"}}
    assert made == {".snakemake", "night/state/cache"}
    page = " ".join((ROOT / "docs/first-ten-minutes.md").read_text().split())
    assert "remembered in `night/state/cache`, and Snakemake makes its own folder `.snakemake`" in page


@pytest.mark.parametrize(("page", "command"), dict.fromkeys(RUN), ids=lambda text: re.sub(r"\W+", "-", text)[:60])
def test_the_command_does_what_it_says(page, command, walk):
    code, said = walk[1][page, command]
    assert code == 0, f"{page}: {command}\n{said[-3000:]}"
    assert "Traceback" not in said


def test_the_night_of_the_pages_was_published_and_judged(walk):
    folder, said = walk
    published = list(folder.glob("night/products/mosaics/2026-02-11/mosaic_20260211T115136*/manifest-sha256.txt"))
    assert len(published) == 1
    assert (
        "verdict passed, published" in said["docs/first-ten-minutes.md", "contimg run night/config.yaml --cores 2"][1]
    )
    assert (folder / "W/report.html").stat().st_size > 1e5 or (folder / "report.html").stat().st_size > 1e5


def test_after_the_first_run_nothing_was_done_again(walk):
    """The same night by `snakemake`, from another working folder and with the README's overlay."""
    again = [said for (page, command), (_, said) in walk[1].items()
             if page != "docs/first-ten-minutes.md" and re.search(r"--cores 2", command)]  # fmt: skip
    assert len(again) >= 3
    assert not [said for said in again if re.search(r"^([\d:]+Z )?(convert_tile|image_tile) ", said, re.MULTILINE)]


@pytest.mark.parametrize("page", ["README.md", "config/README.md"])
def test_an_overlay_works_as_printed(page, tmp_path, walk):
    """Only the folders are others: below the night's, a copy of which has the raw files and nothing else."""
    text = printed_overlay(page).replace("/data/nvss_strip.csv", str(walk[0] / "night/catalogue.csv"))
    text = text.replace("/data/incoming", str(walk[0] / "night/incoming"))
    text = text.replace("/data", str(tmp_path)).replace("/var/lib/contimg", str(tmp_path / "state"))
    assert "nights: [2026-02-11]" in text and "$schema=PATH/config.schema.json" in text.splitlines()[0]
    (tmp_path / "night.yaml").write_text(text)
    for file in (walk[0] / "night/incoming").iterdir():  # older than inbox.settle_s, however fast the pages were typed
        os.utime(file, (time.time() - 3600,) * 2)
    code, said = Typist(tmp_path).type("contimg run night.yaml -n")
    assert code == 0, said
    assert said.count("convert_tile ") == 4  # three jobs, and the row of the table


def test_python_and_sql_of_the_pages(walk):
    """The archive's page: its table in Python, its query of the registry in SQL."""
    night = walk[0] / "night"
    for block in BLOCKS:
        if block.language == "python" and "products/" in block.text:
            done = subprocess.run([sys.executable, "-c", block.text + "\nassert len(deep) <= len(mosaics) == 1"],
                                  cwd=night, capture_output=True, text=True, check=False)  # fmt: skip
            assert done.returncode == 0, done.stderr
        if block.language == "sql":
            shutil.copy(night / "state/registry.sqlite3", walk[0] / "copy.sqlite3")
            with contextlib.closing(sqlite3.connect(walk[0] / "copy.sqlite3")) as database:
                rows = database.execute(block.text).fetchall()
            assert [row[:5] for row in rows] == [("mosaic_20260211T115136", 1, "published", "passed", 3)]


MOSAIC, CALIBRATION, TILE = "mosaic_20260211T115136", "cal_20260211T115645", "2026-02-11T11:56:45"
TABLES = (
    "status", "status --all", "plan", "plan --names night/names.txt", "inbox", "calibration list",
    f"calibration show {CALIBRATION}", f"log {MOSAIC}", f"log {CALIBRATION}",
    f"why {MOSAIC}", f"why {TILE}", f"why {CALIBRATION}", f"report {MOSAIC}",
    "registry list", f"registry show {MOSAIC}", "verify --all", "reconcile --dry-run", f"provenance {MOSAIC}",
    f"diff {MOSAIC} {MOSAIC}", "calibrators --date 2026-02-11", "usage", "-d W usage --jobs", "prune --dry-run",
    "retain --dry-run", "-d W plan --forecast", "trends", "-d W report --night 2026-02-11", f"template {MOSAIC}",
    "inspect night/incoming/2026-02-11T11:56:37_sb01.hdf5",
)  # fmt: skip
"""Commands that print tables."""
ALONE = re.compile(r"\s*(\S+|(type: )?'?contimg .*)")
"""Lines that may be wider than the terminal: a path, hash or command that stands alone, to be copied whole."""
IDS = re.compile(r"(?:mosaic_|cal_)\d{8}T\d{6}|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")


@pytest.fixture
def shown(walk, monkeypatch, capsys):
    """Return a function that shows a command's output on a terminal of some columns, or in a pipe."""
    monkeypatch.chdir(walk[0])
    (walk[0] / "night/names.txt").write_text("\n".join(path.name for path in (walk[0] / "night/incoming").iterdir()))

    def show(command, columns=None):
        monkeypatch.setattr(sys, "argv", ["contimg", "-c", "night.yaml", *command.split()])
        monkeypatch.setattr(sys.stdout, "isatty", lambda: columns is not None)
        monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: os.terminal_size((columns or 200, 24)))
        with pytest.raises(SystemExit) as ended:
            run()
        assert ended.value.code in (None, 0, 3), capsys.readouterr()
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)

    return show


@pytest.mark.parametrize("command", TABLES)
def test_tables_on_80_columns_split_no_id(command, shown):
    """Every id of the wide table stands whole in a line of the screen, as often: none is cut or folded."""
    wide = IDS.findall(shown(command))
    lines = [line.rstrip() for line in shown(command, 80).splitlines()]
    sentences = [line for line in lines if "  " not in line]  # the terminal breaks them anywhere
    rows = [line[start : start + 80] for line in lines if "  " in line for start in range(0, len(line), 80)]
    screen = sentences + rows
    assert sorted(IDS.findall("\n".join(screen))) == sorted(wide)
    assert not [line for line in lines if len(line) > 80 and not ALONE.fullmatch(line)]


@pytest.mark.parametrize("command", [command for command in TABLES if not command.startswith("log")])
def test_tables_hold_no_lists_and_mappings_of_python(command, shown):
    assert re.findall(r".*(?:\{'|\['|'\]|: None|\bTrue\b|\bFalse\b).*", shown(command)) == []


def test_every_number_of_the_night_has_words(walk):
    """As pages and tables show them: of the tiles' Measurement Sets and images, the calibration and the mosaic."""
    kinds = {}
    for path in (walk[0] / "night/stage").glob("*/2026-02-11/*.json"):
        content = json.loads(path.read_text())
        if isinstance(content, dict) and "qa" in content:
            kinds.setdefault(content["kind"], {}).update(content["qa"])
    assert kinds.keys() >= {"ms", "calibrated", "calibration", "image", "mosaic", "crossmatch"}
    for kind, qa in kinds.items():
        assert [key for _, _, _, key in numbers_in_words(kind, qa) if words_of(kind, key)[0] == key] == []
