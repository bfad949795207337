"""The power is cut, and what the code was careful about is what saves it: each sync that is left out is noticed.

Short histories (published, withdrawn, restored; held, approved; an archive taken possession of; a rotten bundle set
aside) are cut after each step, and what was not synced is lost, torn or reordered.
"""

import ast
import contextlib
import errno
import functools
import itertools
import os
import shutil
import sys
from pathlib import Path

import pytest

import contimg
from contimg.bundle import bundle
from contimg.publishing import archive_root, publish, register_mosaic
from contimg.registry import queries
from contimg.storage.atomic import atomic_path
from contimg.trials import history, mosaics
from contimg.trials.bench import Bench
from contimg.trials.disk import Disk
from tests.support.databases import memory_folder

SOURCES = Path(contimg.__file__).parent
GROUPS = ("2026-02-11T00:26:49", "2026-02-11T01:26:49")
CUTS = 6  # each of another seed: what is lost of what was not synced differs

SYNCS = (
    "safe_files.fsync", "fsync", "_fsync", "os.fsync", "_fsync_tree",
    "safe_files.sync_way", "sync_way", "trees.sync_tree", "sync_tree", "places.settle",
)  # fmt: skip


def syncs():
    """Every place in the code of publishing that syncs, as file:line, with the function it stands in."""
    found = {}
    for wing in ("publishing", "bundle", "storage"):
        for path in sorted((SOURCES / wing).glob("*.py")):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef) and function.name not in ("_fsync", "fsync"):
                    for call in ast.walk(function):
                        if isinstance(call, ast.Call) and ast.unparse(call.func) in SYNCS:
                            found[f"{path.stem}:{call.lineno}"] = f"{path.stem}.{function.name}: {ast.unparse(call)}"
    return found


class Careless(Disk):
    """A disk whose syncs at one place of the code do nothing; ``apart``: what is withdrawn stands on another one."""

    place = ""
    apart = False

    def _renameat2(self, original, source_parent, source, target_parent, target):
        hidden = [".withdrawn" in os.readlink(f"/proc/self/fd/{one}") for one in (source_parent, target_parent)]
        if self.apart and hidden[0] != hidden[1]:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        super()._renameat2(original, source_parent, source, target_parent, target)

    def _fsync(self, original, descriptor):
        frame = sys._getframe()
        names = set()
        for _ in range(8):
            if frame is None:
                break
            names.add(f"{Path(frame.f_code.co_filename).stem}:{frame.f_lineno}")
            frame = frame.f_back
        if self.place not in names:
            super()._fsync(original, descriptor)


@pytest.fixture(scope="module")
def bench():
    with memory_folder() as folder:
        made = Bench(folder / "world")
        yield made
        made.registry.close()


class Cut:
    """A history that is cut after one of its steps."""

    def __init__(self, bench, seed, place="", *, replicated=False):
        bench.clear()
        self.history = history.History(seed, bench, replicated=replicated)
        self.world = self.history.world
        disk = Careless(self.history.disk.roots)
        disk.place = place
        self.history.disk = disk

    def run(self, steps):
        with self.world.installed(self.history.disk, self.history.database):
            for step in steps:
                self.complete(step)
            self.history.lose_power()
            self.history.finish("in the end")
        return self.history.outcome.problems

    def complete(self, step):
        process = self.world.machine.start(lambda: step(self))
        self.world.machine.resume(process)
        assert process.ended == "clean", process.ended

    @contextlib.contextmanager
    def outside(self):
        """What the block does is no work of the process, and durable."""
        current, self.world.machine.current = self.world.machine.current, None
        yield
        self.world.machine.current = current

    def make(self, group, verdict):
        making = mosaics.make(self.world.layout, group, 1, verdict)
        self.history.makings[group] = making
        with self.outside():
            self.world.lay(making)
            self.history.disk.adopt(making.files)
        return making.mosaic_id

    def work(self, number, verdict):
        self.world.work(self.make(GROUPS[number], verdict))

    def register(self, number):
        register_mosaic.register_mosaic(self.make(GROUPS[number], "passed"), self.world.config)

    def decide(self, number, command):
        row = queries.listing(self.world.registry, latest_only=False)[number]
        self.world.decision(command, row)()

    def rot(self):
        """A file in sight loses a byte; reconciling sets the bundle aside, and lets it be published again."""
        row = queries.listing(self.world.registry)[0]
        path = next(self.world.layout.bundle(row["data_id"], 1).rglob(bundle.METADATA))
        with self.outside():
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1])
            self.history.disk.adopt([path])
        self.world.ledger.shown.clear()
        assert [one.code for one in self.world.reconcile()] == ["altered", "marker_differs"]

    def lose(self):
        """The bundle in the archive and all bundles on the stage are lost, with the mosaic: the replica has it."""
        (row,) = queries.listing(self.world.registry)
        stage = self.world.config.paths.stage
        places = (self.world.layout.bundle(row["data_id"], 1), stage / "registered")
        with self.outside():
            for place in (*places, self.world.layout.product("mosaic", row["data_id"])):
                shutil.rmtree(place)
                self.history.disk.adopt([place.parent])
        self.world.ledger.shown.clear()
        self.history.makings.clear()


