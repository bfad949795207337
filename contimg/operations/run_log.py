"""Snakemake's messages on the terminal as one line a job: rule, tile, reason, time, jobs done and time left.

Snakemake lists every input of every job, with parameters written out: up to 1900 characters in a line. `install`
replaces the formatter of its terminal handler; the complete messages stay in ``.snakemake/log`` and on the terminal
with ``--verbose``. Nothing here imports snakemake: its records are those of `logging`, with an ``event`` and its
fields.
"""

from __future__ import annotations

import ast
import hashlib
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contimg import naming, times

_ID_KEYS = ("tile", "calibration", "mosaic")
"""Wildcards that name what a job makes."""
_REASONS = (
    (re.compile(r"Missing output files: .*"), "output missing"),
    (re.compile(r"Incomplete output files: .*"), "output incomplete"),
    (re.compile(r"Input files updated by another job: .*"), "inputs are made again"),
    (re.compile(r"Set of input files has changed.*"), "other input files than before"),
    (re.compile(r"Code has changed.*"), "code changed"),
    (re.compile(r"Rules with neither input nor output.*|Rules with a run or shell.*"), "always"),
    (re.compile(r"Software environment definition.*"), "software environment changed"),
)
"""Snakemake's reasons for a job, and what is shown for them."""
_UPDATED = re.compile(r"Updated input files: (.*)")
_PARAMS = re.compile(
    r"Params have changed since last execution: .*?before: (.*?) now: (.*?)(?=; Software environment|$)", re.DOTALL
)
_SCRIPT_FAILED = re.compile(
    r"RuleException:\s+CalledProcessError in file .*(?:returned non-zero exit status|died with <Signals\.(\w+))",
    re.DOTALL,
)
"""What Snakemake says of a script that ended with an error, or by a signal."""
_QUIET = re.compile(r"(Would remove|Removing) temporary output |Select jobs to execute|Using workflow specific profile"
                    r"|Assuming unrestricted shared filesystem|Config file \S+ is extended|Provided (cores|resources)"
                    r"|Rules claiming more threads|Reasons:\n|Some jobs were triggered by|Rules with provenance"
                    r"|Creating specified working directory")  # fmt: skip
"""Messages of every run that tell nothing of this one."""


