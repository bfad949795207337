"""Claims: one publisher at a time may work on a product, and a dead one does not block the next.

A claim is a random token in the row. It expires, so that another publisher can take over from one that died on
another machine, and is renewed while the copy runs. Every later change of the row requires the token, so that a
publisher whose claim was taken over (after a suspended machine or a clock that jumped) changes nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, update

from contimg.errors import BusyError
from contimg.registry.engine import Registry, unix_time_s
from contimg.registry.queries import add_event, latest, versions
from contimg.registry.schema import data_registry
from contimg.storage.process import Owner, is_dead, me
from contimg.times import now

# Tokens of the claims that this process works with; another claim in its name was left by an earlier attempt.
_held: set[str] = set()
_FREE = {"claim_token": None, "claim_owner": None, "claim_expires_unix_s": None}


class ClaimLost(BusyError):
    """Another publisher has taken over the claim, so that this one stops."""


@dataclass
class Claim:
    """A claim on one version of a product.

    Attributes
    ----------
    data_id : str
    version : int
    token : str
        Random; the row holds the same one as long as the claim lasts.
    claim_s : float
        How long it lasts after it was taken or renewed [s].
    renewed_monotonic_s : float
        When that was [s of the monotonic clock].
    """

    data_id: str
    version: int
    token: str
    claim_s: float
    renewed_monotonic_s: float


def is_abandoned(registry: Registry, row: Mapping[str, Any]) -> bool:
    """Return whether a row is claimed by a publisher that has ended, or whose claim has expired.

    The database's clock decides about the latter: those of two hosts may be minutes apart.
    """
    if row["status"] != "publishing" or row["claim_token"] in _held:
        return False
    if _has_ended(row, local=registry.engine.dialect.name == "sqlite"):
        return True
    with registry.read() as connection:
        return bool(row["claim_expires_unix_s"] < unix_time_s(connection))


def _has_ended(row: Mapping[str, Any], *, local: bool) -> bool:
    """Return whether the publisher that claimed a row is known to have ended; `local`: it ran on this machine."""
    owner = _owner(row)
    return owner is not None and (owner == me() or is_dead(owner, same_machine=local))


def _owner(row: Mapping[str, Any]) -> Owner | None:
    """Return the process that claimed a row; None where that is not readable: then the claim's expiry decides."""
    try:
        return Owner.from_json(row["claim_owner"])
    except (ValueError, TypeError):
        return None


def _left_s(connection: Connection, row: Mapping[str, Any]) -> float:
    """Return for how long the claim of a row holds, 0 when it holds no more [s]."""
    local = connection.dialect.name == "sqlite"
    if row["claim_token"] not in _held and _has_ended(row, local=local):
        return 0.0
    left_s = float(row["claim_expires_unix_s"]) - unix_time_s(connection)
    return max(left_s, 1.0) if row["claim_token"] in _held else max(left_s, 0.0)


def _expiry(connection: Connection, claim_s: float) -> Any:
    """Return the value of the column ``claim_expires_unix_s`` for a claim that begins now, by the database's clock."""
    if connection.dialect.name == "sqlite":
        return time.time() + claim_s
    return func.extract("epoch", func.clock_timestamp()) + claim_s


def take(registry: Registry, data_id: str, version: int, claim_s: float) -> Claim | None:
    """Claim a product that is in staging, or whose publisher has ended; None when it is in another state.

    Parameters
    ----------
    registry : Registry
    data_id : str
    version : int
    claim_s : float
        The claim expires after this unless renewed [s].

    Raises
    ------
    BusyError
        If a living publisher holds it.
    """
    token = secrets.token_hex(8)
    # Not durable: a power cut that undoes the claim has ended its process as well.
    with registry.transaction(lock=data_id, durable=False) as connection:
        row = latest(connection, data_id, version)
        if row is None or row["status"] not in ("staging", "publishing"):
            return None
        if row["status"] == "publishing" and (left_s := _left_s(connection, row)) > 0:
            owner = _owner(row)
            raise BusyError(
                f"{data_id} is being published by {owner or 'an unknown process'}: wait for it, or rerun when it has "
                f"ended (its claim expires in {left_s:.0f} s at most)"
            )
        connection.execute(
            _row(data_id, version).values(
                status="publishing",
                claim_token=token,
                claim_owner=me().to_json(),
                claim_expires_unix_s=_expiry(connection, claim_s),
            )
        )
    _held.add(token)
    return Claim(data_id, version, token, claim_s, time.monotonic())


def _row(data_id: str, version: int) -> Any:
    return update(data_registry).where(data_registry.c.data_id == data_id, data_registry.c.version == version)


def _mine(claim: Claim) -> Any:
    return _row(claim.data_id, claim.version).where(data_registry.c.claim_token == claim.token)


def _change(connection: Connection, claim: Claim, values: Mapping[str, Any]) -> None:
    if connection.execute(_mine(claim).values(**values)).rowcount != 1:
        raise ClaimLost(f"{claim.data_id}: another publisher took over, this one stops: rerun to see what it made")


def renew(registry: Registry, claim: Claim, *, at_once: bool = False) -> None:
    """Prolong a claim when a third of its time has gone, or at once.

    Raises
    ------
    ClaimLost
        If it is no longer held.
    """
    if not at_once and time.monotonic() - claim.renewed_monotonic_s < claim.claim_s / 3:
        return
    with registry.transaction(lock=claim.data_id, durable=False) as connection:
        _change(connection, claim, {"claim_expires_unix_s": _expiry(connection, claim.claim_s)})
    claim.renewed_monotonic_s = time.monotonic()


def tokens(registry: Registry, data_id: str) -> set[str]:
    """Return the tokens of the claims on any version of a product."""
    return {row["claim_token"] for row in versions(registry, data_id) if row["status"] == "publishing"}


def record_published(registry: Registry, claim: Claim, path: str, published_at: str | None = None) -> None:
    """Set `published` and write the event, in one transaction; `published_at` is now where it is not given.

    Raises
    ------
    ClaimLost
        If the claim is no longer held; then the one who took over records it.
    """
    time = now()  # the copy has just been read back
    values: dict[str, Any] = {"status": "published", "published_path": path, "verified_at": time, "error": None}
    values |= {"published_at": published_at or time} | _FREE
    with registry.transaction(lock=claim.data_id) as connection:
        _change(connection, claim, values)
        add_event(connection, claim.data_id, claim.version, "published", path)


def record_failure(registry: Registry, claim: Claim, message: str, *, counts: bool = True) -> bool:
    """Set a product back to ``staging`` with the error; return False when the claim was lost before.

    What `counts` brings nearer the number of attempts after which the product waits for a person.
    """
    with registry.transaction(lock=claim.data_id) as connection:
        values = {
            "status": "staging",
            "error": message,
            "attempts": data_registry.c.attempts + (1 if counts else 0),
            **_FREE,
        }
        changed = connection.execute(_mine(claim).values(**values)).rowcount == 1
        if changed:
            add_event(connection, claim.data_id, claim.version, "failed", message)
    return changed


def forget(claim: Claim) -> None:
    """Note that this process no longer works with a claim, whether or not the row still holds it."""
    _held.discard(claim.token)


def free_abandoned(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Set a product with a dead publisher's claim back to ``staging``; return False when the claim has changed."""
    statement = _row(row["data_id"], row["version"]).where(data_registry.c.claim_token == row["claim_token"])
    changed = connection.execute(statement.values(status="staging", **_FREE)).rowcount == 1
    if changed:
        message = f"claim of {_owner(row) or 'an unknown process'} had been left over"
        add_event(connection, row["data_id"], row["version"], "reconciled", message)
    return changed
