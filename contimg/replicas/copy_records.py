"""The record in a copy: whether it holds the decisions that the bundle's own record in the archive does.

A replica that was put back as it was on an earlier day lacks some; one that is later than registry and archive, both
put back, may be the only place that has them.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from contimg.bundle.bundle import PUBLICATION
from contimg.bundle.record import Decision, decisions_in, parse_record, read_record, said, unknown_to
from contimg.errors import RegistryError
from contimg.replicas.stores import ReplicaError, Store, UnreadableFile, read_all


def require_record(content: bytes, manifest_sha256: str) -> dict[str, str]:
    """Raise `RegistryError` unless a text is the record of a bundle with this manifest; it names no other file."""
    record = parse_record(content, Path())
    if record.get("sha256", manifest_sha256) != manifest_sha256 or not record:
        raise RegistryError("it is not the record of this bundle")
    return {}


def decisions_of(store: Store, place: str, manifest_sha256: str) -> list[Decision]:
    """Return the decisions in the record of a copy, the oldest first; none of a record that is gone or damaged.

    Raises
    ------
    ReplicaError
        If the replica cannot be read.
    """
    try:
        content = read_all(store, f"{place}/{PUBLICATION}")
    except (FileNotFoundError, UnreadableFile):
        return []
    try:
        require_record(content, manifest_sha256)
        return decisions_in(parse_record(content, Path()), Path())
    except RegistryError:
        return []


def require_known(store: Store, folder: Path, place: str, manifest_sha256: str) -> bool:
    """Return whether a copy's record lacks decisions of the bundle's own.

    Raises
    ------
    ReplicaError
        If it holds some that the bundle's own does not: they would be lost with it.
    """
    mine, copied = decisions_in(read_record(folder), folder), decisions_of(store, place, manifest_sha256)
    more = unknown_to(mine, copied)
    if more:
        raise ReplicaError(_more(store, place, more))
    return bool(unknown_to(copied, mine))


def problem(store: Store, folder: Path, place: str, manifest_sha256: str, recorded_at: str) -> str | None:
    """Return how the record of a copy differs from the bundle's own in decisions, with the remedy; else None.

    Those after `recorded_at` (UTC) are not expected in it. Where the bundle's own record cannot be read, the
    verification of the archive says so.
    """
    try:
        mine = decisions_in(read_record(folder), folder)
    except (RegistryError, OSError):
        return None
    copied = decisions_of(store, place, manifest_sha256)
    more = unknown_to(mine, copied)
    if more:
        return _more(store, place, more)
    less = [one for one in unknown_to(copied, mine) if one.time <= recorded_at]
    if less:
        where = f"{store.where}/{place}/{PUBLICATION}"
        return f"{where} does not say that {said(less)}: contimg replicas sync writes it again"
    return None


def _more(store: Store, place: str, more: list[Decision]) -> str:
    where, data_id = f"{store.where}/{place}/{PUBLICATION}", PurePosixPath(place).name.partition(".")[0]
    return (
        f"{where} says that {said(more)}, which the record in the archive does not: 'contimg reconcile {data_id}' "
        "takes it over; if it is wrong, remove that file first"
    )
