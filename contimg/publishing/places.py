"""The places where copies of a bundle stand, and moving them: on the stage, in sight, and hidden.

*In sight* is the final name in the archive, under which a published bundle is found; *hidden* is its place under
``.withdrawn``. Nothing is deleted here: a bundle that must not be in sight and cannot be hidden is moved to
``.altered``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contimg.bundle.bundle import manifest_digest
from contimg.bundle.find import hidden_place
from contimg.bundle.record import Decision, decisions_in, is_of, read_record, with_decisions, write_record
from contimg.errors import RegistryError
from contimg.naming import Layout
from contimg.storage import moving, safe_files, trees
from contimg.storage.safe_files import link_on_the_way

ALTERED = ".altered"


@dataclass(frozen=True)
class Places:
    """The three places of one version's bundle.

    Attributes
    ----------
    layout : Layout
    stage, sight, hidden : Path
        On the stage; in the archive under its final name; in the archive after it was withdrawn.
    making : mapping
        ``data_id``, ``version`` and ``sha256`` of the version. A person may have put another bundle in a place.
    """

    layout: Layout
    stage: Path
    sight: Path
    hidden: Path
    making: Mapping[str, Any]

    @classmethod
    def of(cls, layout: Layout, row: Mapping[str, Any]) -> Places:
        """Return the places of a row."""
        data_id, version = row["data_id"], row["version"]
        hidden = hidden_place(layout, data_id, version)
        making = {key: row[key] for key in ("data_id", "version", "sha256")}
        return cls(layout, Path(row["stage_path"]), layout.bundle(data_id, version), hidden, making)

    def standing(self) -> list[Path]:
        """Return the places that hold a folder, those of the archive first."""
        return [place for place in (self.sight, self.hidden, self.stage) if is_folder(place)]

    def found(self, place: Path) -> Path:
        """Return a place, or another one with a copy of this version where nothing stands there.

        Its row says where it stood: a restoration that was stopped has moved it since, and not recorded that.
        """
        others = (other for other in self.standing() if self.is_own(other))
        return place if is_folder(place) else next(others, place)

    def is_own(self, place: Path) -> bool:
        """Return whether what stands in a place is a copy of this version, as its record or its manifest says."""
        return is_of(read_record(place), self.making) or manifest_digest(place) == self.making["sha256"]

    def require_no_link(self) -> None:
        """Raise `RegistryError` where the way to the bundle, in sight or on the stage, leads through a symlink.

        What stands behind one is not below its root: no rename can hide it, and it may change without notice. Markers
        stand in folders of their own on the stage, and follow each decision.
        """
        problem = link_on_the_way(self.layout.products, self.sight.parent)
        if problem is not None:
            raise RegistryError(problem)
        self.require_no_link_on_stage()

    def require_no_link_on_stage(self) -> None:
        """Raise `RegistryError` where the way to the bundle or to a marker on the stage leads through a symlink."""
        marker = self.layout.twin("published", self.making["data_id"])
        for path in (self.stage.parent, marker.parent):
            problem = link_on_the_way(self.layout.stage, path, "stage")
            if problem is not None:
                raise RegistryError(problem)

    def require_free(self) -> None:
        """Raise `RegistryError` where something stands under the final name, to which a withdrawn bundle is to return.

        Looked at before a decision is recorded, as in `require_movable`.
        """
        self.require_no_link()
        if os.path.lexists(self.sight):
            remedy = f"'contimg reconcile {self.making['data_id']}'" if is_folder(self.sight) else "move it away"
            raise RegistryError(
                f"{self.sight} stands where the withdrawn bundle would return to: {remedy} first, then type the same "
                "command again"
            )

    def require_movable(self) -> None:
        """Raise `RegistryError` where the bundle in sight cannot be moved to its hidden place by this user.

        Looked at before a decision is recorded, so that none is recorded that cannot be carried out. To another
        disk the bundle is copied.
        """
        self.require_no_link()
        problem = link_on_the_way(self.layout.products, self.hidden)
        if problem is None and os.path.lexists(self.hidden) and not is_folder(self.hidden):
            problem = (
                f"{self.hidden} is in the place of a withdrawn bundle: move it away, then type the same command again"
            )
        if problem is not None:
            raise RegistryError(problem)
        there = next(path for path in self.hidden.parents if path.exists())
        for place in (self.sight, self.sight.parent, there):
            if not os.access(place, os.W_OK | os.X_OK):
                raise RegistryError(
                    f"{self.sight} cannot be moved, as {place} is not writable: mount the archive for writing, or give "
                    "yourself write access, then type the same command again"
                )
        if os.stat(self.sight).st_dev != os.stat(there).st_dev:
            block = os.statvfs(there).f_frsize
            sizes = [file.lstat().st_size for file in self.sight.rglob("*")]
            size = sum(-(-max(one, 1) // block) * block for one in sizes)
            if size > shutil.disk_usage(there).free:
                raise RegistryError(
                    f"{self.sight} cannot be moved to the disk of {there}, which has no room for its "
                    f"{size / 1e6:.1f} MB: make room there, then type the same command again"
                )

    def record_anew(self, place: Path, base: Mapping[str, Any], decisions: Iterable[Decision]) -> None:
        """Replace the record of the copy at one of the places."""
        self._write(place, with_decisions(base, decisions))

    def _write(self, place: Path, record: Mapping[str, Any]) -> None:
        if place == self.stage:
            write_record(self.layout.stage, place, "paths.stage", record)
            return
        with safe_files.permissions(self.layout.archive_mode):
            write_record(self.layout.products, place, "paths.products", record)

    def decisions(self) -> list[Decision]:
        """Return the decisions that are recorded in any copy of this version, the oldest first.

        Raises
        ------
        RegistryError
            If a record is not JSON, or holds something that is not a decision.
        """
        return sorted({one for place in self.standing() for one in self.decisions_at(place)})

    def decisions_at(self, place: Path) -> list[Decision]:
        """Return the decisions that are recorded in one copy, the oldest first; none where its record is another's."""
        record = read_record(place)
        return decisions_in(record, place) if is_of(record, self.making) else []

    def record(
        self, base: Mapping[str, Any], decisions: Iterable[Decision], changed: Mapping[str, Any] | None = None
    ) -> None:
        """Write decisions into the record of every copy of this version that lacks one of them.

        Parameters
        ----------
        base : mapping
            The other content of a record, for a copy that has none.
        decisions : iterable of Decision
        changed : mapping, optional
            What else of each record the decisions change.
        """
        decided = set(decisions)
        for place in filter(self.is_own, self.standing()):
            content = read_record(place)
            if not is_of(content, self.making):
                content = {}
            kept = decisions_in(content, place)
            if "decisions" not in content or not decided <= set(kept):
                self._write(place, with_decisions({**(content or base), **(changed or {})}, decided | set(kept)))


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder and not a symlink to one."""
    return path.is_dir() and not path.is_symlink()


def settle(layout: Layout, path: Path) -> None:
    """Fsync a bundle in the archive or on the stage, and the way to it: what a row says of it must outlive a power cut.

    A process that died, or a full disk, may have left it there unsynced, and so may a person who copied it.
    """
    root, key = _root_of(layout, path)
    relative = safe_files.relative_to_root(path, root, key)
    with safe_files.open_folder(root, relative.parent) as parent:
        trees.sync_tree(parent, relative.name)
    safe_files.sync_way(root, relative.parent)


def _root_of(layout: Layout, path: Path) -> tuple[Path, str]:
    """Return the stage or the archive, whichever a bundle is in, and the key of the configuration that names it."""
    if path.is_relative_to(layout.stage):
        return layout.stage, "paths.stage"
    return layout.products, "paths.products"


def hide(places: Places) -> bool:
    """Move a bundle from its final name to ``.withdrawn``; return whether it was in sight.

    Where a copy is withdrawn already, the one in sight is set aside.
    """
    if is_folder(places.sight) and is_folder(places.hidden):
        set_aside(places)
        return True
    return _move(places.layout, places.sight, places.hidden)


def bring_back(places: Places) -> bool:
    """Move a withdrawn bundle back to its final name; return whether it was withdrawn."""
    return _move(places.layout, places.hidden, places.sight)


def set_aside(places: Places) -> None:
    """Move what stands under the final name to ``.altered``, under a number that is free."""
    _set_aside(places.layout, places.sight)


def replace_in_sight(places: Places) -> None:
    """Move what stands under the final name to ``.altered``, and the withdrawn bundle there."""
    set_aside(places)
    bring_back(places)


def set_hidden_aside(places: Places) -> None:
    """Move a withdrawn copy to ``.altered``, under a number that is free."""
    _set_aside(places.layout, places.hidden)


def set_aside_strays(places: Places, names: Sequence[str]) -> None:
    """Move files that are not of a bundle from under its final name to ``.altered``, under numbers that are free.

    Another process may have moved some since they were seen.
    """
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            _set_aside(places.layout, places.sight / name)


def _set_aside(layout: Layout, path: Path) -> None:
    with safe_files.permissions(layout.archive_mode):
        moving.set_aside(layout.products, path, ALTERED)


def _move(layout: Layout, source: Path, target: Path) -> bool:
    """Move a bundle within the archive, if it is there, and make sure of where it is now; return whether it was."""
    root = layout.products
    one, other = (safe_files.relative_to_root(path, root, "paths.products") for path in (source, target))
    moved = False
    with (
        contextlib.suppress(FileNotFoundError),  # the folder of that date: then the bundle is not there either
        safe_files.permissions(layout.archive_mode),
        safe_files.open_folder(root, one.parent) as parent,
        safe_files.open_folder(root, other.parent, create=True) as target_parent,
    ):
        if safe_files.exists(parent, one.name):
            with safe_files.named(target_parent, other.name):
                moving.move_new(parent, one.name, target_parent, other.name)
            moved = True
    for folder in (other.parent, one.parent):  # also where another process has moved it, and died before this
        with contextlib.suppress(FileNotFoundError):
            safe_files.sync_way(root, folder)
    return moved
