"""The copy of one bundle in a replica: written whole, committed once, verified, repaired, removed.

::

    mosaics/<date>/<name>/...        the bundle as in the archive, so that a folder can take the archive's place
    commits/<date>/<name>.json       the commit record: manifest, write id, who wrote it when

The commit record is written last, and only where there is none (`Store.put_new`). An answer of the server may be lost
although it did what was asked; the write id in the record that is read back tells whether it was this write that won
(as Icechunk does it). Without a commit record there is no copy, whatever files stand there.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from contimg.bundle import bundle
from contimg.bundle.bag import INFO, PAYLOAD, TAG_MANIFEST, TAGS, payload_bytes
from contimg.bundle.listing import parse_manifest
from contimg.bundle.record import read_record
from contimg.errors import InputError, RegistryError
from contimg.replicas import copy_records
from contimg.replicas.commits import Commit, commit_name, commit_of, require_own, same
from contimg.replicas.stores import ReplicaError, Store, UnreadableFile, read_all
from contimg.storage import safe_files
from contimg.storage.process import me, operator, part_owner
from contimg.times import now

_SYNC = "contimg replicas sync writes it again"


class _Difference(NamedTuple):
    """What is wrong with a file of a copy, in words; its name in the bundle; and what is done about it."""

    text: str
    name: str
    remedy: str = _SYNC


def put_copy(
    store: Store,
    folder: Path,
    place: str,
    manifest_sha256: str,
    progress: Callable[[int], None],
    tags_sha256: str | None = None,
) -> Commit:
    """Copy a bundle into a replica, read it back, and commit it; a copy that is there already is left alone.

    Parameters
    ----------
    store : Store
    folder : Path
        The bundle in the archive.
    place : str
        Its folder in the replica.
    manifest_sha256 : str
        What its manifest must be.
    progress : callable
        Called with the number of bytes just read back.
    tags_sha256 : str, optional
        What its tag manifest must be.

    Returns
    -------
    Commit
        This write's, or that of another process that was first with the same bundle.

    Raises
    ------
    ReplicaConflict
        If the replica has another bundle under this name.
    ReplicaError
        If it cannot be written, or what it holds reads back differently. Nothing is committed then.
    """
    known = commit_of(store, place)
    if known is not None:
        return same(store, place, known, manifest_sha256)
    found, digests = bundle.read_manifest(folder)
    if found != manifest_sha256:
        raise RegistryError(f"{folder} is not the bundle that was registered: type contimg reconcile")
    read_record(folder)
    tags = _tags(folder, manifest_sha256, tags_sha256)
    names = [*digests, *tags, *([TAG_MANIFEST] if tags else []), bundle.PUBLICATION, bundle.MANIFEST]
    for name in names:  # the manifest last: a folder without one is no bundle
        store.put(f"{place}/{name}", folder / name)
    for name in _strays(store, place, names):  # of a copy that was never finished
        store.remove(f"{place}/{name}")
    problems = [one.text for one in _differences(store, place, manifest_sha256, progress)]
    if problems:
        raise ReplicaError(f"{problems[0]}, although it was just written: look at the replica's disk or server")
    store.tidy(place)
    write_id = secrets.token_hex(16)
    content = {
        "manifest_sha256": manifest_sha256,
        "write_id": write_id,
        "written": {"time": now(), "by": operator(), "host": me().host},
    }
    try:
        store.put_new(commit_name(place), bundle.json_bytes(content))
    except (FileExistsError, ReplicaError) as error:
        known = commit_of(store, place)  # somebody's: ours, if the answer to our write was lost
        if known is None:
            if isinstance(error, ReplicaError):
                raise
            what = f"{commit_name(place)} was removed meanwhile: type contimg replicas sync"
            raise ReplicaError(f"replica {store.where}: {what}") from error
        return known if known.write_id == write_id else same(store, place, known, manifest_sha256)
    return Commit(manifest_sha256, write_id)


def put_record(store: Store, folder: Path, place: str, manifest_sha256: str) -> None:
    """Copy a bundle's own record, which decisions change, into its copy; raises as `require_own` does.

    Raises
    ------
    ReplicaError
        If the copy's own record holds decisions that the bundle's does not, of which nothing is overwritten.
    """
    require_own(store, place, manifest_sha256)
    copy_records.require_known(store, folder, place, manifest_sha256)
    store.put(f"{place}/{bundle.PUBLICATION}", folder / bundle.PUBLICATION)
    store.tidy(place)


def problems_of(
    store: Store,
    place: str,
    manifest_sha256: str,
    progress: Callable[[int], None] | None = None,
    archived: Path | None = None,
    tags_sha256: str | None = None,
    recorded_at: str = "",
) -> list[str]:
    """Read every byte of a copy; return a sentence, with the remedy, for each thing that is wrong with it.

    Parameters
    ----------
    store : Store
    place, manifest_sha256 : str
        The folder of the copy, and the SHA-256 of the bundle's manifest.
    progress : callable, optional
        Called with the number of bytes of each block.
    archived : Path, optional
        The bundle in the archive, whose tag manifest the copy's must equal where `tags_sha256` is not known, and whose
        decisions the copy's record must hold.
    tags_sha256 : str, optional
        SHA-256 of the tag manifest, as a tag file that was changed together with it agrees with it.
    recorded_at : str
        When the copy's record was written (UTC): later decisions are not expected in it.

    Raises
    ------
    ReplicaConflict
        If the replica holds another making under this name.
    ReplicaError
        If it cannot be read.
    """
    known = commit_of(store, place)
    if known is None:
        return [f"replica {store.where} has no copy of {place}: {_SYNC}"]
    same(store, place, known, manifest_sha256)
    found = _differences(store, place, manifest_sha256, progress or _nothing)
    problems = [f"{one.text}: {one.remedy}" for one in found]
    if not problems and tags_sha256 is not None:
        if hashlib.sha256(read_all(store, f"{place}/{TAG_MANIFEST}")).hexdigest() != tags_sha256:
            problems.append(f"{store.where}/{place}/{TAG_MANIFEST} is not the registered one: {_SYNC}")
    elif not problems and archived is not None:
        tags = _whole_tags(archived, manifest_sha256)
        if tags is not None and read_all(store, f"{place}/{TAG_MANIFEST}") != tags:
            problems.append(f"{store.where}/{place}/{TAG_MANIFEST} is not that of the archive, {archived}: {_SYNC}")
    if not problems and archived is not None:
        problem = copy_records.problem(store, archived, place, manifest_sha256, recorded_at)
        problems += [] if problem is None else [problem]
    return problems


def _whole_tags(folder: Path, manifest_sha256: str) -> bytes | None:
    """Return the tag manifest of a bundle in the archive; None where that is none, or its tag files differ from it."""
    try:
        with safe_files.open_folder(folder) as opened:
            tags = bundle.read_tags(opened, manifest_sha256)
            if any(hashlib.sha256(bundle.read_file(opened, name)).hexdigest() != tags[name] for name in tags):
                return None
            return bundle.read_file(opened, TAG_MANIFEST) if tags else None
    except (OSError, InputError, RegistryError):  # what is wrong with the archive, the verification of the archive says
        return None


def _differences(
    store: Store, place: str, manifest_sha256: str, progress: Callable[[int], None]
) -> Iterator[_Difference]:
    """Give each thing in which a copy differs from its manifest."""
    what = f"{store.where}/{place}"
    try:
        manifest = read_all(store, f"{place}/{bundle.MANIFEST}")
    except FileNotFoundError:
        yield _Difference(f"{what}/{bundle.MANIFEST} is missing", bundle.MANIFEST)
        return
    except UnreadableFile as error:
        yield _Difference(str(error), bundle.MANIFEST)
        return
    if hashlib.sha256(manifest).hexdigest() != manifest_sha256:
        yield _Difference(f"{what}/{bundle.MANIFEST} is not the registered one", bundle.MANIFEST)
        return
    digests = parse_manifest(manifest)
    is_bag = any(name.startswith(f"{PAYLOAD}/") for name in digests)  # else of before bundles were bags
    for name, parse in ((TAG_MANIFEST, bundle.parse_tags), (bundle.PUBLICATION, copy_records.require_record)):
        if name == TAG_MANIFEST and not is_bag:
            continue
        try:
            digests |= parse(read_all(store, f"{place}/{name}"), manifest_sha256)
        except FileNotFoundError:
            yield _Difference(f"{what}/{name} is missing", name)
        except UnreadableFile as error:
            yield _Difference(str(error), name)
        except (InputError, RegistryError) as error:
            yield _Difference(f"{what}/{name} is damaged ({error})", name)
    longest: int | None = None
    for name, digest in sorted(digests.items()):  # bag-info.txt, which says how long the payload is, before it
        try:
            if name in TAGS:
                content = read_all(store, f"{place}/{name}")
                progress(len(content))
                found = hashlib.sha256(content).hexdigest()
                longest = payload_bytes(content) if (name, found) == (INFO, digest) else longest
            else:
                found = _sha256(store, f"{place}/{name}", longest, progress)
        except FileNotFoundError:
            yield _Difference(f"{what}/{name} is missing", name)
            continue
        except UnreadableFile as error:
            yield _Difference(str(error), name)
            continue
        if found != digest:
            yield _Difference(f"{what}/{name} does not have the SHA-256 of its manifest", name)
    for name in _strays(store, place, digests):
        yield _Difference(f"{what}/{name} is not of the bundle", name, "remove it")


def _sha256(store: Store, name: str, longest: int | None, progress: Callable[[int], None]) -> str:
    """Return the SHA-256 of a file of a replica, or of its begin where it is longer than it can be."""
    digest, size = hashlib.sha256(), 0
    for block in store.read(name):
        digest.update(block)
        progress(len(block))
        size += len(block)
        if longest is not None and size > longest:
            break
    return digest.hexdigest()


def _strays(store: Store, place: str, listed: Iterable[str]) -> list[str]:
    """Return the files of a copy that are not of the bundle; those that somebody is writing are not among them."""
    own = {*listed, *TAGS, bundle.MANIFEST, TAG_MANIFEST, bundle.PUBLICATION}
    return [name for name in store.names(place) if name not in own and part_owner(PurePosixPath(name).name) is None]


def _tags(folder: Path, manifest_sha256: str, tags_sha256: str | None) -> dict[str, str]:
    with safe_files.open_folder(folder) as opened:
        if tags_sha256 not in (None, bundle.tag_digest(opened)):
            raise RegistryError(f"{folder / TAG_MANIFEST} is not the registered one: type contimg reconcile")
        return bundle.read_tags(opened, manifest_sha256)


def _nothing(_count: int) -> None:
    """Take a number of bytes read, for who does not count them."""


def repair_copy(
    store: Store, folder: Path, place: str, manifest_sha256: str, tags_sha256: str | None = None
) -> list[str]:
    """Write those files of a copy again that are missing or altered; return their names.

    Raises
    ------
    ReplicaConflict
        If the replica holds another making under this name, of which nothing is touched.
    ReplicaError, RegistryError
        If the bundle in the archive is not whole itself, or the copy reads back differently after it.
    """
    require_own(store, place, manifest_sha256)
    problem = bundle.archived_problem(folder, manifest_sha256, tags_sha256)
    if problem is not None:
        raise RegistryError(f"{problem}: repair the archive first with contimg reconcile")
    repaired: list[str] = []
    if copy_records.require_known(store, folder, place, manifest_sha256):
        store.put(f"{place}/{bundle.PUBLICATION}", folder / bundle.PUBLICATION)
        repaired.append(bundle.PUBLICATION)
    for name in (bundle.MANIFEST, TAG_MANIFEST):  # first, as one that was altered hides what else is, or accuses it
        if (folder / name).exists() and not _is_same(store, folder / name, f"{place}/{name}"):
            store.put(f"{place}/{name}", folder / name)
            repaired.append(name)
    for one in list(_differences(store, place, manifest_sha256, _nothing)):
        if not (folder / one.name).exists():
            raise ReplicaError(f"{one.text}: {one.remedy}")
        store.put(f"{place}/{one.name}", folder / one.name)
        repaired.append(one.name)
    left = [one.text for one in _differences(store, place, manifest_sha256, _nothing)]
    if left:
        raise ReplicaError(f"{left[0]}, although it was just written: look at the replica's disk or server")
    store.tidy(place)
    return repaired


def _is_same(store: Store, file: Path, name: str) -> bool:
    """Return whether a small file of a copy is that of the archive."""
    try:
        return read_all(store, name) == file.read_bytes()
    except (FileNotFoundError, UnreadableFile):
        return False


def remove_copy(store: Store, place: str) -> None:
    """Remove a copy, its commit record first: what is left when the process dies is no copy any more."""
    store.remove(commit_name(place))
    for name in store.names(place):
        store.remove(f"{place}/{name}")
