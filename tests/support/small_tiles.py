"""A tile of a few antennas in memory, with true coordinates, for tests of what works on visibilities."""

from __future__ import annotations

import numpy as np

from contimg.measurement_set import Visibilities
from contimg.sky import geometry

LOCATION = geometry.Location(np.radians(37.2339), np.radians(-118.2817), 1222.0)
MJD = 61082.5
DEC_RAD = np.radians(30.5)


def small_tile(
    antennas: int = 6, times: int = 4, channels: int = 8, *, seed: int = 1, with_data: int | None = None
) -> Visibilities:
    """Return a tile without signal: data 1, weights 1, nothing flagged, the phase centre on the meridian.

    Antennas from `with_data` on are in the table of antennas but have no baselines.
    """
    rng = np.random.default_rng(seed)
    used = antennas if with_data is None else with_data
    one, two = np.triu_indices(used, 1)
    times_mjd = MJD + np.arange(times) * 12.88 / 86400
    array = LOCATION.itrf()
    positions = rng.normal(0, 150, (antennas, 3))
    centre = geometry.meridian_icrs(times_mjd.mean(), DEC_RAD, LOCATION)
    uvw = geometry.uvw(positions, centre, times_mjd, LOCATION)
    shape = (times * len(one), channels, 2)
    return Visibilities(
        uvw_m=(uvw[:, one] - uvw[:, two]).reshape(-1, 3),
        time_mjd_s=np.repeat(times_mjd * 86400, len(one)),
        antenna1=np.tile(one, times).astype(np.int32),
        antenna2=np.tile(two, times).astype(np.int32),
        freq_hz=1.31e9 + 11.7e6 * np.arange(channels),
        channel_width_hz=11.7e6,
        polarisations=("XX", "YY"),
        phase_centre_rad=centre,
        times_mjd_s=times_mjd * 86400,
        pointing_rad=geometry.meridian_icrs(times_mjd, DEC_RAD, LOCATION),
        antenna_names=[str(number + 1) for number in range(antennas)],
        antenna_positions_m=positions + array,
        dish_diameter_m=4.65,
        telescope="DSA-110",
        integration_s=12.88,
        synthetic=True,
        array_position_m=array,
        data=np.ones(shape, np.complex64),
        flag=np.zeros(shape, bool),
        weight=np.ones(shape, np.float32),
    )


def complex_noise(shape: tuple[int, ...], seed: int = 2) -> np.ndarray:
    """Return complex Gaussian noise with a standard deviation of 1 in each part."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
