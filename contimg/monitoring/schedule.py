"""A discrete-event simulation of jobs on some cores: when each of them ends, and what the disk holds meanwhile."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from contimg.errors import ContimgError


@dataclass(frozen=True)
class Task:
    """A job to be scheduled.

    Attributes
    ----------
    name, rule : str
    seconds : float
        How long it takes on one core [s].
    after : tuple of str
        Names of the jobs that it needs.
    disk_bytes : float
        What it leaves on the disk [bytes].
    frees : tuple of str
        Names of jobs whose files are removed once this one, and all others that name them, have ended.
    not_before_s : float
        When its data arrive [s].
    """

    name: str
    rule: str
    seconds: float
    after: tuple[str, ...] = ()
    disk_bytes: float = 0.0
    frees: tuple[str, ...] = ()
    not_before_s: float = 0.0


@dataclass
class Schedule:
    """The end of all jobs [s], the most that the disk held [bytes], all work [s], and the end of each job [s]."""

    end_s: float = 0.0
    peak_bytes: float = 0.0
    work_s: float = 0.0
    ends: dict[str, float] = field(default_factory=dict)


def simulate(tasks: Sequence[Task], cores: int, *, overhead_s: float = 0.0, notice_s: float = 0.0) -> Schedule:
    """Run jobs on some cores as a scheduler without foresight does: what is ready first begins first.

    Parameters
    ----------
    tasks : sequence of Task
        In the order in which jobs that are ready at the same time begin.
    cores : int
        Jobs that run at the same time.
    overhead_s : float
        Added to each job, on its core: start of its processes [s].
    notice_s : float
        Time until the end of a job is noticed, in which its core does other work: a cluster's states are asked for
        once in a while [s].

    Raises
    ------
    ContimgError
        If jobs wait for each other.
    """
    return _Simulation(tasks, cores, overhead_s, notice_s).run()


class _Simulation:
    """The jobs, what each still waits for, and the events to come: (time, order of the job, kind, job)."""

    def __init__(self, tasks: Sequence[Task], cores: int, overhead_s: float, notice_s: float) -> None:
        self._tasks = {task.name: task for task in tasks}
        self._order = {name: position for position, name in enumerate(self._tasks)}
        self._waits = {task.name: {one for one in task.after if one in self._tasks} for task in tasks}
        self._followers: dict[str, list[str]] = {}
        self._users: dict[str, int] = {}
        for task in tasks:
            for one in self._waits[task.name]:
                self._followers.setdefault(one, []).append(task.name)
            for one in task.frees:
                self._users[one] = self._users.get(one, 0) + 1
        self._free, self._overhead_s, self._notice_s, self._disk = cores, overhead_s, notice_s, 0.0
        self._events: list[tuple[float, int, str, str]] = []
        self._ready: list[tuple[int, str]] = []
        self._done = Schedule()

    def run(self) -> Schedule:
        """Follow the events to the last."""
        for name, before in self._waits.items():
            if not before:
                self._expect(self._tasks[name].not_before_s, "ready", name)
        while self._events:
            now, position, kind, name = heapq.heappop(self._events)
            if kind == "ready":
                heapq.heappush(self._ready, (position, name))
            elif kind == "free":
                self._free += 1
            else:
                self._end(name, now)
            if not self._events or self._events[0][0] > now:  # all that happens at this moment is known
                self._begin(now)
        stuck = [name for name in self._tasks if name not in self._done.ends]
        if stuck:
            needs = ", ".join(sorted(self._waits[stuck[0]]))
            raise ContimgError(f"job {stuck[0]} waits for {needs}, which waits for it: remove the circle")
        return self._done

    def _expect(self, time_s: float, kind: str, name: str) -> None:
        heapq.heappush(self._events, (time_s, self._order[name], kind, name))

    def _begin(self, now: float) -> None:
        """Start what is ready, as long as a core is free."""
        while self._free and self._ready:
            _, name = heapq.heappop(self._ready)
            self._free -= 1
            self._done.work_s += self._tasks[name].seconds
            end = now + self._tasks[name].seconds + self._overhead_s
            self._expect(end, "free", name)
            self._expect(end + self._notice_s, "end", name)

    def _end(self, name: str, now: float) -> None:
        """Free the disk of what is not needed any more, and see who may begin."""
        self._done.ends[name] = self._done.end_s = now
        self._disk += self._tasks[name].disk_bytes
        self._done.peak_bytes = max(self._done.peak_bytes, self._disk)
        for one in self._tasks[name].frees:
            self._users[one] -= 1
            if self._users[one] == 0 and one in self._tasks:
                self._disk -= self._tasks[one].disk_bytes
        for follower in self._followers.get(name, ()):
            self._waits[follower].discard(name)
            if not self._waits[follower]:
                self._expect(max(now, self._tasks[follower].not_before_s), "ready", follower)
