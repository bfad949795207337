"""What a database refuses, as errors: each says whether anything was written, and what to do."""

from __future__ import annotations

import re

from sqlalchemy.exc import DBAPIError, OperationalError

from contimg.errors import RegistryError
from contimg.registry.remedies import needs_backup, remedy

_NOTHING, _UNKNOWN = ": nothing was written by it", ": whether it was recorded is not known"


class RegistryUnavailable(RegistryError):
    """The database is locked, full or out of reach; the same operation may succeed later."""


class RegistryUncertain(RegistryUnavailable):
    """The connection was lost while the database recorded a transaction: it is not known whether it did."""


class RegistryStalled(RegistryError):
    """The database is locked by a process that is stopped: waiting does not help, a person must act."""


def refusal(where: str, error: DBAPIError, *, at_commit: bool) -> RegistryError:
    """Return the error of an operation that a database refused.

    Parameters
    ----------
    where : str
        The database as messages name it.
    error : DBAPIError
    at_commit : bool
        Nothing was left to be done but to record the transaction.
    """
    what = " ".join(str(error.orig).split())
    if at_commit and _is_lost(error):
        return RegistryUncertain(
            f"registry {where} refused an operation ({what}){_UNKNOWN}; {remedy(what)} and rerun the same command"
        )
    passing = (isinstance(error, OperationalError) and not needs_backup(what)) or error.connection_invalidated
    kind = RegistryUnavailable if passing else RegistryError
    return kind(f"registry {where} refused an operation ({what}){_NOTHING}; {remedy(what)} and rerun the same command")


def _is_lost(error: DBAPIError) -> bool:
    """Return whether a server's answer was lost, or the server ended; it answers with an SQLSTATE else.

    Of class 57P is a server that ends, also while it waits for a standby with a transaction that it has recorded.
    """
    state = getattr(error.orig, "sqlstate", "of SQLite, which is no server")
    return state is None or state.startswith("57P")


def refused(error: RegistryError) -> str:
    """Return what a database refused, without the remedy: for who has written something beside it."""
    return re.split(f"{_NOTHING}|{_UNKNOWN}", str(error))[0]
