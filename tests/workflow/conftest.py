"""One small simulated night, taken through the real workflow once; the tests look at it and change copies."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.warm_programs import warm_programs

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Night:
    """A simulated night with its working directory, and the commands an operator types."""

    place: Path
    first_run: subprocess.CompletedProcess | None = None

    @property
    def config_file(self):
        return self.place / "config.yaml"

    @property
    def overlay(self):
        return yaml.safe_load(self.config_file.read_text())

    @property
    def stage(self):
        return self.place / "stage"

    def change_config(self, **sections):
        overlay = self.overlay
        for section, keys in sections.items():
            overlay[section] = overlay.get(section, {}) | keys if isinstance(keys, dict) else keys
        self.config_file.write_text(yaml.safe_dump(overlay))

    def snakemake(self, *words, check=True):
        """Run the workflow: a dry run in a fork of a process that has imported Snakemake, others as a process."""
        arguments = ["-s", str(ROOT / "Snakefile"), "--directory", str(self.place / "work")]
        arguments += ["--configfile", str(self.config_file), "--cores", "2", *words]
        if "-n" in words:
            return self._run_warm("snakemake", arguments, check)
        return self._run([sys.executable, "-m", "snakemake", *arguments], check)

    def contimg(self, *words, check=True):
        return self._run_warm("contimg", ["-c", str(self.config_file), *words], check)

    def planned(self, *words):
        """Return the jobs of a dry run: rule -> number of jobs."""
        said = self.snakemake("-n", "--quiet", "rules", *words).stdout
        jobs = {}
        for line in said.splitlines():
            fields = line.split()
            if len(fields) == 2 and fields[1].isdigit() and fields[0] not in ("total", "all"):
                jobs[fields[0]] = int(fields[1])
        return jobs

    def planned_files(self, rule):
        """Return the ids (tile, calibration, mosaic) for which a dry run schedules a rule."""
        jobs = (line.split() for line in self.snakemake("-n").stdout.splitlines())
        ids = (words[1] for words in jobs if words[:1] == [rule] and len(words) > 1 and not words[1].isdigit())
        return sorted(one.replace("-", "").replace(":", "") for one in ids)  # as in file names

    def plan(self):
        return json.loads(self.contimg("plan", "--json").stdout)

    def _run_warm(self, program, arguments, check):
        done = warm_programs().run(program, arguments, folder=self.place, environment=self._environment)
        return self._checked(done, [program, *arguments], check)

    def _run(self, command, check):
        done = subprocess.run(
            command, capture_output=True, text=True, env=self._environment, check=False, cwd=self.place
        )
        return self._checked(done, command, check)

    @property
    def _environment(self):
        return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    @staticmethod
    def _checked(done, command, check):
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done


def simulate(place, *options):
    """Simulate a night with the command that users type."""
    command = [sys.executable, "-c", "from contimg.cli import run; run()", "simulate", str(place), *options]
    subprocess.run(command, check=True, capture_output=True, cwd=place.parent)
    return Night(place)


@pytest.fixture(scope="session")
def small_night(tmp_path_factory):
    """A night of three tiles that nothing has been done with; tests work on copies."""
    place = tmp_path_factory.mktemp("small") / "night"
    return simulate(place, "--tiles", "3", "--antennas", "12", "--channels", "2", "--sources", "6")


@pytest.fixture
def night(small_night, tmp_path):
    """A copy of the small night, for a test to change."""
    place = tmp_path / "night"
    shutil.copytree(small_night.place, place)
    config = place / "config.yaml"
    config.write_text(config.read_text().replace(str(small_night.place), str(place)))
    return Night(place)


@pytest.fixture(scope="session")
def finished_night(tmp_path_factory):
    """A night of four tiles taken to the archive by the command that operators type; a fifth tile comes later.

    Tests that change it undo what they changed: Snakemake's records hold its absolute paths, so that it
    cannot be copied.
    """
    place = tmp_path_factory.mktemp("finished") / "night"
    night = simulate(
        place, "--tiles", "5", "--antennas", "28", "--channels", "6", "--sources", "16", "--rfi", "5",
        "--missing", "2:7", "--corrupt", "0:3:leftover", "--transit-tile", "1", "--seed", "7", "--max-baseline", "500",
    )  # fmt: skip
    night.change_config(group={"tiles": 4, "stride": 4})
    (place / "next").mkdir()
    for path in sorted((place / "incoming").glob("*.hdf5"))[-16:]:
        shutil.move(path, place / "next")
    night.first_run = night.snakemake("--quiet", "rules")
    return night
