"""Every key of the configuration: its default can be written out, and what is none of its values is refused by name."""

import math
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from contimg import config
from contimg.config.key_types import Count, Fraction, Night, NotNegative, Number, Positive
from contimg.config.loading import UNITS
from contimg.config.used_keys import LATER_KEYS, USED_KEYS, section_options, used_options
from contimg.errors import ConfigError


def keys(section=config.Config, above=()):
    """Return (path, default, type) of every key below a section."""
    found = []
    for name, field in section.model_fields.items():
        value = field.get_default(call_default_factory=True)
        if isinstance(value, config.Section):
            found += keys(type(value), (*above, name))
        else:
            found.append(((*above, name), value, field.annotation))
    return found


KEYS = keys()
NUMBERS = [path for path, value, _ in KEYS if isinstance(value, int | float) and not isinstance(value, bool)]
SWITCHES = [path for path, value, _ in KEYS if isinstance(value, bool)]


def content(path, value):
    """Return a configuration with one key."""
    for name in reversed(path):
        value = {name: value}
    return value


def at(loaded, path):
    for name in path:
        loaded = getattr(loaded, name)
    return loaded


def refused(path, value):
    with pytest.raises(ConfigError) as error:
        config.load(content(path, value))
    return str(error.value)


def test_the_keys_are_found():
    assert len(KEYS) > 100 and len(NUMBERS) > 80 and len(SWITCHES) >= 4


@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
def test_a_number_that_is_written_out_as_its_default_is_its_default(path):
    default = at(config.load({}), path)
    read = yaml.safe_load(yaml.safe_dump(content(path, default)))
    again = at(config.load(read), path)
    assert again == default and type(again) is type(default)


@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
def test_what_is_no_number_is_refused_with_key_and_unit(path):
    key = ".".join(path)
    for value in ("a text", [1.0, 2.0, 3.0], True, math.nan, math.inf):
        sentence = refused(path, value)
        assert sentence.startswith(f"config key '{key}") and sentence.count("\n") == 0, value
        if key.endswith(tuple(UNITS)) and sentence.startswith(f"config key '{key}' must be"):
            assert any(f" in {name}" in sentence for name in UNITS.values()), value


SPANS = [path for path in NUMBERS if path[-1].endswith(("_s", "_h")) or path[-1] == "days"]
CENTURY = {"_s": 3_155_760_000, "_h": 876_600, "ys": 36_525}  # of Julian years


@pytest.mark.parametrize("path", SPANS, ids=".".join)
def test_a_span_of_time_is_a_century_at_most(path):
    """As a span of 1e12 s leaves the calendar, a plan with it ended in an OverflowError."""
    longest = CENTURY[path[-1][-2:]]
    now = datetime.now(UTC)
    unit = {"_s": "seconds", "_h": "hours", "ys": "days"}[path[-1][-2:]]
    assert now - timedelta(**{unit: longest}) < now + timedelta(**{unit: longest})
    assert at(config.load(content(path, longest)), path) == longest
    for value in (1e10, 1e12, 1e300, 10**18):
        assert refused(path, value).startswith(f"config key '{'.'.join(path)}' must be"), value


def test_the_spans_are_found():
    found = {".".join(path) for path in SPANS}
    assert len(found) >= 17 and {"ingest.deadline_s", "calibration.bandpass_validity_h"} <= found


@pytest.mark.parametrize("path", SWITCHES, ids=".".join)
@pytest.mark.parametrize("value", [0, 1, "yes", None], ids=str)
def test_a_switch_is_true_or_false_and_nothing_that_looks_like_it(path, value):
    assert f"config key '{'.'.join(path)}' must be" in refused(path, value)


@pytest.mark.parametrize("path", sorted({path[:-1] for path, *_ in KEYS if len(path) > 1}), ids=".".join)
def test_an_unknown_key_of_a_section_is_named_with_its_section(path):
    sentence = refused((*path, "no_such_key_at_all"), 1)
    assert sentence.startswith(f"config key '{'.'.join(path)}.no_such_key_at_all' is unknown")


