"""What `contimg status` shows: what came, waits, runs, failed, is held and published, and how much room is left."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contimg import naming
from contimg.config import Config
from contimg.correlator.inbox import list_files
from contimg.errors import ContimgError
from contimg.monitoring.antennas import antenna_health
from contimg.monitoring.benchmark_records import JobRecord, job_records
from contimg.monitoring.jobs import failed_jobs, running_jobs
from contimg.operations.job_log import sentence
from contimg.operations.room_for_plan import plan_within_room, wants_room
from contimg.operations.status import group_states
from contimg.plan.model import Plan
from contimg.plan.observe import current_plan
from contimg.plotting.words import waiting
from contimg.products.twin import simulated_words
from contimg.retention.usage import full_on, growth_of_disk
from contimg.storage.json_files import read_json
from contimg.storage.locks import owner_of
from contimg.storage.process import is_dead
from contimg.times import utc_from_datetime
from contimg.watching.alarms import archive_alarms
from contimg.watching.pause import paused
from contimg.watching.room import free_gb, lack_of_room
from contimg.watching.watcher import state_file

TILE_S = 309.2376
"""Sky time of a tile [s]: 24 integrations of 12.88 s."""


class _WatchNote(BaseModel):
    """What is shown of the watch's note; a damaged note counts as none, until the watch writes the next one."""

    model_config = ConfigDict(strict=True)

    state: str
    message: str
    alarms: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Overview:
    """One look at everything, as JSON content; `needs` says what a person or a monitor has to know, by alarm."""

    content: dict[str, Any]

    @property
    def needs(self) -> dict[str, str]:
        found: dict[str, str] = self.content["alarms"]
        return found


def overview(config: Config, work: Path, *, everything: bool = False, now: datetime | None = None) -> Overview:
    """Look at inbox, plan, stage, registry, disks and the records of jobs.

    Parameters
    ----------
    config : Config
    work : Path
        Snakemake's working directory.
    everything : bool
        Every group, however long ago it was settled.
    now : datetime, optional
        The present time; the system clock's by default.
    """
    moment = now or datetime.now(UTC)
    records = list(job_records(work, last_dates=2, requests=False))
    running = running_jobs(config.layout, work, records)
    plan, trouble = _plan(config, running=bool(running))
    groups, left_out = group_states(config, everything=everything, plan=plan)
    failed = [job.to_json() for job in failed_jobs(work)]
    content: dict[str, Any] = {
        "time": moment.isoformat()[:19],
        "inbox": _inbox(config, moment) | {"trouble": trouble},
        "watch": _watch(config),
        "paused": None if (pause := paused(config.layout)) is None else str(pause),
        "waiting": [{"id": w.id, "what": w.what, "code": w.code, "message": w.message} for w in plan.waiting],
        "running": [job.to_json() for job in running],
        "failed": failed,
        "quarantined": dict(Counter(one.code for one in plan.quarantined)),
        "groups": groups,
        "groups_not_listed": left_out,
        "simulated": _simulated(plan, groups),
        "published_today": _published_on(config, moment),
        "disks": _disks(config, moment),
        "real_time_factor": real_time_factor(records, moment),
        "calibration": _newest_calibration(config, moment),
        "antennas": [one.to_json() for one in antenna_health(config, now=moment)],
    }
    content["alarms"] = _alarms(config, plan, content)
    return Overview(content)


def _plan(config: Config, *, running: bool) -> tuple[Plan, str | None]:
    """Return the present plan, or an empty one with the reason why there is none.

    What runs was found to have room when it began, and takes some of it now.
    """
    try:
        return current_plan(config) if running else plan_within_room(config), None
    except (ContimgError, OSError) as error:
        return Plan(), sentence(error)


def _simulated(plan: Plan, groups: Sequence[Mapping[str, Any]]) -> str | None:
    """Return what is said where the tiles of the plan, or the mosaics of groups, are simulated."""
    made = [one["synthetic"] for one in groups if one["synthetic"] is not None]
    return simulated_words([*made, *(tile.synthetic for tile in plan.tiles.values())])


