"""Reconciling: every kind of difference is named, mended where it can be, and then gone."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from contimg.bundle import bundle
from contimg.products.judged import options_of
from contimg.products.twin import read_twin, write_twin
from contimg.publishing import checkpoints, decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries, schema, verifications
from contimg.registry.schema import data_registry
from contimg.storage.process import Owner, machine, part_name
from tests.support import mosaics
from tests.support.bundles import seal

ID = mosaics.MOSAIC


@pytest.fixture
def published(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    return publish_mosaic(ID, config, waits_s=()).path


def change(registry, **values):
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(**values))


def lose_registry(registry):
    with registry.transaction() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            if table.name != "schema_version":
                connection.execute(delete(table))


def disk(config):
    roots = (config.paths.stage, config.paths.products)
    return {str(p): p.read_bytes() if p.is_file() else None for root in roots for p in sorted(root.rglob("*"))}


def state(registry):
    with registry.read() as connection:
        return {t.name: connection.execute(t.select()).all() for t in schema.metadata.sorted_tables}


def mends(registry, config, *codes, data_id=ID):
    """The differences are found, a dry run changes nothing, a real one mends them, a second finds none."""
    before = disk(config), state(registry)
    found = reconcile(registry, config.layout, data_id, dry_run=True)
    assert [one.code for one in found] == list(codes)
    assert not any(one.repaired or one.needs_person for one in found)
    assert (disk(config), state(registry)) == before
    found = reconcile(registry, config.layout, data_id)
    assert [one.code for one in found] == list(codes) and all(one.repaired for one in found)
    assert reconcile(registry, config.layout, data_id) == []
    return found


def needs_a_person(registry, config, code):
    before = disk(config), state(registry)
    for _ in range(2):
        found = reconcile(registry, config.layout)
        assert [(one.code, one.repaired, one.needs_person) for one in found] == [(code, False, True)]
    assert (disk(config), state(registry)) == before
    return found[0]


def damage(path: Path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_nothing_to_do(registry, config, published):
    assert reconcile(registry, config.layout) == [] == reconcile(registry, config.layout, ID)


def test_an_empty_archive_is_in_order(registry, config):
    assert reconcile(registry, config.layout) == []


def test_a_left_claim_and_its_copy(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    owner = Owner("here", machine(), 999_999_999, 1).to_json()
    change(registry, status="publishing", claim_token="dead", claim_owner=owner, claim_expires_unix_s=4e9)
    remains = config.paths.products / ".incoming" / f"{ID}.dead"
    remains.mkdir(parents=True)
    (remains / "half.fits").touch()
    mends(registry, config, "claim_left", "incoming_left")
    assert queries.get(registry, ID)["status"] == "staging" and not remains.exists()


def test_a_living_publishers_copy_is_left_alone(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    owner = Owner("elsewhere", machine(), 1, int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]))
    change(registry, status="publishing", claim_token="alive", claim_owner=owner.to_json(), claim_expires_unix_s=4e9)
    copy = config.paths.products / ".incoming" / f"{ID}.alive"
    copy.mkdir(parents=True)
    assert reconcile(registry, config.layout) == [] and copy.exists()


def test_another_products_copy_is_left_alone_when_one_is_asked_for(registry, config, published):
    other = config.paths.products / ".incoming" / "mosaic_20260101T000000.token"
    other.mkdir()
    assert reconcile(registry, config.layout, ID) == []
    mends(registry, config, "incoming_left", data_id=None)


def test_other_mosaics_are_left_alone_when_one_is_asked_for(registry, config, published):
    other_id = mosaics.make_mosaic(config, tiles=("2026-02-11T01:26:49",))
    register_mosaic(other_id, config)
    other = publish_mosaic(other_id, config, waits_s=())
    (other.path / "data" / f"{other.data_id}.png").write_bytes(b"rot")
    shutil.rmtree(queries.get(registry, other.data_id)["stage_path"])
    marker = config.layout.twin("published", other.data_id)
    marker.write_text("{}")
    assert reconcile(registry, config.layout, ID) == [] and other.path.is_dir() and marker.read_text() == "{}"
    assert {one.data_id for one in reconcile(registry, config.layout)} == {other.data_id}


def test_renamed_but_not_recorded(registry, config, published):
    change(registry, status="staging", published_path=None, published_at=None)
    config.layout.twin("published", ID).unlink()
    change(registry, verified_at=None)
    mends(registry, config, "not_recorded")
    row = queries.get(registry, ID)
    assert (row["status"], row["published_path"]) == ("published", str(published))
    assert row["verified_at"] is not None  # every byte was read before it was recorded


def test_died_after_the_rename_while_claimed(registry, config, published):
    owner = Owner("here", machine(), 999_999_999, 1).to_json()
    config.layout.twin("published", ID).unlink()
    change(
        registry, status="publishing", published_path=None, published_at=None, claim_token="dead", claim_owner=owner,
        claim_expires_unix_s=4e9,
    )  # fmt: skip
    mends(registry, config, "claim_left", "not_recorded")


def test_recorded_but_missing(registry, config, published):
    shutil.rmtree(published)
    found = reconcile(registry, config.layout, ID)
    assert [(one.code, one.repaired) for one in found] == [("missing", True), ("marker_differs", True)]
    assert queries.get(registry, ID)["status"] == "staging"
    assert not config.layout.twin("published", ID).exists()
    assert publish_mosaic(ID, config, waits_s=()).created and bundle.verify(published).ok


def test_altered_bytes_are_replaced_and_kept_aside(registry, config, published):
    damage(published / "data" / f"{ID}.fits")
    altered = (published / "data" / f"{ID}.fits").read_bytes()
    found = reconcile(registry, config.layout)
    assert [(one.code, one.repaired) for one in found] == [("altered", True), ("marker_differs", True)]
    assert not published.exists()
    assert (config.paths.products / ".altered" / f"{ID}.1" / "data" / f"{ID}.fits").read_bytes() == altered
    assert publish_mosaic(ID, config, waits_s=()).created and bundle.verify(published).ok
    damage(published / "data" / f"{ID}.fits")
    assert publish_mosaic(ID, config, waits_s=()).created and bundle.verify(published).ok
    assert (config.paths.products / ".altered" / f"{ID}.2").is_dir()


def test_altered_bytes_without_the_staged_bundle_come_from_the_mosaic(registry, config, published):
    damage(published / "data" / f"{ID}.png")
    shutil.rmtree(queries.get(registry, ID)["stage_path"])
    found = reconcile(registry, config.layout)
    assert [(one.code, one.repaired) for one in found] == [
        ("altered", True), ("stage_altered", True), ("marker_differs", True),
    ]  # fmt: skip
    assert publish_mosaic(ID, config, waits_s=()).created and bundle.verify(published).ok


def test_a_bundle_that_was_judged_by_thresholds_is_made_again_with_them(registry, config):
    """The rule judges by the thresholds of the configuration: so must whoever makes the bundle again."""
    mosaics.make_mosaic(config)
    staged = register_mosaic(ID, config, judged_by=options_of(config)).path
    shutil.rmtree(staged)
    (found,) = reconcile(registry, config.layout, judged_by=options_of(config))
    assert (found.code, found.repaired, found.needs_person) == ("stage_altered", True, False)
    assert bundle.verify(staged, expected=queries.get(registry, ID)["sha256"]).ok


@pytest.mark.parametrize("what", ["altered", "missing"])
def test_what_is_nowhere_whole_needs_a_person(registry, config, published, what):
    shutil.rmtree(queries.get(registry, ID)["stage_path"])
    shutil.rmtree(config.layout.product("mosaic", ID))
    if what == "altered":
        damage(published / "data" / f"{ID}.png")
    else:
        shutil.rmtree(published)
    assert "restore it from a backup" in needs_a_person(registry, config, what).message


def test_a_staged_bundle_is_made_again(registry, config):
    mosaics.make_mosaic(config)
    staged = register_mosaic(ID, config).path
    shutil.rmtree(staged)
    mends(registry, config, "stage_altered")
    assert bundle.verify(staged).ok


def test_a_staged_bundle_whose_mosaic_changed_needs_a_person(registry, config):
    mosaics.make_mosaic(config)
    shutil.rmtree(register_mosaic(ID, config).path)
    mosaics.make_mosaic(config, seed=2)
    assert "another one now" in needs_a_person(registry, config, "stage_altered").message


def test_a_lost_registry_is_rebuilt_from_the_bundles(registry, config, published):
    mosaics.make_mosaic(config, seed=2)
    register_mosaic(ID, config)
    publish_mosaic(ID, config, waits_s=())
    before = state(registry)
    rows = queries.versions(registry, ID)
    lose_registry(registry)
    found = reconcile(registry, config.layout)
    assert [(one.code, one.version, one.repaired) for one in found][:2] == [
        ("row_lost", 1, True),
        ("row_lost", 2, True),
    ]
    after = state(registry)
    for table in (
        "tiles",
        "subband_files",
        "ms_index",
        "caltables",
        "images",
        "lineage",
        "mosaic_groups",
        "mosaic_tiles",
    ):
        assert sorted(after[table]) == sorted(before[table]), table
    rebuilt = queries.versions(registry, ID)
    same = ("data_id", "version", "status", "sha256", "published_path", "stage_path", "qa_status", "validation_status",
            "finalization_status", "metadata_json", "synthetic", "created_at", "staged_at", "auto_publish")  # fmt: skip
    assert [[row[key] for key in same] for row in rebuilt] == [[row[key] for key in same] for row in rows]
    assert reconcile(registry, config.layout) == []
    assert publish_mosaic(ID, config, waits_s=()).status == "published"
    register_mosaic(ID, config)
    assert len(queries.versions(registry, ID)) == 2


def test_an_approval_survives_the_loss_of_the_registry(registry, config):
    mosaics.make_mosaic(config, reasons=[mosaics.FAILED])
    register_mosaic(ID, config)
    publish_mosaic(ID, config, waits_s=())
    decisions.approve(registry, config.layout, ID, "checked by eye")
    path = publish_mosaic(ID, config, waits_s=()).path
    lose_registry(registry)
    assert next(one.code for one in reconcile(registry, config.layout)) == "row_lost"
    row = queries.get(registry, ID)
    assert (row["status"], row["qa_status"], row["approved_reason"]) == ("published", "failed", "checked by eye")
    lose_registry(registry)
    (path / bundle.PUBLICATION).unlink()
    found = reconcile(registry, config.layout)
    assert found[0].code == "foreign" and "no approval is recorded" in found[0].message


def test_a_withdrawal_survives_the_loss_of_the_registry(registry, config, published):
    decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    lose_registry(registry)
    reconcile(registry, config.layout)
    assert queries.get(registry, ID)["status"] == "withdrawn" and not published.exists()
    assert reconcile(registry, config.layout) == []


def test_a_foreign_folder_is_reported_and_left(registry, config, published):
    foreign = published.with_name(f"{ID}.v7")
    foreign.mkdir()
    (foreign / "file").touch()
    assert "is no whole bundle" in needs_a_person(registry, config, "foreign").message


def test_a_bundle_under_a_wrong_name_is_reported(registry, config, published):
    copy = config.layout.bundle("mosaic_20260211T111111", 1)
    shutil.copytree(published, copy)
    assert f"holds {ID}" in needs_a_person(registry, config, "foreign").message


def test_a_bundle_whose_lineage_was_forged_is_not_believed(registry, config, published):
    metadata = json.loads((published / "data" / bundle.METADATA).read_text())
    for entry in metadata["lineage"]["products"]:
        entry["twin"]["qa"] = {"rms_mjy": 0.001}
    (published / "data" / bundle.METADATA).write_bytes(bundle.json_bytes(metadata))
    seal(published)
    lose_registry(registry)
    found = [one for one in reconcile(registry, config.layout) if one.code == "foreign"]
    assert len(found) == 1 and "does not have the digest" in found[0].message


def test_another_bundle_where_ours_belongs_is_reported(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    final = config.layout.bundle(ID, 1)
    final.mkdir(parents=True)
    (final / "precious").touch()
    assert "and differs" in needs_a_person(registry, config, "foreign").message


def test_a_withdrawal_that_died_half_way_is_finished(registry, config, published, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(name):
        if name == "withdraw:recorded":
            raise Killed

    monkeypatch.setattr(checkpoints, "hook", kill)
    with pytest.raises(Killed):
        decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    monkeypatch.setattr(checkpoints, "hook", None)
    mends(registry, config, "not_hidden", "marker_differs")
    assert not published.exists()
    assert bundle.verify(Path(queries.get(registry, ID)["published_path"])).ok


def test_a_wrong_marker_is_corrected(registry, config, published):
    place = config.layout.twin("published", ID)
    right = place.read_bytes()
    place.write_text("{}")
    mends(registry, config, "marker_differs")
    assert place.read_bytes() == right


def test_remains_on_the_stage(registry, config, published):
    home = config.layout.product("registered", ID)
    (home / f".bundle.part--{machine()}-999999999-1").mkdir()
    mine = home / part_name("bundle")
    mine.mkdir()
    found = mends(registry, config, "part_left")
    assert mine.exists() and [one.data_id for one in found] == [ID]


def test_symlinks_in_the_archive_are_not_followed(registry, config, published, tmp_path):
    import os

    copy = tmp_path / "copy"
    shutil.copytree(published, copy)
    link = published.with_name(f"{ID}.v2")
    os.symlink(copy, link)
    assert [(one.code, one.path) for one in reconcile(registry, config.layout)] == [("foreign", str(link))]
    link.unlink()


def test_a_twin_changed_after_publishing_does_not_matter(registry, config, published):
    place = config.layout.twin("ms", mosaics.GROUP)
    write_twin(place, read_twin(place).model_copy(update={"notes": ["made again"]}))
    assert reconcile(registry, config.layout) == []


@pytest.mark.parametrize("name", ["v03", "v99999999999999999999", "v\u0969"])
def test_a_folder_that_is_no_version_makes_no_row(registry, config, published, name):
    home = config.layout.product("registered", ID)
    shutil.copytree(home / "v1", home / name)
    reconcile(registry, config.layout)
    with registry.read() as connection:
        assert queries.states(connection, ID) == [(1, "published")]


def test_a_copy_in_sight_with_a_version_beyond_all_is_no_bundle(registry, config, published):
    shutil.copytree(published, published.with_name(f"{ID}.v99999999999999999999"))
    reconcile(registry, config.layout)
    with registry.read() as connection:
        assert queries.states(connection, ID) == [(1, "published")]


def test_what_was_read_by_a_clock_set_ahead_counts_as_unread(registry, config, published):
    change(registry, verified_at="2099-01-01T00:00:00.000Z")
    assert verifications.count_unread(registry, "2026-01-01T00:00:00.000Z") == (1, 1)