@pytest.mark.parametrize("path", sorted({path[:-1] for path, *_ in KEYS if len(path) > 1}), ids=".".join)
@pytest.mark.parametrize("value", [3, "text", [1]], ids=str)
def test_a_section_holds_keys(path, value):
    name = ".".join(path)
    assert refused(path, value) == f"config section '{name}' must hold keys: write it as '{name}: {{key: value}}'"


def test_a_key_that_is_almost_right_is_guessed():
    for path in NUMBERS[:40]:
        wrong = (*path[:-1], f"{path[-1]}x")
        assert f"(did you mean '{'.'.join(path)}'?)" in refused(wrong, 1)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Number, [0, -1.5, "1e3", "-2.5E-3", ".5e1"], ["1000", "1_000", "e3", "", None, "nan", "1e3 s"]),
        (Positive, [1e-9, 3], [0, -1, "-1e3"]),
        (NotNegative, [0, 0.0, 2], [-1e-9]),
        (Fraction, [0, 0.5, 1], [-0.1, 1.1]),
        (Count, [1, 7], [0, 1.5, "3"]),
        (Night, ["2026-02-11", "2024-02-29"], ["2026-2-11", "2026-02-30", "20260211", 20260211, "2026-02-11T00"]),
    ],
)
def test_a_type_accepts_its_values_and_no_others(kind, good, bad):
    adapter = TypeAdapter(kind)
    for value in good:
        adapter.validate_python(value, strict=isinstance(value, int | float))
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value, strict=True)


def test_a_text_with_an_exponent_is_its_number():
    adapter = TypeAdapter(Number)
    assert [adapter.validate_python(text) for text in ("1e3", "-2.5E-3", "+.5e1")] == [1000.0, -0.0025, 5.0]


@pytest.mark.parametrize(("rule", "section"), [(r, s) for r, sections in USED_KEYS.items() for s in sections])
def test_the_keys_that_a_rule_uses_exist_and_are_handed_on(rule, section):
    options = getattr(config.load({}), section)
    names = USED_KEYS[rule][section]
    used = used_options(rule, section, options)
    later = set(LATER_KEYS.get(section, ()))
    assert set(used) == set(type(options).model_fields if names is None else names) - later
    assert type(options)(**used) == options  # the defaults of the others fill in


def test_a_key_of_a_later_version_changes_nothing_until_it_is_set():
    options = config.load({}).mosaic
    before = {name for name in type(options).model_fields if name != "compression"}
    assert set(used_options("mosaic_group", "mosaic", options)) == before
    changed = options.model_copy(update={"compression": "lossless"})
    assert used_options("mosaic_group", "mosaic", changed)["compression"] == "lossless"


def test_all_options_of_a_section_leave_out_keys_of_a_later_version_until_they_are_set():
    options = config.load({}).publish
    assert set(section_options("publish", options)) == set(type(options).model_fields) - set(LATER_KEYS["publish"])
    changed = options.model_copy(update={"licence": "CC0-1.0"})
    assert section_options("publish", changed)["licence"] == "CC0-1.0"
    assert type(options)(**section_options("publish", changed)) == changed


def test_a_rule_that_uses_nothing_of_a_section_is_a_mistake_of_the_caller():
    with pytest.raises(KeyError):
        used_options("mosaic_group", "ingest", config.load({}).ingest)


@pytest.mark.parametrize("path", [path for path in NUMBERS if len(path) == 2], ids=".".join)
def test_a_changed_key_reaches_the_rules_that_use_it_and_no_others(path):
    """Changed by a little, so that it stays within its range."""
    section, key = path
    before = config.load({})
    options = getattr(before, section)
    value = getattr(options, key)
    changed = options.model_copy(update={key: value + (1 if isinstance(value, int) else 0.01)})
    for rule, sections in USED_KEYS.items():
        if section in sections:
            names = sections[section]
            differs = used_options(rule, section, options) != used_options(rule, section, changed)
            assert differs is (names is None or key in names), rule
