"""Damaged twins are set aside by a run and only named by a dry run."""

import json

import pytest

from contimg import naming
from contimg.operations.damaged_twins import is_dry_run, set_aside_damaged_twins
from contimg.products.judged import verdict_of_image
from contimg.products.twin import DamagedTwinError, Twin, read_twin, write_twin
from tests.operations.test_targets import planned

TORN = {
    "empty": b"",
    "half": b'{"kind": "image", "id": "2026',
    "noise": bytes(range(128, 256)),
    "deep": b"[" * 100_000,
    "list": b"[1]",
    "keys": b'{"kind": "image"}',
    "verdict": b'{"kind": "image", "id": "x", "verdict": "fine", "synthetic": true}',
}


@pytest.fixture
def stage(tmp_path):
    """A plan of which every product has a whole twin."""
    config, plan = planned(tmp_path)
    layout = config.layout
    tiles = [tile for group in plan.groups.values() for tile in group.tiles]
    names = [(kind, naming.iso(tile)) for kind in ("ms", "calibrated", "image") for tile in tiles]
    for kind, name in [*names, *(("mosaic", naming.mosaic_id(group)) for group in plan.groups)]:
        write_twin(layout.twin(kind, name), Twin(kind=kind, id=name, verdict="failed", synthetic=True))
    for group in plan.groups:
        marker = {"status": "registered", "version": 1, "time": "2026-02-12T00:00:00Z"}
        layout.twin("registered", group).parent.mkdir(parents=True, exist_ok=True)
        layout.twin("registered", group).write_text(json.dumps(marker))
    return config, plan


def content_of(config):
    return {path: path.read_bytes() for path in config.layout.stage.rglob("*.json*")}


def test_a_whole_stage_is_left_alone(stage):
    before = content_of(stage[0])
    assert set_aside_damaged_twins(*stage, dry_run=False) == []
    assert content_of(stage[0]) == before


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
@pytest.mark.parametrize("kind", ["ms", "calibrated", "image", "mosaic"])
def test_a_torn_twin_is_set_aside_with_its_bytes(stage, kind, torn):
    config, plan = stage
    name = next(iter(plan.groups)) if kind == "mosaic" else next(iter(plan.tiles))
    path = config.layout.twin(kind, name)
    path.write_bytes(torn)
    before = content_of(config)
    (said,) = set_aside_damaged_twins(config, plan, dry_run=True)
    assert str(path) in said and "will set it aside" in said
    assert content_of(config) == before
    (said,) = set_aside_damaged_twins(config, plan, dry_run=False)
    assert said.endswith(f"set aside as {path.name}.damaged, and its product is made again")
    assert not path.exists() and path.with_name(path.name + ".damaged").read_bytes() == torn
    assert set_aside_damaged_twins(config, plan, dry_run=False) == []


def test_the_twin_of_another_product_is_damaged(stage):
    config, plan = stage
    first, second = list(plan.tiles)[:2]
    config.layout.twin("image", second).write_bytes(config.layout.twin("image", first).read_bytes())
    config.layout.twin("ms", first).write_bytes(config.layout.twin("calibrated", first).read_bytes())
    said = set_aside_damaged_twins(config, plan, dry_run=False)
    assert [f"is the twin of {kind} {first}" in text for kind, text in zip(("calibrated", "image"), said, strict=True)]


def test_a_twin_that_lacks_its_facts_is_damaged_unless_it_failed(stage):
    config, plan = stage
    tile = next(iter(plan.tiles))
    path = config.layout.twin("image", tile)
    write_twin(path, read_twin(path).model_copy(update={"verdict": "passed"}))
    (said,) = set_aside_damaged_twins(config, plan, dry_run=False)
    assert f"{path} does not say its" in said


@pytest.mark.parametrize("torn", [b"", b"[1]", b'{"status": "registered"}', b"[" * 100_000])
def test_a_torn_marker_is_set_aside(stage, torn):
    config, plan = stage
    marker = config.layout.twin("registered", next(iter(plan.groups)))
    marker.write_bytes(torn)
    (said,) = set_aside_damaged_twins(config, plan, dry_run=False)
    assert f"{marker} is damaged" in said and not marker.exists()


def test_an_image_with_a_damaged_twin_has_no_verdict(stage):
    config, plan = stage
    tile = next(iter(plan.tiles))
    assert verdict_of_image(config, tile) == "passed"  # no reason against it
    config.layout.twin("image", tile).write_bytes(b"{")
    assert verdict_of_image(config, tile) is None
    with pytest.raises(DamagedTwinError):
        read_twin(config.layout.twin("image", tile))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-n", True), ("--dry-run", True), ("--dryrun", True), ("-np", True), ("-pn", True), ("-kpn -c 2", True),
        ("--cores 2", False), ("-j 2 --nolock", False), ("--notemp", False), ("-c2", False), ("-s nights.smk", False),
        ("-d /n", False), ("--quiet rules", False), ("-qn", False), ("", False), ("-", False),
    ],
)  # fmt: skip
def test_a_dry_run_is_known_by_its_words(words, expected):
    assert is_dry_run(["snakemake", *words.split()]) is expected
