"""Files that the telescope is about to remove: named by the plan, and copied where a tile waits for a calibrator.

The correlator's files vanish after some days (``ingest.files_kept_h``). A tile that waits longer for a bandpass would
be lost. Its files are copied to ``<stage>/raw/<date>/`` with their modification times, so that they count as the same
files, and from then on the plan takes the copy. When its mosaic has its final outcome the copies go.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contimg import naming
from contimg.config import Config
from contimg.correlator.inbox import Cluster, arrange, list_files
from contimg.errors import ContimgError
from contimg.plan.model import CommittedGroup, Plan, Waiting
from contimg.storage.atomic import atomic_path

NO_CALIBRATOR = "no_bandpass"
"""The code of what waits for a calibrator in a plan."""


def raw_folder(config: Config) -> Path:
    """Return the folder of the copies."""
    return config.layout.stage / "raw"


def inbox_files(config: Config) -> list[str]:
    """Return the paths of everything in the inbox and of the copies, sorted by name; a copy stands for its original.

    Raises
    ------
    InputError
        As `contimg.correlator.inbox.list_files`.
    """
    listed = list_files(config.layout.incoming)
    copies = {path.name: str(path) for path in raw_folder(config).glob("????-??-??/[!.]*.hdf5")}
    if not copies:
        return listed
    rest = [path for path in listed if os.path.basename(path) not in copies]
    return sorted([*rest, *copies.values()], key=os.path.basename)


def at_risk(clusters: Sequence[Cluster], config: Config, now: datetime) -> list[tuple[Cluster, float]]:
    """Return the clusters in the inbox that the telescope removes soon, with the hours that are left (0: overdue).

    Files that are older by a day than they should become are evidently not removed, and are left out.

    Parameters
    ----------
    clusters : sequence of Cluster
    config : Config
    now : datetime
    """
    kept_h, before_h = config.ingest.files_kept_h, config.ingest.warn_before_h
    if kept_h is None:
        return []
    found = []
    incoming = str(config.layout.incoming)
    for cluster in clusters:
        left_h = kept_h - (now - cluster.name_time).total_seconds() / 3600
        if -24 <= left_h <= before_h and any(file.path.startswith(incoming) for file in cluster.files):
            found.append((cluster, max(left_h, 0.0)))
    return found


def loss_notes(clusters: Sequence[Cluster], plan: Plan, config: Config, now: datetime) -> list[str]:
    """Return a sentence where inputs of open work will be gone soon; none where nothing is at risk.

    Parameters
    ----------
    clusters : sequence of Cluster
        Those with open work.
    plan : Plan
    config : Config
    now : datetime
    """
    soon = at_risk(clusters, config, now)
    if not soon:
        return []
    first, left_h = min(soon, key=lambda one: one[1])
    kept = {cluster.key for cluster, _ in soon if _waits_for_calibrator(cluster, plan.waiting, config)}
    remedy = "run snakemake before that"
    if kept:
        how = "will be" if config.ingest.keep_raw_until_calibrated else "can be (ingest.keep_raw_until_calibrated)"
        remedy += f"; {len(kept)} that wait for a calibrator {how} copied to {raw_folder(config)}"
    return [
        f"inputs: files of {len(soon)} tiles with open work, first {first.key}, are removed by the telescope within "
        f"{left_h:.1f} h (ingest.files_kept_h is {config.ingest.files_kept_h:g}): {remedy}"
    ]


def _waits_for_calibrator(cluster: Cluster, waiting: Sequence[Waiting], config: Config) -> bool:
    """Return whether a cluster belongs to a group or tile that waits for a bandpass, by its time."""
    slack = timedelta(seconds=config.ingest.cluster_s)
    reach = timedelta(seconds=config.group.tiles * config.group.max_gap_s)
    for one in waiting:
        if one.code == NO_CALIBRATOR:
            first = naming.parse_id(one.since)
            last = first + (reach if one.what == "group" else timedelta(0))
            if first - slack <= cluster.name_time <= last + slack:
                return True
    return False


def keep_raw(config: Config, plan: Plan, committed: Sequence[CommittedGroup], *, now: datetime | None = None) -> str:
    """Copy what is at risk and waits for a calibrator, remove the copies of settled groups, and return what to say.

    Parameters
    ----------
    config : Config
    plan : Plan
        Of the present inbox.
    committed : sequence of CommittedGroup
    now : datetime, optional
        The present time; the system clock's by default.
    """
    settled = {name for group in committed if group.settled for tile in group.tiles for name in tile.files}
    gone = [path for path in raw_folder(config).glob("????-??-??/*.hdf5") if path.name in settled]
    for path in gone:
        path.unlink(missing_ok=True)
    said = [f"raw: copies of {len(gone)} files of settled groups removed"] if gone else []
    if config.ingest.keep_raw_until_calibrated and any(one.code == NO_CALIBRATOR for one in plan.waiting):
        said += _copy_at_risk(config, plan, now or datetime.now(UTC))
    return "\n".join(said)


def _copy_at_risk(config: Config, plan: Plan, now: datetime) -> list[str]:
    clusters = arrange(list_files(config.layout.incoming), config.ingest).clusters
    copied, size = 0, 0
    for cluster, _ in at_risk(clusters, config, now):
        if not _waits_for_calibrator(cluster, plan.waiting, config):
            continue
        for file in cluster.files:
            place = raw_folder(config) / cluster.key[:10] / file.name
            if place.exists():
                continue
            try:
                size += _copy(Path(file.path), place, config)
            except FileNotFoundError:  # removed meanwhile
                continue
            copied += 1
    if not copied:
        return []
    return [f"raw: {copied} files ({size / 1e9:.3f} GB) copied to {raw_folder(config)}: they wait for a calibrator"]


def _copy(source: Path, place: Path, config: Config) -> int:
    """Copy a file with its modification time, and return its size [bytes].

    Raises
    ------
    ContimgError
        If the disk would have less room than ``watch.min_free_gb``, or the file changed meanwhile.
    """
    before = source.stat()
    place.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(place.parent).free - before.st_size < config.watch.min_free_gb * 1e9:
        raise ContimgError(
            f"{source} waits for a calibrator, and paths.stage {config.paths.stage} has no room for a copy "
            f"(watch.min_free_gb is {config.watch.min_free_gb:g}): make room, or solve a calibration for its tile"
        )
    with atomic_path(place) as part:
        shutil.copyfile(source, part)
        os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = source.stat()
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise ContimgError(f"{source} changed while it was copied: it is copied by the next run")
    return before.st_size
