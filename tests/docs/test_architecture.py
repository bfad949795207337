"""The page that shows a newcomer round names the modules and wings that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
WINGS = sorted(path.parent.name for path in (ROOT / "contimg").glob("*/__init__.py"))
LOOSE = sorted(path.stem for path in (ROOT / "contimg").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"contimg/[\w/]+\.py", PAGE))))
def test_every_module_named_exists(name):
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("name", [*WINGS, *LOOSE])
def test_every_wing_and_loose_module_stands_in_the_picture(name):
    picture = PAGE.split("```")[1]
    assert re.search(rf"\b{name}\b", picture)


def floors():
    """Return the floor of each wing in the picture, the lowest 0; the simulator stands beside."""
    lines = [line[:56].split() for line in PAGE.split("```")[1].strip().splitlines() if "simulate" not in line]
    return {name: floor for floor, names in enumerate(reversed(lines)) for name in names}


def test_no_import_goes_up_in_the_picture():
    floor = floors()
    wrong = set()
    for path in (ROOT / "contimg").glob("*/**/*.py"):
        wing = path.relative_to(ROOT / "contimg").parts[0]
        for match in re.finditer(r"^\s*from contimg(?:\.(\w+))?\S* import (\w+)", path.read_text(), re.MULTILINE):
            other = match[1] or match[2]
            if wing in floor and other in floor and floor[other] > floor[wing]:
                wrong.add((wing, other))
    assert wrong <= {("publishing", "archive")}, wrong  # a publish brings the archive's pages up to date


def test_each_rule_is_a_hop_in_order():
    rules = [path.stem for path in (ROOT / "scripts").glob("*.py")]
    named = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert sorted(named) == sorted(rules)
    assert named[0] == "convert_tile" and named[-1] == "publish_mosaic"