HISTORIES = (
    (
        lambda cut: cut.work(0, "passed"),
        lambda cut: cut.decide(0, "withdraw"),
        lambda cut: cut.decide(0, "restore"),
        lambda cut: cut.work(1, "warning"),
        lambda cut: cut.decide(1, "approve"),
    ),
    (lambda cut: archive_root.adopt(cut.world.registry, cut.world.layout),),
    (lambda cut: (cut.work(0, "passed"), cut.rot()),),
    (
        lambda cut: (setattr(cut.history.disk, "apart", True), cut.work(0, "passed"), cut.decide(0, "withdraw")),
        lambda cut: cut.decide(0, "restore"),
    ),
)

REPLICATED = (
    (
        lambda cut: cut.history._adopt_replicas(),
        lambda cut: (cut.work(0, "passed"), cut.world.sync_replicas()),
        lambda cut: cut.lose(),
        lambda cut: cut.world.reconcile(),  # brings the bundle back to the stage
    ),
)


NAMING = ("mkdir", "rename", "replace", "renameat2", "link", "symlink")


class Died(Cut):
    """A history whose last step is killed after the n-th call that gave a name, and then finished by another."""

    def run(self, steps, nth, finish):
        with self.world.installed(self.history.disk, self.history.database):
            for step in steps[:-1]:
                self.complete(step)
            died = self.kill(steps[-1], nth)
            if died:
                self.complete(finish)
            self.history.lose_power()
            self.history.finish("in the end")
        return self.history.outcome.problems, died

    def kill(self, step, nth):
        """Kill a step at the call after the n-th that gave a name; return whether it had so many."""
        seen = {"named": 0, "before": ""}
        process = self.world.machine.start(lambda: step(self))

        def hook(running, call):
            seen["named"] += seen["before"] in NAMING
            seen["before"] = call
            if running is process and seen["named"] > nth:
                self.world.machine.kill(running)

        before, self.world.machine.hook = self.world.machine.hook, hook
        self.world.machine.resume(process)
        self.world.machine.hook = before
        return process.ended == "killed"

    def another(self):
        """Do what the next run of the workflow does."""
        self.world.reconcile()
        for making in self.history.makings.values():
            self.world.work(making.mosaic_id)

    def publish(self):
        """Publish what was registered, as a publisher does that reconciled before the dead one moved its bundle."""
        for making in self.history.makings.values():
            done = publish.publish(self.world.registry, self.world.layout, making.mosaic_id, claim_s=60, max_attempts=5)
            row = queries.get(self.world.registry, done.data_id, done.version)
            self.world.ledger.shown[done.data_id, done.version] = row["sha256"]

    def copy_back(self):
        """A person brings a bundle back from a backup, and syncs nothing; the row waits to be published."""
        (row,) = queries.listing(self.world.registry)
        path, backup = self.world.layout.bundle(row["data_id"], 1), self.world.config.paths.state / "backup"
        with self.outside():
            shutil.copytree(path, backup)
            shutil.rmtree(path)
            self.history.disk.adopt([path.parent])
        self.world.ledger.shown.clear()
        assert "missing" in [one.code for one in self.world.reconcile()]
        for folder, _, names in os.walk(backup):
            place = path / Path(folder).relative_to(backup)
            os.mkdir(place)
            for name in names:
                put(place / name, (Path(folder) / name).read_bytes())


def put(path, content):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(descriptor, content)
    os.close(descriptor)


