"""The promises of the tables, tried with raw SQL: whoever writes, they hold."""

import itertools
from typing import Any

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.exc import IntegrityError

from contimg.errors import RegistryError
from contimg.registry.engine import Registry
from contimg.registry.schema import (
    FINALIZATION_STATUSES,
    QA_STATUSES,
    VALIDATION_STATUSES,
    data_registry,
    publish_events,
)

ID = "mosaic_20260211T002649"
APPROVAL = {"approved_by": "ada", "approved_at": "2026-02-12T00:00:00.000Z", "approved_reason": "checked by eye"}
PUBLISHED = {"status": "published", "published_path": "/archive/a", "published_at": "2026-02-12T00:00:00.000Z"}
EARNED = {"qa_status": "passed", "validation_status": "validated", "finalization_status": "finalized"}


def row(**values: Any) -> dict[str, Any]:
    base = {
        "data_id": ID, "version": 1, "data_type": "mosaic", "status": "staging", "stage_path": "/stage/v1",
        "sha256": "0" * 64, "metadata_json": "{}", "synthetic": False, "auto_publish": True, "created_at": "2026",
    }  # fmt: skip
    return base | values


def accepted(registry: Registry, **values: Any) -> bool:
    try:
        with registry.transaction() as connection:
            connection.execute(insert(data_registry), row(**values))
    except RegistryError as error:
        assert isinstance(error.__cause__, IntegrityError)
        return False
    return True


def test_published_is_earned_or_approved(registry):
    combinations = itertools.product(QA_STATUSES, VALIDATION_STATUSES, FINALIZATION_STATUSES, (False, True))
    for number, (qa, validation, finalization, approved) in enumerate(combinations):
        states = {"qa_status": qa, "validation_status": validation, "finalization_status": finalization}
        earned = qa == "passed" and validation == "validated"
        expected = finalization == "finalized" and (earned or approved)
        given = PUBLISHED | states | (APPROVAL if approved else {}) | {"published_path": f"/archive/{number}"}
        assert accepted(registry, version=number + 1, **given) is expected, given


@pytest.mark.parametrize("missing", ["published_path", "published_at"])
def test_published_has_place_and_time(registry, missing):
    assert not accepted(registry, **(PUBLISHED | EARNED | {missing: None}))


@pytest.mark.parametrize("lacking", [{"approved_by": None}, {"approved_by": ""}, {"approved_at": None},
                                     {"approved_reason": None}, {"approved_reason": ""}])  # fmt: skip
def test_an_approval_names_who_when_and_why(registry, lacking):
    states = {"qa_status": "failed", "validation_status": "validated", "finalization_status": "finalized"}
    assert accepted(registry, **(PUBLISHED | states | APPROVAL))
    assert not accepted(registry, version=2, **(PUBLISHED | {"published_path": "/b"} | states | APPROVAL | lacking))


def test_an_update_cannot_publish_either(registry):
    assert accepted(registry, qa_status="failed", validation_status="validated", finalization_status="finalized")
    with pytest.raises(RegistryError, match="refused"), registry.transaction() as connection:
        connection.execute(update(data_registry).values(**PUBLISHED))
    with pytest.raises(RegistryError, match="refused"), registry.transaction() as connection:
        connection.execute(
            text("UPDATE data_registry SET status = 'published', published_path = 'x', published_at = 'y'")
        )
    with registry.read() as connection:
        assert connection.execute(text("SELECT status FROM data_registry")).scalars().all() == ["staging"]


def test_one_row_a_version(registry):
    assert accepted(registry)
    assert not accepted(registry)
    assert not accepted(registry, sha256="1" * 64)
    assert accepted(registry, version=2)


def test_two_products_cannot_share_a_place(registry):
    assert accepted(registry, **PUBLISHED, **EARNED)
    assert not accepted(registry, version=2, **PUBLISHED, **EARNED)


@pytest.mark.parametrize(
    "values",
    [
        {"status": "publishing"},
        {"status": "publishing", "claim_token": "a", "claim_owner": "{}"},
        {"claim_token": "a", "claim_owner": "{}", "claim_expires_unix_s": 1.0},
        {"status": "finished"},
        {"qa_status": "excellent"},
        {"validation_status": "yes"},
        {"finalization_status": "maybe"},
        {"status": "held"},
        {"version": 0},
        {"attempts": -1},
        {"sha256": "abc"},
    ],
)
def test_nonsense_is_refused(registry, values):
    assert not accepted(registry, **values)


def test_an_event_needs_its_product(registry):
    event = {
        "data_id": ID,
        "version": 1,
        "event": "published",
        "time": "t",
        "actor": "a",
        "host": "h",
        "pid": 1,
        "message": "",
    }
    with pytest.raises(RegistryError), registry.transaction() as connection:
        connection.execute(insert(publish_events), event)
