"""Gains, delays, noise, flags, flux scale and beam over weeks (``contimg trends``), from calibrations and twins."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import naming, times
from contimg.calibration.caltables import FILES, Solutions, read_solutions
from contimg.config import Config
from contimg.errors import InputError
from contimg.monitoring.antennas import flagged_by_antenna, is_number, sefd_by_antenna
from contimg.monitoring.trend_events import Event, find_events
from contimg.products.twin import simulated_words
from contimg.storage.json_files import read_json

RECEPTORS = ("X", "Y")

SERIES = {
    "noise": ("images", "noise_ratio", None, "noise of tiles over the expected"),
    "rms": ("images", "rms_mjy", None, "noise of tiles [mJy/beam]"),
    "flagged": ("ms", "flagged_fraction", None, "flagged fraction of tiles"),
    "snr": ("calibrations", "snr_median", None, "median S/N of calibrations"),
    "flux_scale": ("crossmatch", "flux_scale", "e_flux_scale", "flux scale against the catalogue"),
    "beam_east": ("crossmatch", "beam_east_deg", "e_beam_east_deg", "beam offset to the east [deg]"),
    "beam_north": ("crossmatch", "beam_north_deg", "e_beam_north_deg", "beam offset to the north [deg]"),
    "beam_width": ("crossmatch", "beam_width", "e_beam_width", "beam width over the assumed one"),
}
"""Numbers of twins that are followed: name -> folder of the stage, key of the value, of its error, and what it is."""


@dataclass(frozen=True)
class Series:
    """A number over time: UTC [MJD, days], values, and errors (NaN: not known)."""

    name: str
    title: str
    mjd: NDArray[np.float64]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]


@dataclass(frozen=True)
class Receptors:
    """What calibrations say of each receptor, in order of time.

    Attributes
    ----------
    calibrations : list of str
        Ids of the bandpass calibrations (ncal).
    names : list of str
        Of the receptors, such as ``23X`` (nrec).
    gain : (ncal, nrec) float64
        Amplitude of bandpass times gain over the median of all receptors; NaN where there is no solution.
    delay_ns : (ncal, nrec) float64
        Delay less the median of all receptors, which the reference antenna moves [ns].
    sefd_jy : (ncal, nrec) float64
    """

    calibrations: list[str]
    names: list[str]
    gain: NDArray[np.float64]
    delay_ns: NDArray[np.float64]
    sefd_jy: NDArray[np.float64]


@dataclass(frozen=True)
class Trends:
    """All that is followed over some days; `flags` has the mean flagged fraction (ndays, nant), NaN without data.

    `simulated` says whether all or some of it is simulated; None where nothing is.
    """

    time: str
    days: int
    series: list[Series]
    receptors: Receptors
    dates: list[str]
    antennas: list[str]
    flags: NDArray[np.float64]
    events: list[Event]
    simulated: str | None = None
    trouble: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the content for programs; what is not known is None."""
        receptors = self.receptors
        return {
            "time": self.time,
            "days": self.days,
            "simulated": self.simulated,
            "series": {
                one.name: {"mjd": _plain(one.mjd), "values": _plain(one.values), "errors": _plain(one.errors)}
                for one in self.series
            },
            "calibrations": receptors.calibrations,
            "receptors": receptors.names,
            "gain": _plain(receptors.gain),
            "delay_ns": _plain(receptors.delay_ns),
            "sefd_jy": _plain(receptors.sefd_jy),
            "dates": self.dates,
            "antennas": self.antennas,
            "flagged": _plain(self.flags),
            "events": [one.to_json() for one in self.events],
            "trouble": self.trouble,
        }


def _plain(values: NDArray[np.float64]) -> Any:
    """Return an array as nested lists, with None for what is not a number."""
    if values.ndim > 1:
        return [_plain(row) for row in values]
    return [None if math.isnan(value) else float(value) for value in values]


