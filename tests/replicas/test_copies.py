"""One copy in a replica: committed once and last, told apart from another's, verified, fetched, removed."""

import json
import os
import shutil

import bagit
import pytest

from contimg.bundle import bag, bundle
from contimg.errors import RegistryError
from contimg.replicas import commits, copies, fetching, stores
from contimg.replicas.stores import ReplicaError
from tests.replicas.conftest import files_of, harm
from tests.support import mosaics

ID = mosaics.MOSAIC
PLACE = f"mosaics/2026-02-11/{ID}"

IN_A_FOLDER = pytest.mark.parametrize("url", ["folder"], indirect=True)


@pytest.fixture
def published(sqlite_config):
    return mosaics.run(sqlite_config).path


@pytest.fixture
def digest(published):
    return bundle.read_manifest(published)[0]


def put(store, published, digest):
    return copies.put_copy(store, published, PLACE, digest, lambda _count: None)


def test_a_copy_is_the_bundle_to_the_byte_with_a_commit_beside_it(store, published, digest):
    commit = put(store, published, digest)
    there = files_of(store, PLACE)
    assert there == {
        str(file.relative_to(published)): file.read_bytes() for file in published.rglob("*") if file.is_file()
    }
    assert commits.commit_of(store, PLACE) == commit and commit.manifest_sha256 == digest
    assert copies.problems_of(store, PLACE, digest) == []
    assert put(store, published, digest) == commit  # nothing new is written


class Interrupted(Exception):
    pass


def dying_after(writes, monkeypatch, kind):
    """Let the process die at the write after so many."""
    left = iter(range(writes))

    def counted(real):
        def write(*arguments):
            if next(left, None) is None:
                raise Interrupted
            return real(*arguments)

        return write

    monkeypatch.setattr(kind, "put", counted(kind.put))
    monkeypatch.setattr(kind, "put_new", counted(kind.put_new))


