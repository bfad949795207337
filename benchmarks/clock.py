"""Another clock for a family of processes, by libfaketime (``apt-get install libfaketime``)."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.contest import ROOT

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
"""Where Debian has the library; without it no clock is set."""

SLEEP = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds) and None\n"


def other_clock(folder: Path, setting: Path | str) -> dict[str, str]:
    """Return the environment in which processes see another time of day; empty without libfaketime.

    The monotonic clock and the times of files stay as they are. With that libfaketime 0.9.10 refuses every
    ``time.sleep`` of Python (EINVAL), so Python's processes wait by ``select`` instead.

    Parameters
    ----------
    folder : Path
        Takes the module that changes ``time.sleep``. Its path must hold no colon, since it goes into ``PYTHONPATH``.
    setting : str or Path
        An offset such as ``+1h``, or the file that holds one and may change while the processes run.
    """
    if not FAKETIME.exists():
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(SLEEP)
    found = {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
    }  # fmt: skip
    if isinstance(setting, Path):
        return found | {"FAKETIME_TIMESTAMP_FILE": str(setting), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_RESET": "1"}
    return found | {"FAKETIME": setting}
