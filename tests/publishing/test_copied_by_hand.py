"""Bundles that a person copied to where another belongs: no record is obeyed for a version that it is not of."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import update

from contimg.bundle import bundle
from contimg.bundle.record import decisions_in, read_record
from contimg.errors import RegistryError
from contimg.publishing import decisions
from contimg.publishing.reconcile import reconcile
from contimg.publishing.scrub import verify_row
from contimg.registry import queries
from contimg.registry.schema import data_registry
from tests.publishing.test_reconcile import disk, lose_registry
from tests.support import mosaics
from tests.support.mosaics import run

ID = mosaics.MOSAIC


@pytest.fixture
def two(registry, config):
    """Two published versions, and a decision about the second one: it was cited, then withdrawn."""
    run(config)
    run(config, seed=2, rms_mjy=3.9)
    decisions.withdraw(registry, config.layout, decisions.Named(ID, 2), "a wrong flux scale")
    return [Path(queries.get(registry, ID, version)["stage_path"]) for version in (1, 2)]


def status(registry):
    return {row["version"]: row["status"] for row in queries.versions(registry, ID)}


def copy_over(source, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def made(path):
    return [one.decision for one in decisions_in(read_record(path), path)]


@pytest.mark.parametrize("what", ["whole bundle", "record alone", "record without names"])
def test_decisions_about_another_version_are_not_obeyed(registry, config, two, what):
    first, second = two
    if what == "whole bundle":
        copy_over(second, first)
    else:
        shutil.copy(second / bundle.PUBLICATION, first)
    if what == "record without names":
        content = json.loads((first / bundle.PUBLICATION).read_text())
        (first / bundle.PUBLICATION).write_text(json.dumps({"decisions": content["decisions"]}))
    reconcile(registry, config.layout)
    assert status(registry) == {1: "published", 2: "withdrawn"}
    assert config.layout.bundle(ID, 1).is_dir()
    assert reconcile(registry, config.layout) == []
    if what == "whole bundle":  # which is not this version's: nothing is written into it
        assert read_record(first) == read_record(second) and made(first) == ["withdrawn"]
    else:
        assert read_record(first)["version"] == 1 and made(first) == []


def test_no_record_of_another_bundle_is_overwritten_in_sight(registry, config, two):
    """The second version's bundle stands under the first one's name: found as altered, its record left as it is."""
    sight = config.layout.bundle(ID, 1)
    copy_over(two[1], sight)
    before = (sight / bundle.PUBLICATION).read_bytes()
    found = reconcile(registry, config.layout)
    assert [one.code for one in found if one.code != "marker_differs"] == ["altered"] and status(registry)[
        1
    ] == "staging"
    (aside,) = (config.layout.products / ".altered").iterdir()
    assert (aside / bundle.PUBLICATION).read_bytes() == before


def test_a_row_with_another_digest_overwrites_no_record(registry, config, two):
    with registry.transaction() as connection:
        connection.execute(update(data_registry).where(data_registry.c.version == 1).values(sha256="0" * 64))
    before = disk(config)
    found = reconcile(registry, config.layout)
    assert [(one.code, one.needs_person) for one in found if one.version == 1 and one.code != "marker_differs"] == [
        ("altered", True)
    ]
    after = disk(config)
    assert {name for name in after if after[name] != before.get(name) and "publication" in name} == set()


@pytest.mark.parametrize("place", ["archive", "stage"])
@pytest.mark.parametrize("state", ["registry kept", "registry lost"])
@pytest.mark.parametrize("record", ["record kept", "record gone", "record rewritten"])
@pytest.mark.parametrize("source", [1, 2])
def test_a_copy_is_no_new_version(registry, config, two, place, state, record, source):
    """Also of the withdrawn version: what was withdrawn is not published again under another number."""
    copy = config.layout.bundle(ID, 5) if place == "archive" else two[0].with_name("v5")
    shutil.copytree(two[source - 1], copy)
    if record == "record gone":
        (copy / bundle.PUBLICATION).unlink()
    if record == "record rewritten":
        content = json.loads((copy / bundle.PUBLICATION).read_text())
        (copy / bundle.PUBLICATION).write_text(json.dumps(content | {"version": 5, "decisions": []}))
    if state == "registry lost":
        lose_registry(registry)
    expected = {1: "published", 2: "withdrawn"}
    refused = [5]
    if (state, record) == ("registry lost", "record rewritten"):  # nothing knows which of the two is the forged one
        refused = [source, 5]
        del expected[source]
    found = [one for one in reconcile(registry, config.layout) if one.needs_person]
    assert sorted((one.code, one.version) for one in found) == [("foreign", version) for version in refused]
    assert all("move" in one.message for one in found)
    assert status(registry) == expected and copy.is_dir()
    assert {one.code for one in reconcile(registry, config.layout)} == {"foreign"}
    shutil.rmtree(copy)
    reconcile(registry, config.layout)
    assert reconcile(registry, config.layout) == [] and status(registry) == {1: "published", 2: "withdrawn"}


def test_verify_says_what_reconcile_will_do_with_a_record(registry, config):
    """A record that lost a field is written anew; of one with a decision that the registry lacks, that is obeyed."""
    run(config)
    sight = config.layout.bundle(ID, 1)
    row = queries.get(registry, ID)
    content = json.loads((sight / bundle.PUBLICATION).read_text())
    (sight / bundle.PUBLICATION).write_text(json.dumps(content | {"doi": "10.5555/other"}))
    assert verify_row(registry, row)["problems"] == [
        f"{sight / bundle.PUBLICATION} does not say what the registry does (doi): contimg reconcile {ID} writes it anew"
    ]
    one = {"time": "2099-01-01T00:00:00.000Z", "decision": "withdrawn", "reason": "no", "by": "ada", "host": "h"}
    (sight / bundle.PUBLICATION).write_text(json.dumps(content | {"decisions": [one]}))
    (problem,) = verify_row(registry, row)["problems"]
    assert problem == (
        f"{sight / bundle.PUBLICATION} says that ada has withdrawn it on 2099-01-01T00:00:00.000Z, which the registry "
        f"does not know: 'contimg reconcile {ID}' makes it hold; if it is wrong, restore the record from a copy first"
    )
    reconcile(registry, config.layout)
    assert queries.get(registry, ID)["status"] == "withdrawn"


@pytest.mark.parametrize("there", ["bundle", "file", "link", "other bundle"])
def test_nothing_is_restored_to_a_place_that_is_taken(registry, config, there):
    run(config)
    sight = config.layout.bundle(ID, 1)
    decisions.withdraw(registry, config.layout, ID, "by mistake")
    if there == "file":
        sight.write_text("a note")
    elif there == "link":
        sight.symlink_to(config.layout.stage)
    else:
        shutil.copytree(queries.get(registry, ID)["stage_path"], sight)
        if there == "other bundle":
            (sight / "data" / bundle.METADATA).write_text("{}")
    with pytest.raises(RegistryError, match=r"stands where the withdrawn bundle would return to|is a symlink"):
        decisions.restore(registry, config.layout, ID, "it was right")
    assert queries.get(registry, ID)["status"] == "withdrawn"
    if there in ("file", "link"):
        sight.unlink()
    else:
        reconcile(registry, config.layout, ID)
    assert decisions.restore(registry, config.layout, ID, "it was right")["status"] == "published"
    assert bundle.problem(sight, queries.get(registry, ID)["sha256"]) is None


@pytest.mark.parametrize("whole", [True, False])
def test_a_restored_bundle_is_told_from_another_in_its_place_by_its_bytes(registry, config, whole):
    """Recorded as restored, and before it was moved another bundle was put there: the right one is the one kept."""
    run(config)
    sight = config.layout.bundle(ID, 1)
    decisions.withdraw(registry, config.layout, ID, "by mistake")
    hidden = Path(queries.get(registry, ID)["published_path"])
    decisions.restore(registry, config.layout, ID, "it was right")
    shutil.copytree(sight, hidden)
    (sight / "data" / bundle.METADATA).write_text("{}")
    if not whole:
        (hidden / "data" / bundle.METADATA).write_text("{}")
    found = [one for one in reconcile(registry, config.layout) if one.code == "in_two_places"]
    assert [one.needs_person for one in found] == [not whole]
    assert hidden.is_dir() is not whole
    if whole:
        assert bundle.problem(sight, queries.get(registry, ID)["sha256"]) is None
        assert reconcile(registry, config.layout) == []
