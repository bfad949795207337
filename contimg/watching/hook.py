"""The program that `contimg watch` calls on events: a mail, a message, a pager; it never stops the watch."""

from __future__ import annotations

import shlex
import subprocess

_SECONDS = 60.0


def call_hook(hook: str | None, event: str, message: str) -> str | None:
    """Call the hook with an event and a sentence as its last two arguments.

    Parameters
    ----------
    hook : str or None
        A command with its own arguments, as in a shell but without one; None: nothing is called.
    event : str
        Of `contimg.watching.alarms.EVENTS`.
    message : str
        What happened and what to do.

    Returns
    -------
    str or None
        Why the hook did not do its work; None if it did.
    """
    if hook is None:
        return None
    try:
        done = subprocess.run(
            [*shlex.split(hook), event, message], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"watch.hook '{hook}' could not be called for '{event}' ({error}): correct the key"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        return f"watch.hook '{hook}' ended with {done.returncode} for '{event}' ({last}): repair it"
    return None