@dataclass
class RunState:
    """Progress of a run, from the records of Snakemake's log.

    Attributes
    ----------
    clock : callable
        Time in seconds; `time.monotonic`.
    names : dict
        Number of a job -> (rule, id).
    counts : Counter
        Jobs of each rule that the run has.
    seconds : dict
        Rule -> durations of its finished jobs (s).
    done, total : int
        Jobs.
    """

    clock: Callable[[], float] = time.monotonic
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    done: int = 0
    total: int = 0
    _began: dict[int, float] = field(default_factory=dict)
    _start: float | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Take a record into account; as a filter of the logger it sees those, too, that are not shown. Always True."""
        event = event_of(record)
        if event == "RUN_INFO":
            self.counts = Counter({name: n for name, n in record.__dict__["stats"].items() if name != "total"})
            self.total = sum(self.counts.values())
        elif event == "JOB_INFO":
            self.names[record.__dict__["jobid"]] = (record.__dict__["rule_name"], id_of(record.__dict__["wildcards"]))
            self._began[record.__dict__["jobid"]] = self.clock()
            self._start = self.clock() if self._start is None else self._start
        elif event == "JOB_FINISHED":
            self._finish(record.__dict__["job_id"])
        elif event == "JOB_ERROR":
            self._began.pop(record.__dict__["jobid"], None)  # one that is tried again begins anew
        return True

    def _finish(self, job: int) -> None:
        self.done += 1
        began = self._began.pop(job, None)
        if began is not None:
            self.seconds.setdefault(self.names[job][0], []).append(self.clock() - began)

    def left_s(self) -> float | None:
        """Return the expected time (s) until the last job ends; None before the first has.

        Each open job takes the mean time of its rule's finished ones (without any, of all), less what it has run
        already, and as many run at once as have until now.
        """
        times = [one for rule in self.seconds.values() for one in rule]
        if not times or self._start is None or not sum(times):
            return None
        mean = sum(times) / len(times)
        means = {rule: sum(one) / len(one) for rule, one in self.seconds.items()}
        left = sum((n - len(self.seconds.get(rule, ()))) * means.get(rule, mean) for rule, n in self.counts.items())
        now = self.clock()
        left -= sum(min(now - began, means.get(self.names[job][0], mean)) for job, began in self._began.items())
        at_once = max(1.0, sum(times) / max(now - self._start, 1e-9))
        return max(left, 0.0) / at_once


class RunFormatter(logging.Formatter):
    """Format Snakemake's records, one line a job; `handler` is the terminal's, which sets jobs apart by blank lines.

    Parameters
    ----------
    handler : logging.Handler
        Its present formatter formats all other records.
    state : RunState
    dry_run : bool
        Jobs are listed with their reasons, without times.
    versions : str
        Stated at the head of a run.
    """

    def __init__(self, handler: logging.Handler, state: RunState, *, dry_run: bool, versions: str) -> None:
        super().__init__()
        self._handler, standard = handler, handler.formatter or logging.Formatter()
        self._standard, self._state, self._dry_run, self._versions = standard, state, dry_run, versions
        self._counted = False

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record; empty for one that is not shown."""
        if hasattr(self._handler, "last_msg_was_job_info"):  # no blank line before the next job
            self._handler.last_msg_was_job_info = True
        shown = {
            "WORKFLOW_STARTED": self._head,
            "RUN_INFO": self._table,
            "JOB_INFO": self._job,
            "JOB_STARTED": _nothing,
            "JOB_FINISHED": self._finished,
            "JOB_ERROR": self._failed,
            "PROGRESS": _nothing,
        }.get(event_of(record) or "")
        if shown is not None:
            return shown(record.__dict__)
        if _QUIET.match(str(record.msg)):
            return ""
        if script := _SCRIPT_FAILED.search(str(record.msg)):  # why, the job has said; a signal, it could not
            return f"contimg: the job was ended by {script[1]}" if script[1] else ""
        return self._standard.format(record)

    def _head(self, fields: Mapping[str, Any]) -> str:
        """Return versions, configuration and working folder of a run."""
        files = [str(one) for one in fields["configfiles"]]
        return (
            f"{self._versions}, Snakemake {fields['snakemake_version']}, Python {fields['python_version'].split()[0]}\n"
            f"configuration: {', '.join(files[:-1] or files)}\nworking folder: {fields['cwd']}"
        )

    def _table(self, fields: Mapping[str, Any]) -> str:
        """Return the number of jobs by rule, once a run: Snakemake repeats it at the end of a dry run."""
        repeated, self._counted = self._counted, True
        return "" if repeated else str(fields["msg"])

    def _job(self, fields: Mapping[str, Any]) -> str:
        """Return the line of a job that starts, or would start."""
        what = _named(fields["rule_name"], id_of(fields["wildcards"]))
        because = reason(fields["reason"] or "")
        if self._dry_run:
            return f"{what} {because}".rstrip()
        threads = f" on {fields['threads']} cores" if fields["threads"] > 1 else ""
        return f"{_now()} {what} starts{threads}: {because}".rstrip(": ")

    def _finished(self, fields: Mapping[str, Any]) -> str:
        """Return the line of a job that ended, with the run's progress."""
        state, job = self._state, fields["job_id"]
        rule, name = state.names.get(job, ("job", str(job)))
        took = state.seconds.get(rule, [None])[-1]
        line = f"{_now()} {rule:<17} {name} done"
        line += "" if took is None else f" {duration(took)}"
        line += f"; {state.done}/{max(state.total, state.done)}"
        left = state.left_s()
        return line if left is None or state.done >= state.total else f"{line}, {duration(left)} left"

    def _failed(self, fields: Mapping[str, Any]) -> str:
        """Return the line of a job that failed: what is known of it, and its logs; Snakemake lists every input, too."""
        rule, name = self._state.names.get(fields["jobid"], (fields["rule_name"], ""))
        why = f": {fields['rule_msg']}" if fields["rule_msg"] else ""
        return f"{_now()} {_named(rule, name)} failed{why}; log: {', '.join(map(str, fields['log']))}"