def trends(config: Config, *, days: int = 42, now: datetime | None = None) -> Trends:
    """Read what calibrations and twins of the last days say.

    Parameters
    ----------
    config : Config
    days : int
        How far back; products are chosen by the dates of their ids.
    now : datetime, optional
        The last moment; by default the end of the last date with tiles or calibrations.
    """
    moment = now or _last_moment(config)
    dates = sorted((moment - timedelta(days=back)).date().isoformat() for back in range(days + 1))
    trouble: list[str] = []
    folders = dict.fromkeys(["ms", "calibrations", *(one[0] for one in SERIES.values())])
    twins = {folder: list(_twins(config, folder, dates, trouble)) for folder in folders}
    series = [_series(name, twins) for name in SERIES]
    seen, antennas, flags = _flags(twins["ms"])
    receptors = _installed(_receptors(config, twins["calibrations"], trouble), antennas)
    return Trends(
        moment.isoformat()[:19], days, [one for one in series if len(one.mjd)], receptors, seen, antennas, flags,
        find_events(receptors.calibrations, receptors.names, receptors.gain, receptors.delay_ns),
        simulated_words(one.synthetic for folder in twins.values() for one in folder), sorted(set(trouble)),
    )  # fmt: skip


def _last_moment(config: Config) -> datetime:
    """Return the end of the last UTC date of which there is a tile or calibration; the present time without any."""
    stage = config.layout.stage
    days = [path.name for folder in ("ms", "calibrations") for path in (stage / folder).glob("????-??-??")]
    return naming.parse_id(f"{max(days)}T23:59:59") if days else datetime.now(UTC)


@dataclass(frozen=True)
class _Numbers:
    """What is taken from one twin: its id, type of calibration, numbers, SEFDs and flagged fractions of antennas.

    `synthetic`: the data are simulated.
    """

    id: str
    type: str | None
    qa: dict[str, float]
    sefd_jy: dict[str, list[float | None]]
    flagged: dict[str, float]
    synthetic: bool


_KEYS = {key for one in SERIES.values() for key in one[1:3] if key}


def _twins(config: Config, folder: str, dates: list[str], trouble: list[str]) -> Iterator[_Numbers]:
    """Yield what the twins of a folder say; one that is damaged is named and left out.

    They are not checked against their models, which would take ten times as long: a season has ten thousands.
    """
    for day in dates:
        for path in sorted((config.layout.stage / folder / day).glob("*.json")):
            content = read_json(path)
            if not _is_twin(content):
                trouble.append(f"{path} is damaged, and was left out: rerun snakemake")
                continue
            numbers = {key: content["qa"][key] for key in _KEYS if is_number(content["qa"].get(key))}
            yield _Numbers(
                content["id"], content.get("facts", {}).get("type"), numbers, sefd_by_antenna(content),
                flagged_by_antenna(content), content.get("synthetic") is True,
            )  # fmt: skip


def _is_twin(content: Any) -> bool:
    """Return whether a twin has an id, facts and numbers; of these each is looked at where it is taken."""
    if not isinstance(content, dict) or not isinstance(content.get("id"), str) or not naming.is_id(content["id"]):
        return False
    return isinstance(content.get("qa"), dict) and isinstance(content.get("facts", {}), dict)


def _series(name: str, twins: Mapping[str, Sequence[_Numbers]]) -> Series:
    folder, key, error_key, title = SERIES[name]
    rows = [
        (times.mjd_from_datetime(naming.parse_id(one.id)), one.qa[key], one.qa.get(error_key or "", math.nan))
        for one in twins[folder]
        if key in one.qa
    ]
    columns = np.array(sorted(rows), float).reshape(-1, 3).T
    return Series(name, title, columns[0], columns[1], columns[2])