def _inbox(config: Config, now: datetime) -> dict[str, Any]:
    """Return how many files and tiles the inbox holds by their names, and the newest; a tile's names are close in time.

    The plan clusters them by more than that; to be counted, some thousand names need not be read again.
    """
    try:
        names = [os.path.basename(path) for path in list_files(config.layout.incoming)]
    except ContimgError:
        return {"tiles": 0, "files": 0, "newest": None, "age_h": None}
    texts = [match[1] for name in names if (match := naming.SUBBAND_FILE.fullmatch(name)) is not None]
    moments = sorted(one.time for text in set(texts) if (one := naming.SubbandName.parse(f"{text}_sb00.hdf5")))
    reach = timedelta(seconds=config.ingest.cluster_s)
    starts = [
        one for before, one in zip([None, *moments], moments, strict=False) if before is None or one - before > reach
    ]
    return {
        "tiles": len(starts),
        "files": len(texts),
        "newest": naming.id_from_datetime(starts[-1]) if starts else None,
        "age_h": round((now - starts[-1]).total_seconds() / 3600, 2) if starts else None,
    }


def _watch(config: Config) -> dict[str, Any] | None:
    """Return what the watch noted last; None where none ever ran. `alive` says whether it is still there."""
    content = read_json(state_file(config.layout))
    try:
        _WatchNote.model_validate(content)
    except ValidationError:
        return None
    owner = owner_of(config.layout.state / "watch.lock")
    return content | {"alive": owner is not None and not is_dead(owner, same_machine=True)}


def _published_on(config: Config, now: datetime) -> int:
    from contimg.registry import queries
    from contimg.registry.engine import open_registry

    with contextlib.closing(open_registry(config)) as registry:
        return queries.count_published_since(
            registry, utc_from_datetime(now.replace(hour=0, minute=0, second=0, microsecond=0), 0)
        )


def _disks(config: Config, now: datetime) -> list[dict[str, Any]]:
    found = []
    for name in ("stage", "products", "state"):
        free = free_gb(getattr(config.paths, name))
        growth = growth_of_disk(config, name, now)
        full = None if growth is None else full_on(free * 1e9, growth, now)
        gb_per_day = None if growth is None else round(growth / 1e9, 3)
        found.append({"root": name, "free_gb": round(free, 2), "growth_gb_per_day": gb_per_day, "full_on": full})
    return found


def real_time_factor(records: list[JobRecord], now: datetime) -> float | None:
    """Return the sky time of the tiles imaged in the last day over the time in which jobs ran; None without any.

    The time is that in which at least one job ran, so that nights without data do not count.
    """
    since = (now - timedelta(days=1)).timestamp()
    recent = [one for one in records if one.finished_unix_s >= since and one.wall_s == one.wall_s]
    tiles = sum(one.rule == "image_tile" for one in recent)
    spans = sorted((one.finished_unix_s - one.wall_s, one.finished_unix_s) for one in recent)
    busy_s, end = 0.0, 0.0
    for first, last in spans:
        busy_s += max(0.0, last - max(first, end))
        end = max(end, last)
    return round(tiles * TILE_S / busy_s, 2) if tiles and busy_s > 0 else None


def _newest_calibration(config: Config, now: datetime) -> dict[str, Any] | None:
    days = sorted((config.layout.stage / "calibrations").glob("????-??-??"))
    names = [path.stem for day in days[-2:] for path in sorted(day.glob("cal_*.json"))]
    if not names:
        return None
    age = now - naming.parse_id(names[-1])
    return {"id": names[-1], "age_h": round(age.total_seconds() / 3600, 2)}


def _alarms(config: Config, plan: Plan, content: dict[str, Any]) -> dict[str, str]:
    """Return what a monitor should raise, by kind of alarm."""
    found = archive_alarms(config)
    if content["failed"]:
        first = content["failed"][0]
        found["failed"] = (
            f"{len(content['failed'])} jobs failed, first {first['rule']} {first['id']}: {first['reason']}"
        )
    held = [one for one in content["groups"] if one["state"] in ("held", "damaged") or one["error"]]
    if held:
        found["held"] = f"{waiting(len(held))} for a person, first {held[0]['mosaic']}: {held[0]['next']}"
    if (lack := lack_of_room(config) or wants_room(config, plan)) is not None:
        found["low_disk"] = lack
    lacking = [one for one in content["waiting"] if one["code"] == "no_bandpass"]
    if lacking:
        found["no_calibrator"] = f"{waiting(len(lacking))} for a calibrator, first {lacking[0]['id']}"
    watch = content["watch"]
    if watch is not None and watch["alive"]:
        found |= {key: text for key, text in watch.get("alarms", {}).items() if key in ("no_data", "failed")}
    return found
