"""Rows and events that somebody edited with SQL: noticed, nothing unapproved is published, and no decision is lost."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from contimg.bundle import bundle
from contimg.bundle.record import decisions_in, read_record
from contimg.errors import RegistryError
from contimg.publishing import archive_root, decisions
from contimg.publishing.publish import PublishFailed, publish
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register import register
from contimg.publishing.register_mosaic import register_mosaic
from contimg.publishing.scrub import verify_row
from contimg.registry import queries
from tests.publishing.test_reconcile import disk
from tests.support import mosaics

ID = mosaics.MOSAIC


def sql(registry, statement, **values):
    with registry.transaction() as connection:
        connection.execute(text(statement), values)


def decided(registry):
    """The events of decisions, with all but their numbers and processes."""
    kinds = ("approved", "withdrawn", "restored", "cited")
    return sorted(
        (one["time"], one["event"], one["message"], one["actor"], one["host"])
        for one in queries.events(registry, ID)
        if one["event"] in kinds
    )


def edit(registry, **values):
    sql(registry, f"UPDATE data_registry SET {', '.join(f'{name} = :{name}' for name in values)}", **values)


def found_in(registry, config):
    """Reconcile; return the codes, without markers, and hold that a second time finds the same or nothing."""
    found = [one for one in reconcile(registry, config.layout) if one.code != "marker_differs"]
    again = [one.code for one in reconcile(registry, config.layout)]
    assert again == [one.code for one in found if one.needs_person]
    return [one.code for one in found]


def status(registry):
    return queries.get(registry, ID)["status"]


def sees(registry):
    return verify_row(registry, queries.get(registry, ID))["problems"]


def publish_now(registry, config):
    return publish(registry, config.layout, ID, claim_s=60, max_attempts=3)


@pytest.fixture
def held(registry, config):
    mosaics.make_mosaic(config, reasons=[mosaics.FAILED])
    register_mosaic(ID, config)
    assert status(registry) == "held"


@pytest.fixture
def approved(registry, config, held):
    decisions.approve(registry, config.layout, ID, "the best there is")
    assert publish_now(registry, config).status == "published"
    return config.layout.bundle(ID, 1)


@pytest.mark.parametrize("rejected", [False, True])
def test_a_state_that_nobody_decided_publishes_nothing(registry, config, held, rejected):
    if rejected:
        decisions.reject(registry, config.layout, ID, "no")
    edit(registry, status="staging")
    with pytest.raises(PublishFailed, match="has rejected it" if rejected else "nobody approved it"):
        publish_now(registry, config)
    assert not config.layout.bundle(ID, 1).exists()
    assert found_in(registry, config) == (["row_differs"] if rejected else ["unapproved"])
    assert status(registry) == ("rejected" if rejected else "held")


def test_an_approval_that_is_in_no_record_publishes_nothing(registry, config, held):
    edit(registry, status="staging", approved_by="eve", approved_at="2026-02-12T00:00:00.000Z", approved_reason="so")
    with pytest.raises(PublishFailed, match="approved by eve, and no decision of theirs is known"):
        publish_now(registry, config)
    assert not config.layout.bundle(ID, 1).exists()
    assert found_in(registry, config) == ["unapproved"]


def test_what_was_held_for_another_version_is_not_published_by_its_state(registry, config):
    """It passed by itself, and a person was to compare it."""
    mosaics.run(config)
    mosaics.make_mosaic(config, seed=2, rms_mjy=8.0)
    register_mosaic(ID, config)
    assert status(registry) == "held" and queries.get(registry, ID)["qa_status"] == "passed"
    sql(registry, "UPDATE data_registry SET status = 'staging' WHERE version = 2")
    with pytest.raises(PublishFailed, match="nobody approved it"):
        publish_now(registry, config)
    assert found_in(registry, config) == ["unapproved"] and status(registry) == "held"


def test_what_was_approved_stays_in_sight(registry, config, approved):
    edit(registry, status="held", published_path=None)
    assert found_in(registry, config) == ["row_differs", "not_recorded"]
    assert status(registry) == "published" and approved.is_dir() and sees(registry) == []


def test_what_was_decided_is_written_into_the_row_and_not_the_reverse(registry, config, approved):
    decisions.cite(registry, config.layout, ID, "10.5555/right")
    before = read_record(approved)
    edit(registry, doi="10.5555/wrong", approved_by="eve", approved_reason="forged")
    assert "(approved_by, approved_reason, doi): contimg reconcile" in sees(registry)[0]
    assert found_in(registry, config) == ["row_differs"]
    row = queries.get(registry, ID)
    assert (row["doi"], row["approved_reason"]) == ("10.5555/right", "the best there is")
    assert read_record(approved) == before and row["approved_by"] == before["approved_by"] and sees(registry) == []


def test_a_row_and_both_records_that_were_edited_are_right_after_one_run(registry, config, approved):
    """One record lost its decisions, the other one says otherwise than the row, and the row than the decisions."""
    stage = Path(queries.get(registry, ID)["stage_path"])
    for place, edits in ((stage, {"decisions": []}), (approved, {"staged_at": "2026-01-01T00:00:00.000Z"})):
        record = place / bundle.PUBLICATION
        content = json.loads(record.read_bytes()) | edits
        record.chmod(0o644)
        record.write_bytes(bundle.json_bytes(content))
    edit(registry, approved_by="eve")
    assert set(found_in(registry, config)) == {"row_differs", "record_lost", "record_differs"}
    assert reconcile(registry, config.layout) == [] and sees(registry) == []


@pytest.mark.parametrize(
    ("column", "forged"), [("message", "forged"), ("actor", "eve (uid 1, eve)"), ("host", "elsewhere")]
)
@pytest.mark.parametrize("edited", ["registry", "record"])
def test_a_decision_that_was_edited_needs_a_person(registry, config, approved, edited, column, forged):
    """Registry and record hold two forms of it, and nothing tells which is right: neither is copied to the other."""
    stage = Path(queries.get(registry, ID)["stage_path"])
    records = [place / bundle.PUBLICATION for place in (approved, stage)]
    if edited == "registry":
        sql(registry, f"UPDATE publish_events SET {column} = :forged WHERE event = 'approved'", forged=forged)
    else:
        name = {"message": "reason", "actor": "by", "host": "host"}[column]
        for record in records:
            content = json.loads(record.read_bytes())
            content["decisions"][0][name] = forged
            record.chmod(0o644)
            record.write_bytes(bundle.json_bytes(content))
    before = decided(registry), [record.read_bytes() for record in records]
    (found,) = reconcile(registry, config.layout)
    assert (found.code, found.needs_person) == ("decision_differs", True)
    assert forged in found.message and f"{records[0]} that" in found.message
    assert (decided(registry), [record.read_bytes() for record in records]) == before
    for record in records:  # the remedy for a registry that is right
        record.unlink()
    assert not any(one.needs_person for one in reconcile(registry, config.layout))
    assert reconcile(registry, config.layout) == [] and decided(registry) == before[0]
    (written,) = decisions_in(read_record(approved), approved)
    assert (written.time, written.decision, written.reason, written.by, written.host) == before[0][0]


@pytest.mark.parametrize("lost", ["approved", "withdrawn", "cited"])
def test_an_event_that_was_deleted_comes_back_from_the_record(registry, config, approved, lost):
    """Also one before others that are known: it is written into the registry, and not out of the record."""
    decisions.cite(registry, config.layout, ID, "10.5555/right")
    decisions.withdraw(registry, config.layout, ID, "a wrong scale")
    decisions.restore(registry, config.layout, ID, "it was right")
    row = queries.get(registry, ID)
    before, record = decided(registry), read_record(approved)
    sql(registry, "DELETE FROM publish_events WHERE event = :event", event=lost)
    assert "does not say what the registry does (decisions)" in sees(registry)[0]
    assert found_in(registry, config) == ["decision_lost"]
    assert decided(registry) == before and read_record(approved) == record
    assert queries.get(registry, ID) | {"problem_at": None} == row and sees(registry) == []


def test_a_withdrawal_that_was_deleted_still_hides_what_was_cited_since(registry, config):
    sight = mosaics.run(config).path
    decisions.withdraw(registry, config.layout, ID, "a wrong scale")
    decisions.cite(registry, config.layout, ID, "10.5555/right")
    sql(registry, "DELETE FROM publish_events WHERE event = 'withdrawn'")
    edit(registry, status="published", published_path=str(sight.relative_to(config.paths.products)))
    assert found_in(registry, config) == ["decision_lost"]
    assert status(registry) == "withdrawn" and not sight.exists()


@pytest.mark.parametrize("change", ["time = ''", "time = '2026-02-30'", "message = 'x' || chr(10)", "message = 'x'"])
def test_a_damaged_event_is_not_written_into_a_record(registry, config, change):
    mosaics.run(config)
    decisions.cite(registry, config.layout, ID, "10.5555/right")
    if registry.engine.dialect.name == "sqlite":
        change = change.replace("chr(", "char(")
    sql(registry, f"UPDATE publish_events SET {change} WHERE event = 'cited'")
    before = disk(config)
    said = f"the registry's event 'cited' of {ID} version 1 is damaged"
    assert said in sees(registry)[0]
    (found,) = reconcile(registry, config.layout)
    assert (found.code, found.needs_person) == ("unreadable", True) and said in found.message
    assert disk(config) == before


@pytest.mark.parametrize("place", ["", "x", "/etc", "registered/2026-02-11/{id}/v2"])
def test_nothing_is_made_or_removed_where_a_row_wrongly_says_its_bundle_stands(registry, config, place):
    """The second version's place is among them: it was removed, and the first one's bundle put there."""
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    mosaics.make_mosaic(config, seed=2, rms_mjy=3.9)
    register_mosaic(ID, config)
    sql(registry, "UPDATE data_registry SET status = 'staging', stage_path = :place WHERE version = 1",
        place=place.format(id=ID))  # fmt: skip
    before = disk(config)
    found = [one for one in reconcile(registry, config.layout) if one.version == 1]
    assert [(one.code, one.needs_person) for one in found] == [("unreadable", True)]
    assert "damaged in its column stage_path" in found[0].message
    assert {name: content for name, content in disk(config).items() if name in before} == before


@pytest.mark.parametrize("place", ["", "x", "/etc", "mosaics"])
def test_the_place_of_what_is_published_is_corrected(registry, config, place):
    sight = mosaics.run(config).path
    edit(registry, published_path=place)
    assert sees(registry) != []
    assert found_in(registry, config) == ["not_recorded"]
    assert queries.get(registry, ID)["published_path"] == str(sight) and sees(registry) == []


WRONG = {"data_type": "tile", "synthetic": False, "qa_status": "warning"}


@pytest.mark.parametrize("column", [*WRONG, "metadata_json"])
def test_a_row_that_contradicts_its_bundle_is_noticed_and_not_published(registry, config, column):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    row = queries.get(registry, ID)
    value = WRONG.get(column, json.dumps(json.loads(row["metadata_json"]) | {"rms_mjy": 0.1}))
    edit(registry, **{column: value})
    assert found_in(registry, config) == (["unapproved"] if column == "qa_status" else ["verdict_differs"])
    with pytest.raises(PublishFailed, match="nobody approved it" if column == "qa_status" else column):
        publish_now(registry, config)
    edit(registry, **{column: row[column]})
    sight = publish_now(registry, config).path
    if column == "qa_status":
        return  # of what is published a constraint keeps it
    edit(registry, **{column: value})
    assert column in sees(registry)[0] and found_in(registry, config) == ["verdict_differs"]
    assert bundle.problem(sight, row["sha256"]) is None


def test_a_withdrawn_row_of_another_digest_is_noticed(registry, config):
    mosaics.run(config)
    decisions.withdraw(registry, config.layout, ID, "wrong")
    edit(registry, sha256="0" * 64)
    assert found_in(registry, config) == ["altered"]


def test_a_forged_approval_of_what_is_in_sight_is_noticed_and_written_nowhere(registry, config):
    """The mosaic did not pass; somebody copied its bundle into the archive, and set its row with SQL."""
    mosaics.make_mosaic(config, reasons=[mosaics.FAILED])
    register_mosaic(ID, config)
    sight = config.layout.bundle(ID, 1)
    shutil.copytree(queries.get(registry, ID)["stage_path"], sight)
    archive_root.require(registry, config.layout, make=True)
    edit(registry, status="published", published_at="2026-02-12T00:00:00.000Z", approved_by="eve",
         approved_at="2026-02-12T00:00:00.000Z", approved_reason="so",
         published_path=str(sight.relative_to(config.paths.products)))  # fmt: skip
    assert "approved by eve, and no decision of theirs is known" in sees(registry)[0]
    before = disk(config)
    assert found_in(registry, config) == ["unapproved"]
    assert disk(config) == before and read_record(sight)["approved_by"] is None
    decisions.withdraw(registry, config.layout, ID, "forged")
    assert not sight.exists()
    with pytest.raises(RegistryError, match="approved by eve, and no decision of theirs is known: type 'contimg rec"):
        decisions.restore(registry, config.layout, ID, "it was right")


CLOSED = {"withdrawn": (), "rejected": (mosaics.FAILED,), "superseded": (mosaics.FAILED,)}


@pytest.fixture(params=CLOSED)
def closed(request, registry, config):
    """A version that was withdrawn, rejected or superseded; its state."""
    mosaics.run(config, reasons=CLOSED[request.param])
    if request.param == "withdrawn":
        decisions.withdraw(registry, config.layout, ID, "wrong")
    elif request.param == "rejected":
        decisions.reject(registry, config.layout, ID, "no")
    else:
        mosaics.run(config, seed=2)
    assert queries.get(registry, ID, 1)["status"] == request.param
    assert reconcile(registry, config.layout) == []
    return request.param


@pytest.mark.parametrize("column", [*WRONG, "metadata_json", "sha256"])
def test_an_edited_row_of_what_is_closed_is_noticed_and_not_written_into_its_record(registry, config, closed, column):
    row = queries.get(registry, ID, 1)
    metadata = json.dumps(json.loads(row["metadata_json"]) | {"rms_mjy": 0.1})
    value = (WRONG | {"metadata_json": metadata, "sha256": "0" * 64})[column]
    before = {name: content for name, content in disk(config).items() if "publication.json" in name}
    sql(registry, f"UPDATE data_registry SET {column} = :value WHERE version = 1", value=value)
    assert found_in(registry, config) == ["altered" if column == "sha256" else "verdict_differs"]
    assert {name: content for name, content in disk(config).items() if name in before} == before
    sql(registry, f"UPDATE data_registry SET {column} = :value WHERE version = 1", value=row[column])
    assert found_in(registry, config) == []


def test_what_was_closed_before_it_was_judged_says_nothing_about_its_verdict(registry, config):
    mosaics.make_mosaic(config)
    register(registry, config.layout, ID, auto_publish=True)
    decisions.reject(registry, config.layout, ID, "no")
    assert queries.get(registry, ID)["qa_status"] == "pending"
    assert found_in(registry, config) == []


CLOSING = [(state, verdict) for state in CLOSED for verdict in ("passed", "approved", "restored")]


@pytest.mark.parametrize(("state", "verdict"), [*CLOSING, ("held", "approved")])  # what is held must have reasons
def test_a_state_that_nobody_decided_hides_nothing(registry, config, state, verdict):
    """It was moved out of sight, and 'nothing showed that it was approved'."""
    sight = mosaics.run(config, reasons=[mosaics.FAILED] if verdict == "approved" else []).path
    if verdict == "approved":
        decisions.approve(registry, config.layout, ID, "the best there is")
        sight = publish_now(registry, config).path
    if verdict == "restored":
        decisions.withdraw(registry, config.layout, ID, "wrong")
        decisions.restore(registry, config.layout, ID, "it was right")
    before, files = queries.get(registry, ID), disk(config)
    edit(registry, status=state, published_path=None)
    assert found_in(registry, config) == ["row_differs", "not_recorded"]
    after = queries.get(registry, ID)
    assert {name: after[name] for name in before if name != "verified_at"} == {
        name: before[name] for name in before if name != "verified_at"
    }
    assert sight.is_dir() and disk(config) == files and sees(registry) == []
