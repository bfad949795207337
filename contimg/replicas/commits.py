"""The commit record of a copy in a replica: whether there is one, and of which bundle.

A replica holds a copy where it has the record, whatever files stand there: `copies` writes it last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contimg.errors import RegistryError
from contimg.naming import Layout
from contimg.replicas.stores import ReplicaError, Store, read_all


class ReplicaConflict(RegistryError):
    """A replica holds another making of a version: never overwritten."""


@dataclass(frozen=True)
class Commit:
    """The commit record of a copy.

    Attributes
    ----------
    manifest_sha256 : str
        SHA-256 of the bundle's manifest.
    write_id : str
        Random; names the write that made the copy.
    """

    manifest_sha256: str
    write_id: str


def place_of(layout: Layout, data_id: str, version: int) -> str:
    """Return the name of a bundle's folder in a replica, the same as in the archive."""
    return layout.bundle(data_id, version).relative_to(layout.products).as_posix()


def commit_name(place: str) -> str:
    """Return the name of the commit record of a copy."""
    return f"commits/{place.removeprefix('mosaics/')}.json"


def commit_of(store: Store, place: str) -> Commit | None:
    """Return the commit record of a copy; None when the replica has none.

    Raises
    ------
    ReplicaError
        If the replica cannot be read, or the record is damaged.
    """
    name = commit_name(place)
    try:
        content = json.loads(read_all(store, name))
        return Commit(str(content["manifest_sha256"]), str(content["write_id"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ReplicaError(
            f"replica {store.where}: {name} is damaged: remove it, then type contimg replicas sync"
        ) from None


def same(store: Store, place: str, known: Commit, manifest_sha256: str) -> Commit:
    """Return the commit record of a copy; raise `ReplicaConflict` where it is of another bundle."""
    if known.manifest_sha256 != manifest_sha256:
        raise ReplicaConflict(
            f"replica {store.where} holds another making of {place} ({known.manifest_sha256[:12]}), which is never "
            "overwritten: look at both, then remove one by hand"
        )
    return known


def require_own(store: Store, place: str, manifest_sha256: str) -> None:
    """Raise unless a replica holds a copy of a bundle.

    Raises
    ------
    ReplicaConflict
        If it holds another making under this name.
    ReplicaError
        If it holds none.
    """
    known = commit_of(store, place)
    if known is None:
        raise ReplicaError(f"replica {store.where} has no copy of {place}")
    same(store, place, known, manifest_sha256)


def row_place(layout: Layout, row: Mapping[str, Any]) -> str:
    """Return the name of the folder of a row's bundle in a replica."""
    return place_of(layout, row["data_id"], row["version"])
