"""What the jobs of a working directory took and asked for, from the benchmark files that Snakemake writes.

With ``benchmark-extended`` (profiles/default) each file holds the job's requests beside what was measured.
"""

from __future__ import annotations

import ast
import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FIELD_BYTES = 2**24  # parameters stand in the rows


@dataclass(frozen=True)
class JobRecord:
    """One job that has ended well.

    Attributes
    ----------
    rule, name : str
        The rule; the tile, calibration or mosaic.
    date : str
        UTC date of the id.
    finished_unix_s : float
        When its file was written.
    wall_s, cpu_s : float
        Measured; NaN where the job was too short to be sampled.
    used_mb : float
        Largest resident memory of the rule's process and those that it started [MB]; NaN like the others.
    asked_mb, asked_min : float
        Memory [MB] and time [min] that it asked for; NaN in files of before.
    """

    rule: str
    name: str
    date: str
    finished_unix_s: float
    wall_s: float
    cpu_s: float
    used_mb: float
    asked_mb: float
    asked_min: float


def job_records(work: Path, *, last_dates: int | None = None, requests: bool = True) -> Iterator[JobRecord]:
    """Yield what is recorded of the jobs in a working directory; files that are not whole are passed over.

    Parameters
    ----------
    work : Path
        Snakemake's working directory, which holds ``benchmarks/<rule>/<date>/<id>.tsv``.
    last_dates : int, optional
        Only so many dates of each rule, the last ones: a season has too many files to be read at each look.
    requests : bool
        Read what the jobs asked for, too, which takes most of the time.
    """
    csv.field_size_limit(_FIELD_BYTES)
    folders = [sorted(rule.glob("????-??-??")) for rule in sorted((work / "benchmarks").glob("*"))]
    chosen = [day for days in folders for day in (days if last_dates is None else days[-last_dates:])]
    for path in (path for day in chosen for path in sorted(day.glob("*.tsv"))):
        try:
            with open(path, newline="") as file:
                rows = list(csv.DictReader(file, delimiter="\t"))
            finished = path.stat().st_mtime
        except (OSError, csv.Error, UnicodeDecodeError):  # pruned meanwhile, or torn by a full disk
            continue
        if rows:
            yield _record(path, rows[-1], finished, requests=requests)


def _record(path: Path, row: Mapping[str, str | None], finished: float, *, requests: bool) -> JobRecord:
    asked = _resources(row.get("resources")) if requests else {}
    return JobRecord(
        rule=path.parts[-3],
        name=path.stem,
        date=path.parts[-2],
        finished_unix_s=finished,
        wall_s=_number(row.get("s")),
        cpu_s=_number(row.get("cpu_time")),
        used_mb=_number(row.get("max_rss")),
        asked_mb=_number(asked.get("mem_mb")),
        asked_min=_number(asked.get("runtime")),
    )


def _resources(text: str | None) -> Mapping[str, object]:
    try:
        found = ast.literal_eval(text or "{}")  # Snakemake writes Python's form of a mapping
    except (ValueError, SyntaxError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:  # 'NA' of a job that ended before it was sampled, or '-'
        return math.nan
