"""Which mosaic a decision is about, and in which states it may be taken."""

import pytest
from sqlalchemy import delete

from contimg.bundle.record import read_record
from contimg.errors import InputError, RegistryError, UnknownIdError
from contimg.publishing import decisions
from contimg.publishing.deciding import Named
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries, schema
from tests.support import mosaics
from tests.support.mosaics import run

ID = mosaics.MOSAIC
TABLES = [table for table in schema.metadata.sorted_tables if table.name != "schema_version"]


def backup(registry):
    with registry.read() as connection:
        return {table.name: [dict(row) for row in connection.execute(table.select()).mappings()] for table in TABLES}


def test_a_decision_names_its_version_where_there_are_several(registry, config):
    run(config)
    run(config, seed=2)
    with pytest.raises(RegistryError) as refused:
        decisions.withdraw(registry, config.layout, ID, "wrong")
    digits = queries.get(registry, ID, 2)["sha256"][:12]
    assert str(refused.value) == (
        f"{ID} has versions 1 (published), 2 (published): say which, for the latest 'contimg publish withdraw {ID} "
        f"--version 2 --manifest {digits} --reason ...'"
    )
    assert decisions.withdraw(registry, config.layout, Named(ID, 1), "wrong")["version"] == 1
    assert [row["status"] for row in queries.versions(registry, ID)] == ["withdrawn", "published"]


def test_a_second_version_that_stands_alone_needs_no_number(registry, config):
    """As after the loss of the registry and of the first version's bundle."""
    run(config)
    run(config, seed=2)
    with registry.transaction() as connection:
        for table in (schema.mosaic_tiles, schema.mosaic_groups, schema.publish_events, schema.data_registry):
            connection.execute(delete(table).where(table.c.version == 1))
    assert decisions.withdraw(registry, config.layout, ID, "wrong")["version"] == 2


@pytest.mark.parametrize("upper", [False, True])
def test_a_decision_about_another_making_is_refused(registry, config, upper):
    run(config, reasons=[mosaics.WARNING])
    digits = queries.get(registry, ID)["sha256"]
    other = "0" * 12 if digits[0] != "0" else "1" * 12
    with pytest.raises(RegistryError) as refused:
        decisions.approve(registry, config.layout, Named(ID, 1, other), "by eye")
    assert str(refused.value) == (
        f"{ID} version 1 has the manifest {digits[:12]}, not {other}: it is another making than you looked at, so look "
        f"at 'contimg report {ID}' again"
    )
    named = Named(ID, None, digits[:12].upper() if upper else digits[:12])
    assert decisions.approve(registry, config.layout, named, "by eye")["status"] == "staging"


STATES = {"held": {"held_json": "[]"}, "rejected": {}, "superseded": {}, "staging": {}}


@pytest.mark.parametrize(
    ("decision", "status", "sentence"),
    [
        ("approve", "rejected", "only what is held needs an approval"),
        ("approve", "staging", "only what is held needs an approval"),
        ("reject", "superseded", "only what is held or in staging can be rejected"),
        ("withdraw", "held", "only what is published can be withdrawn"),
        ("restore", "staging", "only what is withdrawn can be restored"),
    ],
)
def test_a_decision_that_the_state_does_not_allow_changes_nothing(registry, config, decision, status, sentence):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    with registry.transaction() as connection:
        connection.execute(schema.data_registry.update().values(status=status, **STATES[status]))
    before = backup(registry)
    with pytest.raises(RegistryError) as refused:
        getattr(decisions, decision)(registry, config.layout, ID, "decided")
    assert str(refused.value) == f"{ID} version 1 is {status}: {sentence}"
    assert backup(registry) == before


def test_only_what_is_in_staging_is_retried(registry, config):
    run(config)
    before = backup(registry)
    with pytest.raises(RegistryError) as refused:
        decisions.retry(registry, ID)
    assert str(refused.value) == f"{ID} version 1 is published: only what is in staging can be retried"
    assert backup(registry) == before
    with pytest.raises(UnknownIdError, match=r"mosaic_20990101T000000 is not in the registry"):
        decisions.retry(registry, "mosaic_20990101T000000")


def test_a_retry_forgets_the_failed_attempts_and_says_why(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    with registry.transaction() as connection:
        connection.execute(schema.data_registry.update().values(attempts=3, error="disk full"))
    row = decisions.retry(registry, ID, reason="the disk was replaced")
    assert (row["attempts"], row["status"]) == (0, "staging")
    assert [queries.events(registry, ID)[-1][key] for key in ("event", "message")] == ["retry", "the disk was replaced"]


def test_what_never_passed_is_not_restored(registry, config):
    """A withdrawn row of before the constraint, or of another hand: nothing shows that it may be in sight."""
    run(config)
    decisions.withdraw(registry, config.layout, ID, "wrong")
    with registry.transaction() as connection:
        connection.execute(schema.data_registry.update().values(qa_status="failed"))
    with pytest.raises(RegistryError) as refused:
        decisions.restore(registry, config.layout, ID, "back")
    assert str(refused.value) == f"{ID} version 1 did not pass and was never approved: make a new one"
    assert not config.layout.bundle(ID, 1).exists()


FORGED = ("fine\nFORGED", "fine\rFORGED", "\x1b[2Jfine", "fine\x00", "fine\u2028FORGED", "fine\x85FORGED")


@pytest.mark.parametrize("reason", FORGED, ids=ascii)
def test_a_reason_that_could_forge_a_line_is_refused_and_recorded_nowhere(registry, config, reason):
    path = run(config).path
    before = queries.events(registry, ID)
    for decide in (decisions.approve, decisions.reject, decisions.withdraw, decisions.restore):
        with pytest.raises(InputError, match=r"holds a line break or control character \(.*: write it in one line"):
            decide(registry, config.layout, ID, reason)
    with pytest.raises(InputError, match="write it in one line"):
        decisions.retry(registry, ID, reason=reason)
    assert queries.events(registry, ID) == before and read_record(path)["decisions"] == []


def test_nothing_is_decided_while_the_stage_is_not_mounted(registry, config):
    """The marker would be written below the mount point, on the disk of the system."""
    mosaics.run(config)
    before = queries.get(registry, ID)
    config.paths.stage.rename(config.paths.stage.with_name("unmounted"))
    with pytest.raises(RegistryError, match=r"stage \(paths\.stage\) does not exist: mount it"):
        decisions.withdraw(registry, config.layout, ID, "wrong")
    assert queries.get(registry, ID) == before and not config.paths.stage.exists()
    config.paths.stage.with_name("unmounted").rename(config.paths.stage)
    decisions.withdraw(registry, config.layout, ID, "wrong")
    assert not config.layout.bundle(ID, 1).exists()
