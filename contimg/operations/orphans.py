"""Jobs whose run was killed: they end by themselves, or are cancelled before the next run starts its own.

A killed Snakemake leaves its jobs running. What they write is whole (each renames a folder of its own), but a product
that is replaced while the next run reads it would make the next plan repeat work. On the machine of the run a job sees
that the run has ended; jobs of Slurm on other nodes are cancelled by the next run, which holds the locks by then.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from contimg.errors import ContimgError
from contimg.storage.process import Owner, is_dead, me

CONTROLLER = "CONTIMG_CONTROLLER"
"""Environment variable in which jobs find the process that started their run."""

SLURM_JOBNAME_PREFIX = "contimg"
"""As in ``profiles/slurm``: the names of our jobs begin with it."""

_WATCH_S, _ANSWER_S, _END_S = 1.0, 60.0, 120.0


def announce_controller() -> None:
    """Name this process in the environment, so that the jobs which it starts can see when it has ended."""
    os.environ[CONTROLLER] = me().to_json()


def end_with_controller() -> threading.Thread | None:
    """End this process soon after the run that started it has ended.

    Returns
    -------
    Thread or None
        The thread that looks once a second; None where no run is named (a job that a person started by hand).
    """
    said = os.environ.get(CONTROLLER)
    if said is None:
        return None
    thread = threading.Thread(target=_watch, args=(Owner.from_json(said),), name="watch of the run", daemon=True)
    thread.start()
    return thread


def _watch(controller: Owner) -> None:
    """Return never; end the process when the controller is dead. On other machines that cannot be seen."""
    while not is_dead(controller):
        time.sleep(_WATCH_S)
    os.write(2, f"contimg: the run of this job ({controller}) has ended: so does the job\n".encode())
    os._exit(1)


def cancel_slurm_jobs(work: Path) -> list[str]:
    """Cancel the Slurm jobs of earlier runs in a working directory, and wait until they have ended.

    To be called under the locks of a run: whatever runs in the same directory then has lost its own run.

    Returns
    -------
    list of str
        The ids of the jobs that were cancelled.

    Raises
    ------
    ContimgError
        If Slurm does not answer, or the jobs do not end.
    """
    if not (work / ".snakemake" / "slurm_logs").is_dir():  # the plugin makes it with its first job
        return []
    jobs = _jobs_in(work)
    if not jobs:
        return []
    _slurm("scancel", *jobs)
    end = time.monotonic() + _END_S
    while left := sorted(set(jobs) & set(_jobs_in(work))):
        if time.monotonic() > end:
            raise ContimgError(
                f"jobs {' '.join(left)} of an earlier run in {work} do not end: type 'scancel {' '.join(left)}', "
                "wait until squeue lists them no more, then type the same command again"
            )
        time.sleep(0.5)
    return jobs


def _jobs_in(work: Path) -> list[str]:
    """Return the ids of this user's Slurm jobs that work, or wait, in a directory and bear our prefix."""
    said = _slurm("squeue", "--me", "--noheader", "--format=%i|%j|%Z")
    rows = [line.split("|", 2) for line in said.splitlines() if line.count("|") >= 2]
    place = work.resolve()
    return [
        job for job, name, folder in rows if name.startswith(SLURM_JOBNAME_PREFIX) and Path(folder).resolve() == place
    ]


def _slurm(*command: str) -> str:
    """Return what a command of Slurm prints."""
    try:
        return _answer(command)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        raise ContimgError(
            f"{command[0]} does not tell if jobs of an earlier run still work ({str(said).strip()}): repair Slurm, "
            "or, where it is gone, remove .snakemake/slurm_logs in the working directory; then type the command again"
        ) from error


def _answer(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_S, check=True)
    return done.stdout
