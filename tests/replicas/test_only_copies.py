"""A copy whose time is over stays as long as it may be the only whole one of its bundle."""

import shutil
from pathlib import Path

import pytest

from contimg.config.sections import ReplicaOptions
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries, schema
from contimg.replicas import commits, fetching, stores, sync
from tests.replicas.conftest import files_of
from tests.replicas.test_sync import ID, PLACE, synced
from tests.support import mosaics

PAST = "2026-01-01T00:00:00.000Z"


def _outlive(registry):
    with registry.transaction() as connection:
        connection.execute(schema.data_registry.update().values(closed_at=PAST, published_at=PAST))


@pytest.mark.parametrize("harm", ["altered", "missing"])
@pytest.mark.parametrize("why", ["withdrawn", "replaced"])
def test_a_copy_is_not_removed_while_the_archive_has_no_whole_one(sqlite_registry, replicated, replica, why, harm):
    mosaics.run(replicated)
    if why == "withdrawn":
        decisions.withdraw(sqlite_registry, replicated.layout, ID, "wrong")
        options = ReplicaOptions(url=replica.url, days=1.0)
        synced(sqlite_registry, replicated, replica)
    else:
        mosaics.make_mosaic(replicated, seed=2)
        register_mosaic(ID, replicated)
        publish_mosaic(ID, replicated, waits_s=())
        options = ReplicaOptions(url=replica.url, keep="current", days=1.0)
    _outlive(sqlite_registry)
    shutil.rmtree(replicated.paths.stage / "registered", ignore_errors=True)
    place = Path(queries.get(sqlite_registry, ID, 1)["published_path"])
    shutil.copytree(place, aside := replicated.paths.state / "aside")
    if harm == "altered":
        (place / "data" / f"{ID}.fits").write_bytes(b"rot")
    else:
        shutil.rmtree(place)
    store = stores.open_store(replica.url)
    before = files_of(store)
    for _ in range(2):
        (done,) = sync.sync(sqlite_registry, replicated.layout, options)
        assert (done.version, done.what) == (1, "problem")
        assert f"replica {replica.url} keeps its copy of {PLACE}" in done.message and str(place) in done.message
        assert files_of(store) == before
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(aside, place)  # what the message asks for
    assert synced(sqlite_registry, replicated, options) == [(1, "removed")]


def test_a_copy_whose_commit_record_is_lost_is_not_removed_either(sqlite_registry, replicated, replica):
    mosaics.run(replicated)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "wrong")
    synced(sqlite_registry, replicated, replica)
    _outlive(sqlite_registry)
    shutil.rmtree(queries.get(sqlite_registry, ID, 1)["published_path"])
    shutil.rmtree(replicated.paths.stage / "registered", ignore_errors=True)
    store = stores.open_store(replica.url)
    store.remove(commits.commit_name(PLACE))
    before = files_of(store)
    assert synced(sqlite_registry, replicated, ReplicaOptions(url=replica.url, days=1.0)) == [(1, "problem")]
    assert files_of(store) == before


def test_a_whole_copy_on_the_stage_is_enough(sqlite_registry, replicated, replica):
    mosaics.run(replicated)
    row = queries.get(sqlite_registry, ID, 1)
    shutil.copytree(row["published_path"], row["stage_path"], dirs_exist_ok=True)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "wrong")
    synced(sqlite_registry, replicated, replica)
    _outlive(sqlite_registry)
    (Path(queries.get(sqlite_registry, ID, 1)["published_path"]) / "data" / f"{ID}.fits").write_bytes(b"rot")
    assert synced(sqlite_registry, replicated, ReplicaOptions(url=replica.url, days=1.0)) == [(1, "removed")]


def test_the_copy_that_a_lost_bundle_can_be_brought_back_from_is_named(sqlite_registry, replicated, replica):
    mosaics.run(replicated)
    decisions.withdraw(sqlite_registry, replicated.layout, ID, "wrong")
    row = queries.get(sqlite_registry, ID, 1)
    shutil.rmtree(place := Path(row["published_path"]))
    shutil.rmtree(replicated.paths.stage / "registered", ignore_errors=True)
    (done,) = sync.sync(sqlite_registry, replicated.layout, replica)
    assert done.what == "problem"
    assert done.message.startswith(f"{place} is gone")
    assert f"or from {replica.url}/{PLACE} where that is whole, then type contimg replicas sync" in done.message
    copy = fetching.Source(stores.open_store(replica.url), PLACE)
    fetching.fetch_bundle([copy], place, row["sha256"])  # what the message asks for
    assert synced(sqlite_registry, replicated, replica) == [(1, "recorded")]
    assert synced(sqlite_registry, replicated, replica) == []
