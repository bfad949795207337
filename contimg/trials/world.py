"""The world of a trial: a stage, an archive and a registry, and what rules and persons do there."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import delete, event
from sqlalchemy.pool import QueuePool

from contimg.config import Config, load
from contimg.errors import ContimgError
from contimg.naming import Layout
from contimg.publishing import deciding, decisions, publish_mosaic, register_mosaic, scrub
from contimg.publishing.reconcile import reconcile
from contimg.registry import backup, queries, schema
from contimg.registry import engine as registry_engine
from contimg.registry.engine import Registry, open_registry
from contimg.replicas import commits, sync, unknown
from contimg.trials import calls, mosaics
from contimg.trials.machine import Machine

WORDS = {
    "approve": "approved", "reject": "rejected", "withdraw": "withdrawn", "restore": "restored", "cite": "cited",
}  # fmt: skip
DECISIONS = tuple(WORDS)
PLACING = ("reject", "withdraw", "restore")  # where a bundle belongs


def config_below(root: Path, url: str | None, *, replicas: Sequence[dict[str, Any]] = (), **sections: Any) -> Config:
    """Return the configuration of a world whose four roots stand below a folder, and replicas with their options.

    Further sections are added.
    """
    paths = {name: str(root / name) for name in ("incoming", "stage", "products", "state")}
    kept = [{"url": str(root / f"replica{number}"), **options} for number, options in enumerate(replicas)]
    publish: dict[str, Any] = {"update_archive": False, "claim_s": 60.0, "replicas": kept}
    content = {"paths": paths, "crossmatch": {"enabled": False}, "publish": publish, "registry": {"url": url}}
    return load(content | sections)


class _Pool(QueuePool):
    """Connections that are used again, as many as there are processes: one that is set aside keeps its own."""

    def __init__(self, creator: Any, **options: Any) -> None:
        super().__init__(creator, **options | {"max_overflow": -1})


def open_shared(config: Config) -> Registry:
    """Open the registry of a world, with connections to SQLite that are used again.

    Opening one takes longer than most transactions. Each is given back with the durability that it was opened with.
    """
    if config.registry.url is not None:
        return open_registry(config)
    with mock.patch.object(registry_engine, "NullPool", _Pool):
        registry = open_registry(config)

    def opened(connection: Any, record: Any) -> None:
        record.info["synchronous"] = connection.execute("PRAGMA synchronous").fetchone()[0]

    def given_back(connection: Any, record: Any) -> None:
        if connection is not None:
            connection.execute(f"PRAGMA synchronous = {record.info['synchronous']}")

    event.listen(registry.engine, "connect", opened)
    event.listen(registry.engine, "checkin", given_back)
    registry.engine.dispose()
    return registry


class _Shared(Registry):
    """A registry that stays open when a rule closes it: opening costs more than what is tried."""

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Asked:
    """A decision that somebody asked for: the mosaic, version and manifest, and which one; its reason is unique.

    That of a citation is its DOI.
    """

    data_id: str
    version: int
    sha256: str
    word: str
    reason: str


@dataclass
class Ledger:
    """What is known of a world beside what its code wrote.

    Attributes
    ----------
    verdicts : dict
        The verdict with which each manifest was made, by id and SHA-256.
    asked : list of Asked
        Every decision that was asked for, in order, whether or not it was taken.
    owed : dict of str to Asked
        By reason, the decisions that were reported as taken and that no disaster of the outer world took away.
    shown : dict
        By id and version the manifest of each mosaic that was reported as published, unless somebody
        asked to take it out of sight or the outer world removed it.
    held : set
        Ids and versions that were reported as held, since registry and bundles were last whole.
    hidden : set
        Ids and versions that were reported as withdrawn, unless somebody asked to restore them.
    rotten : set
        Ids and versions whose bundle was damaged, on the stage or in the archive, since all was reconciled.
    rotten_copies : set
        Ids and versions whose copy in a replica was damaged, since all replicas were verified.
    running : Counter
        By id and version the decisions that have begun and not ended; those of killed processes never do.
    begun : Counter
        By id and version the decisions that have begun.
    """

    verdicts: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    owed: dict[str, Asked] = field(default_factory=dict)
    shown: dict[tuple[str, int], str] = field(default_factory=dict)
    held: set[tuple[str, int]] = field(default_factory=set)
    hidden: set[tuple[str, int]] = field(default_factory=set)
    rotten: set[tuple[str, int]] = field(default_factory=set)
    rotten_copies: set[tuple[str, int]] = field(default_factory=set)
    running: Counter[tuple[str, int]] = field(default_factory=Counter)
    begun: Counter[tuple[str, int]] = field(default_factory=Counter)


class World:
    """A stage, an archive and a registry below one folder, on a simulated machine.

    Attributes
    ----------
    config : Config
    registry : Registry
    machine : Machine
    ledger : Ledger
    """

    def __init__(self, config: Config, machine: Machine, registry: Registry) -> None:
        self.root, self.machine, self.ledger = config.paths.state.parent, machine, Ledger()
        self.config, self.registry = config, _Shared(registry.engine, registry.where)
        for place in (config.paths.stage, config.paths.incoming, config.paths.state):
            place.mkdir(parents=True, exist_ok=True)
        self.backups = 0

    @contextlib.contextmanager
    def installed(
        self, recorder: calls.Recorder | None = None, database: calls.Committed | None = None
    ) -> Iterator[None]:
        """Let the code live on the simulated machine, with this world's registry as the configured one."""
        with contextlib.ExitStack() as stack:
            for module in (register_mosaic, publish_mosaic):
                stack.enter_context(mock.patch.object(module, "open_registry", lambda _config: self.registry))
            stack.enter_context(calls.installed(self.machine, recorder, database))
            stack.enter_context(calls.watched(self.machine, self.registry.engine))
            yield

    def lay(self, making: mosaics.Making) -> None:
        """Put a making of a mosaic on the stage, as its rule would have left it."""
        for path, content in making.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # a bundle may hold a link to it
            path.write_bytes(content)
        self.ledger.verdicts[making.mosaic_id, mosaics.manifest_sha256(self.layout, making)] = making.verdict

    def work(self, mosaic_id: str) -> str:
        """Do the work of the two rules; return the outcome."""
        register_mosaic.register_mosaic(mosaic_id, self.config)
        outcome = publish_mosaic.publish_mosaic(mosaic_id, self.config, waits_s=())
        key = (outcome.data_id, outcome.version)
        sha256 = queries.get(self.registry, *key)["sha256"]  # others may be asked for something meanwhile
        disputed = any(
            (one.data_id, one.version) == key and one.word not in ("approved", "cited") for one in self.ledger.asked
        )
        if outcome.status == "published" and not disputed:
            self.ledger.shown[key] = sha256
        if outcome.status == "held":
            self.ledger.held.add(key)
        return outcome.status

    def reconcile(self) -> list[Any]:
        """Reconcile all."""
        return reconcile(self.registry, self.layout, replicas=self.config.publish.replicas)

    def decision(self, command: str, row: Any) -> Callable[[], None]:
        """Return the action of a person who decides about the version and manifest of a row, as the command would."""
        number = len(self.ledger.asked) + 1
        reason = f"10.5555/dsa110.{number}" if command == "cite" else f"reason {number}"
        asked = Asked(row["data_id"], row["version"], row["sha256"], WORDS[command], reason)
        key = (asked.data_id, asked.version)
        self.ledger.asked.append(asked)
        if command in PLACING:
            self.ledger.shown.pop(key, None)
            self.ledger.hidden.discard(key)
        named = deciding.Named(asked.data_id, asked.version, asked.sha256[:12])
        layout = self.config.layout

        def decide() -> None:
            if command == "approve":
                reconcile(self.registry, layout, asked.data_id)
            if command == "cite":
                decisions.cite(self.registry, layout, named, reason, replace=True)
                self.ledger.owed[reason] = asked
                return
            if command in PLACING:  # others may have ended since it was asked for
                self.ledger.shown.pop(key, None)
                self.ledger.hidden.discard(key)
            alone = self.ledger.running[key] == 0
            self.ledger.running[key] += 1
            self.ledger.begun[key] += 1
            begun = self.ledger.begun[key]
            try:
                getattr(decisions, command)(self.registry, layout, named, asked.reason)
            except ContimgError:
                self.ledger.running[key] -= 1
                raise
            self.ledger.running[key] -= 1
            self.ledger.owed[asked.reason] = asked
            alone = alone and self.ledger.begun[key] == begun  # else nobody knows which of them came last
            if alone and command == "withdraw":
                self.ledger.hidden.add(key)
            if alone and command == "restore":
                self.ledger.shown[key] = asked.sha256
            if command == "approve":
                publish_mosaic.publish_mosaic(asked.data_id, self.config, waits_s=())

        return decide

    def known_reasons(self) -> set[str]:
        """Return the reasons of all decisions that stand in the registry or in a record of a bundle."""
        import json

        from sqlalchemy import select

        with self.registry.read() as connection:
            found = set(connection.execute(select(schema.publish_events.c.message)).scalars())
        for top in (self.config.paths.stage, self.config.paths.products):
            for record in top.rglob("publication.json"):
                with contextlib.suppress(ValueError):
                    found |= {one["reason"] for one in json.loads(record.read_bytes()).get("decisions", [])}
        return found

    @contextlib.contextmanager
    def disaster(self) -> Iterator[None]:
        """Run a block that destroys something; decisions that no place holds afterwards are owed no more."""
        before = self.known_reasons()
        self.ledger.held.clear()
        yield
        for reason in before - self.known_reasons():
            self.ledger.owed.pop(reason, None)

    def empty_registry(self) -> None:
        """Lose all rows."""
        with self.registry.transaction() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                if table is not schema.schema_version:
                    connection.execute(delete(table))

    def back_up(self) -> Path:
        """Back the registry up; return the file."""
        self.backups += 1
        file = self.root / f"backup{self.backups}.sqlite3"
        backup.backup(self.registry, file)
        return file

    def restore_backup(self, file: Path) -> None:
        """Put an older backup in the place of the registry."""
        self.empty_registry()
        backup.restore(self.registry, file)

    def verify(self) -> None:
        """Read every published bundle."""
        for _ in scrub.scrub(self.registry):
            pass

    def copy(self, place: Path) -> Path:
        """Copy a folder, as a backup of the disk does; return the copy."""
        self.backups += 1
        return Path(shutil.copytree(place, self.root / f"copy{self.backups}", symlinks=True))

    def roll_back(self, place: Path, copy: Path) -> None:
        """Put an older state of a folder of archive or stage in its place."""
        shutil.rmtree(place)
        shutil.copytree(copy, place, symlinks=True)
        self.ledger.shown.clear()
        self.ledger.hidden.clear()
        rows = queries.listing(self.registry, latest_only=False)
        self.ledger.rotten |= {(row["data_id"], row["version"]) for row in rows}

    def adopt_replicas(self) -> None:
        """Make the replicas those of the registry, also where one was lost that had them before."""
        for replica in self.config.publish.replicas:
            try:
                sync.adopt(self.registry, replica)
            except ContimgError:
                (Path(replica.url) / sync.MARKER).unlink()
                sync.adopt(self.registry, replica)

    def sync_replicas(self) -> list[sync.Done]:
        """Bring the replicas up to date; return what was done."""
        return [done for one in self.config.publish.replicas for done in sync.sync(self.registry, self.layout, one)]

    def heed_replicas(self, done: Collection[sync.Done]) -> None:
        """Do what is said of copies that know more than registry and archive, both put back to an earlier day.

        Decisions are taken over; of versions that nobody knows any more the copies are given up. What is nowhere else
        any more, as a rejected mosaic's bundle, is brought back from the copy.
        """
        for replica in self.config.publish.replicas:
            store = sync.opened(self.registry, replica)
            nowhere = ("it may be the only whole one", "no copy of it is on the stage")
            lost = {(one.data_id, one.version) for one in done if any(words in one.message for words in nowhere)}
            for row in (queries.get(self.registry, *key) for key in sorted(lost)):
                copy, missed = Path(replica.url) / commits.row_place(self.layout, row), Path(row["stage_path"])
                if copy.is_dir():
                    shutil.rmtree(missed, ignore_errors=True)
                    shutil.copytree(copy, missed)
                    self.sync_replicas()  # which the policy may have waited for
            for place in unknown.look(self.registry, self.layout, store, replica.url).places:
                store.remove(commits.commit_name(place))
        for data_id in sorted({one.data_id for one in done if "takes it over" in one.message}):
            for key in [key for key in self.ledger.shown if key[0] == data_id]:
                self.ledger.shown.pop(key)
            self.ledger.hidden = {key for key in self.ledger.hidden if key[0] != data_id}
            reconcile(self.registry, self.layout, data_id, replicas=self.config.publish.replicas)

    def verify_replicas(self) -> list[sync.Done]:
        """Read every copy in the replicas; return what was found."""
        return [done for one in self.config.publish.replicas for done in sync.verify(self.registry, self.layout, one)]

    def copies_of(self, row: Any) -> list[Path]:
        """Return the folders in which replicas hold a copy of a row's bundle, or a part of it."""
        tops = [Path(one.url) / commits.row_place(self.layout, row) for one in self.config.publish.replicas]
        return [top for top in tops if top.is_dir()]

    def remove(self, path: Path, row: Any) -> str:
        """Lose a copy of a bundle; return what was done, in words."""
        self._forget(path, row)
        shutil.rmtree(path)
        return f"lose {path.relative_to(self.root)}"

    def rot(self, path: Path, row: Any) -> str:
        """Damage a file of a copy of a bundle, or put one beside it; return what was done, in words."""
        random = self.machine.random
        files = sorted(one for one in path.rglob("*") if one.is_file() and one.stat().st_size)
        if not files:
            return f"nothing left to damage in {path.relative_to(self.root)}"
        file = random.choice(files)
        content = file.read_bytes()
        place = random.randrange(len(content))
        kinds = {
            "flip": content[:place] + bytes([content[place] ^ 1 << random.randrange(8)]) + content[place + 1 :],
            "cut": content[:place],
            "empty": b"",
            "gone": None,
            "stray": content,
        }
        if path in self.copies_of(row):
            del kinds["stray"]  # a person removes it
        kind = random.choice(sorted(kinds))
        if kind == "stray":
            file = file.with_name(f"{file.name}~")
        file.unlink(missing_ok=True)  # not the file of the stage that it may be a link to
        damaged = kinds[kind]
        if damaged is not None:
            file.write_bytes(damaged)
        self._forget(path, row)
        if path not in self.copies_of(row):
            self.ledger.rotten.add((row["data_id"], row["version"]))
        return f"{kind} {file.relative_to(self.root)}"

    def _forget(self, path: Path, row: Any) -> None:
        if path in self.copies_of(row):
            self.ledger.rotten_copies.add((row["data_id"], row["version"]))
        if path == self.layout.bundle(row["data_id"], row["version"]):
            self.ledger.shown.pop((row["data_id"], row["version"]), None)

    @functools.cached_property
    def layout(self) -> Layout:
        """Where everything stands."""
        return self.config.layout
