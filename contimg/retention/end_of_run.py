"""What the end of every run does about disk space: notes how much is free, and applies the limits."""

from __future__ import annotations

import time
from pathlib import Path

from contimg.config import Config
from contimg.errors import ContimgError
from contimg.operations.job_log import sentence
from contimg.plan.model import Plan
from contimg.plan.observe import committed_groups
from contimg.plan.raw_copies import keep_raw
from contimg.retention.retain import closing_words, retain
from contimg.retention.usage import note_free_space


def tidy(config: Config, work: Path, plan: Plan | None = None) -> str:
    """Note the free space and remove what has passed its limits, under the locks of the run; return what to say.

    With a plan, files of tiles that wait for a calibrator are copied before the telescope removes them. What cannot be
    removed or copied is said, and does not make the run a failure.
    """
    kept = "" if plan is None else keep_what_waits(config, plan)
    return "\n".join(filter(None, [kept, _within_limits(config, work)]))


def keep_what_waits(config: Config, plan: Plan) -> str:
    """Copy the files that are at risk while their tiles wait for a calibrator; return what to say."""
    try:
        return keep_raw(config, plan, committed_groups(config))
    except (ContimgError, OSError) as error:
        return f"raw: {sentence(error)}"


def _within_limits(config: Config, work: Path) -> str:
    started = time.monotonic()
    try:
        note_free_space(config, work)
        if not config.retention.after_run:
            return ""
        return closing_words(retain(config, work, locked=True), started)
    except (ContimgError, OSError) as error:
        return f"retention: {sentence(error)}"
