"""Files and folders without end, which a failing disk or a hostile hand makes, are problems of where they stand.

A file whose length was made up is not read for years, nor into memory.
"""

import os
import subprocess

import pytest

from contimg.bundle import bundle
from contimg.bundle.bag import TAG_MANIFEST, TAGS
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.scrub import scrub
from tests.publishing.test_odd_disks import two
from tests.support import mosaics
from tests.support.deep_folders import deep_folders

ID = mosaics.MOSAIC
LENGTH = 4 << 40  # bytes: two hours at the speed of a memory, and no block on the disk

__all__ = ["two"]


def make_endless(path):
    path.chmod(0o644)
    os.truncate(path, LENGTH)


@pytest.mark.parametrize(
    "name",
    [
        f"data/{ID}.fits",
        "data/metadata.json",
        f"data/{ID}.json",
        *TAGS,
        TAG_MANIFEST,
        bundle.MANIFEST,
    ],
)
def test_an_endless_file_is_a_problem_of_that_bundle(registry, config, two, name):
    make_endless(two[0] / name)
    seen = {one["data_id"]: one["problems"] for one in scrub(registry)}
    assert seen[two[1].name] == [] and str(two[0] / name) in seen[ID][0] and str(LENGTH) in seen[ID][0]
    altered = [one for one in reconcile(registry, config.layout) if one.code == "altered"]
    assert [(one.data_id, one.repaired) for one in altered] == [(ID, True)] and str(two[0] / name) in altered[0].message
    publish_mosaic(ID, config, waits_s=())
    assert bundle.verify(two[0]).ok and all(one["ok"] for one in scrub(registry))


def test_an_endless_record_is_a_problem_of_that_bundle(registry, config, two):
    record = two[0] / bundle.PUBLICATION
    right = record.read_bytes()
    make_endless(record)
    seen = {one["data_id"]: one["problems"] for one in scrub(registry)}
    assert seen == {two[1].name: [], ID: [f"{record} is {LENGTH} bytes long: restore it from a copy"]}
    found = reconcile(registry, config.layout)
    assert [(one.code, one.data_id, one.needs_person) for one in found] == [("record_unreadable", ID, True)]
    record.unlink()
    reconcile(registry, config.layout)
    assert record.read_bytes() == right and reconcile(registry, config.layout) == []


def test_folders_without_end_in_a_bundle_are_moved_away(registry, config, two):
    with deep_folders(two[0], 3000):
        seen = {one["data_id"]: one["problems"] for one in scrub(registry)}
        assert len(seen[ID]) == 1 and seen[ID][0] == f"{two[0]}/d is not in the manifest" and seen[two[1].name] == []
        (found,) = reconcile(registry, config.layout)
        assert (found.code, found.data_id, found.repaired) == ("stray", ID, True)
        assert all(one["ok"] for one in scrub(registry)) and reconcile(registry, config.layout) == []
        subprocess.run(["rm", "-rf", config.layout.products / ".altered"], check=True)


def test_folders_without_end_that_a_publisher_left_are_named(registry, config, two):
    left = config.layout.products / ".incoming" / "mosaic.deadbeef"
    left.mkdir(parents=True)
    with deep_folders(left, 3000, within=left.parent):
        (found,) = reconcile(registry, config.layout)
        assert (found.code, found.repaired) == ("incoming_left", False) and "folders: remove them" in found.message
    assert [one.repaired for one in reconcile(registry, config.layout)] == [True]
    assert reconcile(registry, config.layout) == []
