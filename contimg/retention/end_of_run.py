"""What the end of every run does about disk space: notes how much is free, and applies the limits."""

from __future__ import annotations

import time
from pathlib import Path

from contimg.config import Config
from contimg.errors import ContimgError
from contimg.operations.job_log import sentence
from contimg.retention.retain import closing_words, retain
from contimg.retention.usage import note_free_space


def tidy(config: Config, work: Path) -> str:
    """Note the free space and remove what has passed its limits, under the locks of the run; return what to say.

    What cannot be removed is said, and does not make the run a failure.
    """
    started = time.monotonic()
    try:
        note_free_space(config, work)
        if not config.retention.after_run:
            return ""
        return closing_words(retain(config, work, locked=True), started)
    except (ContimgError, OSError) as error:
        return f"retention: {sentence(error)}"
