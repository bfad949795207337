"""A simulated machine: its processes, their identity, their clock, and the calls at which they may be stopped.

A process is a greenlet of this one process, so that a trial is the same whenever it is repeated. At each system call
and database statement it passes a *gate*, where it may be killed, refused, or set aside for another. A killed process
does nothing more: every later gate on its way out kills it again, so that no ``finally`` tidies up what SIGKILL
would have left.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from greenlet import greenlet

from contimg.errors import ContimgError
from contimg.storage.process import Owner

START_UNIX_S = 1_770_768_000.0  # 2026-02-11T00:00:00 UTC
BOOT = "0f" * 16
INSTALLATION = "1a" * 8
_TICK_S = 1e-3  # each reading of a clock takes so long: no two decisions have one time


class Killed(BaseException):
    """A simulated process ends here and now."""


@dataclass
class Process:
    """A simulated process.

    Attributes
    ----------
    owner : Owner
        Its identity, as claims and temporary names hold it.
    held : set of str
        The tokens of the claims that it works with.
    calls : int
        How many gates it has passed.
    dead : bool
        True from the moment when it was killed.
    ended : str or None
        How it ended: ``clean``, ``killed``, ``cut off`` (by a power loss), the sentence of a `ContimgError`, or
        ``leaked …``; None while it runs.
    wake_s : float
        Until when it sleeps [s of the machine's clock].
    transactions : int
        How many database transactions it is in.
    """

    owner: Owner
    held: set[str] = field(default_factory=set)
    calls: int = 0
    dead: bool = False
    ended: str | None = None
    wake_s: float = 0.0
    transactions: int = 0
    result: Any = None
    frame: Any = None


Hook = Callable[[Process, str], None]


class Machine:
    """Processes and a clock.

    Attributes
    ----------
    random : random.Random
        The source of everything that is left to chance.
    now_s : float
        The time [Unix s].
    hook : callable
        Called at each gate with the process and the name of the call; it may raise, `kill` or `pause`.
    """

    def __init__(self, seed: int, hook: Hook = lambda _process, _call: None) -> None:
        self.random = random.Random(seed)
        self.now_s = START_UNIX_S
        self.hook = hook
        self.current: Process | None = None
        self.processes: list[Process] = []
        self.boots = 0
        self._thread = threading.get_ident()
        self.trace: list[str] = []

    @property
    def is_here(self) -> bool:
        """Whether the caller lives on this machine: not so the threads of libraries in the same real process."""
        return threading.get_ident() == self._thread

    def clock(self) -> float:
        """Return the time [Unix s], and let it go on by a tick."""
        self.now_s += _TICK_S
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let the process of the caller sleep; outside of any, let the time pass."""
        if self.current is None:
            self.now_s += seconds
            return
        self.current.wake_s = self.now_s + seconds
        self.pause()

    def token(self, n_bytes: int | None = None) -> str:
        """Return random hexadecimal digits, two for each byte."""
        return f"{self.random.getrandbits(8 * (n_bytes or 16)):0{2 * (n_bytes or 16)}x}"

    @property
    def identity(self) -> str:
        """The boot and the namespace of process ids, as `contimg.storage.process.machine` gives them."""
        return f"{BOOT[:-4]}{self.boots:04x}-1"

    def me(self) -> Owner:
        """Return the identity of the running process; of the trial itself outside of any."""
        return self._owner(1) if self.current is None else self.current.owner

    def _owner(self, pid: int) -> Owner:
        return Owner("trial", self.identity, pid, pid, INSTALLATION)

    def state_of(self, pid: int) -> tuple[str, int]:
        """Return state and start of a process, as `contimg.storage.process._process` does."""
        if pid == 1 or any(one.owner.pid == pid and one.ended is None for one in self.processes):
            return "R", pid
        raise ProcessLookupError(pid)

    def start(self, action: Callable[[], Any]) -> Process:
        """Return a new process that will do something when it is resumed."""
        process = Process(self._owner(100 + len(self.processes)))
        process.frame = greenlet(lambda: self._run(process, action))
        self.processes.append(process)
        return process

    def _run(self, process: Process, action: Callable[[], Any]) -> None:
        try:
            if process.dead:
                raise Killed
            process.result = action()
            process.ended = "clean"
        except Killed:
            process.ended = "killed"
        except (ContimgError, OSError) as error:  # both are a sentence at the boundary of a command or a job
            process.ended = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001  contimg-ok: what leaks out of the code under trial is a finding
            process.ended = f"leaked {error!r}"

    def resume(self, process: Process) -> bool:
        """Let a process go on until it pauses or ends; return whether it has ended."""
        from contimg.publishing import claims

        before, self.current = self.current, process
        elsewhere, claims._held = claims._held, process.held
        try:
            process.frame.switch()
        finally:
            self.current, claims._held = before, elsewhere
        return process.ended is not None

    def pause(self) -> None:
        """Set the running process aside; it goes on, or is killed, when it is resumed."""
        process = self.current
        assert process is not None, "only a process pauses"
        process.frame.parent.switch()
        if process.dead:
            raise Killed

    def kill(self, process: Process) -> None:
        """Kill a process: the running one on the spot, another one where it was set aside."""
        process.dead = True
        if process is self.current:
            raise Killed
        if process.ended is None:
            self.resume(process)

    def gate(self, call: str) -> None:
        """Pass the gate of a call: a dead process ends here, others where the hook says so."""
        process = self.current
        if process is None:
            return
        if process.dead:
            raise Killed
        process.calls += 1
        self.trace.append(f"{process.owner.pid} {call}")
        self.hook(process, call)

    def leave_transaction(self) -> None:
        """Note that the running process has committed, or given up, a transaction of the database."""
        if self.current is not None:
            self.current.transactions = max(0, self.current.transactions - 1)

    def reboot(self) -> None:
        """End every process, as a power cut does, and start the machine anew."""
        for process in self.processes:
            if process.ended is None:
                process.dead = True
                self.resume(process)
                process.ended = "cut off"
        self.boots += 1

    def datetime_now(self, _zone: Any = UTC) -> datetime:
        """Return the time as an aware datetime."""
        return datetime.fromtimestamp(self.clock(), UTC)
