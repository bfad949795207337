"""What the registry has not judged, as after a power cut, is judged from the copy that is left."""

import shutil

import pytest
from sqlalchemy import update

from contimg.products.twin import Reason
from contimg.publishing import decisions
from contimg.publishing.deciding import Named
from contimg.publishing.finalize import finalize
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.schema import data_registry
from tests.support import mosaics

ID = mosaics.MOSAIC
PENDING = {
    "status": "staging", "qa_status": "pending", "validation_status": "pending", "finalization_status": "pending",
    "held_json": None, "staged_at": None, "published_path": None, "published_at": None,
}  # fmt: skip


def unjudge(registry):
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(**PENDING))


@pytest.mark.parametrize("lost", ["stage", "nothing"])
def test_it_is_judged_from_the_copy_in_sight(registry, config, lost):
    final = mosaics.run(config).path
    before = queries.get(registry, ID)
    unjudge(registry)
    if lost == "stage":
        shutil.rmtree(before["stage_path"])
    assert [one.code for one in reconcile(registry, config.layout)][:2] == ["not_judged", "not_recorded"]
    after = queries.get(registry, ID)
    same = ("status", "qa_status", "validation_status", "finalization_status", "staged_at", "published_at", "sha256")
    assert [after[key] for key in same] == [before[key] for key in same] and final.is_dir()


@pytest.mark.parametrize("made", [{}, {"data": {"n_subbands": 3}}], ids=["equal", "poorer"])
def test_a_later_version_is_compared_from_the_copy_in_sight(registry, config, made):
    """Its bundle on the stage was removed after it was published; then a power cut took its verdict away."""
    mosaics.run(config)
    if mosaics.run(config, seed=2, **made).status == "held":
        decisions.approve(registry, config.layout, Named(ID, 2), "the best there is")
        publish_mosaic(ID, config, waits_s=())
    before = queries.get(registry, ID, 2)
    with registry.transaction() as connection:
        connection.execute(update(data_registry).where(data_registry.c.version == 2).values(**PENDING))
    shutil.rmtree(before["stage_path"])
    codes = [one.code for one in reconcile(registry, config.layout)]
    assert codes[0] == "not_judged" and "not_recorded" in codes
    after = queries.get(registry, ID, 2)
    assert [after[key] for key in ("status", "held_json")] == ["published", before["held_json"]]


def test_the_place_that_is_named_is_the_one_that_is_read(registry, config):
    """A damaged copy elsewhere says nothing."""
    final = mosaics.run(config).path
    unjudge(registry)
    stage = config.paths.stage / "registered"
    shutil.rmtree(stage)
    assert finalize(registry, config.layout, ID, 1, place=final).qa_status == "passed"


def test_one_that_was_approved_is_judged_as_before(registry, config):
    poor = Reason(code="high_noise", severity="failed", message="three times the thermal noise")
    mosaics.make_mosaic(config, reasons=[poor])
    register_mosaic(ID, config)
    publish_mosaic(ID, config, waits_s=())
    decisions.approve(registry, config.layout, ID, "the best there is")
    final = publish_mosaic(ID, config, waits_s=()).path
    held = queries.get(registry, ID)["held_json"]
    unjudge(registry)
    shutil.rmtree(config.paths.stage / "registered")
    reconcile(registry, config.layout)
    after = queries.get(registry, ID)
    assert (after["status"], after["qa_status"], after["held_json"]) == ("published", "failed", held) and final.is_dir()
