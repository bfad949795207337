"""Checks of the options of `contimg.simulate.telescope`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contimg.simulate import constants as c
from contimg.simulate.errors import SimulationError
from contimg.simulate.telescope import BEAM_PATTERNS, POLARIZATION_CODES, SATELLITE_KINDS, TelescopeErrors


def validate_telescope(errors: TelescopeErrors) -> None:
    """Check the options that need no knowledge of the array.

    Raises
    ------
    SimulationError
        One sentence naming the option and the remedy.
    """
    beam, sky, header = errors.beam, errors.sky, errors.header
    for value in beam.offset_deg:
        _within("--beam-offset", value, -5.0, 5.0)
    _within("--beam-width", beam.width, 0.3, 3.0)
    _one_of("--beam-pattern", beam.pattern, BEAM_PATTERNS)
    _within("--antenna-beam-offset", beam.antenna_offset_deg, 0.0, 2.0)
    _within("--antenna-beam-width", beam.antenna_width, 0.0, 0.3)
    for _, east_m, north_m in errors.array.moved_antennas:
        for value in (east_m, north_m):
            _within("--moved-antenna", value, -3000.0, 3000.0)
    for one, other in errors.array.swapped_antennas:
        if one == other:
            raise SimulationError(f"--swapped-antennas {one},{other} names one station twice: name two.")
    _check_correlator(errors)
    for option, subbands in (
        ("--host-declination", header.host_declination),
        ("--host-delays", header.host_delays),
        ("--satellite", tuple(subband for subband, _ in sky.satellites)),
    ):
        for subband in subbands:
            _within(option, subband, 0, c.SUBBANDS - 1)
    for value in sky.sun_jy:
        _within("--sun", value, 0.0, 1e7)
    _within("--ateam", sky.ateam_response, 0.0, 1.0)
    for _, kind in sky.satellites:
        _one_of("--satellite kind", kind, SATELLITE_KINDS)
    _within("--satellite-strength", sky.satellite_jy, 0.0, 1e7)
    _within("--ionosphere", sky.ionosphere_arcsec, 0.0, 60.0)


def _check_correlator(errors: TelescopeErrors) -> None:
    correlator = errors.correlator
    _within("--clock-error", correlator.clock_error_s, -30 * c.SECONDS_PER_DAY, 30 * c.SECONDS_PER_DAY)
    products = correlator.products
    for name in products:
        _one_of("--products", name, tuple(POLARIZATION_CODES))
    if len(set(products)) < len(products) or len(products) not in (1, 2, 4):
        raise SimulationError(f"--products {','.join(products)} are not one, two or four different products.")
    for _, fraction in correlator.packet_loss:
        _within("--packet-loss", fraction, 0.0, 0.5)


def check_stations(errors: TelescopeErrors, stations: Sequence[int]) -> None:
    """Check that the stations which options name are simulated.

    Raises
    ------
    SimulationError
        One sentence naming the option and the stations to choose from.
    """
    correlator, array = errors.correlator, errors.array
    named: tuple[tuple[str, Iterable[int]], ...] = (
        ("--swapped-polarisations", correlator.swapped_polarisations),
        ("--packet-loss", (station for station, _ in correlator.packet_loss)),
        ("--moved-antenna", (station for station, *_ in array.moved_antennas)),
        ("--swapped-antennas", (station for pair in array.swapped_antennas for station in pair)),
    )
    for option, numbers in named:
        for station in numbers:
            if station not in stations:
                raise SimulationError(
                    f"{option} {station} is not among the simulated stations: choose from {tuple(sorted(stations))}."
                )


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SimulationError(f"{name} {value:g} is out of range: choose {low:g} to {high:g}.")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SimulationError(f"{name} {value!r} is unknown: use one of {', '.join(allowed)}.")
