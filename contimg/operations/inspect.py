"""A summary of one subband file or Measurement Set: axes, frames, flags and amplitudes (``contimg inspect``)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.correlator import hdf5
from contimg.errors import InputError
from contimg.flagging.flag_codes import LARGEST_AMPLITUDE
from contimg.sky import geometry
from contimg.times import utc_from_mjd

_NAME_ONE = "name a subband file or a Measurement Set"
_KINDS = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"))
_BLOCK = 128
_SAMPLE = 20_000  # amplitudes of a block that go into the median


@dataclass
class Look:
    """The summary of a subband file or Measurement Set, from one pass over its visibilities.

    Attributes
    ----------
    facts : dict
        JSON-ready summary; times in UTC, angles in deg, LST in hours, amplitudes in the file's units.
    waterfall : (n_times, nchan) float64
        Mean amplitude of the unflagged cross-correlations, NaN where all is flagged.
    levels : (nant, npol) float64
        Mean amplitude of the unflagged cross-correlations of each antenna, NaN without any.
    flagged : (nant,) float64
        Flagged fraction of the cross-correlations of each antenna, NaN without any.
    uv_m : (n, 2) float64
        u and v of every baseline and integration (of every tenth row beyond 200 000).
    freq_hz : (nchan,) float64
        Ascending.
    times_mjd : (n_times,) float64
    antenna_names, polarisations : sequence of str
    """

    facts: dict[str, Any]
    waterfall: NDArray[np.float64]
    levels: NDArray[np.float64]
    flagged: NDArray[np.float64]
    uv_m: NDArray[np.float64]
    freq_hz: NDArray[np.float64]
    times_mjd: NDArray[np.float64]
    antenna_names: list[str]
    polarisations: list[str]


def look(path: Path) -> Look:
    """Read a subband file or a Measurement Set once and summarise it.

    Raises
    ------
    InputError
        If it is neither, or its content cannot be read.
    OSError
        If it is missing or may not be read.
    """
    path = Path(path)
    kind = os.stat(path).st_mode
    if stat.S_ISDIR(kind):
        if not (path / "table.dat").is_file():
            raise InputError(f"{path} is a folder, not a Measurement Set: {_NAME_ONE}")
        return _look_at_ms(path)
    if not stat.S_ISREG(kind):  # opening a pipe would wait for its writer
        what = next((word for test, word in _KINDS if test(kind)), "special file")
        raise InputError(f"{path} is a {what}: {_NAME_ONE}")
    if os.path.getsize(path) == 0:
        raise InputError(f"{path} is empty: {_NAME_ONE}")
    return _look_at_file(path)


@dataclass
class _Sums:
    """Running sums over blocks of baselines."""

    n_times: int
    n_channels: int
    n_antennas: int
    n_pols: int
    samples: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("all", "flagged", "zero", "not_finite"), 0))
    amplitudes: list[NDArray[np.float32]] = field(default_factory=list)
    largest: float | None = None

    def __post_init__(self) -> None:
        self.cells = np.zeros((2, self.n_times, self.n_channels))
        self.levels = np.zeros((2, self.n_antennas, self.n_pols))
        self.flags = np.zeros((2, self.n_antennas))

    def add(
        self,
        time: int,
        one: NDArray[Any],
        two: NDArray[Any],
        data: NDArray[np.complex64],
        flag: NDArray[np.bool_],
        received: NDArray[np.bool_],
    ) -> None:
        """Add the cross-correlations of one integration to the sums; autocorrelations are left out.

        Parameters
        ----------
        time : int
            Index of the integration.
        one, two : (nbaseline,) int
            Antennas.
        data, flag, received : (nbaseline, nchan, npol)
            Visibilities, their flags, and whether samples were received.
        """
        cross = one != two
        one, two, data, flag = one[cross], two[cross], data[cross], flag[cross] & received[cross]
        received = received[cross]
        with np.errstate(over="ignore"):  # an amplitude beyond float32 counts as not finite
            amplitude = np.abs(data)
        finite = amplitude < LARGEST_AMPLITUDE
        good = ~flag & received & finite
        self.samples["all"] += int(received.sum())
        self.samples["flagged"] += int(flag.sum())
        self.samples["zero"] += int((received & (amplitude == 0)).sum())
        self.samples["not_finite"] += int((received & ~finite).sum())
        amplitude[~good] = 0
        self.cells[0, time] += amplitude.sum((0, 2))
        self.cells[1, time] += good.sum((0, 2))
        per_row, counts = amplitude.sum(1, dtype=np.float64), good.sum(1)
        flagged, seen = flag.sum((1, 2)), received.sum((1, 2))
        for side in (one, two):
            np.add.at(self.levels[0], side, per_row)
            np.add.at(self.levels[1], side, counts)
            np.add.at(self.flags[0], side, flagged)
            np.add.at(self.flags[1], side, seen)
        values = amplitude[good]
        if len(values):
            self.largest = max(self.largest or 0.0, float(values.max()))
            self.amplitudes.append(values[:: max(1, len(values) // _SAMPLE)])

    def facts(self) -> dict[str, Any]:
        """Return the part of the summary that comes from the visibilities: number, flagged fraction, amplitudes."""
        total = self.samples["all"]
        share = {name: self.samples[name] / total if total else None for name in self.samples}
        values = np.concatenate(self.amplitudes) if self.amplitudes else None
        return {
            "samples": total,
            "flagged_fraction": share["flagged"],
            "amplitude": {
                "median": None if values is None else float(np.median(values)),
                "max": self.largest,
                "zero_fraction": share["zero"],
                "not_finite_fraction": share["not_finite"],
            },
        }


def _mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums over numbers (2, ...); NaN where the number is 0."""
    return np.divide(sums[0], sums[1], out=np.full(sums[0].shape, np.nan), where=sums[1] > 0)


