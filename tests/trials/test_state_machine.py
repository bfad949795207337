"""A state machine: rules, persons, kills, backups and losses in any order, and the promises hold after each.

Hypothesis searches for an order that breaks one, and shortens it. ``CONTIMG_STATES=1000`` tries that many orders.
"""

import contextlib
import os
import shutil

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from contimg.config import Config
from contimg.publishing.places import Places, is_folder
from contimg.registry import queries
from contimg.registry.engine import Registry
from contimg.trials import mosaics, promises
from contimg.trials.machine import Machine
from contimg.trials.world import DECISIONS, World, config_below, open_shared
from tests.support.databases import _empty_registry, backends, empty_schema, memory_folder, postgres_server

GROUPS = ("2026-02-11T00:26:49", "2026-02-11T01:26:49")
STATES = int(os.environ.get("CONTIMG_STATES", "0"))
SHRINK = os.environ.get("CONTIMG_SHRINK") == "1"  # takes minutes
verdicts = st.sampled_from(["passed", "passed", "warning", "failed"])
groups = st.sampled_from(GROUPS)
# At which of its some 450 calls a process is stopped; None: at none.
stops = st.one_of(st.none(), st.integers(1, 120), st.integers(1, 500))  # a decision has some 100 calls


class Promises(RuleBasedStateMachine):
    """The steps; what is true after each is asked of `contimg.trials.promises`."""

    config: Config
    registry: Registry

    def __init__(self):
        super().__init__()
        shutil.rmtree(self.config.paths.state.parent)
        self.registry.close()
        if self.config.registry.url is None:
            self.config.paths.state.mkdir(parents=True)
            self.config.layout.registry_file.write_bytes(_empty_registry())
        self.world = World(self.config, Machine(1), self.registry)
        self.world.empty_registry()
        self.machine, self.layout = self.world.machine, self.world.layout
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(self.world.installed())
        self.machine.hook = self.stop
        self.stops, self.paused, self.backups, self.number = {}, [], [], {}
        self.harmed = set()  # mosaics of which the outer world took bundles

    def teardown(self):
        try:
            self.settle()
        finally:
            self.machine.reboot()
            self.stack.close()

    def stop(self, process, _call):
        how = self.stops.get(process.owner.pid)
        if how is None or process.calls < how[1]:
            return
        if how[0] == "kill":
            self.machine.kill(process)
        elif process.transactions == 0:  # others would wait for its lock, and this test for them
            del self.stops[process.owner.pid]
            self.machine.pause()

    def run(self, action, kill, pause=None):
        process = self.machine.start(action)
        if kill is not None:
            self.stops[process.owner.pid] = ("kill", kill)
        elif pause is not None:
            self.stops[process.owner.pid] = ("pause", pause)
        if not self.machine.resume(process):
            self.paused.append(process)
        assert not (process.ended or "").startswith("leaked"), process.ended
        return process

    @initialize()
    def first(self):
        self.make(GROUPS[0], "passed")

    @rule(group=groups, verdict=verdicts)
    def make(self, group, verdict):
        """A mosaic is made, or made again with other pixels."""
        self.number[group] = self.number.get(group, 0) + 1
        self.world.lay(mosaics.make(self.layout, group, self.number[group], verdict))

    @rule(group=groups, kill=stops, pause=stops)
    def work(self, group, kill, pause):
        assume(group in self.number)
        self.run(lambda: self.world.work(mosaic_of(group)), kill, pause)

    @rule(group=groups, command=st.sampled_from(DECISIONS), older=st.booleans(), kill=stops, pause=stops)
    def decide(self, group, command, older, kill, pause):
        """A person looks at a mosaic's page, and decides at once or after a while."""
        rows = queries.versions(self.world.registry, mosaic_of(group))
        assume(rows)
        self.run(self.world.decision(command, rows[0 if older else -1]), kill, pause)

    @precondition(lambda self: self.paused)
    @rule(data=st.data(), kill=st.booleans())
    def resume(self, data, kill):
        process = self.paused.pop(data.draw(st.integers(0, len(self.paused) - 1), label="which"))
        if kill:
            self.machine.kill(process)
        else:
            self.machine.resume(process)
        assert not (process.ended or "").startswith("leaked"), process.ended

    @rule(kill=stops)
    def reconcile(self, kill):
        self.run(self.world.reconcile, kill)

    @rule()
    def back_up(self):
        self.backups.append(self.world.back_up())

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def restore_backup(self, data):
        self.end_all()
        with self.world.disaster():
            self.world.restore_backup(data.draw(st.sampled_from(self.backups), label="backup"))

    @rule()
    def lose_registry(self):
        self.end_all()
        with self.world.disaster():
            self.world.empty_registry()

    @rule(group=groups, place=st.sampled_from(["stage", "sight", "hidden"]), older=st.booleans())
    def lose_bundle(self, group, place, older):
        rows = queries.versions(self.world.registry, mosaic_of(group))
        assume(rows)
        row = rows[0 if older else -1]
        path = getattr(Places.of(self.layout, row), place)
        assume(is_folder(path))
        self.harmed.add((row["data_id"], row["version"]))
        with self.world.disaster():
            self.world.remove(path, row)

    def end_all(self):
        """Who replaces the registry ends everything that works with it first, as docs/operations.md says."""
        for process in self.paused:
            self.machine.kill(process)
        self.paused.clear()

    @rule()
    def settle(self):
        """All that was set aside goes on to its end; after reconciling, every promise holds."""
        while self.paused:
            self.machine.resume(self.paused.pop())
        self.world.reconcile()
        left = self.world.reconcile()
        assert [one for one in left if not one.needs_person] == []
        assert {(one.data_id, one.version) for one in left} <= self.harmed, [one.message for one in left]
        assert promises.settled(self.world, left) == []

    @invariant()
    def nothing_half(self):
        assert promises.at_any_time(self.world) == []


def mosaic_of(group):
    from contimg import naming

    return naming.mosaic_id(group)


@pytest.mark.parametrize("backend", backends())
def test_the_promises_hold_in_any_order(backend):
    with (
        memory_folder() as folder,
        empty_schema(postgres_server()) if backend == "postgresql" else contextlib.nullcontext() as url,
        contextlib.closing(open_shared(config := config_below(folder / "world", url))) as registry,
    ):
        (folder / "world").mkdir(exist_ok=True)
        kind = type("Promises", (Promises,), {"config": config, "registry": registry})
        few = 12 if backend == "sqlite" else 6
        run_state_machine_as_test(
            kind,
            settings=settings(
                max_examples=STATES or few, stateful_step_count=14, deadline=None, derandomize=not STATES,
                suppress_health_check=list(HealthCheck), print_blob=True,
                phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if SHRINK else [])],
            ),
        )  # fmt: skip
