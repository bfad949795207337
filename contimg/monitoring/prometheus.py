"""The overview as a text file for Prometheus (the textfile collector of its node exporter)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contimg.watching.alarms import EVENTS


def write_metrics(content: dict[str, Any], place: Path) -> None:
    """Write the numbers of an overview, by rename; what is not known is left out.

    Parameters
    ----------
    content : dict
        Of `contimg.monitoring.overview.Overview`.
    place : Path
        A file that ends with ``.prom`` in the collector's folder.
    """
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float | None, **labels: str) -> None:
        if value is None:
            return
        key = (name, tuple(labels))
        if key not in known:
            known[key] = Gauge(f"contimg_{name}", text, list(labels), registry=registry)
        (known[key].labels(**labels) if labels else known[key]).set(value)

    known: dict[tuple[str, tuple[str, ...]], Any] = {}
    for name in EVENTS:
        gauge("alarm", "1 while an alarm is raised", float(name in content["alarms"]), kind=name)
    gauge("inbox_tiles", "Tiles whose files lie in the inbox", content["inbox"]["tiles"])
    age_h = content["inbox"]["age_h"]
    gauge("inbox_age_seconds", "Age of the newest file's time", None if age_h is None else age_h * 3600)
    gauge("waiting", "Tiles and groups that wait", len(content["waiting"]))
    gauge("running_jobs", "Jobs that run now", len(content["running"]))
    gauge("failed_jobs", "Jobs that failed in the last run", len(content["failed"]))
    for code, number in content["quarantined"].items():
        gauge("quarantined_files", "Files set aside", number, reason=code)
    for state in ("open", "held", "registered", "published", "damaged"):
        number = sum(group["state"] == state for group in content["groups"])
        gauge("groups", "Groups listed by contimg status", number, state=state)
    gauge("published_today", "Mosaics published since 0 h UTC", content["published_today"])
    gauge("real_time_factor", "Sky time imaged over time worked, last day", content["real_time_factor"])
    for disk in content["disks"]:
        gauge("free_bytes", "Free space of a root's disk", disk["free_gb"] * 1e9, root=disk["root"])
    calibration = content["calibration"]
    gauge("calibration_age_seconds", "Age of the newest calibration", calibration and calibration["age_h"] * 3600)
    for one in content["antennas"]:
        gauge("antenna_sefd_jansky", "Median SEFD of the last 7 days", one["sefd_jy"], antenna=one["name"])
        gauge("antenna_flagged_ratio", "Mean flagged fraction of 7 days", one["flagged"], antenna=one["name"])
    gauge("paused", "1 while a person has paused the watch", float(content["paused"] is not None))
    place.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(place), registry)
