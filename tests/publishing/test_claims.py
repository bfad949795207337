"""Claims: one publisher at a time, and a dead one does not block the next."""

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from contimg.errors import BusyError
from contimg.publishing import checkpoints, claims, publish
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.schema import data_registry
from contimg.storage.process import Owner, is_dead, machine, me
from tests.faults import injection
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture
def no_hook():
    yield
    checkpoints.hook = None


def claimed(registry, owner: Owner, expires_unix_s: float) -> None:
    with registry.transaction() as connection:
        values = {"status": "publishing", "claim_token": "t", "claim_owner": owner.to_json()}
        connection.execute(update(data_registry).values(**values, claim_expires_unix_s=expires_unix_s))


def parent() -> Owner:
    start = int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[19])
    return Owner(me().host, machine(), os.getppid(), start)


def test_a_living_publisher_is_left_alone(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    claimed(registry, parent(), time.time() + 100)
    with pytest.raises(BusyError, match=rf"is being published by process {os.getppid()} on"):
        publish_mosaic(ID, config, waits_s=())
    assert queries.get(registry, ID)["claim_token"] == "t"


@pytest.mark.parametrize(
    ("owner", "left_s"),
    [
        (Owner("here", machine(), 999_999_999, 1), 1000),  # no such process
        (Owner("here", machine(), 1, 1), 1000),  # the process id was given to another since
        (Owner("there", "00-1", 1, 1), -1),  # of another machine, and expired
    ],
)
def test_the_claim_of_a_dead_publisher_does_not_block(registry, config, owner, left_s):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    claimed(registry, owner, time.time() + left_s)
    done = publish_mosaic(ID, config, waits_s=())
    assert done.created
    assert "reconciled" in [event["event"] for event in queries.events(registry, ID)]


def test_a_claim_of_another_machine_is_waited_for(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    claimed(registry, Owner("there", "00-1", 1, 1), time.time() + 1000)
    if config.registry.url is None:  # a local file: its machine can only have been restarted
        assert publish_mosaic(ID, config, waits_s=()).created
    else:
        with pytest.raises(BusyError, match="on there: wait for it"):
            publish_mosaic(ID, config, waits_s=())


def test_another_boot_means_dead_only_where_the_registry_is_local():
    owner = Owner("host", "00-" + machine().partition("-")[2], 1, 1)
    assert is_dead(owner, same_machine=True) and not is_dead(owner, same_machine=False)
    assert not is_dead(me())


def test_who_was_overtaken_changes_nothing(registry, config, no_hook):
    """The claim is taken over in the middle of the copy: the slow one stops, the row stays the other's."""
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    injection.at_checkpoint("publish:copied", lambda: claimed(registry, parent(), time.time() + 100))
    with pytest.raises(claims.ClaimLost, match="taken over by another publisher"):
        publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    row = queries.get(registry, ID)
    assert (row["status"], row["claim_token"], row["attempts"]) == ("publishing", "t", 0)
    assert not config.layout.bundle(ID, 1).exists()
    assert list((config.paths.products / ".incoming").iterdir()) == []


def test_who_was_overtaken_by_one_that_published_did_not_create_it(registry, config, no_hook):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    final = config.layout.bundle(ID, 1)

    def overtake():
        claimed(registry, parent(), time.time() + 100)
        with registry.transaction() as connection:
            values = {"status": "published", "published_path": str(final), "published_at": "2026-02-12T00:00:00.000Z"}
            free = dict.fromkeys(("claim_token", "claim_owner", "claim_expires_unix_s"))
            connection.execute(update(data_registry).values(**values, **free))

    injection.at_checkpoint("publish:renamed", overtake)
    done = publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert (done.status, done.created, done.path) == ("published", False, final)


def test_a_claim_is_renewed_while_the_copy_runs(registry, config, no_hook):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    seen = []

    def hook(name):
        if name == "publish:file":
            time.sleep(0.1)
            seen.append(queries.get(registry, ID)["claim_expires_unix_s"])

    checkpoints.hook = hook
    publish.publish(registry, config.layout, ID, claim_s=0.5, max_attempts=3)
    assert len(set(seen)) >= 3 and seen == sorted(seen)


@pytest.fixture
def staged(registry, config):
    """A registered and finalized mosaic in staging."""
    mosaics.make_mosaic(config)
    made = register_mosaic(ID, config)
    yield made
    claims._held.clear()


def test_a_claim_of_this_process_is_not_abandoned_until_it_is_forgotten(registry, staged):
    assert not claims.is_abandoned(registry, queries.get(registry, ID))  # in staging: no claim at all
    claim = claims.take(registry, ID, 1, claim_s=60)
    row = queries.get(registry, ID)
    assert (row["status"], row["claim_token"]) == ("publishing", claim.token)
    assert Owner.from_json(row["claim_owner"]) == me()
    assert row["claim_expires_unix_s"] == pytest.approx(time.time() + 60, abs=5)
    assert not claims.is_abandoned(registry, row)
    with pytest.raises(BusyError, match=rf"^{ID} is being published by .*expires in \d+ s at most"):
        claims.take(registry, ID, 1, claim_s=60)
    claims.forget(claim)
    assert claims.is_abandoned(registry, row)  # of an earlier attempt of this process
    assert claims.take(registry, ID, 1, claim_s=60).token != claim.token


def test_what_is_not_in_staging_cannot_be_claimed(registry, staged):
    assert claims.take(registry, "mosaic_20990101T000000", 1, claim_s=60) is None
    assert claims.take(registry, ID, 2, claim_s=60) is None
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(status="rejected"))
    assert claims.take(registry, ID, 1, claim_s=60) is None
    assert queries.get(registry, ID)["claim_token"] is None


def test_a_claim_is_renewed_when_a_third_of_it_has_gone_or_at_once(registry, staged):
    claim = claims.take(registry, ID, 1, claim_s=30)
    first = queries.get(registry, ID)["claim_expires_unix_s"]
    claims.renew(registry, claim)
    assert queries.get(registry, ID)["claim_expires_unix_s"] == first
    claim.renewed_monotonic_s -= 11
    claims.renew(registry, claim)
    second = queries.get(registry, ID)["claim_expires_unix_s"]
    assert second > first and claim.renewed_monotonic_s == pytest.approx(time.monotonic(), abs=5)
    claims.renew(registry, claim, at_once=True)
    assert queries.get(registry, ID)["claim_expires_unix_s"] >= second


@pytest.mark.parametrize(
    "change",
    [
        lambda registry, claim: claims.renew(registry, claim, at_once=True),
        lambda registry, claim: claims.record_published(registry, claim, "/archive/x"),
    ],
)
def test_who_lost_the_claim_is_told_so_and_changes_nothing(registry, staged, change):
    claim = claims.take(registry, ID, 1, claim_s=60)
    claimed(registry, parent(), time.time() + 100)
    before, events = queries.get(registry, ID), queries.events(registry, ID)
    with pytest.raises(claims.ClaimLost, match=rf"^{ID}: another publisher took over.*rerun to see what it made"):
        change(registry, claim)
    assert (queries.get(registry, ID), queries.events(registry, ID)) == (before, events)


def test_a_failure_is_recorded_only_by_who_still_holds_the_claim(registry, staged):
    lost = claims.take(registry, ID, 1, claim_s=60)
    claims.forget(lost)
    claim = claims.take(registry, ID, 1, claim_s=60)
    before, events = queries.get(registry, ID), queries.events(registry, ID)
    assert claims.record_failure(registry, lost, "disk full") is False
    assert (queries.get(registry, ID), queries.events(registry, ID)) == (before, events)
    assert claims.record_failure(registry, claim, "disk full") is True
    row = queries.get(registry, ID)
    assert [row[key] for key in ("status", "error", "attempts", "claim_token")] == ["staging", "disk full", 1, None]
    assert [one["message"] for one in queries.events(registry, ID) if one["event"] == "failed"] == ["disk full"]


def test_an_abandoned_claim_is_freed_unless_another_took_it_meanwhile(registry, staged):
    claimed(registry, Owner("here", machine(), 999_999_999, 1), time.time() + 100)
    seen = queries.get(registry, ID)
    taken = claims.take(registry, ID, 1, claim_s=60)
    with registry.transaction() as connection:
        assert claims.free_abandoned(connection, seen) is False
    assert queries.get(registry, ID)["claim_token"] == taken.token
    with registry.transaction() as connection:
        assert claims.free_abandoned(connection, queries.get(registry, ID)) is True
    assert queries.get(registry, ID)["status"] == "staging"
    assert "had been left over" in queries.events(registry, ID)[-1]["message"]


@pytest.fixture
def server(config):
    if config.registry.url is None:
        pytest.skip("on one machine there is one clock")


@pytest.mark.parametrize("ahead_s", [1000.0, -1000.0])
def test_the_databases_clock_decides_about_claims(registry, config, staged, server, monkeypatch, ahead_s):
    """Of two hosts one is 17 minutes off: neither takes the living claim of the other, nor makes an endless one."""
    elsewhere = Owner("there", "00-1", 1, 1)
    claimed(registry, elsewhere, time.time() + 60)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    assert not claims.is_abandoned(registry, queries.get(registry, ID))
    with pytest.raises(BusyError, match=r"expires in (5\d|60) s at most"):
        claims.take(registry, ID, 1, claim_s=60)
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(claim_expires_unix_s=real() - 5))
    claim = claims.take(registry, ID, 1, claim_s=60)
    claims.renew(registry, claim, at_once=True)
    assert abs(queries.get(registry, ID)["claim_expires_unix_s"] - (real() + 60)) < 10


def test_the_claim_of_a_process_that_died_before_a_reboot_is_free_at_once(registry, config):
    """Another boot of the same installation: on PostgreSQL too, without waiting for the claim to expire."""
    here = me()
    if not here.installation:
        pytest.skip("this machine has no /etc/machine-id")
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    boot = "0" * len(here.boot) + here.machine[len(here.boot) :]
    claimed(registry, Owner(here.host, boot, os.getpid(), here.start, here.installation), time.time() + 900)
    assert publish_mosaic(ID, config, waits_s=()).created


def test_tokens_are_those_of_all_versions_that_are_claimed(registry, staged):
    assert claims.tokens(registry, ID) == set()
    claim = claims.take(registry, ID, 1, claim_s=60)
    assert claims.tokens(registry, ID) == {claim.token}
