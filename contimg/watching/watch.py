"""The loop of `contimg watch`: one watcher at a time, until a signal ends it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from contimg.config import Config, workflow_folder
from contimg.errors import BusyError, ContimgError
from contimg.naming import Layout
from contimg.storage import locks
from contimg.watching.watcher import Command, Watcher

_TICK_S = 1.0


def watch(load: Callable[[], Config], command: Command, say: Callable[[str], None]) -> None:
    """Follow the inbox and run the workflow when there is work, until SIGTERM or SIGINT.

    Parameters
    ----------
    load : callable
        Returns the configuration, read anew.
    command : Command
        How the workflow is started.
    say : callable
        Prints a line for the journal.

    Raises
    ------
    BusyError
        If another watch works on the same state.
    """
    lock = hold_watch_lock(load().layout)
    ended = threading.Event()

    def end(number: int, _frame: FrameType | None) -> None:
        say(f"{signal.Signals(number).name}: ending")
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        watcher = Watcher(load, command, say)
        try:
            while not ended.is_set():
                watcher.step()
                ended.wait(_TICK_S)
        finally:
            watcher.close()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        lock.release()


def hold_watch_lock(layout: Layout) -> locks.Lock:
    """Take the lock of the one watch on a state; the kernel drops it when the process ends, however that ends.

    Raises
    ------
    BusyError
        If another watch holds it.
    """
    place = layout.state / "watch.lock"
    try:
        return locks.acquire(place, key="paths.state")
    except BusyError:
        owner = locks.owner_of(place)
        raise BusyError(
            f"contimg watch is running already ({owner or 'another process'}): contimg status shows what it does"
        ) from None


def snakemake_command(configfiles: Sequence[Path], work: Path, extra: Sequence[str], options: str = "") -> Command:
    """Return how the workflow is started for some overlays of the configuration, in a working directory.

    Parameters
    ----------
    configfiles : sequence of Path
    work : Path
        Snakemake's working directory.
    extra : sequence of str
        Words that are added, such as ``--cores 2`` or ``--profile profiles/slurm``.
    options : str
        What commands in alarms have after ``contimg`` (of `contimg.operations.typed_commands.options`).

    Raises
    ------
    ContimgError
        If the Snakefile does not stand beside the library.
    """
    snakefile = workflow_folder() / "Snakefile"
    if not snakefile.is_file():
        raise ContimgError(f"{snakefile} is missing: run contimg from a clone, in which make has set up .venv")
    words = [sys.executable, "-m", "snakemake", "-s", str(snakefile), "--directory", str(work)]
    if configfiles:
        words += ["--configfile", *(str(Path(file).resolve()) for file in configfiles)]
    return Command((*words, *extra), work, work / "logs" / "watch", options)