def install(logger: logging.Logger, *, dry_run: bool, versions: str) -> RunState:
    """Put the formatter on a logger's terminal handlers (not on its files); return the state that it follows."""
    state = RunState()
    logger.addFilter(state)
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.setFormatter(RunFormatter(handler, state, dry_run=dry_run, versions=versions))
    return state


def event_of(record: logging.LogRecord) -> str | None:
    """Return the name of Snakemake's event that a record is of; None for a plain message."""
    return getattr(getattr(record, "event", None), "name", None)


def id_of(wildcards: Mapping[str, str]) -> str:
    """Return the id of what a job makes, as messages write it; empty for a job without one."""
    for key in _ID_KEYS:
        if key in wildcards:
            return naming.iso(wildcards[key]) if key == "tile" else str(wildcards[key])
    return ""


def reason(text: str) -> str:
    """Return Snakemake's reason for a job in a few words: files by number, changed parameters by name or digest."""
    parts: list[str] = []
    if sides := _PARAMS.search(text):
        text = text[: sides.start()] + text[sides.end() :]
        parts.append(f"parameters changed ({_change(sides[1].strip(), sides[2].strip())})")
    for part in filter(None, text.strip("; ").split("; ")):
        short = next((words for pattern, words in _REASONS if pattern.fullmatch(part)), part)
        if files := _UPDATED.fullmatch(part):
            names = [one.rsplit("/", 1)[-1] for one in files[1].split(", ")]
            short = f"newer {names[0]}" + (f" and {len(names) - 1} more inputs" if len(names) > 1 else "")
        parts.append(short)
    if "output missing" in parts:  # that its inputs are made first goes without saying
        parts = [one for one in parts if one != "inputs are made again"]
    return "; ".join(parts)


def _change(before: str, now: str) -> str:
    """Return the keys that differ with both values, or digests where a side is no mapping or a value is long."""
    try:
        old, new = ast.literal_eval(before), ast.literal_eval(now)
    except (ValueError, SyntaxError):
        return f"{_digest(before)} -> {_digest(now)}"
    if not isinstance(old, dict) or not isinstance(new, dict):
        return f"{_shown(old)} -> {_shown(new)}"
    old, new = _leaves(old), _leaves(new)
    keys = [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]
    changes = [f"{key} {_shown(old.get(key))} -> {_shown(new.get(key))}" for key in keys[:3]]
    return ", ".join(changes) + (f", and {len(keys) - 3} more" if len(keys) > 3 else "")


def _leaves(value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by their dotted keys: ``selfcal.rounds``."""
    found: dict[str, Any] = {}
    for key, one in value.items():
        found |= _leaves(one, f"{path}{key}.") if isinstance(one, Mapping) and one else {f"{path}{key}": one}
    return found


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 20 else _digest(text)


def _digest(text: str) -> str:
    """Return eight digits of the SHA-256 of a text, whose parts Snakemake joins in any order."""
    return hashlib.sha256(",".join(sorted(text.split(","))).encode()).hexdigest()[:8]


def duration(seconds: float) -> str:
    """Return a duration in six characters at the most: ``19 s``, ``7 min``, ``2.1 h``, ``31 h``, ``3.4 d``."""
    for unit, size, last in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if round(seconds / size) < last:
            value = seconds / size
            return f"{value:.1f} {unit}" if unit == "h" and value < 9.95 else f"{round(value)} {unit}"
    return f"{seconds / 86400:.1f} d"


def _named(rule: str, name: str) -> str:
    """Return the columns of a job: its rule and the id of what it makes, of which a mosaic's is the longest."""
    return f"{rule:<17} {name:<22}"


def _now() -> str:
    """Return the time of day, UTC as in the logs of jobs: ``06:13:28Z``."""
    return times.now(0)[11:]


def _nothing(_: Mapping[str, Any]) -> str:
    return ""
