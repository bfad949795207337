"""Bundles: what the manifest says is what stands there, and anyone can check it without a database."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from contimg.bundle import bag, bundle
from contimg.bundle.assembly import gather
from contimg.bundle.listing import format_manifest
from contimg.bundle.twins import read_twins
from contimg.errors import InputError, RegistryError
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture
def published(sqlite_config):
    mosaics.make_mosaic(sqlite_config)
    register_mosaic(ID, sqlite_config)
    return publish_mosaic(ID, sqlite_config, waits_s=()).path


def problems(path, **options):
    return [(problem.kind, problem.path) for problem in bundle.verify(path, **options).problems]


def test_a_whole_bundle_has_no_problem(published):
    done = bundle.verify(published)
    assert done.ok and done.n_files == 14
    names = [*bundle.read_manifest(published)[1], *bag.TAGS]
    assert done.n_bytes == sum((published / name).stat().st_size for name in names)


def test_one_bit_is_seen(published):
    file = published / "data" / f"{ID}.weights.fits"
    content = bytearray(file.read_bytes())
    content[3000] ^= 4
    file.write_bytes(content)
    assert problems(published) == [("altered", f"data/{ID}.weights.fits")]


def test_a_missing_and_a_strange_file_are_seen(published):
    (published / "data" / "crossmatch" / f"{ID}.flux.png").unlink()
    (published / "notes.txt").touch()
    assert problems(published) == [("unlisted", "notes.txt"), ("missing", f"data/crossmatch/{ID}.flux.png")]


def test_a_symlink_is_no_file(published, tmp_path):
    file = published / "data" / f"{ID}.png"
    shutil.move(file, tmp_path / "moved.png")
    os.symlink(tmp_path / "moved.png", file)
    assert problems(published) == [("altered", f"data/{ID}.png")]


def test_a_manifest_rewritten_to_fit_altered_bytes_is_seen_by_the_registry(published):
    digest, digests = bundle.read_manifest(published)
    (published / "data" / f"{ID}.png").write_bytes(b"another picture")
    import hashlib

    digests[f"data/{ID}.png"] = hashlib.sha256(b"another picture").hexdigest()
    manifest = format_manifest(digests)
    (published / bundle.MANIFEST).write_bytes(manifest)
    assert problems(published) == [("manifest", bag.TAG_MANIFEST)]
    tags = (published / bag.TAG_MANIFEST).read_text()
    (published / bag.TAG_MANIFEST).write_text(tags.replace(digest, hashlib.sha256(manifest).hexdigest()))
    assert problems(published) == []
    assert problems(published, expected=digest) == [("manifest", bundle.MANIFEST)]


def test_a_folder_without_manifest_is_no_bundle(published, tmp_path):
    (published / bundle.MANIFEST).unlink()
    assert problems(published) == [("manifest", bundle.MANIFEST)]
    done = bundle.verify(published)
    assert (done.manifest_sha256, done.n_files, done.n_bytes) == (None, 0, 0)
    with pytest.raises(InputError, match="is not a bundle"):
        bundle.verify(tmp_path / "nowhere")


def test_verifying_needs_no_database(published):
    code = (
        "import sys; from pathlib import Path; from contimg.bundle import bundle;"
        "assert bundle.verify(Path(sys.argv[1])).ok; assert 'sqlalchemy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(published)], check=True)


def test_equal_products_give_an_equal_manifest(sqlite_config):
    mosaics.make_mosaic(sqlite_config)
    first = gather(sqlite_config.layout, ID)
    mosaics.make_mosaic(sqlite_config)
    again = gather(sqlite_config.layout, ID)
    assert again.manifest == first.manifest and again.generated == first.generated
    mosaics.make_mosaic(sqlite_config, seed=2)
    assert gather(sqlite_config.layout, ID).manifest_sha256 != first.manifest_sha256


def test_a_product_may_not_use_the_bundles_own_names(sqlite_config):
    mosaics.make_mosaic(sqlite_config)
    (sqlite_config.layout.product("mosaic", ID) / bundle.METADATA).write_text("{}")
    with pytest.raises(RegistryError, match=r"holds 'metadata\.json', a name that the bundle needs"):
        gather(sqlite_config.layout, ID)


def test_verifying_is_fast_enough(tmp_path):
    """At least 200 MB/s (issue 6); a quarter of a GB of zeros, read from the cache."""
    import hashlib
    import time

    size = 256 << 20
    with open(tmp_path / "big.fits", "wb") as file:
        file.truncate(size)
    digest = hashlib.sha256()
    for _ in range(size >> 20):
        digest.update(bytes(1 << 20))
    (tmp_path / bundle.METADATA).write_text("{}")
    digests = {"big.fits": digest.hexdigest(), bundle.METADATA: hashlib.sha256(b"{}").hexdigest()}
    (tmp_path / bundle.MANIFEST).write_bytes(format_manifest(digests))
    started = time.process_time()
    assert bundle.verify(tmp_path).ok
    assert size / (time.process_time() - started) > 200e6


def test_a_manifest_that_leads_out_or_names_a_folder_is_seen(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / bundle.METADATA).write_text("{}")
    digests = {
        "folder": "0" * 64,
        "nowhere/file": "0" * 64,
        "folder/file": "0" * 64,
        f"{bundle.METADATA}/file": "0" * 64,
    }
    (tmp_path / bundle.MANIFEST).write_bytes(format_manifest(digests))
    assert problems(tmp_path) == [
        ("manifest", bundle.METADATA),  # not listed
        ("unlisted", bundle.METADATA),
        ("altered", "folder"),
        ("missing", "folder/file"),
        ("altered", f"{bundle.METADATA}/file"),
        ("missing", "nowhere/file"),
    ]


def test_progress_adds_up_to_the_bytes(published):
    read = []
    done = bundle.verify(published, progress=read.append)
    assert sum(read) == done.n_bytes > 0


def test_the_first_problem_as_a_sentence(published, tmp_path):
    digest, _ = bundle.read_manifest(published)
    assert bundle.problem(published, digest) is None
    assert "is not the one that the registry knows (0000" in bundle.problem(published, "0" * 64)
    (published / "data" / f"{ID}.png").unlink()
    assert bundle.problem(published, digest) == f"{published / 'data' / f'{ID}.png'} is missing"
    assert bundle.problem(tmp_path / "nowhere", None).endswith("is not a bundle: it holds no manifest-sha256.txt")
    (published / bundle.MANIFEST).write_text("nonsense\n")
    assert (
        bundle.problem(published, None)
        == f"{published}: line 1 of manifest-sha256.txt is not one of a manifest: restore it from a copy"
    )


@pytest.mark.parametrize(("errors", "sentence"), [(1, None), (99, "cannot be read from its disk")])
def test_one_error_of_reading_is_no_rot(published, monkeypatch, errors, sentence):
    """Reconciling takes out of sight what it cannot read: once may be a cable, twice is the disk."""
    left, right = [errors], bundle.safe_files.sha256

    def failing(*arguments):
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return right(*arguments)

    monkeypatch.setattr(bundle.safe_files, "sha256", failing)
    found = bundle.problem(published, None)
    assert found is None if sentence is None else sentence in found


def test_metadata_that_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"metadata\.json does not exist: name the folder of a bundle"):
        bundle.read_metadata(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"metadata\.json does not exist"):
        bundle.read_metadata(tmp_path)
    for content in (b"", b"{", b"\xff", b"[" * 100_000):
        (tmp_path / bundle.METADATA).write_bytes(content)
        with pytest.raises(InputError, match=r"metadata\.json is no JSON: restore it from a copy"):
            bundle.read_metadata(tmp_path)
    (tmp_path / bundle.METADATA).write_text("[1]")
    with pytest.raises(InputError, match=r"metadata\.json holds no JSON object"):
        bundle.read_metadata(tmp_path)
    with pytest.raises(InputError, match=r"metadata\.json does not exist"):
        bundle.read_metadata(tmp_path / bundle.METADATA)


def test_the_twins_of_a_bundle(published):
    assert [twin.kind for twin in read_twins(published, ID)] == ["mosaic", "crossmatch"]
    shutil.rmtree(published / "data" / "crossmatch")
    assert [twin.kind for twin in read_twins(published, ID)] == ["mosaic"]
    twin = published / "data" / f"{ID}.json"
    whole = twin.read_text()
    twin.write_text(whole.replace("12.5", "12.6"))
    with pytest.raises(InputError, match=r"is not the twin in the bundle's lineage"):
        read_twins(published, ID)
    twin.write_text(whole[:100])
    with pytest.raises(InputError, match=r"is not a valid twin: restore it from a copy"):
        read_twins(published, ID)
    twin.unlink()
    with pytest.raises(InputError, match=rf"{ID}\.json does not exist: name the folder of a bundle"):
        read_twins(published, ID)
    for lineage in ("{}", '{"lineage": null}', '{"lineage": {"products": [1]}}', '{"lineage": {"products": [{}]}}'):
        (published / "data" / bundle.METADATA).write_text(lineage)
        damaged = r"metadata\.json (holds no lineage|is damaged: 'lineage[^']*': .*): restore it from a copy"
        with pytest.raises(InputError, match=damaged):
            read_twins(published, ID)


@pytest.mark.parametrize("name", [bundle.PUBLICATION, bundle.TAG_MANIFEST, bundle.MANIFEST])
def test_a_wrong_byte_on_the_disk_is_found_when_a_file_is_put(tmp_path, monkeypatch, name):
    """Of the data files the copy is read back as well (tests/publishing/test_copying.py)."""
    original = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: original(descriptor, bytes(data)[:-1] + b"?"))
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(
            RegistryError, match=f"{tmp_path}/{name} reads back differently: check its disk, then retry"
        ):
            bundle.put_file(folder, name, b"{}\n")
        monkeypatch.undo()
        bundle.put_file(folder, f"{name}.2", b"{}\n", read_only=True)
    finally:
        os.close(folder)
    assert (tmp_path / f"{name}.2").read_bytes() == b"{}\n"


def test_a_bag_without_any_of_its_tag_files_is_not_taken_for_a_bundle_of_before(sqlite_config):
    published = mosaics.run(sqlite_config).path
    for name in (bag.TAG_MANIFEST, *bag.TAGS):
        (published / name).unlink()
    (problem,) = bundle.verify(published).problems
    assert problem.path == bag.TAG_MANIFEST and "is missing" in problem.message
