"""Memory and time that each rule asked for, against what its jobs took: the table of a run's report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from contimg.monitoring.benchmark_records import JobRecord, job_records


@dataclass(frozen=True)
class RuleUse:
    """Of the jobs of one rule: their number, and of memory [MB] and time [min] what was asked and what was used.

    ``used_mb`` and ``used_min`` are the largest of all jobs, ``asked_mb`` and ``asked_min`` what that same job asked
    for; ``cpu_h`` and ``wall_h`` are sums [h].
    """

    rule: str
    jobs: int
    asked_mb: float
    used_mb: float
    asked_min: float
    used_min: float
    cpu_h: float
    wall_h: float

    def to_json(self) -> dict[str, object]:
        """Return the content for programs; what is not known is None."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }


def resource_use(work: Path, *, since_unix_s: float = 0.0) -> list[RuleUse]:
    """Return one row for each rule whose jobs are recorded in a working directory, in the order of their first job.

    Parameters
    ----------
    work : Path
        Snakemake's working directory.
    since_unix_s : float
        Only jobs that ended later [Unix s].
    """
    return use_of_records([one for one in job_records(work) if one.finished_unix_s >= since_unix_s])


def use_of_records(records: Sequence[JobRecord]) -> list[RuleUse]:
    """Return one row for each rule of some jobs, in the order of their first job."""
    rules = dict.fromkeys(one.rule for one in sorted(records, key=lambda one: one.finished_unix_s))
    return [_use(rule, [one for one in records if one.rule == rule]) for rule in rules]


def _use(rule: str, records: list[JobRecord]) -> RuleUse:
    largest = max(records, key=lambda one: _or_zero(one.used_mb))
    longest = max(records, key=lambda one: _or_zero(one.wall_s))
    return RuleUse(
        rule=rule,
        jobs=len(records),
        asked_mb=largest.asked_mb,
        used_mb=largest.used_mb,
        asked_min=longest.asked_min,
        used_min=longest.wall_s / 60,
        cpu_h=_sum(one.cpu_s for one in records) / 3600,
        wall_h=_sum(one.wall_s for one in records) / 3600,
    )


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _sum(values: Iterable[float]) -> float:
    return math.fsum(_or_zero(value) for value in values)
