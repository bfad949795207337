"""Jobs that run now, and jobs of the last run that failed, as Snakemake's records and the logs show them."""

from __future__ import annotations

import base64
import binascii
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from contimg import naming
from contimg.monitoring.benchmark_records import JobRecord
from contimg.naming import Layout
from contimg.operations.run_lock import run_in_progress
from contimg.storage.text_files import end_of

_RULE_OF = {
    "ms": "convert_tile",
    "calibration": "solve_calibration",
    "calibrated": "apply_calibration",
    "image": "image_tile",
    "mosaic": "mosaic_group",
    "crossmatch": "crossmatch_mosaic",
    "summary": "summarise_mosaic",
    "registered": "register_mosaic",
    "published": "publish_mosaic",
}
_FAILED = re.compile(r"^Error in rule (\w+):$(.*?)^\S", re.MULTILINE | re.DOTALL)
_LOG = re.compile(r"^\s+log: (\S+?)[,\s]", re.MULTILINE)
_LOG_BYTES = 5_000_000


@dataclass(frozen=True)
class RunningJob:
    """A job that was started: its rule, the id of what it makes, since when (UTC), and when it should end (UTC)."""

    rule: str
    id: str
    since: str
    expected: str | None

    def to_json(self) -> dict[str, object]:
        """Return the content for programs."""
        return asdict(self)


@dataclass(frozen=True)
class FailedJob:
    """A job that failed in the last run: its rule, the id, the reason as one sentence, and its log."""

    rule: str
    id: str
    reason: str
    log: str

    def to_json(self) -> dict[str, object]:
        """Return the content for programs."""
        return asdict(self)


def running_jobs(layout: Layout, work: Path, records: Sequence[JobRecord]) -> list[RunningJob]:
    """Return the jobs that a run has started and that have not ended, the oldest first.

    Parameters
    ----------
    layout : Layout
    work : Path
        Snakemake's working directory.
    records : sequence of JobRecord
        Of earlier jobs: the median time of a rule says when a job should end.
    """
    if not run_in_progress(layout):
        return []
    usual = usual_wall_s(records)
    found: dict[tuple[str, str], float] = {}
    for marker in (work / ".snakemake" / "incomplete").glob("*"):
        product = _decoded(marker.name)
        named = None if product is None else job_of(Path(product), layout)
        if named is not None:
            try:
                found.setdefault(named, marker.stat().st_mtime)
            except FileNotFoundError:  # it has ended meanwhile
                continue
    return [
        RunningJob(rule, name, _utc(since), _utc(since + usual[rule]) if rule in usual else None)
        for (rule, name), since in sorted(found.items(), key=lambda one: one[1])
    ]


def usual_wall_s(records: Sequence[JobRecord]) -> Mapping[str, float]:
    """Return the median wall time of each rule's recorded jobs [s]."""
    times: dict[str, list[float]] = {}
    for one in records:
        if one.wall_s == one.wall_s:  # not NaN
            times.setdefault(one.rule, []).append(one.wall_s)
    return {rule: statistics.median(values) for rule, values in times.items()}


def job_of(product: Path, layout: Layout) -> tuple[str, str] | None:
    """Return the rule that makes a product, and the id of that; None for a path that no rule makes."""
    try:
        relative = product.relative_to(layout.stage)
    except ValueError:
        return None
    stem = relative.name.removesuffix(".json").removesuffix(".ms").removesuffix(".html")
    for kind, pattern in naming.KINDS.items():
        if pattern.split("/")[0] == relative.parts[0] and kind in _RULE_OF:
            return _RULE_OF[kind], stem
    return None


def _decoded(name: str) -> str | None:
    try:
        return base64.b64decode(name, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def failed_jobs(work: Path) -> list[FailedJob]:
    """Return the jobs that failed in the last run and have not succeeded since.

    Parameters
    ----------
    work : Path
        Snakemake's working directory.
    """
    logs = sorted((work / ".snakemake" / "log").glob("*.snakemake.log"))
    if not logs or logs[-1].stat().st_size > _LOG_BYTES:
        return []
    found: dict[tuple[str, str], FailedJob] = {}
    for match in _FAILED.finditer(logs[-1].read_text(errors="replace") + "\nend"):
        named = _LOG.search(match[2])
        if named is None:
            continue
        log = work / named[1]
        record = work / "benchmarks" / Path(named[1]).relative_to("logs").with_suffix(".tsv")
        if record.exists() and log.exists() and record.stat().st_mtime >= log.stat().st_mtime:
            continue  # it was repeated, and ended well
        found[match[1], log.stem] = FailedJob(match[1], log.stem, last_sentence(log), str(log))
    return list(found.values())


def last_sentence(log: Path) -> str:
    """Return the end of a job's log: the error's sentence, without its class."""
    try:
        lines = [line.strip() for line in end_of(log).splitlines() if line.strip()]
    except OSError:
        return "its log is gone"
    if not lines:
        return "it ended without a word: it was killed, or ran out of memory"
    return re.sub(r"^[\w.]+(Error|Exception|Unsupported): ", "", lines[-1])


def _utc(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()[:19]
