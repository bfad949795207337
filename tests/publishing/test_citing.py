"""The DOI of a published mosaic: recorded on disk and in the registry, without a change of what a manifest lists."""

import bagit
import pytest

from contimg.bundle import bundle
from contimg.bundle.find import hidden_place
from contimg.bundle.record import PUBLICATION, read_record
from contimg.errors import RegistryError
from contimg.publishing import checkpoints, decisions
from contimg.publishing.deciding import Named
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.registry import queries
from tests.faults import injection
from tests.publishing.test_archive_root import lose_rows
from tests.publishing.test_decisions import Died, backup, restore_backup
from tests.support import mosaics

ID = mosaics.MOSAIC
DOI = "10.5555/dsa110.1"


def listed(path):
    """Return every file but the record, with its bytes."""
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != PUBLICATION}


def cited(registry, config, place="sight"):
    """Return the DOI in the registry, in the archive's copy and in the stage's."""
    row = queries.get(registry, ID)
    path = config.layout.bundle(ID, 1) if place == "sight" else hidden_place(config.layout, ID, 1)
    staged = read_record(config.paths.stage / "registered/2026-02-11" / ID / "v1")
    return row["doi"], read_record(path)["doi"], staged["doi"]


def test_manifest_and_bag_stay_as_they_were(registry, config):
    path = mosaics.run(config).path
    before = listed(path)
    row = decisions.cite(registry, config.layout, ID, DOI)
    assert (row["status"], row["doi"]) == ("published", DOI)
    assert listed(path) == before and bagit.Bag(str(path)).is_valid() and bundle.verify(path).ok
    assert cited(registry, config) == (DOI, DOI, DOI)
    assert reconcile(registry, config.layout) == []
    assert not publish_mosaic(ID, config, waits_s=()).created


@pytest.mark.parametrize("lost", ["rows", "the DOI alone"])
def test_a_registry_that_lost_it_takes_it_from_the_disk(registry, config, lost):
    mosaics.run(config)
    saved = backup(registry)
    decisions.cite(registry, config.layout, ID, DOI)
    if lost == "rows":
        lose_rows(registry)
    else:
        restore_backup(registry, saved)
    assert all(one.repaired for one in reconcile(registry, config.layout))
    assert cited(registry, config) == (DOI, DOI, DOI)
    assert queries.get(registry, ID)["status"] == "published" and reconcile(registry, config.layout) == []


def test_a_process_that_dies_between_record_and_registry_is_finished(registry, config):
    mosaics.run(config)

    def die():
        raise Died

    injection.at_checkpoint("decision:recorded", die)
    try:
        with pytest.raises(Died):
            decisions.cite(registry, config.layout, ID, DOI)
    finally:
        checkpoints.hook = None
    assert cited(registry, config) == (None, DOI, DOI)
    (found,) = reconcile(registry, config.layout, ID)
    assert found.code == "decision_lost" and found.message.endswith(": taken from the record beside the bundle")
    assert cited(registry, config) == (DOI, DOI, DOI) and reconcile(registry, config.layout) == []


def test_it_says_nothing_about_where_the_bundle_belongs(registry, config):
    """Withdrawn, cited, and the registry lost: still withdrawn; restored, cited, and moved back by hand: in sight."""
    mosaics.run(config)
    decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    decisions.cite(registry, config.layout, ID, DOI)
    lose_rows(registry)
    reconcile(registry, config.layout)
    assert queries.get(registry, ID)["status"] == "withdrawn"
    assert cited(registry, config, "hidden") == (DOI, DOI, DOI)
    decisions.restore(registry, config.layout, ID, "right after all")
    decisions.cite(registry, config.layout, ID, "10.5555/other", replace=True)
    sight, hidden = config.layout.bundle(ID, 1), hidden_place(config.layout, ID, 1)
    sight.rename(hidden)
    assert [one.code for one in reconcile(registry, config.layout)] == ["not_in_sight"]
    assert sight.is_dir() and not hidden.exists() and reconcile(registry, config.layout) == []


def test_a_doi_is_for_good_unless_a_person_says_it_was_a_mistake(registry, config):
    mosaics.run(config)
    decisions.cite(registry, config.layout, ID, DOI)
    assert decisions.cite(registry, config.layout, ID, DOI)["doi"] == DOI
    with pytest.raises(RegistryError, match=rf"is cited as {DOI} already.*--replace"):
        decisions.cite(registry, config.layout, ID, "10.5555/other")
    assert cited(registry, config) == (DOI, DOI, DOI)
    decisions.cite(registry, config.layout, ID, "10.5555/other", replace=True)
    assert cited(registry, config) == ("10.5555/other",) * 3 and reconcile(registry, config.layout) == []


@pytest.mark.parametrize("doi", ["https://doi.org/10.5555/a", "10.5/a", "10.5555/", "10.5555/a b", "10.5555/a\nb", ""])
def test_what_is_no_doi_is_refused(registry, config, doi):
    mosaics.run(config)
    with pytest.raises(RegistryError, match=r"is no DOI: write it as 10\.5555"):
        decisions.cite(registry, config.layout, ID, doi)
    assert queries.get(registry, ID)["doi"] is None


def test_only_what_is_published_is_cited(registry, config):
    mosaics.run(config, reasons=[mosaics.WARNING])
    with pytest.raises(RegistryError, match=r"is held: only what is published can be cited; set publish\.doi"):
        decisions.cite(registry, config.layout, ID, DOI)


def test_of_several_versions_one_is_named(registry, config):
    mosaics.run(config)
    mosaics.run(config, seed=2)
    with pytest.raises(RegistryError, match=r"contimg publish cite .*--version 2 --manifest [0-9a-f]{12} --doi"):
        decisions.cite(registry, config.layout, ID, DOI)
    assert decisions.cite(registry, config.layout, Named(ID, 1), DOI)["doi"] == DOI
    assert [row["doi"] for row in queries.versions(registry, ID)] == [DOI, None]


def test_a_doi_in_a_record_that_is_none_is_not_believed(registry, config):
    path = mosaics.run(config).path
    decisions.cite(registry, config.layout, ID, DOI)
    record = path / PUBLICATION
    text = record.read_bytes().replace(DOI.encode(), b"not a DOI at all")
    record.unlink()
    record.write_bytes(text)
    with pytest.raises(RegistryError, match="holds a DOI that is none"):
        read_record(path)
