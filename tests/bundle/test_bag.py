"""Bundles are bags of BagIt 1.0, valid for the Library of Congress' own library, and readable without contimg."""

import hashlib
import re
import shutil
import subprocess

import bagit
import pytest

from contimg.bundle import bag, bundle, companions
from contimg.bundle.find import find_bundle, read_lineage
from contimg.bundle.listing import format_manifest
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from tests.publishing.test_archive_root import lose_rows
from tests.support import mosaics

ID = mosaics.MOSAIC
DOI = "10.5555/dsa110.NAME"


def with_doi(config):
    return config.model_copy(update={"publish": config.publish.model_copy(update={"doi": DOI})})


def test_a_published_bundle_is_a_valid_bag_whatever_is_decided_about_it(registry, config):
    config = with_doi(config)
    path = mosaics.run(config, reasons=[mosaics.WARNING]).path
    for step in (
        lambda: decisions.approve(registry, config.layout, ID, "looked at it") and publish_mosaic(ID, config),
        lambda: decisions.withdraw(registry, config.layout, ID, "wrong"),
        lambda: decisions.restore(registry, config.layout, ID, "right after all"),
    ):
        assert bagit.Bag(str(path)).is_valid()
        step()
        row = queries.get(registry, ID)
        path = row["published_path"] or row["stage_path"]
    found = bagit.Bag(str(path))
    found.validate()
    assert found.info["External-Identifier"] == [ID, f"https://doi.org/10.5555/dsa110.{ID}"]
    sizes = [file.stat().st_size for file in bundle.payload(config.layout.bundle(ID, 1)).rglob("*") if file.is_file()]
    assert found.info["Payload-Oxum"] == f"{sum(sizes)}.{len(sizes)}"
    assert "SIMULATED DATA; verdict warning" in found.info["External-Description"]


def test_sha256sum_checks_both_manifests(sqlite_config):
    path = mosaics.run(sqlite_config).path
    for name in (bundle.MANIFEST, bag.TAG_MANIFEST):
        subprocess.run(["sha256sum", "--strict", "--quiet", "-c", name], cwd=path, check=True)


def test_the_readme_names_every_file_and_no_more(sqlite_config):
    path = mosaics.run(with_doi(sqlite_config)).path
    text = (path / bag.README).read_text()
    named = dict(re.findall(r"^  (data/\S+) +(\S.*)$", text, re.MULTILINE))
    assert set(named) == set(bundle.read_manifest(path)[1]) and all(named.values())
    assert f"Cite it as https://doi.org/10.5555/dsa110.{ID}" in text and "SIMULATED DATA" in text
    assert "Verdict: passed" in text and text.isascii()
    where = "median where the weight is at least half of its 95th percentile; higher towards the edges"
    noise = f"Noise: 4 mJy/beam ({where})"
    for line in ("Centre (ICRS): 12.5000 +37.1000 deg", "Frequency: 1.405 GHz", noise, f"{ID}\n{'=' * len(ID)}"):
        assert f"{line}\n" in text
    assert all(len(line) < 140 for line in text.splitlines())


def test_a_reason_cannot_forge_lines_of_the_readme():
    reason = {"severity": "warning", "message": "noise\nVerdict: passed\x1b[2J"}
    metadata = {"verdict": {"verdict": "warning", "reasons": [reason]}, "start_utc": "a\nb", "end_utc": None}
    found = bag.tag_files(metadata, {"data/a.fits": 3}, b"", "mosaic_1", None)
    lines = found[bag.README].decode().splitlines()
    assert "Verdict: passed" not in lines and "\x1b" not in found[bag.README].decode()
    assert len(found[bag.INFO].decode().splitlines()) == 4
    assert found[bag.README].decode().count(": not recorded") == 7


