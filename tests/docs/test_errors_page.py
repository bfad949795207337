"""docs/errors.md has a row for every code, with the options and commands that there are; every code is produced."""

import ast
import re
from pathlib import Path

import pytest

from contimg.cli.entry import COMMANDS
from contimg.config import Config, Section
from contimg.products.gates import judge
from contimg.products.gates.table import GATES
from contimg.watching.alarms import EVENTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
ROWS = re.findall(r"^\| `?(\w+)`? \| (.+?) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
GIVEN_BY = {"fail", "warn", "Unusable", "Quarantined", "Waiting", "FileFacts", "fault", "FileFault", "Fault", "_reason",
            "Reason"}  # fmt: skip
OF_THE_SYSTEM = {"permission", "stale", "unreachable", "locked", "read_error", "dangling", "not_a_file"}
"""Codes of a table in contimg/correlator/files.py."""

NO_CODES = {"tile", "group"}
"""First arguments of the same calls that are no codes: what waits."""


def codes_in_source():
    """Return every code that a call in the source gives, and those that are constants of their modules."""
    found = set()
    for path in (ROOT / "contimg").rglob("*.py"):
        if "trials" in path.parts:  # makes mosaics with verdicts of its own
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in GIVEN_BY:
                texts = [*node.args, *(one.value for one in node.keywords if one.arg in ("code", "fault_code"))]
                found |= {one.value for one in texts if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    found = {code for code in found if re.fullmatch(r"[a-z]+(_[a-z]+)*", code)} - NO_CODES
    return found | set(EVENTS) | OF_THE_SYSTEM | {gate.reason_code for gate in GATES}


def test_every_code_has_a_row_and_every_row_a_code():
    listed = [row[0] for row in ROWS if not row[0].isdigit() and row[0] != "code"]
    computed = {"growing", "subbands", "clock", "commissioning", "not_finite", "header_differs", "shape_differs",
                "setup_differs", "duplicate_same", "duplicate_differs"}  # fmt: skip
    missing = codes_in_source() - set(listed)
    assert not missing
    assert set(listed) - codes_in_source() <= computed


def test_every_row_says_what_happens_and_what_to_type():
    for code, meaning, itself, what in ROWS:
        assert meaning and itself, code
        assert what or code in ("0",), code


def test_options_and_commands_on_the_page_exist():
    sections = {name: type(getattr(Config(), name)) for name in Config.model_fields}
    keys = {f"{name}.{key}" for name, one in sections.items() if issubclass(one, Section) for key in one.model_fields}
    keys |= {f"image.selfcal.{key}" for key in type(Config().image.selfcal).model_fields}
    for name in re.findall(r"`([a-z]+(?:\.[a-z_0-9]+)+)(?:: \w+)?`", PAGE):
        assert name in keys, name
    for name in re.findall(r"`contimg (\w+)", PAGE):
        assert name in COMMANDS, name


TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: f"{gate.kind}-{gate.reason_code}-{gate.severity}")
def test_a_number_beyond_its_limit_has_the_code(gate):
    """Twice the limit, or half of a lower one, with a small error and a sample that suffices."""
    options = {name: getattr(Config(), name) for name in ("qa", "calibration", "template")}
    beside = [one for one in GATES if one.kind == gate.kind and one.when in ("", gate.when)]
    others = {one.key: None for one in beside}
    others |= {one.sample.count: 1000 for one in beside if one.sample}
    limit = gate.threshold(options)
    value = limit / 2 if gate.bound == "min" else limit * 2
    if gate.severity == "warning" and gate.bound == "max":
        value = limit * 1.01
    measured = others | {gate.key: value} | ({gate.error: 1e-6} if gate.error else {})
    codes = {reason.code for reason in judge(gate.kind, measured, options)}
    assert gate.reason_code in codes


@pytest.mark.parametrize("code", sorted(codes_in_source() - {gate.reason_code for gate in GATES}))
def test_a_test_produces_the_code(code):
    """Some other test asserts it by name."""
    assert re.search(rf"""["'](?:tile:|calibration:)?{code}["':| ]""", TESTS)
