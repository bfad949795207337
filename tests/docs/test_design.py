"""The table in docs/design.md of keys and the rules that they rerun is that of the code."""

import re
from pathlib import Path

from contimg.config import Config
from contimg.config.used_keys import USED_KEYS

PAGE = (Path(__file__).parents[2] / "docs/design.md").read_text()


def stated():
    """Return (section, key) -> rules, from the table's rows that name rules at work on products."""
    found = {}
    for keys, rules in re.findall(r"^\| (`[\w.*{},` ]+`) \| (`\w+`(?:, `\w+`)*) \|$", PAGE, re.MULTILINE):
        if "summarise_mosaic" in rules:
            continue
        for section, names in re.findall(r"`(\w+)\.(\*|\w+|\{[\w,]+\})`", keys):
            every = list(type(getattr(Config(), section)).model_fields)
            for name in every if names == "*" else names.strip("{}").split(","):
                found[section, name] = set(re.findall(r"\w+", rules))
    return found


def test_the_table_of_keys_is_that_of_the_rules():
    used = {}
    for rule, sections in USED_KEYS.items():
        for section, keys in sections.items():
            for key in type(getattr(Config(), section)).model_fields if keys is None else keys:
                used.setdefault((section, key), set()).add(rule)
    assert stated() == used