DIED = (
    (lambda cut: cut.work(0, "passed"),),
    (lambda cut: cut.work(0, "warning"),),
    (lambda cut: cut.work(0, "passed"), lambda cut: cut.decide(0, "withdraw")),
    (lambda cut: cut.work(0, "passed"), lambda cut: cut.decide(0, "withdraw"), lambda cut: cut.decide(0, "restore")),
    (lambda cut: cut.work(0, "passed"), lambda cut: cut.rot()),
    (lambda cut: cut.work(0, "passed"), lambda cut: cut.copy_back(), lambda cut: cut.another()),
    (lambda cut: archive_root.adopt(cut.world.registry, cut.world.layout),),
)
PUBLISHED = (lambda cut: cut.register(0), lambda cut: cut.publish())


def broken_after_a_death(bench, place=""):
    """Return the promises that break when one process dies, another goes on, and then the power is cut."""
    cases = [(steps, lambda cut: cut.another()) for steps in (*DIED, *REPLICATED)]
    cases.append((PUBLISHED, lambda cut: cut.publish()))
    for seed, (steps, finish) in itertools.product(range(CUTS // 3), cases):
        for nth in itertools.count():
            problems, died = Died(bench, seed, place, replicated=steps in REPLICATED).run(steps, nth, finish)
            if problems:
                return [f"{steps[-1].__code__.co_names} killed after name {nth}", *problems]
            if not died:
                break
    return []


def test_nothing_is_lost_that_another_finished(bench):
    """What a dead process has named and not synced is there for the next one, and gone after a power cut."""
    assert broken_after_a_death(bench) == []


def broken(bench, place=""):
    """Return the promises that break when the power is cut after a step, at the first one."""
    for seed, steps in itertools.product(range(CUTS), (*HISTORIES, *REPLICATED)):
        for number in range(1, len(steps) + 1):
            problems = Cut(bench, seed, place, replicated=steps in REPLICATED).run(steps[:number])
            if problems:
                return problems
    return []


def test_nothing_is_lost(bench):
    assert broken(bench) == []


# Syncs whose lack no promise notices, with the reason why they are there all the same.
OLD_NAME = "the old name of what was renamed: a filesystem without a journal may keep both"
SPARED = {
    "copying.copy_bundle: safe_files.fsync(incoming)": OLD_NAME,
    "publish._transfer: safe_files.fsync(incoming)": OLD_NAME,
    "record.write_record: safe_files.fsync(parent)": OLD_NAME,
    "moving.set_aside: fsync(parent)": OLD_NAME,
    "moving.move_new: fsync(target_parent)": "places._move syncs it again; no power is cut between the two here",
    "assembly.put_tags: safe_files.fsync(folder)": "the record is put into the same folder next, which is synced then",
    "assembly._link_or_copy: safe_files.fsync(descriptor)": "products were synced when they were made",
    "atomic.sync: _fsync(path)": "in the background, for speed",
    "safe_files._make_folder: fsync(parent)": "the way to what is put into the folder is synced as a whole later",
}


@pytest.mark.long
@pytest.mark.parametrize("place", [pytest.param(place, id=what) for place, what in syncs().items()])
def test_each_sync_that_is_left_out_is_noticed(bench, place):
    what = syncs()[place]
    looks = [broken, broken_after_a_death]
    if any(word in what for word in ("settle", "sync_tree", "archive_root._take")):
        looks.reverse()  # what another process may have left is looked for first
    if what not in SPARED:
        assert any(look(bench, place) for look in (broken_folder, *looks))


def test_those_spared_are_there():
    assert set(SPARED) <= set(syncs().values())


def broken_folder(bench, place=""):
    """Return what is wrong with a folder that `atomic_path` made, after power cuts."""

    def make(cut, final):
        with atomic_path(final) as part:
            part.mkdir()
            (part / "below").mkdir()
            (part / "below" / "file").write_bytes(b"content")

    for seed in range(CUTS):
        cut = Cut(bench, seed, place)
        final = cut.world.config.paths.stage / "product"
        with cut.world.installed(cut.history.disk, cut.history.database):
            cut.world.machine.resume(cut.world.machine.start(functools.partial(make, cut, final)))
            cut.history.disk.cut(cut.history.random)
        found = {str(path.relative_to(final)): path.read_bytes() for path in final.rglob("*") if path.is_file()}
        if found != {"below/file": b"content"}:
            return [f"{found}"]
    return []


def test_a_folder_made_atomically_is_whole(bench):
    assert broken_folder(bench) == []
