"""Every rule is built alike, and what is written in several places agrees."""

import re
from pathlib import Path

import pytest

from contimg import naming

ROOT = Path(__file__).parent.parent.parent
RULE_FILES = sorted((ROOT / "rules").glob("*.smk"))
RULES = {
    match[1]: match[2]
    for path in RULE_FILES
    for match in re.finditer(r"^rule (\w+):\n((?:(?: .*)?\n)+)", path.read_text() + "\n", re.MULTILINE)
}


def test_all_rules_are_found():
    assert set(RULES) == {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert len(RULES) == 9


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_has_every_directive(name):
    text = RULES[name]
    assert text.lstrip().startswith('"""')
    for directive in (
        "input",
        "output",
        "log",
        "benchmark",
        "conda",
        "threads",
        "resources",
        "params",
        "script",
    ):
        assert f"    {directive}:" in text, directive
    assert "mem_mb=" in text and "runtime=" in text
    assert f'"../scripts/{name}.py"' in text
    assert f"logs/{name}/" in text and f"benchmarks/{name}/" in text


@pytest.mark.parametrize("path", [ROOT / "Snakefile", *RULE_FILES], ids=lambda p: p.name)
def test_constructs_that_bite_are_not_used(path):
    assert not re.search(r"^\s*(run|shadow|checkpoint)\b.*:|touch\(|update\(|service\(", path.read_text(), re.MULTILINE)


def test_the_snakefile_and_the_adapters_stay_short():
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60
    for script in (ROOT / "scripts").glob("*.py"):
        assert len(script.read_text().splitlines()) <= 20, script.name


def test_the_paths_of_rules_are_those_of_naming():
    layout = naming.Layout(*(Path("/r") / name for name in ("incoming", "stage", "products", "state")))
    tile = "2026-02-11T00:26:49"
    values = {
        "date": "2026-02-11",
        "tile": naming.stem(tile),
        "mosaic": naming.mosaic_id(tile),
        "calibration": naming.calibration_id(tile),
    }
    known = {str(layout.product(kind, tile)) for kind in naming.KINDS} | {
        str(layout.twin(kind, tile)) for kind in naming.KINDS
    }
    written = {path for text in RULES.values() for path in re.findall(r'"<stage>(/[^"]+)"', text)}
    assert written
    for path in written:
        assert "/r/stage" + path.format(**values) in known


@pytest.mark.parametrize("name", sorted(RULES))
def test_rules_are_in_the_readme(name):
    assert f"`{name}`" in (ROOT / "README.md").read_text()


def test_commands_are_in_the_readme_and_it_is_short():
    from contimg.cli import COMMANDS

    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 120
    for command in COMMANDS:
        assert re.search(rf"contimg (-c \S+ )?{command}", readme), command


def test_the_library_does_not_know_snakemake():
    for path in (ROOT / "contimg").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) snakemake", path.read_text(), re.MULTILINE), path


def test_the_conda_file_holds_the_pins_of_the_constraints():
    import tomllib

    import yaml
    from packaging.requirements import Requirement

    def plain(name):
        return re.sub(r"[-_.]+", "-", re.split(r"[\[<>= ]", name)[0]).lower()

    lines = (Requirement(line) for line in (ROOT / "envs/constraints.txt").read_text().splitlines())
    of_its_python = [one for one in lines if one.marker is None or one.marker.evaluate({"python_version": "3.11"})]
    pins = {plain(one.name): str(one.specifier).removeprefix("==") for one in of_its_python}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    conda = yaml.safe_load((ROOT / "envs/contimg.yaml").read_text())["dependencies"][-1]["pip"]
    assert {plain(item): item.split("==")[1] for item in conda} == {plain(name): pins[plain(name)] for name in wanted}


@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_script_module_and_function_have_one_name(name):
    script = (ROOT / "scripts" / f"{name}.py").read_text()
    assert re.search(rf"from contimg\.\w+\.{name} import {name}\n", script)
    assert re.search(rf"^ +{name}\(", script, re.MULTILINE)
    assert [path.parent.parent.name for path in (ROOT / "contimg").glob(f"*/{name}.py")] == ["contimg"]


def test_four_modules_are_loose():
    loose = {path.stem for path in (ROOT / "contimg").glob("*.py")} - {"__init__"}
    assert loose == {"errors", "naming", "times", "statistics"}


@pytest.mark.parametrize("path", sorted((ROOT / "contimg").glob("*/**/__init__.py")), ids=lambda p: p.parent.name)
def test_packages_only_hand_names_on(path):
    import ast

    defined = [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
    ]
    assert not defined
