"""The documentation's sources: pages are in the navigation, links lead somewhere, and the table of formulas is real.

`make docs` (in CI) builds the site with warnings as errors; what needs no build is held here.
"""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config/README.md", *sorted((ROOT / "docs").glob("*.md"))]
GENERATED = {"reference/configuration.md", "reference/commands.md", "reference/codes.md", "reference/api.md",
             "changelog.md", "config.schema.json"}  # fmt: skip


class _Loader(yaml.SafeLoader):
    """mkdocs.yml names a Python function by a tag."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)
SITE = yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)


def leaves(part):
    """Return the pages of a navigation."""
    if isinstance(part, str):
        return [part]
    return [page for item in (part.values() if isinstance(part, dict) else part) for page in leaves(item)]


def anchors(path):
    """Return the anchors of a page's headings, as Markdown makes them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title)).strip().lower().replace(" ", "-") for title in titles}


def test_every_page_is_in_the_navigation_once():
    named = leaves(SITE["nav"])
    written = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").glob("*.md")}
    assert sorted(named) == sorted(set(named))
    assert set(named) == written | (GENERATED - {"config.schema.json"})


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page):
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        place, _, anchor = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        if page.parent == ROOT / "docs" and place in GENERATED:
            continue
        if not path.exists() or (anchor and anchor not in anchors(path)):
            wrong.append(target)
    assert wrong == []


def test_each_formula_names_a_module_and_a_test_that_exist():
    rows = re.findall(r"^\| .*\| `(contimg/[\w/.]+)` \| `(tests/[\w/.]+)(?:::(\w+))?` \|$",
                      (ROOT / "docs/science.md").read_text(), re.MULTILINE)  # fmt: skip
    assert len(rows) >= 20
    for module, file, name in rows:
        assert (ROOT / module).exists(), module
        functions = {
            node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)
        }
        assert not name or name in functions, f"{file}::{name}"


def test_the_site_fetches_nothing_from_the_network():
    assert SITE["theme"]["font"] is False and "offline" in SITE["plugins"]


def test_the_site_follows_the_readers_system_at_every_visit():
    """Material keeps the palette of the first visit; only that without colours of its own follows the system."""
    first, *others = SITE["theme"]["palette"]
    assert first["media"] == "(prefers-color-scheme)" and "scheme" not in first
    assert [one["media"] for one in others] == [f"(prefers-color-scheme: {one})" for one in ("light", "dark")]
    assert all(one["toggle"]["name"] for one in (first, *others))
