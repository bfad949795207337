"""Publishers that are overtaken, or fail, between the steps of publishing: what the other does is left as it is."""

import shutil

import pytest
from sqlalchemy import update

from contimg.bundle import bundle
from contimg.errors import RegistryError
from contimg.publishing import checkpoints, claims, publish
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.schema import data_registry
from tests.faults import injection
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture
def at():
    """Return a function that does something at a checkpoint, once."""
    yield injection.at_checkpoint
    checkpoints.hook = None


def attempt(registry, config, version=None):
    return publish.publish(registry, config.layout, ID, version, claim_s=60, max_attempts=3)


def take_over(registry, **values):
    """Let another publisher have the claim, and change the row as it does."""
    owner = {"claim_token": "other", "claim_owner": claims.me().to_json(), "claim_expires_unix_s": 4e9}
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(**owner | values))


FREE = dict.fromkeys(("claim_token", "claim_owner", "claim_expires_unix_s"))


def test_who_fails_after_losing_the_claim_leaves_the_row_to_the_other(registry, config, at):
    """The error of the overtaken one is not written over what the other does."""
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)

    def overtaken():
        take_over(registry)
        raise RegistryError("the copy failed as well")

    at("publish:copied", overtaken)
    with pytest.raises(claims.ClaimLost, match="taken over by another publisher"):
        attempt(registry, config)
    row = queries.get(registry, ID)
    assert (row["claim_token"], row["attempts"], row["error"]) == ("other", 0, None)


def test_who_fails_after_the_other_has_published_reports_that(registry, config, at):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    final = config.layout.bundle(ID, 1)

    def overtaken():
        values = {"status": "published", "published_path": str(final), "published_at": "2026-02-12T00:00:00.000Z"}
        take_over(registry, **FREE | values)
        raise RegistryError("the copy failed as well")

    at("publish:copied", overtaken)
    done = attempt(registry, config)
    assert (done.status, done.created, done.path) == ("published", False, final)


@pytest.mark.parametrize("same", [True, False])
def test_a_bundle_that_appears_under_the_final_name_at_the_last_moment(registry, config, at, same):
    """Equal content is accepted, other content is never replaced; the own copy is removed in both cases."""
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    final, incoming = config.layout.bundle(ID, 1), config.paths.products / ".incoming"

    def appear():
        (copy,) = incoming.iterdir()
        shutil.copytree(copy, final)
        if not same:
            (final / "data" / f"{ID}.png").write_bytes(b"another")

    at("publish:verified", appear)
    if same:
        assert attempt(registry, config).created and bundle.verify(final).ok
    else:
        with pytest.raises(publish.PublishFailed, match=r"exists with other content .* never overwritten"):
            attempt(registry, config)
        assert (final / "data" / f"{ID}.png").read_bytes() == b"another"
    assert list(incoming.iterdir()) == []


def test_a_fault_of_the_database_is_transient_and_leaves_the_claim_to_expire(registry, config, at, monkeypatch):
    """The database that refuses the record of the publication refuses that of the failure, too."""
    from sqlalchemy.exc import OperationalError

    mosaics.make_mosaic(config)
    register_mosaic(ID, config)

    def refuse():
        monkeypatch.setattr(type(registry.engine), "connect", unreachable)

    def unreachable(*_args, **_options):
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    at("publish:recording", refuse)
    with pytest.raises(publish.PublishFailed, match=r"start the server or correct registry\.url") as failed:
        attempt(registry, config)
    monkeypatch.undo()
    assert failed.value.transient
    assert queries.get(registry, ID)["status"] == "publishing" and bundle.verify(config.layout.bundle(ID, 1)).ok
    done = publish_mosaic(ID, config, waits_s=())  # finds the bundle, whole, and records it
    assert done.status == "published"