@dataclass(frozen=True)
class _Geometry:
    """Where the visibilities of a file or a Measurement Set are.

    Attributes
    ----------
    uv_m : (n, 2) float64
        u and v of the cross-correlations at all times.
    freq_hz : (nchan,) float64, ascending
    times_mjd : (n_times,) float64
    location : Location
    centre_rad : (2,) float64
        ICRS.
    """

    uv_m: NDArray[np.float64]
    freq_hz: NDArray[np.float64]
    times_mjd: NDArray[np.float64]
    location: geometry.Location
    centre_rad: NDArray[np.float64]


def _look_at_file(path: Path) -> Look:
    """Summarise a subband file; uvw are those of the meridian's place at the middle of the file."""
    header = hdf5.read_header(path)
    sums = _Sums(header.n_times, len(header.freq_hz), len(header.antenna_names), header.n_pols)
    with hdf5.open_data(header) as data:
        for first in range(0, header.n_baselines, _BLOCK):
            last = min(first + _BLOCK, header.n_baselines)
            vis, flags, counts = data.read(first, last)
            pair = header.antenna1[first:last], header.antenna2[first:last]
            for time in range(header.n_times):
                sums.add(time, *pair, vis[time], flags[time] | ~(counts[time] > 0), np.ones(vis[time].shape, bool))
    centre = geometry.meridian_icrs((header.start_mjd + header.end_mjd) / 2, header.dec_app_rad, header.location)
    antennas = geometry.uvw(header.antenna_positions_m, centre, header.times_mjd, header.location)
    uv = (antennas[:, header.antenna1] - antennas[:, header.antenna2])[:, header.antenna1 != header.antenna2, :2]
    facts = {
        "kind": "subband file",
        "subband": header.subband,
        "dec_app_deg": float(np.degrees(header.dec_app_rad)),
    }
    where = _Geometry(uv.reshape(-1, 2), header.freq_hz[::-1], header.times_mjd, header.location, centre)
    return _summary(path, facts, sums, where, header)


def _look_at_ms(path: Path) -> Look:
    """Summarise a Measurement Set."""
    head = measurement_set.read_coordinates(path)
    times_s, index = np.unique(head.time_mjd_s, return_inverse=True)
    nrow, nchan, npol = head.shape
    sums = _Sums(len(times_s), nchan, len(head.antenna_names), npol)
    for rows, data, flag, weight in measurement_set.blocks(path, 8 * _BLOCK):
        for time in np.unique(index[rows]):
            of_time = index[rows] == time
            sums.add(
                int(time), head.antenna1[rows][of_time], head.antenna2[rows][of_time], data[of_time], flag[of_time],
                weight[of_time] > 0,
            )  # fmt: skip
    place = head.antenna_positions_m.mean(0) if head.array_position_m is None else head.array_position_m
    uv = head.uvw_m[head.antenna1 != head.antenna2, :2]
    where = _Geometry(
        uv, head.freq_hz, times_s / 86400, geometry.Location.from_itrf(place), head.phase_centre_rad
    )  # fmt: skip
    return _summary(path, {"kind": "Measurement Set", "rows": nrow}, sums, where, head)


