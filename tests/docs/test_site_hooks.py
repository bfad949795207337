"""The pages that are made from the code hold every key, command and code."""

import importlib.util
import re
from pathlib import Path

import pytest

from contimg.cli.entry import COMMANDS
from contimg.config import Config, Section
from contimg.products.gates.table import GATES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hooks():
    """The module of the hooks, which is outside of any package."""
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs/site_hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def keys(section=Config, path=""):
    """Yield every key of the configuration."""
    for name, field in section.model_fields.items():
        value = field.get_default(call_default_factory=True)
        here = f"{path}.{name}" if path else name
        yield from keys(type(value), here) if isinstance(value, Section) else (here,)


def test_every_key_is_listed_once_with_its_default_and_rules(hooks):
    page = hooks.configuration()
    listed = re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(keys())
    assert "| `image.robust` | `0.5` |" in page and "`image.selfcal.rounds`" in page
    (row,) = (line for line in page.splitlines() if line.startswith("| `image.robust`"))
    assert row.endswith("| `image_tile` |")
    (limits,) = (line for line in page.splitlines() if line.startswith("| `ingest.cluster_s`"))
    assert "| `120.0` | > 0, ≤ 3155760000 |" in limits


def test_every_command_has_its_help(hooks):
    page = hooks.commands()
    assert re.findall(r"^## contimg (\w+)$", page, re.MULTILINE) == list(COMMANDS)
    for text in ("contimg publish approve [OPTIONS] MOSAIC", "contimg log [OPTIONS] ID", "--accept-loss TILE"):
        assert text in page


def test_every_gate_and_other_reasons_have_their_codes(hooks):
    page = hooks.codes()
    listed = set(re.findall(r"`(\w+)`", page))
    assert {gate.reason_code for gate in GATES} <= listed
    assert {"tile_damaged", "fluxes_unchecked", "no_usable_tile", "too_few_subbands", "calibration_failed"} <= listed
    assert "| `no_usable_tile` | failed | none of the {len(tiles)} tiles of the group is usable |" in page


def test_every_module_of_the_api_exists_and_is_described(hooks):
    page = hooks.api()
    for name in hooks.API:
        assert importlib.util.find_spec(name) is not None
        assert f"\n::: {name}\n" in page
