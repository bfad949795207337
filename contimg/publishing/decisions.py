"""Decisions of persons about a mosaic: approve, reject, withdraw, restore, cite, retry; each with who, when and why.

A decision is recorded first (`contimg.publishing.deciding`), then carried out. When the process dies in between,
`reconcile` does the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.bundle import bundle
from contimg.bundle.record import Decision
from contimg.config.key_types import DOI_PATTERN
from contimg.errors import RegistryError
from contimg.publishing import archive_root, claims, copying, markers, places
from contimg.publishing.carrying_out import finish_restoration, finish_withdrawal, recorded_as
from contimg.publishing.checkpoints import checkpoint
from contimg.publishing.deciding import Named, Row, Rule, chosen, decide, set_columns
from contimg.publishing.places import Places
from contimg.publishing.recording import is_earned, recorded, unearned
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.storage.process import one_line
from contimg.storage.reasons import require_reason


def _approval(made: Decision) -> dict[str, Any]:
    return {
        "status": "staging", "attempts": 0, "error": None,
        "approved_by": made.by, "approved_at": made.time, "approved_reason": made.reason,
    }  # fmt: skip


def _closing(status: str) -> Callable[[Decision], dict[str, Any]]:
    return lambda made: {
        "status": status, "closed_at": made.time, "closed_by": made.by, "closed_reason": made.reason,
    }  # fmt: skip


_APPROVE = Rule("approve", "approved", ("held",), "only what is held needs an approval", _approval)
_REJECT = Rule(
    "reject", "rejected", ("held", "staging"), "only what is held or in staging can be rejected", _closing("rejected")
)
_WITHDRAW = Rule(
    "withdraw", "withdrawn", ("published",), "only what is published can be withdrawn", _closing("withdrawn"),
    Places.require_movable,
)  # fmt: skip
_RESTORE = Rule(
    "restore", "restored", ("withdrawn",), "only what is withdrawn can be restored", lambda _made: {"status": "staging"}
)
_CITE = Rule(
    "cite", "cited", ("published", "withdrawn"), "only what is published can be cited; set publish.doi for what comes",
    lambda made: {"doi": made.reason}, recorded=lambda made: {"doi": made.reason}, option="--doi",
)  # fmt: skip


def approve(registry: Registry, layout: naming.Layout, mosaic: Named | str, reason: str) -> Row:
    """Approve a held product, so that it may be published although it did not pass; the caller then publishes it.

    Raises
    ------
    InputError
        If no reason is given, or it is too long or not in one line.
    RegistryError
        If it is not held, is another making than the person named, or has no image.
    """

    def has_image(row: Row) -> None:
        if not (bundle.payload(Path(row["stage_path"])) / f"{row['data_id']}.fits").is_file():
            raise RegistryError(f"{row['data_id']} has no image (see {row['stage_path']}): there is nothing to publish")

    return decide(registry, layout, mosaic, reason, _APPROVE, has_image)


def reject(registry: Registry, layout: naming.Layout, mosaic: Named | str, reason: str) -> Row:
    """Reject a product that is held or in staging, for good: only a new version can be published.

    Raises
    ------
    InputError
        If no reason is given, or it is too long or not in one line.
    RegistryError
        If it is in another state, or is another making than the person named.
    """
    row = decide(registry, layout, mosaic, reason, _REJECT)
    with recorded_as(row, "rejected", "what was copied of it could not be removed"):
        _fence(registry, layout, row["data_id"])
        places.hide(Places.of(layout, row))  # a copy that a publisher renamed before it died
    _mark(registry, layout, row, "rejected")
    return row


def _fence(registry: Registry, layout: naming.Layout, data_id: str) -> None:
    """Remove what a publisher without a claim has copied: it may be stopped just before giving it the final name."""
    copying.fence_all(layout, data_id, claims.tokens(registry, data_id))


def retry(
    registry: Registry, data_id: str, version: int | None = None, *, reason: str = "asked for by an operator"
) -> Row:
    """Set the number of failed attempts of a product in staging to 0; the caller then publishes it.

    Raises
    ------
    UnknownIdError
        If it is not registered.
    InputError
        If the reason is blank, too long or not in one line.
    RegistryError
        If it is neither in staging nor being published.
    """
    require_reason(data_id, reason)
    with registry.transaction(lock=data_id) as connection:
        row = queries.latest(connection, data_id, version)
        if row is not None and row["status"] in ("staging", "publishing"):
            set_columns(connection, row, {"attempts": 0})
            queries.add_event(connection, data_id, row["version"], "retry", reason)
    row = queries.get(registry, data_id, version)
    if row["status"] not in ("staging", "publishing"):
        raise RegistryError(
            f"{data_id} version {row['version']} is {row['status']}: only what is in staging can be retried"
        )
    return row


def withdraw(registry: Registry, layout: naming.Layout, mosaic: Named | str, reason: str) -> Row:
    """Withdraw a published product: its bundle moves to ``<products>/.withdrawn``, nothing is deleted.

    The decision is recorded first; `reconcile` moves the bundle if this process dies in between.

    Raises
    ------
    InputError
        If no reason is given, or it is too long or not in one line.
    RegistryError
        If it is not published, or is another making than the person named.
    """
    row = decide(registry, layout, mosaic, reason, _WITHDRAW)
    checkpoint("withdraw:recorded")
    finish_withdrawal(registry, layout, row)
    checkpoint("withdraw:hidden")
    return _mark(registry, layout, row, "withdrawn")


def restore(registry: Registry, layout: naming.Layout, mosaic: Named | str, reason: str) -> Row:
    """Move a withdrawn product back to its published place, after comparing every file with the manifest.

    Raises
    ------
    RegistryError
        If it is not withdrawn, or its bundle is not whole.
    """
    whole: list[tuple[str, int, str]] = []

    def key(row: Row) -> tuple[str, int, str]:
        return row["data_id"], row["version"], row["sha256"]

    def is_whole(row: Row) -> None:
        if not is_earned(row):
            raise RegistryError(
                f"{row['data_id']} version {row['version']} did not pass and was never approved: make a new one"
            )
        where = Places.of(layout, row)
        where.require_free()
        if key(row) not in whole:
            problem = bundle.problem(where.hidden, row["sha256"], row["tags_sha256"])
            if problem is not None:
                raise RegistryError(
                    f"{row['data_id']} cannot be restored: {problem}: bring that back from a backup or a replica first"
                )

    archive_root.require(registry, layout)  # an archive that is not mounted holds no bundle
    # Read before the transaction, which would hold up others meanwhile.
    with registry.read() as connection:
        before = chosen(connection, mosaic if isinstance(mosaic, Named) else Named(mosaic), _RESTORE)
        why = unearned(before, recorded(connection, before))
    if before["status"] == "withdrawn" and reason.strip():
        is_whole(before)
        if why is not None:
            raise RegistryError(f"{why}: type 'contimg reconcile {before['data_id']}' first")
        whole.append(key(before))
    row = decide(registry, layout, mosaic, reason, _RESTORE, is_whole)
    checkpoint("restore:recorded")
    finish_restoration(registry, layout, row)
    return _mark(registry, layout, row, "restored")


def _mark(registry: Registry, layout: naming.Layout, row: Row, decision: str) -> Row:
    """Write the marker of a product after a decision about it, and return its row as it is now."""
    with recorded_as(row, decision, "its marker could not be written"):
        markers.write_published(registry, layout, row["data_id"])
        return queries.get(registry, row["data_id"], row["version"])


def cite(registry: Registry, layout: naming.Layout, mosaic: Named | str, doi: str, *, replace: bool = False) -> Row:
    """Record the DOI under which a published product is cited, without touching a file that a manifest lists.

    It stands in the bundle's record (``publication.json``), in its copies and in the registry.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    mosaic : Named or str
        The mosaic, or its id alone.
    doi : str
        As ``10.5555/dsa110.1``, without ``https://doi.org/``.
    replace : bool
        Replace another DOI, which was a mistake; a DOI is otherwise for good.

    Raises
    ------
    RegistryError
        If `doi` is none, another one is recorded, or the product is not published.
    """
    if re.fullmatch(DOI_PATTERN, doi) is None:
        raise RegistryError(f"{one_line(doi)} is no DOI: write it as 10.5555/dsa110.1, without https://doi.org/")

    def is_free(row: Row) -> None:
        if row["doi"] not in (None, doi) and not replace:
            raise RegistryError(
                f"{row['data_id']} version {row['version']} is cited as {row['doi']} already, and a DOI is for good: "
                "add --replace if that one was a mistake"
            )

    return _mark(registry, layout, decide(registry, layout, mosaic, doi, _CITE, is_free), "cited")
