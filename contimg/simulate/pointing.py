"""Pointing, start time and sky of a run, from the options."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contimg.simulate import constants as c
from contimg.simulate import frames, schedule, sky
from contimg.simulate.calibrators import find_calibrator
from contimg.simulate.errors import SimulationError
from contimg.simulate.options import NightOptions
from contimg.simulate.sky import Source
from contimg.simulate.validation import required_declination_deg


@dataclass(frozen=True)
class Observation:
    """Pointing declination, start time and sources of a run.

    Attributes
    ----------
    declination_rad : float
        Apparent pointing declination, rad.
    start_jd : float
        UTC Julian date of the first sample.
    calibrator : Source or None
    sources : tuple of Source
        The whole sky, the calibrator first.
    """

    declination_rad: float
    start_jd: float
    calibrator: Source | None
    sources: tuple[Source, ...]


def plan_observation(options: NightOptions) -> Observation:
    """Choose start time, pointing and sky.

    Raises
    ------
    SimulationError
        If no run meets all options together.
    """
    transit_s = _transit_offset_s(options)
    if options.calibrator_is_builtin:
        calibrator = Source.from_calibrator(find_calibrator(options.calibrator_name))
        start, declination = _around_builtin(options, calibrator, transit_s)
    else:
        declination = np.radians(required_declination_deg(options))
        start = _start_without_calibrator(options, declination)
        calibrator = None
        if options.calibrator_name.lower() == "synthetic":
            transit_jd = start + transit_s / c.SECONDS_PER_DAY
            apparent = declination - np.radians(options.declination_offset_deg)
            ra, dec = frames.icrs_of_meridian(apparent, np.array([transit_jd]))
            position = (float(ra[0]), float(dec[0]))
            flux = options.calibrator_flux_jy
            calibrator = Source.power_law(sky.SYNTHETIC_CALIBRATOR, position, flux, -0.7)
    known = () if calibrator is None else (calibrator,)
    if options.sky_file is not None:
        field = sky.read_sources(options.sky_file)
    else:
        end = start + schedule.run_length_s(options) / c.SECONDS_PER_DAY
        limits = (options.flux_min_jy, options.flux_max_jy)
        field = sky.random_sources(options.sources, limits, (start, end), declination, known, options.seed)
    return Observation(float(declination), float(start), calibrator, (*known, *field))


def _transit_offset_s(options: NightOptions) -> float:
    """Return the calibrator's transit after the start of the run, s."""
    middle = schedule.tile_offsets_s(options)[options.transit_index]
    return float(middle) + options.integrations * c.INTEGRATION_S / 2 + options.transit_offset_s


def _around_builtin(options: NightOptions, calibrator: Source, transit_s: float) -> tuple[float, float]:
    """Return start and pointing declination for a published calibrator."""
    if options.start is not None:
        start = schedule.plain_start(options)
        transit = frames.transit_jd(calibrator.ra_deg, calibrator.dec_deg, start)
        if transit > start + schedule.run_length_s(options) / c.SECONDS_PER_DAY:
            raise SimulationError(
                f"--start {options.start} misses the transit of {calibrator.name} at {schedule.isoformat(transit)} "
                "UTC: drop --start or choose one shortly before."
            )
    else:
        start = schedule.anchored_start(options, calibrator.ra_deg, calibrator.dec_deg, transit_s)
        transit = start + transit_s / c.SECONDS_PER_DAY
    position = (np.array([calibrator.ra_deg]), np.array([calibrator.dec_deg]))
    apparent_dec = frames.apparent_places(*position, np.array([transit]))[1][0, 0]
    if options.cross_ra0:
        end = start + schedule.run_length_s(options) / c.SECONDS_PER_DAY
        ra, _ = frames.icrs_of_meridian(apparent_dec, np.array([start, end]))
        if ra[0] < ra[1]:
            raise SimulationError(
                f"--cross-ra0 cannot hold with --calibrator {calibrator.name}, which transits too far from RA 0h: "
                "give --declination for a synthetic calibrator, or more --tiles."
            )
    return start, float(apparent_dec) + float(np.radians(options.declination_offset_deg))


def _start_without_calibrator(options: NightOptions, declination: float) -> float:
    if options.cross_ra0:
        middle_s = schedule.run_length_s(options) / 2
        return schedule.anchored_start(options, 0.0, float(np.degrees(declination)), middle_s)
    return schedule.plain_start(options)
