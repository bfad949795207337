"""What persons decided outlives backups, crashes and the registry; nothing decided is undone by itself."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from contimg.bundle import bundle
from contimg.bundle.record import Decision, decisions_in, read_record
from contimg.errors import RegistryError
from contimg.publishing import checkpoints, deciding, decisions
from contimg.publishing.publish_mosaic import publish_mosaic, remove_staged
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries, schema
from tests.faults import injection
from tests.support import mosaics
from tests.support.mosaics import run

ID = mosaics.MOSAIC


class Died(BaseException):
    """As if the process had been killed."""


@pytest.fixture
def dies_at():
    def die():
        raise Died

    yield lambda name: injection.at_checkpoint(name, die)
    checkpoints.hook = None


def backup(registry):
    with registry.read() as connection:
        return {table.name: [dict(row) for row in connection.execute(table.select()).mappings()] for table in TABLES}


def restore_backup(registry, saved):
    with registry.transaction() as connection:
        for table in reversed(TABLES):
            connection.execute(delete(table))
        for table in TABLES:
            if saved.get(table.name):
                connection.execute(insert(table), saved[table.name])


TABLES = [table for table in schema.metadata.sorted_tables if table.name != "schema_version"]


def mended(registry, config):
    """Reconcile; nothing is left that needs a person, and a second run finds nothing."""
    found = reconcile(registry, config.layout)
    assert all(one.repaired for one in found), found
    assert reconcile(registry, config.layout) == []
    return [one.code for one in found]


def recorded_in(path):
    return [(one.decision, one.reason) for one in decisions_in(read_record(path), path)]


def test_a_withdrawn_mosaic_stays_withdrawn_with_an_older_registry(registry, config):
    done = run(config)
    saved = backup(registry)
    withdrawn = decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    restore_backup(registry, saved)
    assert "decision_lost" in mended(registry, config)
    row = queries.get(registry, ID)
    same = ("status", "closed_at", "closed_by", "closed_reason", "published_path")
    assert [row[key] for key in same] == [withdrawn[key] for key in same] and not done.path.exists()
    assert publish_mosaic(ID, config, waits_s=()).status == "withdrawn" and not done.path.exists()
    with pytest.raises(RegistryError, match="only what is published"):
        decisions.withdraw(registry, config.layout, ID, "again")


def test_an_approved_mosaic_stays_published_with_an_older_registry(registry, config):
    run(config, reasons=[mosaics.WARNING])
    saved = backup(registry)
    decisions.approve(registry, config.layout, ID, "checked by eye")
    path = publish_mosaic(ID, config, waits_s=()).path
    restore_backup(registry, saved)
    assert mended(registry, config)[:2] == ["decision_lost", "not_recorded"]
    row = queries.get(registry, ID)
    assert (row["status"], row["approved_reason"]) == ("published", "checked by eye") and bundle.verify(path).ok


def test_a_mosaic_rejected_after_a_lost_commit_goes_out_of_sight(registry, config, dies_at):
    run(config, reasons=[mosaics.WARNING])
    decisions.approve(registry, config.layout, ID, "checked by eye")
    dies_at("publish:renamed")
    with pytest.raises(Died):
        publish_mosaic(ID, config, waits_s=())
    with registry.transaction() as connection:  # as a database error leaves it: given back to staging
        free = {"status": "staging", "claim_token": None, "claim_owner": None, "claim_expires_unix_s": None}
        connection.execute(schema.data_registry.update().values(**free))
    assert config.layout.bundle(ID, 1).exists()
    decisions.reject(registry, config.layout, ID, "striping after all")
    assert not config.layout.bundle(ID, 1).exists()
    assert reconcile(registry, config.layout) == [] and queries.get(registry, ID)["status"] == "rejected"


@pytest.mark.parametrize("decided", ["none", "approved", "rejected"])
def test_a_held_mosaic_survives_the_loss_of_the_registry(registry, config, decided):
    run(config, reasons=[mosaics.WARNING])
    if decided == "approved":
        decisions.approve(registry, config.layout, ID, "checked by eye")
    if decided == "rejected":
        decisions.reject(registry, config.layout, ID, "striping")
    before = queries.get(registry, ID)
    restore_backup(registry, {})
    assert mended(registry, config)[0] == "row_lost"
    row = queries.get(registry, ID)
    changed = {key for key in row if row[key] != before[key]} - {"staged_at"}
    assert changed == set(), {key: (before[key], row[key]) for key in changed}
    if decided == "none":
        decisions.approve(registry, config.layout, ID, "checked by eye")
    if decided != "rejected":
        assert publish_mosaic(ID, config, waits_s=()).status == "published"


def test_superseded_and_held_versions_are_rebuilt_as_what_they_were(registry, config):
    run(config)
    run(config, seed=2, reasons=[mosaics.WARNING])
    run(config, seed=3, data={"n_subbands": 3})
    before = [(row["version"], row["status"], row["held_json"]) for row in queries.versions(registry, ID)]
    assert [status for _, status, _ in before] == ["published", "superseded", "held"]
    restore_backup(registry, {})
    mended(registry, config)
    assert [(row["version"], row["status"], row["held_json"]) for row in queries.versions(registry, ID)] == before


def test_without_auto_a_mosaic_still_waits_after_the_loss_of_the_registry(registry, config):
    options = config.publish.model_copy(update={"auto": False})
    assert run(config.model_copy(update={"publish": options})).status == "held"
    restore_backup(registry, {})
    mended(registry, config)
    assert queries.get(registry, ID)["status"] == "held"


def test_restore_is_the_way_back(registry, config):
    done = run(config)
    published_at = queries.get(registry, ID)["published_at"]
    decisions.withdraw(registry, config.layout, ID, "the wrong one")
    row = decisions.restore(registry, config.layout, ID, "it was another")
    assert (row["status"], row["published_path"], row["published_at"], row["closed_at"]) == (
        "published", str(done.path), published_at, None,
    )  # fmt: skip
    assert bundle.verify(done.path, expected=row["sha256"]).ok
    assert recorded_in(done.path) == [("withdrawn", "the wrong one"), ("restored", "it was another")]
    assert json.loads(config.layout.twin("published", ID).read_text())["status"] == "published"
    assert reconcile(registry, config.layout) == []
    restore_backup(registry, {})
    mended(registry, config)
    assert queries.get(registry, ID)["status"] == "published"
    decisions.withdraw(registry, config.layout, ID, "it was this one")
    assert queries.get(registry, ID)["status"] == "withdrawn" and not done.path.exists()


def test_what_is_not_whole_is_not_restored(registry, config):
    run(config)
    hidden = Path(decisions.withdraw(registry, config.layout, ID, "wrong")["published_path"])
    (hidden / "data" / f"{ID}.png").write_bytes(b"rotten")
    with pytest.raises(RegistryError, match=r"cannot be restored: .*png does not have the SHA-256"):
        decisions.restore(registry, config.layout, ID, "back")
    assert queries.get(registry, ID)["status"] == "withdrawn" and hidden.exists()


CRASHES = [
    ("decision:recorded", "withdraw", ("withdrawn", False)),
    ("withdraw:recorded", "withdraw", ("withdrawn", False)),
    ("withdraw:hidden", "withdraw", ("withdrawn", False)),
    ("decision:recorded", "restore", ("published", True)),
    ("restore:recorded", "restore", ("published", True)),
    ("restore:moved", "restore", ("published", True)),
]


@pytest.mark.parametrize(("point", "decision", "expected"), CRASHES)
def test_a_decision_that_died_half_way_is_finished(registry, config, dies_at, point, decision, expected):
    done = run(config)
    if decision == "restore":
        decisions.withdraw(registry, config.layout, ID, "wrong")
    dies_at(point)
    with pytest.raises(Died):
        getattr(decisions, decision)(registry, config.layout, ID, "decided")
    checkpoints.hook = None
    mended(registry, config)
    assert (queries.get(registry, ID)["status"], done.path.exists()) == expected


@pytest.mark.parametrize("copy", ["stage", "archive"])
def test_a_record_that_lost_a_decision_gets_it_back(registry, config, copy):
    run(config, reasons=[mosaics.WARNING])
    decisions.approve(registry, config.layout, ID, "checked by eye")
    path = publish_mosaic(ID, config, waits_s=()).path
    place = path if copy == "archive" else Path(queries.get(registry, ID)["stage_path"])
    (place / bundle.PUBLICATION).unlink()
    assert mended(registry, config) == ["record_lost"]
    assert recorded_in(place) == [("approved", "checked by eye")]


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"\xff", b'{"decisions": 3}', b'{"decisions": [{}]}', b'{"decisions": [null]}', b"[" * 100_000,
     b'{"decisions": [{"time": "t", "decision": "blessed", "reason": "r", "by": "b", "host": "h"}]}'],
)  # fmt: skip
def test_a_record_that_is_none_is_said_and_the_others_go_on(registry, config, content):
    done = run(config)
    other = mosaics.make_mosaic(config, tiles=("2026-02-12T00:00:00", "2026-02-12T00:05:09"))
    register_mosaic(other, config)
    publish_mosaic(other, config, waits_s=())
    decisions.withdraw(registry, config.layout, other, "wrong")
    (done.path / bundle.PUBLICATION).write_bytes(content)
    found = reconcile(registry, config.layout)
    assert [(one.code, one.data_id, one.needs_person) for one in found] == [("record_unreadable", ID, True)]
    with pytest.raises(RegistryError, match=bundle.PUBLICATION):
        decisions.withdraw(registry, config.layout, ID, "wrong")
    assert queries.get(registry, ID)["status"] == "published"


def test_a_decision_waits_for_those_that_the_registry_lost(registry, config):
    run(config)
    saved = backup(registry)
    decisions.withdraw(registry, config.layout, ID, "wrong")
    restore_backup(registry, saved)
    with pytest.raises(RegistryError, match=f"'contimg reconcile {ID}' first"):
        decisions.withdraw(registry, config.layout, ID, "again")


def test_a_decision_is_later_than_all_before_whatever_the_clock_says(registry, config, monkeypatch):
    run(config)
    monkeypatch.setattr(deciding, "now", lambda: "2026-02-12T00:00:00.000Z")
    for _ in range(2):
        decisions.withdraw(registry, config.layout, ID, "wrong")
        decisions.restore(registry, config.layout, ID, "right")
    with registry.read() as connection:
        made = deciding.recorded(connection, queries.get(registry, ID))
    assert [one.time[-4:] for one in made] == ["000Z", "001Z", "002Z", "003Z"]
    assert [one.decision for one in made] == ["withdrawn", "restored"] * 2


def test_a_read_only_archive_refuses_a_decision_before_it_is_recorded(registry, config, monkeypatch):
    done = run(config)
    events = queries.events(registry, ID)

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied", "publication.json")

    with monkeypatch.context() as patch:
        patch.setattr("contimg.bundle.record.put_file", refuse)
        with pytest.raises(RegistryError, match=r"was not withdrawn: its record could not be written .*write access"):
            decisions.withdraw(registry, config.layout, ID, "wrong")
    assert queries.events(registry, ID) == events and queries.get(registry, ID)["status"] == "published"
    assert done.path.exists() and reconcile(registry, config.layout) == []
    assert not list(done.path.parent.glob(".*"))


def test_a_link_under_the_final_name_is_not_taken_for_the_bundle(registry, config):
    done = run(config)
    staged = Path(queries.get(registry, ID)["stage_path"])
    shutil.rmtree(done.path)
    done.path.symlink_to(staged)
    with pytest.raises(RegistryError, match="is a symlink: the staged copy is kept"):
        remove_staged(registry, config.layout, ID, 1)
    assert staged.is_dir()
    with contextlib.suppress(RegistryError):
        publish_mosaic(ID, config, waits_s=())
    assert staged.is_dir() and bundle.verify(staged).ok


def test_an_approval_of_before_the_records_is_understood(tmp_path):
    old = {"approved_by": "ada", "approved_at": "2026-02-12T00:00:00.000Z", "approved_reason": "checked by eye"}
    expected = Decision("2026-02-12T00:00:00.000Z", "approved", "checked by eye", "ada", "")
    assert decisions_in(old, tmp_path) == [expected]
    assert decisions_in({"approved_by": None}, tmp_path) == [] == decisions_in({}, tmp_path)


@pytest.mark.parametrize("wrong", ["1970-01-01T00:00:07.000Z", "2201-01-01T00:00:00.000Z"])
def test_a_clock_that_no_record_may_hold_decides_nothing(registry, config, monkeypatch, wrong):
    """A record of 1970 would be refused by every later command, with no copy that could replace it."""
    run(config)
    monkeypatch.setattr(deciding, "now", lambda: wrong)
    with pytest.raises(RegistryError, match=f"the clock says {wrong}: set it"):
        decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    assert queries.get(registry, ID)["status"] == "published"


def test_after_the_last_time_that_a_record_may_hold_the_clock_is_not_blamed(registry, config, monkeypatch):
    run(config)
    with monkeypatch.context() as patched:
        patched.setattr(deciding, "now", lambda: "2199-12-31T23:59:59.999Z")
        decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    with pytest.raises(RegistryError, match=r"at 2199-12-31T23:59:59\.999Z as the registry says.* from a backup"):
        decisions.restore(registry, config.layout, ID, "right")
    assert queries.get(registry, ID)["status"] == "withdrawn" and reconcile(registry, config.layout) == []
