"""A changed key of the configuration reruns the rules that work with it, and no other."""

import json

import pytest

from tests.workflow.conftest import simulate

# What follows a verdict: pages and rows for people, seconds of work.
TAIL = {"summarise_mosaic": 1, "register_mosaic": 1, "publish_mosaic": 1}
CROSSMATCH = {"crossmatch_mosaic": 1} | TAIL
MOSAIC = {"mosaic_group": 1} | CROSSMATCH

RERUNS = [
    ("ingest", "settle_s", 30.0, {}),
    ("ingest", "deadline_s", 7200.0, {}),
    ("calibration", "gain_validity_min", 45.0, {}),
    ("calibration", "bandpass_validity_h", 20.0, {}),
    ("calibration", "policy", "causal", {}),
    ("publish", "max_attempts", 7, {"publish_mosaic": 1}),
    ("qa", "max_noise_ratio", 4.5, TAIL),
    ("qa", "version", 99, TAIL),
    ("qa", "max_tile_striping", 99.0, TAIL),
    ("calibration", "max_phase_scatter_deg", 77.0, TAIL),
    ("calibration", "min_median_snr", 9.0, TAIL),
    ("crossmatch", "radius_arcsec", 33.0, CROSSMATCH),
    ("mosaic", "max_beam_deviation", 0.9, MOSAIC),
]


@pytest.fixture(scope="module")
def one_tile(tmp_path_factory):
    """A night of one tile, published; it is named, so that it is looked at though it is settled."""
    place = tmp_path_factory.mktemp("keys") / "night"
    night = simulate(
        place, "--tiles", "1", "--antennas", "20", "--channels", "3", "--sources", "8", "--max-baseline", "500"
    )
    night.first_run = night.snakemake("--quiet", "rules")
    return night


@pytest.mark.parametrize(
    ("section", "key", "value", "rules"), RERUNS, ids=lambda v: str(v) if isinstance(v, str) else ""
)
def test_only_the_rules_that_use_a_key_run_again(one_tile, section, key, value, rules):
    before = one_tile.config_file.read_text()
    one_tile.change_config(**{section: {key: value}})
    try:
        assert one_tile.planned() == rules
    finally:
        one_tile.config_file.write_text(before)


def test_a_threshold_that_a_tile_no_longer_meets_makes_the_mosaic_again(one_tile):
    before = one_tile.config_file.read_text()
    one_tile.change_config(qa={"max_tile_noise_ratio": 0.01})
    try:
        assert one_tile.planned() == MOSAIC
    finally:
        one_tile.config_file.write_text(before)


def test_a_changed_threshold_changes_the_verdict_without_any_imaging(one_tile):
    """The last test of this module: the night's mosaic has a second version after it."""
    (image,) = (one_tile.stage / "images").glob("*/*.json")
    (marker,) = (one_tile.stage / "published").glob("*/*.json")
    made = image.stat().st_mtime_ns
    first = json.loads(marker.read_text())
    assert (first["status"], first["version"]) == ("published", 1)
    one_tile.change_config(qa={"max_noise_ratio": 0.5, "warn_noise_ratio": 0.4})
    one_tile.snakemake("--quiet", "rules")
    second = json.loads(marker.read_text())
    assert (second["status"], second["version"]) == ("held", 2)
    assert "noise over the expected" in second["message"] and "0.5 (qa.max_noise_ratio)" in second["message"]
    assert image.stat().st_mtime_ns == made
    record = json.loads(one_tile.contimg("report", "--json").stdout)
    assert "failed" in json.dumps(record)
    assert one_tile.planned() == {}
