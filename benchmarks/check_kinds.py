"""The kinds of simulated files of `benchmarks.check`: one fault each, what must be refuted, and what it must name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from contimg.commissioning.positions import ionosphere_s
from contimg.simulate import (
    ArrayErrors,
    BeamErrors,
    CorrelatorErrors,
    HeaderErrors,
    HostileSky,
    NightOptions,
    TelescopeErrors,
)
from contimg.simulate.array import antenna_positions, choose_stations, local_positions

DECLINATIONS = (16.27, 33.15, 43.6, 54.57, 65.72, 71.6)


@dataclass(frozen=True)
class Case:
    """One simulated night with one fault.

    Attributes
    ----------
    fault : str
    options : NightOptions
    key : str or None
        The finding that must be refuted; None where nothing may be.
    named : tuple of str
        Antennas or subbands that it must name.
    value : tuple of float, or None
        What must be measured, and how far off it may be.
    change : callable or None
        Changes the files after the simulation.
    """

    fault: str
    options: NightOptions
    key: str | None
    named: tuple[str, ...] = ()
    value: tuple[float, float] | None = None
    change: Callable[[list[Path]], None] | None = None


def base_options(rng: np.random.Generator, number: int) -> NightOptions:
    """Return a night of one tile; every fifth has the telescope's 48 channels and a calibrator of 7 Jy."""
    real = number % 5 == 0
    return NightOptions(
        tiles=1,
        antennas=20 if real else 28,
        channels=48 if real else 8,
        declination_deg=float(DECLINATIONS[number % len(DECLINATIONS)] + rng.uniform(-0.1, 0.1)),
        calibrator_flux_jy=7.0 if real else float(rng.uniform(7, 20)),
        transit_offset_s=float(rng.uniform(-60, 60)),
        sources=20,
        seed=int(rng.integers(1, 2**31)),
        start="2026-02-11T08:00:00",
    )


def _errors(options: NightOptions, **errors: Any) -> NightOptions:
    return replace(options, telescope=TelescopeErrors(**errors))


def _stations(options: NightOptions) -> list[int]:
    return list(choose_stations(options.antennas, options.max_baseline_m))


def _east(station: int) -> float:
    return float(local_positions(antenna_positions())[station - 1, 1])


