"""A bundle brought back from its copies: each file from the first of them in which it is whole."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from contimg.bundle import bundle
from contimg.bundle.bag import INFO, PAYLOAD, TAG_MANIFEST, TAGS, payload_bytes
from contimg.bundle.listing import parse_manifest
from contimg.config.sections import ReplicaOptions
from contimg.errors import ContimgError, InputError, RegistryError
from contimg.naming import Layout
from contimg.registry.engine import Registry
from contimg.replicas import commits, copy_records, sync
from contimg.replicas.stores import ReplicaError, Store, read_all


class Source(NamedTuple):
    """A copy of a bundle, whole or not: the store in which it stands, and the name of its folder there."""

    store: Store
    place: str

    def name(self, file: str) -> str:
        """Return the name of one of its files in the store."""
        return f"{self.place}/{file}"

    def where(self, file: str) -> str:
        """Return where one of its files stands, for messages."""
        return f"{self.store.where}/{self.place}/{file}"


def sources(
    registry: Registry, layout: Layout, replicas: Sequence[ReplicaOptions], row: Mapping[str, Any]
) -> Iterator[Source]:
    """Give the copies of a row's bundle that replicas say they have; those that cannot be reached are passed over."""
    place = commits.row_place(layout, row)
    for replica in replicas:
        with contextlib.suppress(ContimgError):
            store = sync.opened(registry, replica)
            known = commits.commit_of(store, place)
            if known is not None and known.manifest_sha256 == row["sha256"]:
                yield Source(store, place)


def fetch_bundle(copies: Sequence[Source], target: Path, manifest_sha256: str, tags_sha256: str | None = None) -> None:
    """Write a bundle's files into a new folder, each from the first copy in which it is whole.

    Of two copies each may be damaged in another file. A record that is damaged in all of them is left out, as it is
    written anew from the registry.

    Parameters
    ----------
    copies : sequence of Source
    target : Path
        The folder; it is made.
    manifest_sha256 : str
        What the manifest must be.
    tags_sha256 : str, optional
        What the tag manifest must be, where that is known.

    Raises
    ------
    ReplicaError
        If a file is whole in none of them.
    """
    target.mkdir(exist_ok=True)

    def registered(content: bytes, expected: str | None, what: str) -> None:
        if expected not in (None, hashlib.sha256(content).hexdigest()):
            raise InputError(f"{what} is not the registered one")

    def tag_manifest(content: bytes) -> dict[str, str]:
        registered(content, tags_sha256, TAG_MANIFEST)
        return bundle.parse_tags(content, manifest_sha256)

    manifest = _small(copies, bundle.MANIFEST, lambda content: registered(content, manifest_sha256, bundle.MANIFEST))
    (target / bundle.MANIFEST).write_bytes(manifest)
    digests, tags, longest = parse_manifest(manifest), {}, None
    if any(name.startswith(f"{PAYLOAD}/") for name in digests):  # else of before bundles were bags
        content = _small(copies, TAG_MANIFEST, tag_manifest)
        (target / TAG_MANIFEST).write_bytes(content)
        tags = bundle.parse_tags(content, manifest_sha256)
    for name in (*(one for one in TAGS if one in tags), *sorted(digests)):
        _file(copies, name, (digests | tags)[name], target / name, longest)
        longest = payload_bytes((target / name).read_bytes()) if name == INFO else longest
    with contextlib.suppress(ReplicaError):
        content = _small(copies, bundle.PUBLICATION, lambda text: copy_records.require_record(text, manifest_sha256))
        (target / bundle.PUBLICATION).write_bytes(content)
    problem = bundle.problem(target, manifest_sha256, tags_sha256)
    if problem is not None:
        raise ReplicaError(f"what was fetched is not whole ({problem}): check the disk of {target.parent}")


def _small(copies: Sequence[Source], name: str, check: Callable[[bytes], object]) -> bytes:
    """Return the content of a small file in the first copy in which a check raises nothing of it."""
    reasons = []
    for one in copies:
        try:
            content = read_all(one.store, one.name(name))
            check(content)
            return content
        except FileNotFoundError:
            reasons.append(f"{one.where(name)} is missing")
        except InputError as error:
            reasons.append(f"{one.where(name)}: {error}")
        except RegistryError as error:
            reasons.append(str(error))
    _refuse(reasons)


def _file(copies: Sequence[Source], name: str, digest: str, target: Path, longest: int | None) -> None:
    """Write a file from the first copy in which it has a SHA-256; what is longer than it can be is not read on."""
    target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for one in copies:
        found, size = hashlib.sha256(), 0
        try:
            with open(target, "wb") as written:
                for block in one.store.read(one.name(name)):
                    written.write(block)
                    found.update(block)
                    size += len(block)
                    if longest is not None and size > longest:
                        break
        except FileNotFoundError:
            reasons.append(f"{one.where(name)} is missing")
            continue
        except RegistryError as error:
            reasons.append(str(error))
            continue
        if found.hexdigest() == digest:
            return
        reasons.append(f"{one.where(name)} does not have the SHA-256 of its manifest")
    _refuse(reasons)


def _refuse(reasons: Sequence[str]) -> NoReturn:
    raise ReplicaError(f"the bundle is not whole in any copy ({'; '.join(reasons)}): restore that file from a backup")