def test_killed_at_a_write_there_is_no_copy_and_the_next_makes_it(store, published, digest, monkeypatch):
    files = sum(file.is_file() for file in published.rglob("*"))  # written one by one; the commit is the last write
    for writes in (0, 1, files // 2, files - 1, files):
        with monkeypatch.context() as patch:
            dying_after(writes, patch, type(store))
            with pytest.raises(Interrupted):
                put(store, published, digest)
        assert copies.problems_of(store, PLACE, digest) == [
            f"replica {store.where} has no copy of {PLACE}: contimg replicas sync writes it again"
        ]
    with monkeypatch.context() as patch:
        dying_after(files + 1, patch, type(store))
        put(store, published, digest)
    assert copies.problems_of(store, PLACE, digest) == []


def test_an_answer_that_was_lost_is_told_by_the_write_id(store, published, digest, monkeypatch):
    """The server did what was asked, and the client saw an error: as after a timeout."""
    real = type(store).put_new

    def lost(self, name, content):
        real(self, name, content)
        raise ReplicaError("the answer did not come")

    monkeypatch.setattr(type(store), "put_new", lost)
    commit = put(store, published, digest)
    monkeypatch.undo()
    assert commits.commit_of(store, PLACE) == commit


@pytest.mark.parametrize("same", [True, False])
def test_another_process_that_commits_first_wins(store, published, digest, monkeypatch, same):
    real = type(store).put_new
    theirs = {"manifest_sha256": digest if same else "0" * 64, "write_id": "theirs", "written": {}}

    def beaten(self, name, content):
        real(self, name, json.dumps(theirs).encode())
        real(self, name, content)

    monkeypatch.setattr(type(store), "put_new", beaten)
    if same:
        assert put(store, published, digest).write_id == "theirs"
    else:
        with pytest.raises(commits.ReplicaConflict, match=r"holds another making of .* never overwritten"):
            put(store, published, digest)
    assert commits.commit_of(store, PLACE).write_id == "theirs"


def test_a_write_that_failed_for_good_is_no_copy(store, published, digest, monkeypatch):
    def refused(self, name, content):
        raise ReplicaError("the bucket is full")

    monkeypatch.setattr(type(store), "put_new", refused)
    with pytest.raises(ReplicaError, match="the bucket is full"):
        put(store, published, digest)
    assert commits.commit_of(store, PLACE) is None


def test_a_copy_that_reads_back_differently_is_not_committed(store, published, digest, monkeypatch):
    real = type(store).put

    def spoilt(self, name, source):
        if name.endswith(".png"):
            source = published / "data" / "metadata.json"
        real(self, name, source)

    monkeypatch.setattr(type(store), "put", spoilt)
    with pytest.raises(ReplicaError, match=r"\.png does not have the SHA-256 .* although it was just written"):
        put(store, published, digest)
    assert commits.commit_of(store, PLACE) is None


@pytest.mark.parametrize("name", [f"data/{ID}.fits", bag.README, bag.TAG_MANIFEST, bundle.MANIFEST])
@pytest.mark.parametrize("what", ["gone", "altered"])
def test_damage_is_named_and_mended_from_the_archive(store, published, digest, tmp_path, name, what):
    put(store, published, digest)
    if what == "gone":
        store.remove(f"{PLACE}/{name}")
    else:
        harm(store, f"{PLACE}/{name}", b"rot\n", tmp_path)
    (problem,) = copies.problems_of(store, PLACE, digest)
    assert f"{store.where}/{PLACE}/{name}" in problem
    with pytest.raises(ReplicaError, match="is not whole"):
        fetching.fetch_bundle([fetching.Source(store, PLACE)], tmp_path / "fetched", digest)
    assert name in copies.repair_copy(store, published, PLACE, digest)
    assert copies.problems_of(store, PLACE, digest) == []


@IN_A_FOLDER
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (bundle.PUBLICATION, b"{"),
        (bundle.PUBLICATION, b"[]"),
        (bundle.PUBLICATION, b"{}"),
        (bundle.PUBLICATION, b""),
        (bundle.PUBLICATION, b"[" * 100_000),
        (bundle.PUBLICATION, b'{"decisions": [1]}'),
        (bundle.PUBLICATION, b'{"sha256": "%s"}' % (b"0" * 64)),
        (bag.TAG_MANIFEST, b""),
        (bag.TAG_MANIFEST, b"\xff\x00"),
        (bag.TAG_MANIFEST, b"%s  README.txt\n" % (b"0" * 64)),
    ],
)
def test_a_torn_record_or_tag_manifest_is_damage_and_written_again(store, published, digest, tmp_path, name, content):
    """The manifest lists neither of the two."""
    put(store, published, digest)
    harm(store, f"{PLACE}/{name}", content, tmp_path)
    (problem,) = copies.problems_of(store, PLACE, digest)
    assert problem.startswith(f"{store.where}/{PLACE}/{name} is damaged (") and "\n" not in problem
    if name == bundle.PUBLICATION:  # without it the products are whole
        fetching.fetch_bundle([fetching.Source(store, PLACE)], tmp_path / "fetched", digest)
        assert bundle.verify(tmp_path / "fetched", expected=digest).ok and not (tmp_path / "fetched" / name).exists()
    else:
        with pytest.raises(ReplicaError, match="is not whole"):
            fetching.fetch_bundle([fetching.Source(store, PLACE)], tmp_path / "fetched", digest)
    assert copies.repair_copy(store, published, PLACE, digest) == [name]
    assert copies.problems_of(store, PLACE, digest) == []


@IN_A_FOLDER
@pytest.mark.parametrize("lines", ["all", "last", "without", "doubled"])
def test_each_change_of_the_tag_manifest_is_damage_and_written_again(store, published, digest, tmp_path, lines):
    """One that names another SHA-256 for a file accuses that file, and is the one to be written again."""
    put(store, published, digest)
    right = (published / bag.TAG_MANIFEST).read_text().splitlines(keepends=True)
    changed = {
        "all": [line.replace(line[:64], "0" * 64) for line in right],
        "last": right[:-1],
        "without": [line for line in right if bag.README not in line],
        "doubled": right + right[:1],
    }[lines]
    harm(store, f"{PLACE}/{bag.TAG_MANIFEST}", "".join(changed).encode(), tmp_path)
    assert copies.problems_of(store, PLACE, digest) != []
    assert copies.repair_copy(store, published, PLACE, digest) == [bag.TAG_MANIFEST]
    assert files_of(store, PLACE)[bag.TAG_MANIFEST] == "".join(right).encode()


def test_a_record_that_is_gone_is_damage(store, published, digest):
    put(store, published, digest)
    store.remove(f"{PLACE}/{bundle.PUBLICATION}")
    assert copies.problems_of(store, PLACE, digest) == [
        f"{store.where}/{PLACE}/{bundle.PUBLICATION} is missing: contimg replicas sync writes it again"
    ]
    assert copies.repair_copy(store, published, PLACE, digest) == [bundle.PUBLICATION]


