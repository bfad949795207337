"""The workflow from elsewhere than a clone: a packed copy, a wheel, a module of another one, the standard layout."""

import email.parser
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml

from contimg import __version__
from contimg.config import schema_file, workflow_folder
from tests.workflow.conftest import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "demo", "tests", "benchmarks", "build", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis",
    ".snakemake", "htmlcov", "site", ".coverage*",
)  # fmt: skip


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A copy of the repository that was packed as a tar file and unpacked elsewhere."""
    place = tmp_path_factory.mktemp("packed")
    shutil.copytree(ROOT, place / "contimg-copy", ignore=LEFT_OUT, symlinks=True)
    archive = shutil.make_archive(str(place / "contimg"), "gztar", place, "contimg-copy")
    shutil.rmtree(place / "contimg-copy")
    shutil.unpack_archive(archive, place, filter="tar")
    return place / "contimg-copy"


@pytest.fixture(scope="module")
def wheel(packed, tmp_path_factory):
    """The folder of an unpacked wheel, made as for a release: from the source archive that was made from the clone."""
    place = tmp_path_factory.mktemp("wheel")
    archive = [sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_sdist({str(place)!r})"]
    subprocess.run(archive, check=True, capture_output=True, cwd=packed)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(place)]
    subprocess.run([*command, f"contimg-{__version__}.tar.gz"], check=True, capture_output=True, cwd=place)
    (path,) = place.glob(f"contimg-{__version__}-*.whl")
    zipfile.ZipFile(path).extractall(place / "unpacked")
    return place / "unpacked"


def dry_run(words, *, library, folder):
    """Return the rules that a dry run lists, and all that it prints; `library` is where contimg is imported from."""
    environment = os.environ | {"PYTHONPATH": str(library), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    return [line.split()[0] for line in said.splitlines() if line.endswith("output missing")], said


SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "1", "-n"]


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_a_packed_copy_plans_the_night(snakefile, packed, night):
    words = ["-s", str(packed / snakefile), "--configfile", str(night.config_file)]
    rules, said = dry_run([*SNAKEMAKE, *words], library=packed, folder=night.place)
    assert rules.count("convert_tile") == 3 and rules.count("publish_mosaic") == 1
    assert f"contimg {__version__}, Snakemake" in said


def test_a_wheel_carries_the_workflow_and_its_door(wheel, night):
    door = [sys.executable, "-c", "from contimg.cli import run; run()", "run", "config.yaml", "-n"]
    rules, said = dry_run(door, library=wheel, folder=night.place)
    snakefile = wheel / "contimg" / "_workflow" / "Snakefile"
    assert f"snakemake -s {snakefile} --configfile config.yaml -n --cores all" in said
    assert rules.count("image_tile") == 3 and rules.count("publish_mosaic") == 1


def test_a_wheel_has_every_file_of_the_workflow_and_nothing_of_the_tests(wheel):
    inside = wheel / "contimg" / "_workflow"
    for pattern in ("Snakefile", "config*.*", "rules/*", "scripts/*.py", "report/*", "envs/*", "profiles/*/*"):
        assert {p.relative_to(ROOT) for p in ROOT.glob(pattern)} == {
            p.relative_to(inside) for p in inside.glob(pattern)
        }
    assert not list(wheel.glob("tests*"))
    assert (wheel / "contimg" / "sky" / "vla_sources.csv").exists()


def test_a_wheel_without_the_workflow_is_not_built(packed, tmp_path):
    copy = shutil.copytree(packed, tmp_path / "copy", ignore=shutil.ignore_patterns("rules"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    done = subprocess.run([*command, str(copy)], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0 and "rules/*.smk is missing: build from a clone" in done.stdout + done.stderr


def test_the_wheel_says_what_the_citation_says(wheel):
    (place,) = wheel.glob("contimg-*.dist-info/METADATA")
    metadata = email.parser.Parser().parsestr(place.read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    zenodo = json.loads((ROOT / ".zenodo.json").read_text())
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == citation["license"] == zenodo["license"] == "BSD-3-Clause"
    assert metadata["Keywords"].split(",") == citation["keywords"] == zenodo["keywords"]
    names = [one["name"] for one in citation["authors"]]
    assert [metadata["Author"]] == names == [one["name"] for one in zenodo["creators"]]
    assert citation["title"] == zenodo["title"]
    assert " ".join(citation["abstract"].split()) == zenodo["description"]
    # Addresses are named in all of them, or in none: there is no public one yet.
    assert bool(metadata.get_all("Project-URL")) == ("repository-code" in citation)


def test_the_wheel_names_the_pythons_that_are_tested(wheel):
    (place,) = wheel.glob("contimg-*.dist-info/METADATA")
    metadata = email.parser.Parser().parsestr(place.read_text())
    named = re.findall(r"^Classifier: Programming Language :: Python :: (3\.\d+)$", place.read_text(), re.MULTILINE)
    tested = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["test"]["strategy"]["matrix"]
    assert named == tested["python"] == ["3.11", "3.12", "3.13"]
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}


MODULE = """
configfile: {config!r}

module contimg:
    snakefile: {snakefile!r}
    config: config

use rule * from contimg as dsa_*

rule everything:
    default_target: True
    input: rules.dsa_all.input
    output: "done.txt"
    shell: "touch {{output}}"
"""


@pytest.fixture
def importer(night, tmp_path):
    """A workflow of someone else that has contimg as a module."""
    place = tmp_path / "importer"
    place.mkdir()
    text = MODULE.format(config=str(night.config_file), snakefile=str(ROOT / "Snakefile"))
    (place / "Snakefile").write_text(text)
    return place


def test_as_a_module_the_rules_are_planned_under_their_new_names(importer):
    rules, _ = dry_run(SNAKEMAKE, library=ROOT, folder=importer)
    assert rules.count("dsa_convert_tile") == 3 and rules[-1] == "everything"
    assert not (importer.parent / "night" / "state" / "plan.json").exists()  # a dry run freezes no plan


def test_as_a_module_a_tile_is_converted(importer, night):
    tile = min(night.plan()["tiles"])
    twin = night.stage / "ms" / tile[:10] / f"{tile.replace('-', '').replace(':', '')}.json"
    words = [sys.executable, "-m", "snakemake", str(twin), "--cores", "1", "--quiet", "all"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=importer, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(twin.read_text())["id"] == tile


def test_in_a_clone_the_files_stand_beside_the_library():
    assert workflow_folder() == ROOT and schema_file() == ROOT / "config.schema.json"


def test_one_version_everywhere():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
    assert json.loads((ROOT / ".zenodo.json").read_text())["version"] == __version__
    day = yaml.safe_load((ROOT / "CITATION.cff").read_text())["date-released"]
    newest = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert newest == f"{__version__} ({day})"


def test_the_catalog_finds_what_its_standardized_shelf_needs():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is True and usage["report"] is True
    assert (ROOT / "workflow/Snakefile").exists() and (ROOT / "config/README.md").stat().st_size > 500


def test_recipe_and_page_of_the_container_say_the_same():
    recipe, page = (ROOT / "Containerfile").read_text(), (ROOT / "docs/cluster.md").read_text()
    build, start = (line.removeprefix("#   ").partition("  ")[0] for line in recipe.splitlines()[1:3])
    assert build in page and start in page
    assert "-c /opt/contimg/source/envs/constraints.txt" in recipe and (ROOT / "envs/constraints.txt").exists()
