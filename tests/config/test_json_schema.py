"""The published JSON schema: that of the keys, and the same answers as the configuration itself."""

import json

import jsonschema
import pytest
import yaml

from contimg import config
from contimg.config import schema_file
from contimg.errors import ConfigError

SCHEMA = json.loads(config.as_json_schema())


def valid(overlay):
    """Return whether the schema accepts an overlay."""
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(overlay)


def test_the_file_is_made_from_the_sections():
    assert schema_file().read_text() == config.as_json_schema(), "run `make config`"


def test_it_is_a_schema_and_accepts_the_defaults():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert valid(yaml.safe_load(config.default_file().read_text()))
    assert valid({}) and valid({"nights": ["2026-02-11", "2026-02-12..2026-02-14"], "image": {"robust": 0}})


@pytest.mark.parametrize(
    "overlay",
    [
        {"imag": {}},
        {"image": {"robst": 0.5}},
        {"image": {"size_px": "many"}},
        {"image": {"backend": "tclean"}},
        {"ingest": {"cluster_s": 0}},
        {"ingest": {"settle_s": -1}},
        {"beam": {"fwhm_scale": 3.0}},
        {"group": {"tiles": 0}},
        {"nights": ["yesterday"]},
        {"keep": ["images"]},
    ],
)
def test_what_the_configuration_refuses_the_schema_refuses(overlay):
    with pytest.raises(ConfigError):
        config.load(overlay)
    assert not valid(overlay)


def test_every_key_has_its_meaning():
    nameless = [
        f"{name}.{key}"
        for name, section in SCHEMA["$defs"].items()
        for key, content in section["properties"].items()
        if not content.get("description") and "$ref" not in content
    ]
    assert nameless == []
