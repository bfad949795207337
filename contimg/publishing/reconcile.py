"""Reconciling: disk and registry compared, every difference listed and, where it can be, repaired.

Nothing is guessed: a repair either finishes what a dead process had begun (when the bytes are all
there and verified) or undoes it (so that publishing begins again), and what neither can mend is
reported. Run twice, the second run finds nothing to do.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import update

from contimg import naming
from contimg.bundle import bundle
from contimg.bundle.assembly import gather
from contimg.bundle.find import find_bundles, hidden_place
from contimg.errors import ContimgError, InputError
from contimg.publishing import claims, copying, markers
from contimg.publishing.decisions import hide
from contimg.publishing.rebuild import rebuild_row
from contimg.publishing.register import reassemble, stage_problem
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.registry.schema import data_registry
from contimg.storage import atomic, safe_files
from contimg.storage.process import is_orphan
from contimg.times import now

ALTERED = ".altered"


@dataclass(frozen=True)
class Difference:
    """Something on disk and in the registry that did not agree.

    Attributes
    ----------
    code : str
        ``claim_left``, ``incoming_left``, ``part_left``, ``not_recorded``, ``missing``, ``altered``, ``stage_altered``,
        ``row_lost``, ``not_hidden``, ``marker_differs``, ``foreign``.
    data_id, version
        What it is about.
    path : str
        Where.
    message : str
        What was found, and what was (or would be) done.
    repaired : bool
        False on a dry run, and when only a person can mend it.
    needs_person : bool
    """

    code: str
    data_id: str
    version: int
    path: str
    message: str
    repaired: bool = False
    needs_person: bool = False


def reconcile(
    registry: Registry, layout: naming.Layout, data_id: str | None = None, *, dry_run: bool = False
) -> list[Difference]:
    """Compare and repair; return the differences in order of product, each in the order of repair.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    data_id : str, optional
        Only this product; all when not given.
    dry_run : bool
        List, and change nothing.
    """
    work = _Work(registry, layout, data_id, dry_run)
    found: list[Difference] = []
    # In this order one step leaves to the next what it found half-way.
    steps = (work.lost_rows, work.claims, work.remains, work.unrecorded, work.published, work.staged)
    for step in (*steps, work.withdrawn, work.marks):
        found += step()
    return sorted(found, key=lambda one: one.data_id)


class _Work:
    """One reconciliation: the steps, each a comparison with its repair."""

    def __init__(self, registry: Registry, layout: naming.Layout, data_id: str | None, dry_run: bool) -> None:
        self.registry, self.layout, self.data_id, self.dry_run = registry, layout, data_id, dry_run

    def _rows(self, *statuses: str) -> list[Mapping[str, Any]]:
        if self.data_id is None:
            return queries.listing(self.registry, statuses=statuses, latest_only=False)
        rows = queries.versions(self.registry, self.data_id)
        return [row for row in rows if not statuses or row["status"] in statuses]

    def _repair(self, difference: Difference, action: Any) -> Difference:
        """Do the repair unless this is a dry run; `action` returns False when the state has moved on."""
        if self.dry_run:
            return difference
        return replace(difference, repaired=action() is not False)

    def lost_rows(self) -> Iterator[Difference]:
        """Bundles in the archive that the registry does not know: their rows are made again from them."""
        known = {(row["data_id"], row["version"]) for row in self._rows()}
        for path, data_id, version, hidden in find_bundles(self.layout, self.data_id):
            if (data_id, version) in known:
                continue
            found = Difference("row_lost", data_id, version, str(path), f"{path} is not in the registry")
            try:
                verification = bundle.verify(path)
                problem = None if verification.ok else verification.problems[0].message
            except InputError as error:
                problem = str(error)
            if problem is not None:
                yield replace(
                    found,
                    code="foreign",
                    needs_person=True,
                    message=f"{path} is not in the registry and is no whole bundle ({problem}): move it away",
                )
                continue
            manifest_sha256 = verification.manifest_sha256
            try:
                action = rebuild_row(
                    self.registry, self.layout, path, data_id, version, str(manifest_sha256), hidden=hidden
                )
            except ContimgError as error:
                message = f"{path} is not in the registry, and its row cannot be made again: {error}"
                yield replace(found, code="foreign", needs_person=True, message=message)
                continue
            yield self._repair(replace(found, message=f"{path} is not in the registry: row rebuilt from it"), action)

    def claims(self) -> Iterator[Difference]:
        """Claims of publishers that are dead or whose time is up."""
        for row in self._rows("publishing"):
            if not claims.is_abandoned(self.registry, row):
                continue
            message = f"{row['data_id']} was being published by a process that is gone: given back to staging"
            found = Difference("claim_left", row["data_id"], row["version"], row["stage_path"], message)

            def free(row: Mapping[str, Any] = row) -> bool:
                with self.registry.transaction(lock=row["data_id"]) as connection:
                    return claims.free_abandoned(connection, row)

            yield self._repair(found, free)

    def remains(self) -> Iterator[Difference]:
        """Unfinished copies in the archive, and unfinished bundles on the stage, that nobody works on."""
        with (
            contextlib.suppress(FileNotFoundError),
            safe_files.open_folder(self.layout.products, copying.INCOMING) as folder,
        ):
            # Listed before the claims are read: a copy's claim is older than the copy.
            names = sorted(os.listdir(folder))
            tokens = {
                row["claim_token"] for row in self._rows("publishing") if not claims.is_abandoned(self.registry, row)
            }
            for name in names:
                data_id, _, token = name.partition(".")
                if token in tokens or (self.data_id is not None and data_id != self.data_id):
                    continue
                path = self.layout.products / copying.INCOMING / name
                found = Difference("incoming_left", data_id, 0, str(path), f"{path} was left unfinished: removed")
                yield self._repair(found, lambda name=name: safe_files.remove_tree(folder, name))
        yield from self._parts()

    def _parts(self) -> Iterator[Difference]:
        top = self.layout.stage / "registered"
        pattern = "*/mosaic_*" if self.data_id is None else f"{naming.date(self.data_id)}/{self.data_id}"
        for home in sorted(top.glob(pattern)):
            if home.suffix == ".json":
                continue
            relative = safe_files.relative_to_root(home, self.layout.stage, "paths.stage")
            with safe_files.open_folder(self.layout.stage, relative) as folder:
                for name in sorted(os.listdir(folder)):
                    if is_orphan(home / name):
                        message = f"{home / name} was left unfinished: removed"
                        found = Difference("part_left", home.name, 0, str(home / name), message)
                        yield self._repair(found, lambda name=name: safe_files.remove_tree(folder, name))

    def unrecorded(self) -> Iterator[Difference]:
        """Bundles that were renamed to their final name while the row still says staging."""
        for row in self._rows("staging", "publishing"):
            if row["status"] == "publishing" and not claims.is_abandoned(self.registry, row):
                continue
            final = self.layout.bundle(row["data_id"], row["version"])
            if not final.is_dir() or row["finalization_status"] != "finalized":
                continue
            found = Difference("not_recorded", row["data_id"], row["version"], str(final), "")
            problem = bundle.problem(final, row["sha256"])
            if problem is not None:
                message = (
                    f"{final} stands where {row['data_id']} is to be published, and differs ({problem}): move it away"
                )
                yield replace(found, code="foreign", message=message, needs_person=True)
                continue
            message = f"{final} is whole but was not recorded as published: recorded"
            yield self._repair(replace(found, message=message), lambda row=row, final=final: self._record(row, final))

    def _record(self, row: Mapping[str, Any], final: Path) -> bool:
        values = {"status": "published", "published_path": str(final), "published_at": now(), "error": None}
        return self._change(row, values, "published", f"{final} (found by reconcile)")

    def _change(
        self,
        row: Mapping[str, Any],
        values: dict[str, Any],
        event: str,
        message: str,
        meanwhile: Callable[[], None] | None = None,
    ) -> bool:
        """Change a row that is still as it was read; `meanwhile` is done within the transaction."""
        with self.registry.transaction(lock=row["data_id"]) as connection:
            statement = update(data_registry).where(
                data_registry.c.data_id == row["data_id"],
                data_registry.c.version == row["version"],
                data_registry.c.status == row["status"],
                data_registry.c.sha256 == row["sha256"],
                data_registry.c.published_at.is_not_distinct_from(row["published_at"]),
            )
            changed = connection.execute(statement.values(**values)).rowcount == 1
            if changed:
                if meanwhile is not None:
                    meanwhile()
                queries.add_event(connection, row["data_id"], row["version"], event, message)
        return changed

    def published(self) -> Iterator[Difference]:
        """Bundles that are published, but missing or altered: published again from the stage."""
        for row in self._rows("published"):
            path = Path(row["published_path"])
            missing = not path.is_dir()
            problem = f"{path} is missing" if missing else bundle.problem(path, row["sha256"])
            if problem is None:
                continue
            found = Difference("missing" if missing else "altered", row["data_id"], row["version"], str(path), problem)
            # After a move of the archive, or with nothing whole on the stage, a person must decide.
            moved_away = path != self.layout.bundle(row["data_id"], row["version"])
            if moved_away or not self._can_be_made_again(row):
                message = f"{problem}, and no whole copy is on the stage: restore it from a backup, or withdraw it"
                yield replace(found, message=message, needs_person=True)
                continue
            moved = "" if missing else f", the altered bundle moved to {self.layout.products / ALTERED}"
            message = f"{problem}: given back to staging to be published again{moved}"
            yield self._repair(
                replace(found, message=message),
                lambda row=row, path=path, missing=missing, problem=problem: self._unpublish(
                    row, path, missing, problem
                ),
            )

    def _can_be_made_again(self, row: Mapping[str, Any]) -> bool:
        if bundle.problem(Path(row["stage_path"]), row["sha256"]) is None:
            return True
        try:
            return gather(self.layout, row["data_id"]).manifest_sha256 == row["sha256"]
        except (ContimgError, FileNotFoundError):
            return False

    def _unpublish(self, row: Mapping[str, Any], path: Path, missing: bool, problem: str) -> bool:
        values = {"status": "staging", "published_path": None, "published_at": None, "attempts": 0}
        # Set aside within the transaction: dying in between leaves 'published but missing', which is mended.
        return self._change(
            row,
            values,
            "reconciled",
            problem,
            None if missing else lambda: safe_files.set_aside(self.layout.products, path, ALTERED),
        )

    def staged(self) -> Iterator[Difference]:
        """Bundles on the stage that are missing or were altered: made again from the mosaic."""
        for row in self._rows("staging", "held"):
            place = Path(row["stage_path"])
            # Reading every byte costs as much as publishing: for one product only after a failure.
            settled = row["finalization_status"] == "finalized" and row["error"] is None
            if self.data_id is not None and settled and place.is_dir():
                continue
            problem = stage_problem(row)
            if problem is None:
                continue
            found = Difference("stage_altered", row["data_id"], row["version"], str(place), problem)
            if self._can_be_made_again(row):
                message = f"{problem}: made again from the mosaic"
                yield self._repair(
                    replace(found, message=message), lambda row=row: reassemble(self.registry, self.layout, row)
                )
            else:
                message = (
                    f"{problem}, and the mosaic on the stage is another one now: snakemake --forcerun mosaic_group"
                )
                yield replace(found, message=message, needs_person=True)

    def withdrawn(self) -> Iterator[Difference]:
        """Withdrawn bundles that are still in sight."""
        for row in self._rows("withdrawn"):
            final = self.layout.bundle(row["data_id"], row["version"])
            hidden = hidden_place(self.layout, row["data_id"], row["version"])
            if not final.exists() and (row["published_path"] == str(hidden) or not hidden.exists()):
                continue
            message = f"{final} is withdrawn but was still in sight: moved to {hidden}"
            found = Difference("not_hidden", row["data_id"], row["version"], str(final), message)
            if final.exists() and hidden.exists():
                message = f"{final} is withdrawn and stands in {hidden} as well: remove one of the two"
                yield replace(found, message=message, needs_person=True)
                continue
            yield self._repair(found, lambda row=row: hide(self.registry, self.layout, row) or True)

    def marks(self) -> Iterator[Difference]:
        """Markers that say something else than the registry (missing ones are the workflow's to make)."""
        newest: dict[str, Mapping[str, Any]] = {row["data_id"]: row for row in self._rows()}
        for data_id, row in newest.items():
            if row["status"] == "publishing":  # its publisher is about to write them
                continue
            for kind in ("registered", "published"):
                if not self._marker_differs(kind, row):
                    continue
                path = markers.place(self.layout, kind, data_id)
                message = f"{path} did not say what the registry says: corrected"
                found = Difference("marker_differs", data_id, row["version"], str(path), message)
                yield self._repair(found, lambda kind=kind, data_id=data_id: self._mark(kind, data_id))

    def _marker_differs(self, kind: str, row: Mapping[str, Any]) -> bool:
        path = markers.place(self.layout, kind, row["data_id"])
        return path.exists() and atomic.read_json(path) != markers.CONTENT[kind](row)

    def _mark(self, kind: str, data_id: str) -> None:
        row = queries.get(self.registry, data_id)  # once more: a publisher may have come and gone meanwhile
        if row["status"] == "publishing" or not self._marker_differs(kind, row):
            return
        content = markers.CONTENT[kind](row)
        if content is None:
            markers.remove(self.layout, kind, data_id)
        else:
            markers.write(self.layout, kind, content)
