"""The states of `contimg watch`: idle, running, stopping, paused, without room; one step decides what comes next.

Nothing is remembered that matters: after a restart the plan says again what there is to do. The file
``<state>/watch.json`` tells `contimg status` what the watch does.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contimg import times
from contimg.config import Config
from contimg.errors import BusyError, ContimgError
from contimg.naming import Layout
from contimg.operations import run_lock, typed_commands
from contimg.operations.job_log import sentence
from contimg.operations.room_for_plan import plan_within_room, wants_room
from contimg.plan.model import Plan
from contimg.retention.end_of_run import keep_what_waits
from contimg.retention.retain import retain
from contimg.storage.atomic import write_json
from contimg.watching.alarms import OF_A_PLAN, alarms
from contimg.watching.hook import call_hook
from contimg.watching.inbox_changes import InboxChanges
from contimg.watching.pause import paused
from contimg.watching.room import lack_of_room
from contimg.watching.run_process import RunProcess

_LONGEST_RETRY_S = 3600.0
_MARGIN = 1.25  # of room, before a run goes on that was stopped for lack of it


@dataclass(frozen=True)
class Command:
    """How a run is started: the words of ``snakemake``, the working directory and the folder of the runs' logs.

    ``options`` are those after ``contimg`` with which the commands in alarms work when they are pasted.
    """

    words: tuple[str, ...]
    folder: Path
    logs: Path
    options: str = ""


class Watcher:
    """What `contimg watch` knows between two steps.

    Parameters
    ----------
    load : callable
        Returns the configuration; called before each decision, so that an edited file is followed.
    command : Command
    say : callable
        Prints a line for the journal.
    """

    def __init__(self, load: Callable[[], Config], command: Command, say: Callable[[str], None]) -> None:
        self._load, self._command, self._say = load, command, say
        self.config = load()
        self._inbox = InboxChanges(self.config.paths.incoming, self.config.watch.poll_s)
        self._run: RunProcess | None = None
        self._first_change = self._last_change = time.monotonic()
        self._next_look = self._next_run = 0.0
        self._last_data = time.monotonic()
        self._started_for = self._done_for = ""
        self._failures = 0
        self._short = False
        self._unroomed: str | None = None
        self._reported: dict[str, object] = {}
        self._alarms: dict[str, str] = {}

    def step(self) -> None:
        """Look at everything once, and do the next thing; takes milliseconds unless a plan is made."""
        try:
            self.config = self._load()
        except (ContimgError, OSError) as error:
            self._report("waiting", f"the configuration cannot be read: {sentence(error)}")
            if self._run is None:
                return
        if self._inbox.changed():
            now = time.monotonic()
            self._first_change = self._first_change or now
            self._last_change = self._last_data = now
        if self._run is not None:
            self._follow(self._run)
            return
        hindrance = self._hindrance()
        if hindrance is not None:
            self._report(*hindrance)
        elif self._due():
            self._look()
        elif self._reported.get("state") in (None, "paused", "low_disk") and self._unroomed is None:
            self._report("idle", "nothing to do")

    def close(self) -> None:
        """End cleanly: running jobs are finished within ``watch.stop_s``, then ended; the state says so."""
        run = self._run
        if run is not None:
            run.stop_gently()
            self._report("stopping", f"run {run.pid} finishes its jobs, for {self.config.watch.stop_s:g} s at most")
            if not run.wait(self.config.watch.stop_s):
                run.stop_now()
            self._run = None
        self._inbox.close()
        self._report("stopped", "contimg watch was ended")

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._run is not None

    def _hindrance(self) -> tuple[str, str] | None:
        """Return the state and the reason for which nothing may be started, or None."""
        pause = paused(self.config.layout)
        if pause is not None:
            return "paused", str(pause)
        lack = lack_of_room(self.config, margin=_MARGIN if self._short else 1.0)
        if lack is not None and not self._short:
            self._short = True
            self._tidy()  # what has passed its limits may make the room
            lack = lack_of_room(self.config, margin=_MARGIN)
        self._short = lack is not None
        short = lack or self._unroomed
        self._raise_alarms({"low_disk": short} if short else {}, ("low_disk",))
        return None if lack is None else ("low_disk", lack)

    def _tidy(self, *, quiet: bool = False) -> None:
        try:
            freed = retain(self.config, self._command.folder).freed_bytes
        except (ContimgError, OSError) as error:
            self._say(f"retention: {sentence(error)}")
        else:
            if freed or not quiet:
                self._say(f"retention: {freed / 1e9:.3f} GB freed")

    def _due(self) -> bool:
        """Tell whether the inbox has come to rest after a change, or has waited long enough; or a look is due."""
        now, options = time.monotonic(), self.config.watch
        if now >= self._next_look:
            return True
        if not self._first_change:
            return False
        return now - self._last_change >= options.quiet_s or now - self._first_change >= options.max_wait_s

    def _look(self) -> None:
        """Make the plan, and start a run if there is work that was not done yet, or a run is due."""
        now, options = time.monotonic(), self.config.watch
        self._first_change, self._next_look = 0.0, now + options.max_wait_s
        if self._inbox.error is not None:
            self._report("waiting", self._inbox.error)
            self._raise_alarms({"no_data": self._inbox.error}, ("no_data",))
            return
        try:
            plan = self._plan()
        except (ContimgError, OSError) as error:  # an empty inbox, a damaged file: the next look tells when it is over
            self._report("waiting", sentence(error))
            return
        self._judge(plan)
        if plan.waiting and (kept := keep_what_waits(self.config, plan)):
            self._say(kept)
        if self._unroomed is not None:  # a run would be refused
            self._report("low_disk", self._unroomed)
            return
        work = fingerprint(plan)
        if not work or (now < self._next_run and (self._failures or work == self._done_for)):
            if self._reported.get("state") != "failed":
                self._report("idle", self._idle_because(plan))
            return
        self._start(work)

    def _plan(self) -> Plan:
        """Return the plan of what there is room for, after removing what has passed its limits where that is needed."""
        plan = plan_within_room(self.config)
        if wants_room(self.config, plan) is not None:
            self._tidy(quiet=True)
            plan = plan_within_room(self.config)
        self._unroomed = wants_room(self.config, plan)
        return plan

    @staticmethod
    def _idle_because(plan: Plan) -> str:
        if plan.waiting:
            return f"{len(plan.waiting)} wait; {plan.waiting[0].what} {plan.waiting[0].id}: {plan.waiting[0].message}"
        return "nothing to do"

    def _start(self, work: str) -> None:
        try:
            with run_lock.run_locks(self.config.layout):
                pass
        except BusyError as error:
            self._report("waiting", str(error))
            return
        except ContimgError as error:
            self._report("waiting", sentence(error))
            return
        self._started_for = work
        try:
            self._run = RunProcess(self._command.words, self._command.folder, self._command.logs, os.environ)
        except OSError as error:
            self._failed(sentence(error))
            return
        self._report("running", f"run {self._run.pid}, log {self._run.log}")

    def _follow(self, run: RunProcess) -> None:
        """Stop a running run where it must not go on, and take note of its end."""
        code = run.poll()
        if code is None:
            self._stop_if_hindered(run)
            return
        self._run = None
        now = time.monotonic()
        if code == 0 or run.stopping:
            self._failures = 0
            self._done_for = "" if run.stopping else self._started_for
            self._next_run = now + self.config.watch.rerun_s
            self._raise_alarms({}, ("failed",))
            self._report("idle", f"the run ended well: {run.log}")
            if not run.stopping:
                self._tidy_after_run()
        else:
            self._failed(f"the run ended with {code}: {run.log}", run.last_words())
        self._next_look = now  # files may have come meanwhile

    def _stop_if_hindered(self, run: RunProcess) -> None:
        if run.stopping:
            return
        pause, lack = paused(self.config.layout), lack_of_room(self.config)
        if pause is None and lack is None:
            return
        run.stop_gently()
        if lack is not None:
            self._short = True
            self._raise_alarms({"low_disk": lack}, ("low_disk",))
        self._report("stopping", f"run {run.pid} finishes its jobs: {pause or lack}")

    def _tidy_after_run(self) -> None:
        if self.config.retention.after_run:
            self._tidy()

    def _failed(self, why: str, words: str = "") -> None:
        self._failures += 1
        wait_s = min(self.config.watch.retry_s * 2 ** (self._failures - 1), _LONGEST_RETRY_S)
        self._next_run = time.monotonic() + wait_s
        if words:
            self._say(words)
        message = f"{why}; again in {wait_s:.0f} s"
        self._report("failed", message)
        self._raise_alarms({"failed": why}, ("failed",))

    def _judge(self, plan: Plan) -> None:
        """Call the hook for what a plan, the inbox, the registry and the archive give."""
        silent_s = time.monotonic() - self._last_data
        found = alarms(self.config, plan, silent_s)
        self._raise_alarms(found, OF_A_PLAN)

    def _raise_alarms(self, found: Mapping[str, str], events: Sequence[str]) -> None:
        """Call the hook once for each alarm that begins, and forget those that are over."""
        for event in events:
            message = found.get(event)
            if message is None:
                self._alarms.pop(event, None)
            elif event not in self._alarms:
                message = typed_commands.with_options(message, self._command.options)
                self._alarms[event] = message
                self._say(f"{event}: {message}")
                trouble = call_hook(self.config.watch.hook, event, message)
                if trouble is not None:
                    self._say(trouble)
        self._write()

    def _report(self, state: str, message: str) -> None:
        """Note the state, for the journal and for `contimg status`; only changes are printed."""
        if (state, message) != (self._reported.get("state"), self._reported.get("message")):
            self._reported = {"state": state, "message": message, "since": times.now(0)}
            self._say(f"{state}: {message}")
            self._write()

    def _write(self) -> None:
        content = self._reported | {"pid": os.getpid(), "alarms": dict(self._alarms), "failures": self._failures}
        try:
            write_json(state_file(self.config.layout), content)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            # a full disk is what the watch waits for; the journal has the words


def state_file(layout: Layout) -> Path:
    """Return the path of the file in which the watch notes what it does."""
    return layout.state / "watch.json"


def fingerprint(plan: Plan) -> str:
    """Return a digest of the work that a plan holds, the same as long as nothing came or was decided; empty: none."""
    if not plan.groups and not plan.calibrations:
        return ""
    content = plan.to_json()
    work = {key: content[key] for key in ("tiles", "groups", "calibrations", "choices")}
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
