"""What a run, or a night, was to do and did: products, verdicts, slow jobs, resources and failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contimg import naming, times
from contimg.config import Config
from contimg.errors import ContimgError, InputError
from contimg.monitoring.benchmark_records import JobRecord, job_records
from contimg.monitoring.jobs import failed_jobs
from contimg.monitoring.resource_use import use_of_records
from contimg.operations.job_log import sentence
from contimg.operations.status import find_twin, mosaic_record
from contimg.plan.frozen import frozen_plan
from contimg.plan.model import Plan
from contimg.plan.observe import committed_groups, current_plan
from contimg.plan.standing import read_quarantine
from contimg.products.twin import simulated_words
from contimg.storage.text_files import end_of

KIND_OF = {
    "convert_tile": "ms", "solve_calibration": "calibration", "apply_calibration": "calibrated", "image_tile": "image",
    "mosaic_group": "mosaic", "crossmatch_mosaic": "crossmatch", "summarise_mosaic": "summary",
    "register_mosaic": "registered", "publish_mosaic": "published",
}  # fmt: skip
"""The kind of product that each rule makes, in the order of the workflow."""

SLOWEST, TAIL_LINES = 12, 15
_TILE_NUMBERS = ("noise_ratio", "rms_mjy", "flagged_fraction")
_MOSAIC_NUMBERS = ("noise_ratio", "flux_scale", "median_offset_beams", "completeness")


@dataclass(frozen=True)
class Scope:
    """What a report is about: its title, the ids it covers, and the moment from which its jobs count [Unix s]."""

    title: str
    tiles: tuple[str, ...]
    calibrations: tuple[str, ...]
    groups: tuple[str, ...]
    since_unix_s: float
    waiting: tuple[dict[str, str], ...] = ()
    night: str | None = None

    def ids(self, rule: str) -> tuple[str, ...]:
        """Return the ids of what a rule makes."""
        kind = KIND_OF[rule]
        if kind == "calibration":
            return self.calibrations
        return self.tiles if kind in ("ms", "calibrated", "image") else self.groups


def of_run(config: Config) -> Scope:
    """Return the scope of the last run: what its plan held when it began.

    Raises
    ------
    InputError
        If there was no run yet.
    """
    plan = frozen_plan(config)
    since = config.layout.frozen_plan.stat().st_mtime
    tiles = tuple(dict.fromkeys(tile for group in plan.groups.values() for tile in group.tiles))
    return Scope("the last run", tiles, tuple(plan.calibrations), tuple(plan.groups), since, _waiting(plan))


def of_night(config: Config, night: str) -> Scope:
    """Return the scope of a night: the groups, tiles and calibrations of a UTC date.

    Raises
    ------
    InputError
        If nothing is known of that date.
    """
    try:
        plan = current_plan(config)
    except (ContimgError, OSError):  # an inbox that is empty or gone: what was made is there all the same
        plan = Plan()
    members = {one.id: tuple(tile.id for tile in one.tiles) for one in committed_groups(config)}
    members |= {one.id: one.tiles for one in plan.groups.values()}
    groups = tuple(sorted(one for one in members if naming.date(one) == night))
    standing = {path.stem for path in (config.layout.stage / "calibrations" / night).glob("cal_*.json")}
    calibrations = sorted(standing | {one for one in plan.calibrations if naming.date(one) == night})
    waiting = tuple(one for one in _waiting(plan) if one["since"][:10] == night)
    if not groups and not calibrations and not waiting:
        raise InputError(f"nothing is known of the night {night}: contimg status --all lists the groups there are")
    tiles = tuple(dict.fromkeys(tile for one in groups for tile in members[one]))
    return Scope(f"the night {night}", tiles, tuple(calibrations), groups, 0.0, waiting, night)


def _waiting(plan: Plan) -> tuple[dict[str, str], ...]:
    return tuple({"what": w.what, "id": w.id, "since": w.since, "message": w.message} for w in plan.waiting)


def period_report(config: Config, work: Path, scope: Scope) -> dict[str, Any]:
    """Return all that a report shows, as JSON content.

    Parameters
    ----------
    config : Config
    work : Path
        Snakemake's working directory, with logs and records of jobs.
    scope : Scope
    """
    records = [one for one in job_records(work) if _covers(scope, one)]
    tiles, calibrations = _products(config, "image", scope.tiles), _products(config, "calibration", scope.calibrations)
    judged = {
        "mosaics": list(_mosaics(config, scope.groups)),
        "tiles": [_judged(twin, _TILE_NUMBERS) for twin in tiles],
        "calibrations": [_judged(twin, ("snr_median", "flagged_fraction")) for twin in calibrations],
    }
    made = [one["synthetic"] for kind in judged.values() for one in kind if one["synthetic"] is not None]
    return {
        "title": scope.title,
        "time": times.now(0),
        "simulated": simulated_words(made),
        "work": [_work(config, scope, rule, records) for rule in KIND_OF],
        **judged,
        "slowest": [_slow(one) for one in sorted(records, key=_wall, reverse=True)[:SLOWEST]],
        "resources": [one.to_json() for one in use_of_records(records)],
        "failures": _failures(work, scope),
        "waiting": list(scope.waiting),
        "quarantined": _quarantined(config, scope),
    }


def _covers(scope: Scope, record: JobRecord) -> bool:
    if record.rule not in KIND_OF or record.finished_unix_s < scope.since_unix_s:
        return False
    return naming.stem(record.name) in {naming.stem(one) for one in scope.ids(record.rule)}


def _work(config: Config, scope: Scope, rule: str, records: Sequence[JobRecord]) -> dict[str, Any]:
    """Return how many products of a rule were planned and are there, and what its jobs took."""
    ids, kind = scope.ids(rule), KIND_OF[rule]
    place = config.layout.product if kind == "summary" else config.layout.twin
    jobs = [one for one in records if one.rule == rule]
    return {
        "rule": rule,
        "planned": len(ids),
        "done": sum(place(kind, one).exists() for one in ids),
        "jobs": len(jobs),
        "wall_s": round(sum(map(_wall, jobs)), 1),
        "cpu_s": round(sum(one.cpu_s for one in jobs if one.cpu_s == one.cpu_s), 1),
    }


def _wall(record: JobRecord) -> float:
    return record.wall_s if record.wall_s == record.wall_s else 0.0


def _products(config: Config, kind: str, ids: Iterable[str]) -> list[Any]:
    """Return the twins of a kind that are there and whole."""
    found = []
    for one in ids:
        try:
            twin = find_twin(config.layout.twin(kind, one), config)
        except InputError:  # damaged: the next run makes it again, and says so
            continue
        if twin is not None:
            found.append(twin)
    return found


def _judged(twin: Any, names: Sequence[str]) -> dict[str, Any]:
    reasons = [f"{one.code}: {one.message}" for one in twin.reasons]
    made = {"id": twin.id, "verdict": twin.verdict, "synthetic": twin.synthetic, "reasons": reasons}
    return made | {name: twin.qa.get(name) for name in names}


def _mosaics(config: Config, groups: Iterable[str]) -> Iterable[dict[str, Any]]:
    for group in groups:
        try:
            record = mosaic_record(config, group)
        except ContimgError as error:
            reason = sentence(error) if not isinstance(error, InputError) else str(error)
            yield {"id": naming.mosaic_id(group), "verdict": None, "synthetic": None, "state": "open", "version": None,
                   "reasons": [reason], "next": "snakemake"} | dict.fromkeys(_MOSAIC_NUMBERS)  # fmt: skip
            continue
        shown = {key: record[key] for key in ("verdict", "synthetic", "state", "version", "reasons", "next")}
        yield {"id": record["mosaic"]} | shown | {name: record["qa"].get(name) for name in _MOSAIC_NUMBERS}


def _slow(record: JobRecord) -> dict[str, Any]:
    numbers = {"wall_s": record.wall_s, "cpu_s": record.cpu_s, "used_mb": record.used_mb, "asked_mb": record.asked_mb}
    return {"rule": record.rule, "id": record.name} | {k: v if v == v else None for k, v in numbers.items()}


def _failures(work: Path, scope: Scope) -> list[dict[str, Any]]:
    """Return the jobs of the last run that failed, with the end of their logs."""
    known = {naming.stem(one) for one in (*scope.tiles, *scope.calibrations, *scope.groups)}
    found = []
    for job in failed_jobs(work):
        if scope.night is None or naming.stem(job.id) in known:
            found.append(job.to_json() | {"tail": tail_of(Path(job.log))})
    return found


def tail_of(log: Path) -> str:
    """Return the last lines of a job's log; a sentence where it is gone."""
    try:
        return "\n".join(end_of(log).splitlines()[-TAIL_LINES:])
    except OSError:
        return f"{log} is gone"


def _quarantined(config: Config, scope: Scope) -> list[dict[str, str]]:
    """Return the files that were set aside on the dates of the tiles."""
    days = {scope.night} if scope.night else {naming.date(one) for one in scope.tiles}
    rows = []
    for day in sorted(filter(None, days)):
        rows += read_quarantine(config.layout.quarantine(day)) or []
    return [{"file": Path(one["path"]).name, "code": one["code"], "message": one["message"]} for one in rows]