def test_another_making_is_neither_verified_repaired_nor_given_a_record(store, published, digest, tmp_path):
    put(store, published, digest)
    store.remove(f"{PLACE}/data/{ID}.png")
    theirs = {"manifest_sha256": "0" * 64, "write_id": "theirs", "written": {}}
    harm(store, f"commits/2026-02-11/{ID}.json", json.dumps(theirs).encode(), tmp_path)
    before = files_of(store)
    for act in (
        lambda: copies.problems_of(store, PLACE, digest),
        lambda: copies.repair_copy(store, published, PLACE, digest),
        lambda: copies.put_record(store, published, PLACE, digest),
        lambda: put(store, published, digest),
    ):
        with pytest.raises(commits.ReplicaConflict, match=r"holds another making of .* \(000000000000\)"):
            act()
    assert files_of(store) == before


def test_no_record_is_written_where_there_is_no_copy(store, published, digest):
    with pytest.raises(ReplicaError, match=f"has no copy of {PLACE}"):
        copies.put_record(store, published, PLACE, digest)
    assert store.names("mosaics") == []


@pytest.mark.parametrize("name", [f"data/{ID}.fits", bundle.MANIFEST, bag.TAG_MANIFEST, bundle.PUBLICATION])
@pytest.mark.parametrize("kind", ["fifo", "symlink", "dangling", "unreadable"])
@IN_A_FOLDER
def test_what_is_no_plain_file_is_damage_and_written_again(store, published, digest, tmp_path, kind, name):
    """A FIFO is not waited for."""
    put(store, published, digest)
    file = store.root / PLACE / name
    if kind == "unreadable":
        file.chmod(0)
        if os.access(file, os.R_OK):  # of root
            return
    else:
        file.rename(tmp_path / "away")
        os.mkfifo(file) if kind == "fifo" else file.symlink_to(tmp_path / ("away" if kind == "symlink" else "no"))
    (problem,) = copies.problems_of(store, PLACE, digest)
    assert problem.startswith(f"{file} cannot be read (" if kind == "unreadable" else f"{file} is ")
    assert copies.repair_copy(store, published, PLACE, digest) == [name]
    assert copies.problems_of(store, PLACE, digest) == [] and not file.is_symlink()


@pytest.mark.parametrize("name", [f"data/{ID}.fits", "bag-info.txt", "README.txt", bundle.MANIFEST, bag.TAG_MANIFEST,
                                  bundle.PUBLICATION])  # fmt: skip
@IN_A_FOLDER
def test_an_endless_file_is_damage_and_written_again(store, published, digest, name):
    put(store, published, digest)
    os.truncate(store.root / PLACE / name, 1 << 40)
    (problem,) = copies.problems_of(store, PLACE, digest)
    assert problem.startswith(f"{store.root / PLACE / name} ")
    assert copies.repair_copy(store, published, PLACE, digest) == [name]
    assert copies.problems_of(store, PLACE, digest) == []


def test_a_copy_is_not_mended_from_an_archive_that_is_damaged_itself(store, published, digest):
    put(store, published, digest)
    store.remove(f"{PLACE}/data/{ID}.png")
    (published / "data" / f"{ID}.png").chmod(0o644)
    (published / "data" / f"{ID}.png").write_bytes(b"rot")
    with pytest.raises(RegistryError, match="repair the archive first with contimg reconcile"):
        copies.repair_copy(store, published, PLACE, digest)
    with pytest.raises(RegistryError, match="not the bundle that was registered"):
        copies.put_copy(store, published, f"{PLACE}.v2", "0" * 64, lambda _count: None)


def test_a_copy_that_is_fetched_is_the_bundle(store, published, digest, tmp_path):
    put(store, published, digest)
    shutil.rmtree(published)
    fetching.fetch_bundle([fetching.Source(store, PLACE)], tmp_path / "fetched", digest)
    assert bundle.verify(tmp_path / "fetched", expected=digest).ok and bagit.Bag(str(tmp_path / "fetched")).is_valid()


def test_a_removed_copy_leaves_nothing(store, published, digest):
    put(store, published, digest)
    copies.remove_copy(store, PLACE)
    assert store.names("mosaics") == store.names("commits") == [] and commits.commit_of(store, PLACE) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"write_id": "x"}', b"[" * 100_000])
def test_a_damaged_commit_is_one_sentence(store, content, tmp_path):
    harm(store, f"commits/2026-02-11/{ID}.json", content, tmp_path)
    with pytest.raises(ReplicaError, match="is damaged: remove it, then type contimg replicas sync"):
        commits.commit_of(store, PLACE)


def test_a_folder_can_take_the_archives_place(tmp_path, sqlite_config, published, digest):
    (tmp_path / "second").mkdir()
    store = stores.FolderStore(tmp_path / "second")
    put(store, published, digest)
    assert bundle.verify(tmp_path / "second" / PLACE, expected=digest).ok