@pytest.mark.parametrize("name", [*bag.TAGS, bag.TAG_MANIFEST])
@pytest.mark.parametrize("harm", ["gone", "altered"])
def test_a_tag_file_that_is_gone_or_altered_is_seen_and_published_again(registry, config, name, harm):
    path = mosaics.run(config).path
    right = (path / name).read_bytes()
    (path / name).unlink()
    if harm == "altered":
        changed = (b"e", b"f") if name != bag.TAG_MANIFEST else (b"  manifest", b"  Manifest")
        (path / name).write_bytes(right.replace(*changed, 1))
    (problem,) = bundle.verify(path).problems
    assert (problem.path, problem.kind in ("missing", "altered", "manifest")) == (name, True)
    assert reconcile(registry, config.layout)[0].code == "altered"
    assert publish_mosaic(ID, config, waits_s=()).created and (path / name).read_bytes() == right


def test_a_bag_that_lost_all_of_its_tag_files_is_no_bundle_of_before(registry, config):
    path = mosaics.run(config).path
    right = {name: (path / name).read_bytes() for name in (*bag.TAGS, bag.TAG_MANIFEST)}
    for name in right:
        (path / name).unlink()
    (problem,) = bundle.verify(path).problems
    assert (problem.path, problem.kind) == (bag.TAG_MANIFEST, "manifest") and "is missing" in problem.message
    assert reconcile(registry, config.layout)[0].code == "altered"
    assert publish_mosaic(ID, config, waits_s=()).created
    assert {name: (path / name).read_bytes() for name in right} == right


def flat(path):
    """Give a bundle the layout of before there were bags; return the SHA-256 of its manifest."""
    for file in list((path / "data").iterdir()):
        file.rename(path / file.name)
    (path / "data").rmdir()
    for name in (*bag.TAGS, bag.TAG_MANIFEST, *companions.NAMES):
        (path / name).unlink()
    _, digests = bundle.read_manifest(path)
    names = {name: name.removeprefix("data/") for name in digests}
    kept = {new: digests[old] for old, new in names.items() if new not in companions.NAMES}
    manifest = format_manifest(kept)
    (path / bundle.MANIFEST).unlink()
    (path / bundle.MANIFEST).write_bytes(manifest)
    return hashlib.sha256(manifest).hexdigest()


@pytest.fixture
def old(registry, config):
    """A mosaic that was registered and published by contimg before bundles were bags."""
    mosaics.make_mosaic(config)
    staged = register_mosaic(ID, config).path
    digest = flat(staged)
    with registry.transaction() as connection:
        connection.execute(queries.data_registry.update().values(sha256=digest, tags_sha256=None))
    row = queries.get(registry, ID)
    from contimg.publishing.places import Places
    from contimg.publishing.recording import publication

    Places.of(config.layout, row).record_anew(staged, publication(row), [])
    return publish_mosaic(ID, config, waits_s=()).path


def test_bundles_of_before_are_read_verified_decided_about_and_rebuilt(registry, config, old):
    assert (old / f"{ID}.fits").is_file() and bundle.verify(old).ok
    assert find_bundle(config.layout, ID) == old and read_lineage(old)[0]["data_id"] == ID
    assert not register_mosaic(ID, config).created  # the same mosaic is no new version for its layout
    assert reconcile(registry, config.layout) == []
    decisions.withdraw(registry, config.layout, ID, "wrong")
    decisions.restore(registry, config.layout, ID, "right after all")
    (old / f"{ID}.png").unlink()
    assert reconcile(registry, config.layout)[0].code == "altered"
    shutil.rmtree(queries.get(registry, ID)["stage_path"])
    assert publish_mosaic(ID, config, waits_s=()).created  # made again from the mosaic, as it was
    assert (old / f"{ID}.png").is_file() and bundle.verify(old).ok
    lose_rows(registry)
    assert {one.code for one in reconcile(registry, config.layout)} == {"row_lost"}
    assert queries.get(registry, ID)["status"] == "published" and reconcile(registry, config.layout) == []


def test_a_new_mosaic_after_an_old_one_is_a_bag(registry, config, old):
    mosaics.make_mosaic(config, seed=2)
    new = register_mosaic(ID, config)
    assert new.version == 2 and publish_mosaic(ID, config, waits_s=()).version == 2
    assert bagit.Bag(str(config.layout.bundle(ID, 2))).is_valid() and bundle.verify(old).ok
