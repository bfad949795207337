"""The frozen plan, whole and damaged."""

import json

import pytest

from contimg.errors import InputError
from contimg.plan.frozen import freeze, frozen_plan, read_thresholds, working_folder
from contimg.plan.model import Plan, Waiting
from tests.support import mosaics


@pytest.fixture
def config(tmp_path):
    config = mosaics.config_below(tmp_path)
    freeze(Plan(waiting=[Waiting(mosaics.MOSAIC, "group", "no_bandpass", "none", mosaics.GROUP)], notes=["a"]), config)
    return config


def test_a_frozen_plan_is_read_back(config, tmp_path, monkeypatch):
    assert frozen_plan(config).waiting[0].id == mosaics.MOSAIC
    assert read_thresholds(config.layout.frozen_plan, "qa")["version"] == config.qa.version
    monkeypatch.chdir(tmp_path)
    freeze(Plan(), config)
    assert working_folder(config) == tmp_path


def test_a_changed_byte_is_noticed(config):
    """It changed a threshold, or what a job is made of, without a word."""
    place = config.layout.frozen_plan
    content = json.loads(place.read_text())
    content["thresholds"]["qa"]["max_tile_noise_ratio"] += 1
    place.write_text(json.dumps(content))
    for read in (lambda: frozen_plan(config), lambda: read_thresholds(place, "qa")):
        with pytest.raises(
            InputError, match=rf"^{place} is damaged \(it does not have .+: start the work with snakemake"
        ):
            read()
    assert working_folder(config) is None


@pytest.mark.parametrize(
    "part", ["tiles", "groups", "calibrations", "choices", "quarantined", "waiting", "late", "notes"]
)
@pytest.mark.parametrize("value", [None, 3, "text", [1], {"a": 1}, {"a": []}])
def test_one_that_describes_no_plan_is_damaged(config, part, value):
    place = config.layout.frozen_plan
    content = json.loads(place.read_text()) | {part: value}
    del content["sha256"]
    place.write_text(json.dumps(content))
    try:
        found = frozen_plan(config)
    except InputError as error:
        assert str(error).startswith(f"{place} is damaged (it describes no plan): start the work with snakemake")
    else:
        assert part == "notes" and isinstance(found.notes, list)


@pytest.mark.parametrize("value", [None, 3, ["x"], {}])
def test_a_working_folder_that_is_none(config, value):
    place = config.layout.frozen_plan
    place.write_text(json.dumps({"working_folder": value}))
    assert working_folder(config) is None
