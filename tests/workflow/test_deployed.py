"""The workflow as `snakedeploy deploy-workflow` sets it up: a module of a hosted repository, below a site's Snakefile.

The repository is one of this machine that git takes for the hosted one; nothing is fetched from the network.
"""

import os
import subprocess
import sys

import pytest

from tests.workflow.conftest import simulate
from tests.workflow.test_packed import SNAKEMAKE, dry_run, packed

__all__ = ["packed"]
HOSTED = "https://github.com/dsa110/contimg"
# As snakedeploy 0.17 writes it.
DEPLOYED = """
from snakemake.utils import min_version

min_version("6.10.0")

configfile: "config/config.yaml"

module contimg:
    snakefile: github("dsa110/contimg", path="workflow/Snakefile", commit={commit!r})
    config: config

use rule * from contimg
"""


def git(folder, *words):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false", "-C", str(folder)]
    done = subprocess.run([*command, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def deployed(packed, monkeypatch, tmp_path):
    """A site's folder: the deployed Snakefile, and the overlay of a night of two tiles as its configuration."""
    night = simulate(
        tmp_path / "night",
        "--tiles",
        "2",
        "--antennas",
        "12",
        "--channels",
        "2",
        "--sources",
        "6",
        "--max-baseline",
        "400",
    )
    if not (packed / ".git").exists():
        git(packed, "init", "-q")
        git(packed, "add", "-A")
        git(packed, "commit", "-qm", "packed")
    site = tmp_path / "site"
    (site / "workflow").mkdir(parents=True)
    (site / "config").mkdir()
    (site / "workflow" / "Snakefile").write_text(DEPLOYED.format(commit=git(packed, "rev-parse", "HEAD")))
    (site / "config" / "config.yaml").write_text(night.config_file.read_text())
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{packed}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", HOSTED)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return site


def test_a_deployed_workflow_plans_the_night(deployed, packed):
    rules, _ = dry_run(SNAKEMAKE, library=packed, folder=deployed)
    assert rules.count("convert_tile") == 2 and rules.count("publish_mosaic") == 1


@pytest.mark.long
def test_a_deployed_workflow_registers_the_night(deployed, packed):
    """Jobs have the site's overlay alone as Snakemake's configuration; what it leaves out has its default."""
    environment = os.environ | {"PYTHONPATH": str(packed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2"],
        capture_output=True, text=True, check=False, cwd=deployed, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((deployed.parent / "night" / "stage" / "published").glob("*/mosaic_*.json"))) == 1