def _receptors(config: Config, calibrations: Sequence[_Numbers], trouble: list[str]) -> Receptors:
    """Read the tables of each bandpass calibration, beside the SEFDs in its twin."""
    found: list[tuple[str, dict[str, tuple[float, float, float]]]] = []
    for one in calibrations:
        if one.type == "bandpass":
            try:
                found.append((one.id, _of_calibration(config.layout.product("calibration", one.id), one.sefd_jy)))
            except InputError as error:
                trouble.append(str(error))
    names = sorted({one for _, rows in found for one in rows}, key=lambda one: (len(one), one))
    cube = np.full((3, len(found), len(names)), math.nan)
    for number, (_, rows) in enumerate(found):
        for column, receptor in enumerate(names):
            if receptor in rows:
                cube[:, number, column] = rows[receptor]
    with np.errstate(all="ignore"):
        gain = cube[0] / _row_median(cube[0])
        delay = cube[1] - _row_median(cube[1])
    return Receptors([name for name, _ in found], names, gain, delay, cube[2])


def _installed(receptors: Receptors, antennas: Sequence[str]) -> Receptors:
    """Return receptors without those of stations of which no file of the period has data, and that were never solved.

    Headers and tables name every station of the array; only those with a dish can be dead.
    """
    if not antennas:
        return receptors
    kept = [
        number
        for number, name in enumerate(receptors.names)
        if name[:-1] in antennas or np.isfinite(receptors.gain[:, number]).any()
    ]
    gain, delay, sefd = (one[:, kept] for one in (receptors.gain, receptors.delay_ns, receptors.sefd_jy))
    return Receptors(receptors.calibrations, [receptors.names[number] for number in kept], gain, delay, sefd)


def _row_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row, of what is a number; NaN for a row without any."""
    medians = [np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else math.nan for row in values]
    return np.array(medians, float).reshape(-1, 1)


def _of_calibration(folder: Path, sefd_jy: dict[str, list[float | None]]) -> dict[str, tuple[float, float, float]]:
    """Return amplitude, delay [ns] and SEFD [Jy] of each receptor in a calibration; NaN: no solution.

    Raises
    ------
    InputError
        If a table is damaged.
    """
    tables = {kind: read_solutions(folder / name) for kind, name in FILES.items() if (folder / name).is_dir()}
    if not tables:
        return {}
    amplitudes = [_median(tables[kind], absolute=True) for kind in ("B", "G") if kind in tables]
    delays = _median(tables["K"], absolute=False) if "K" in tables else None
    rows = {}
    for antenna, name in enumerate(next(iter(tables.values())).antenna_names):
        for pol, receptor in enumerate(RECEPTORS):
            gain = math.prod(float(one[antenna, pol]) for one in amplitudes) if amplitudes else math.nan
            delay = math.nan if delays is None else float(delays[antenna, pol])
            noise = sefd_jy.get(name, [None, None])[pol]
            rows[f"{name}{receptor}"] = (gain, delay, math.nan if noise is None else noise)
    return rows


def _median(solutions: Solutions, *, absolute: bool) -> NDArray[np.float64]:
    """Return the median over times and channels of each receptor's solutions (nant, npol); NaN where all are lost."""
    values = np.abs(solutions.values) if absolute else solutions.values.real
    shown = np.where(solutions.flag, np.nan, values).transpose(1, 3, 0, 2)
    flat = shown.reshape(*shown.shape[:2], -1)
    lost: NDArray[np.bool_] = np.all(np.isnan(flat), axis=-1)
    return np.where(lost, np.nan, np.nanmedian(np.where(lost[..., None], 0.0, flat), axis=-1))


def _flags(tiles: Sequence[_Numbers]) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return the dates with tiles, the antennas, and the mean flagged fraction of each antenna on each date."""
    by_day: dict[str, dict[str, list[float]]] = {}
    for tile in tiles:
        day = by_day.setdefault(naming.date(tile.id), {})
        for name, share in tile.flagged.items():
            day.setdefault(name, []).append(share)
    antennas = sorted({name for day in by_day.values() for name in day}, key=lambda one: (len(one), one))
    seen = sorted(by_day)
    flags = np.array(
        [[float(np.mean(by_day[day][name])) if name in by_day[day] else math.nan for name in antennas] for day in seen],
        float,
    ).reshape(len(seen), len(antennas))
    return seen, antennas, flags