def clean(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night without any fault."""
    return Case("clean", options, None)


def hostile(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with satellites, far sources, ionosphere and beams that differ: nothing to refute."""
    sky = HostileSky(ateam_response=1e-3, satellites=((4, "starlink"), (9, "iridium")), ionosphere_arcsec=2.0)
    beam = BeamErrors(offset_deg=(0.05, -0.1), width=1.1, antenna_offset_deg=0.1, antenna_width=0.03)
    return Case("hostile", replace(_errors(options, sky=sky, beam=beam), rfi=((6, "line"), (12, "broad"))), None)


def conjugated(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with conjugate visibilities."""
    return Case("conjugated", _errors(options, correlator=CorrelatorErrors(conjugated=True)), "sign")


def clock(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with a clock beyond what the ionosphere can look like; more antennas, as few decide it.

    From 8 s on, or 1.5 times the error that a shift of 1 arcsec to the north in the transit looks like: 12 s at
    declination 54.57 and 19 s at 71.6 deg.
    """
    least = max(8.0, 1.5 * 4 * ionosphere_s(np.radians(options.declination_deg), np.radians(37.233)))
    error = float(rng.choice([-1, 1]) * rng.uniform(least, 40))
    return _clock(options, error, "clock")


def small_clock(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with a clock error close to the limit: 8 to 11 s up to declination 44 deg, more beyond."""
    limit = 4 * ionosphere_s(np.radians(options.declination_deg), np.radians(37.233))
    error = float(rng.choice([-1, 1]) * (max(8.0, 1.25 * limit) + rng.uniform(0, 3)))
    return _clock(options, error, "small clock error")


def _clock(options: NightOptions, error_s: float, fault: str) -> Case:
    options = replace(options, antennas=options.antennas + 12)
    return Case(fault, _errors(options, correlator=CorrelatorErrors(clock_error_s=error_s)), "clock",
                value=(error_s, 4.0))  # fmt: skip


def swapped_antennas(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with two antennas at each other's inputs, 20 m or more apart to the east."""
    stations = _stations(options)
    while True:
        one, two = sorted(int(station) for station in rng.choice(stations, 2, replace=False))
        if abs(_east(one) - _east(two)) > 20:
            break
    errors = ArrayErrors(swapped_antennas=((one, two),))
    return Case("swapped antennas", _errors(options, array=errors), "swapped_antennas", (str(one), str(two)))


def moved_antenna(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with one antenna 2 m to the east or west."""
    station, east = int(rng.choice(_stations(options))), float(rng.choice([-2, 2]))
    errors = ArrayErrors(moved_antennas=((station, east, 0.0),))
    return Case("moved antenna", _errors(options, array=errors), "positions", (str(station),), (east, 0.6))


def local_frame(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with positions in the local frame."""
    return Case("local frame", _errors(options, array=ArrayErrors(local_positions=True)), "frame")


def exchanged_receptors(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with X and Y of one antenna exchanged."""
    station = int(rng.choice(_stations(options)))
    errors = CorrelatorErrors(swapped_polarisations=(station,))
    return Case("exchanged receptors", _errors(options, correlator=errors), "receptors", (str(station),))


def product_order(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with YY before XX: nothing to refute."""
    return Case("order YY XX", _errors(options, correlator=CorrelatorErrors(products=("YY", "XX"))), None)


def packet_loss(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with lost packets of one antenna."""
    station, fraction = int(rng.choice(_stations(options))), float(rng.uniform(0.05, 0.3))
    errors = CorrelatorErrors(packet_loss=((station, fraction),))
    return Case("packet loss", _errors(options, correlator=errors), "packet_loss", (str(station),))


def dead_board(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with two dead antennas."""
    dead = tuple(sorted(int(station) for station in rng.choice(_stations(options), 2, replace=False)))
    return Case("dead antennas", replace(options, dead=dead), "boards", tuple(map(str, dead)))


def sun(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with the Sun by day."""
    flux = float(rng.uniform(20, 100))
    options = replace(options, start="2026-02-11T20:00:00")
    return Case("Sun", _errors(options, sky=HostileSky(sun_jy=(flux, flux / 1.5))), "sun", ("Sun",))


def declination_grid(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with a declination on the grid."""
    return Case("declination grid", _errors(options, header=HeaderErrors(declination_grid=True)), "declination",
                ("grid",))  # fmt: skip


def host_delays(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with other delays in the header of one host."""
    subband = int(rng.integers(16))
    errors = HeaderErrors(host_delays=(subband,))
    return Case("host's delays", _errors(options, header=errors), "header_agreement", (f"sb{subband:02d}",))


def host_declination(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with one host's declination 1e-10 rad off, and spectral-line files: nothing to refute."""
    errors = HeaderErrors(host_declination=(int(rng.integers(16)),), spectral_line_files=True)
    return Case("host's declination", _errors(options, header=errors), None)


def exchanged_labels(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with the data of two subbands exchanged."""
    one, two = sorted(int(subband) for subband in rng.choice(16, 2, replace=False))

    def change(files: list[Path]) -> None:
        with h5py.File(files[one], "r+") as first, h5py.File(files[two], "r+") as second:
            kept = first["Data/visdata"][()]
            first["Data/visdata"][...] = second["Data/visdata"][()]
            second["Data/visdata"][...] = kept

    return Case("exchanged subbands", options, "frequencies", (f"sb{one:02d}", f"sb{two:02d}"), change=change)


def reversed_channels(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with channels in reverse order."""

    def change(files: list[Path]) -> None:
        for path in files:
            with h5py.File(path, "r+") as file:
                file["Data/visdata"][...] = file["Data/visdata"][()][:, :, ::-1]

    return Case("reversed channels", options, "channel_order", change=change)


def integration_time(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with stated integrations 1 % too long."""

    def change(files: list[Path]) -> None:
        for path in files:
            with h5py.File(path, "r+") as file:
                times = file["Header/time_array"]
                start = times[()].mean()
                times[...] = start + (times[()] - start) * 1.01
                file["Header/integration_time"][...] = file["Header/integration_time"][()] * 1.01

    return Case("integration time", options, "integration_time", value=(12.884902, 0.03), change=change)


def station_order(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with antenna numbers one too low."""

    def change(files: list[Path]) -> None:
        for path in files:
            with h5py.File(path, "r+") as file:
                for key in ("ant_1_array", "ant_2_array"):
                    rows = file[f"Header/{key}"]
                    rows[...] = np.array(sorted(set(rows[()].tolist())))[_ranks(rows[()])] - 1

    options = replace(options, stations=tuple(s for s in _stations(options) if s > 1))
    return Case("stations one off", options, "station_order", change=change)


def _ranks(rows: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.unique(rows), rows)


def delay_step(options: NightOptions, rng: np.random.Generator) -> Case:
    """Return a night with a delay of 40 ns of one antenna in one subband."""
    station, subband = int(rng.choice(_stations(options))), int(rng.integers(16))

    def change(files: list[Path]) -> None:
        with h5py.File(files[subband], "r+") as file:
            frequencies = file["Header/freq_array"][0]
            turn = np.exp(2j * np.pi * 40e-9 * (frequencies - frequencies.mean()))[None, None, :, None]
            data, one, two = (file[key][()] for key in ("Data/visdata", "Header/ant_1_array", "Header/ant_2_array"))
            data[two == station - 1] *= turn
            data[one == station - 1] *= turn.conj()
            file["Data/visdata"][...] = data

    return Case("delay of one subband", options, "delays", (str(station),), change=change)


# Their number has no factor in common with that of the declinations, nor with 5: every fifth night has 48 channels.
FAULTS: tuple[Callable[[NightOptions, np.random.Generator], Case], ...] = (
    clean, conjugated, clock, swapped_antennas, moved_antenna, clean, local_frame, exchanged_receptors, product_order,
    packet_loss, clean, dead_board, sun, declination_grid, host_delays, hostile, host_declination, exchanged_labels,
    reversed_channels, clean, integration_time, station_order, delay_step, small_clock, clean, hostile, clean, clean,
    clean,
)  # fmt: skip


def cases(count: int, seed: int) -> Iterator[tuple[str, Case]]:
    """Yield named cases: clean ones and every fault in turn."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        case = FAULTS[number % len(FAULTS)](base_options(rng, number), rng)
        yield f"{number:04d}-{case.fault}", case