def _summary(
    path: Path, facts: dict[str, Any], sums: _Sums, where: _Geometry, head: hdf5.Header | measurement_set.Coordinates
) -> Look:
    """Return the summary of either kind of input from its sums, axes and header."""
    if not len(where.times_mjd):
        raise InputError(f"{path} holds no visibilities: set it aside")
    half_day, freq_hz, width_hz = head.integration_s / 2 / 86400, where.freq_hz, head.channel_width_hz
    ends = where.times_mjd[[0, -1]] + [-half_day, half_day]
    lst_h = np.degrees(geometry.sidereal_rad(ends, where.location)) / 15
    centre_deg = np.degrees(where.centre_rad)
    used = np.flatnonzero(sums.flags[1])
    levels, flagged = _mean(sums.levels), _mean(sums.flags)
    facts = {
        "path": str(path),
        **facts,
        "telescope": head.telescope,
        "synthetic": head.synthetic,
        "start": utc_from_mjd(ends[0], 0),
        "end": utc_from_mjd(ends[1], 0),
        "n_times": len(where.times_mjd),
        "integration_s": head.integration_s,
        "lst_h": [float(x) for x in lst_h],
        "centre_icrs_deg": [float(centre_deg[0] % 360), float(centre_deg[1])],
        "band_hz": [float(freq_hz[0] - width_hz / 2), float(freq_hz[-1] + width_hz / 2)],
        "n_channels": len(freq_hz),
        "channel_width_hz": float(width_hz),
        "polarisations": list(head.polarisations),
        "n_antennas": len(used),
        "antennas": [head.antenna_names[a] for a in used],
        "n_baselines": len(where.uv_m) // len(where.times_mjd),
        "longest_baseline_m": float(np.hypot(*where.uv_m.T).max(initial=0.0)),
        **sums.facts(),
        "silent_antennas": [head.antenna_names[a] for a in used if not np.nan_to_num(levels[a]).any()],
    }
    return Look(
        facts=facts,
        waterfall=_mean(sums.cells),
        levels=levels,
        flagged=flagged,
        uv_m=where.uv_m[:: 1 if len(where.uv_m) <= 200_000 else 10],
        freq_hz=freq_hz,
        times_mjd=where.times_mjd,
        antenna_names=list(head.antenna_names),
        polarisations=list(head.polarisations),
    )


def lines(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the summary as (what, value) for a person."""

    def share(value: float | None) -> str:
        return "not measured" if value is None else f"{value:.3%}"

    def number(value: float | None) -> str:
        return "not measured" if value is None else f"{value:.4g}"

    amplitude, band = facts["amplitude"], facts["band_hz"]
    yield "kind", facts["kind"] + (f", sb{facts['subband']:02d}" if "subband" in facts else "")
    yield "telescope", facts["telescope"] + (", SYNTHETIC DATA" if facts["synthetic"] else "")
    yield "time (UTC)", f"{facts['start']} to {facts['end']}, {facts['n_times']} x {facts['integration_s']:.3f} s"
    yield "LST", " to ".join(f"{value:.3f} h" for value in facts["lst_h"])
    if "dec_app_deg" in facts:
        yield "declination", f"{facts['dec_app_deg']:+.4f} deg (apparent, of the pointing)"
    ra, dec = facts["centre_icrs_deg"]
    yield "centre (ICRS)", f"RA {ra:.4f} deg, Dec {dec:+.4f} deg"
    width = facts["channel_width_hz"]
    yield "frequency", f"{band[0] / 1e6:.3f} to {band[1] / 1e6:.3f} MHz, {facts['n_channels']} x {width / 1e3:.3f} kHz"
    yield "polarisations", " ".join(facts["polarisations"])
    yield "antennas", f"{facts['n_antennas']}: {', '.join(facts['antennas'])}"
    yield "baselines", f"{facts['n_baselines']}, longest {facts['longest_baseline_m']:.0f} m (projected)"
    yield "flagged", f"{share(facts['flagged_fraction'])} of {facts['samples']} cross-correlation samples received"
    yield "amplitude", f"median {number(amplitude['median'])}, largest {number(amplitude['max'])} (unflagged)"
    yield "zero", share(amplitude["zero_fraction"])
    yield "NaN or infinite", share(amplitude["not_finite_fraction"])
    if facts["silent_antennas"]:
        yield "nothing from", ", ".join(facts["silent_antennas"])
