"""The record of a bundle that a dying publisher had moved into sight, lost or edited before the registry knew of it.

Seed 2140986 of `contimg replay`: one reconciling recorded the publication, and a second one the record.
"""

import json

import pytest

from contimg.bundle.bundle import PUBLICATION
from contimg.bundle.record import Decision, decisions_in, read_record, with_decisions
from contimg.errors import RegistryError
from contimg.products.twin import Reason
from contimg.publishing import decisions, publish
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.publishing.scrub import verify_row
from contimg.registry import queries
from tests.publishing.test_reconcile import change
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture(params=["passed", "approved"])
def moved(request, registry, config):
    """A bundle in sight whose publisher died before it recorded that."""
    poor = Reason(code="high_noise", severity="failed", message="three times the thermal noise")
    mosaics.make_mosaic(config, reasons=[poor] if request.param == "approved" else [])
    register_mosaic(ID, config)
    publish_mosaic(ID, config, waits_s=())
    if request.param == "approved":
        decisions.approve(registry, config.layout, ID, "the best there is")
        publish_mosaic(ID, config, waits_s=())
    change(registry, status="staging", published_path=None, published_at=None)
    return config.layout.bundle(ID, 1)


def lose(record):
    record.unlink()


def empty(record):
    record.unlink()
    record.write_text("{}")


def edit(record):
    content = json.loads(record.read_text()) | {"qa_status": "warning", "created_at": "2020-01-01T00:00:00.000Z"}
    record.unlink()
    record.write_text(json.dumps(content))


def finish_by_hand(registry, config):
    reconcile(registry, config.layout)


def finish_by_job(registry, config):
    publish.publish(registry, config.layout, ID, claim_s=600.0, max_attempts=5)


@pytest.mark.parametrize("finish", [finish_by_hand, finish_by_job])
@pytest.mark.parametrize("harm", [lose, empty, edit])
def test_it_is_whole_once_the_publication_is_recorded(registry, config, moved, harm, finish):
    harm(moved / PUBLICATION)
    finish(registry, config)
    row = queries.get(registry, ID)
    assert row["status"] == "published" and verify_row(registry, row)["ok"]
    record = read_record(moved)
    assert record["published_at"] == row["published_at"] and record["qa_status"] == row["qa_status"]
    kinds = [one.decision for one in decisions_in(record, moved)]
    assert kinds == (["approved"] if row["approved_by"] else [])
    assert reconcile(registry, config.layout) == []
    publish_mosaic(ID, config, waits_s=())


def test_a_decision_in_it_that_the_registry_does_not_know_is_not_lost(registry, config, moved):
    """As of a registry that was restored from a backup of before."""
    record = read_record(moved)
    known = decisions_in(record, moved)
    withdrawn = Decision("2030-01-01T00:00:00.000Z", "withdrawn", "a satellite", "Ada", "host")
    (moved / PUBLICATION).unlink()
    (moved / PUBLICATION).write_text(json.dumps(with_decisions(record, [*known, withdrawn])))
    with pytest.raises(RegistryError, match=rf"decided about meanwhile, .*: type contimg reconcile {ID}"):
        finish_by_job(registry, config)
    assert withdrawn in decisions_in(read_record(moved), moved)
