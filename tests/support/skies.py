"""Visibilities of known skies for the imaging tests, by direct summation: no code of the pipeline.

The array is random on a tilted plane; the Earth turns below a fixed phase centre, so uvw and beam
axis move as they do in a drift scan.
"""

from __future__ import annotations

import numpy as np
from scipy.special import j1

from contimg.measurement_set import Visibilities

C_M_S = 299792458.0
SIDEREAL_RAD_S = 7.2921158553e-5
LATITUDE_RAD = np.radians(37.2334)
START_MJD_S = 61082.0 * 86400 + 1609.0


def empty(
    *, antennas=20, times=6, channels=16, ra_deg=150.0, dec_deg=33.0, seed=1, span_m=700.0, integration_s=12.884902,
    enu_m=None,
) -> Visibilities:  # fmt: skip
    """Return visibilities of nothing: zero data, nothing flagged, weight 96; antennas east, north, up where given."""
    rng = np.random.default_rng(seed)
    enu = rng.normal(size=(antennas, 3)) * [span_m, span_m, 3.0] if enu_m is None else np.asarray(enu_m, float)
    antennas = len(enu)
    # Equatorial frame of the site: x towards (HA 0, dec 0), y east, z to the pole.
    sin, cos = np.sin(LATITUDE_RAD), np.cos(LATITUDE_RAD)
    xyz = np.stack([-sin * enu[:, 1] + cos * enu[:, 2], enu[:, 0], cos * enu[:, 1] + sin * enu[:, 2]], 1)
    one, two = np.triu_indices(antennas, 1)
    seconds = (np.arange(times) - (times - 1) / 2) * integration_s
    angle = SIDEREAL_RAD_S * seconds  # hour angle of the phase centre
    centre = np.radians([ra_deg, dec_deg])
    uvw = []
    for h in angle:
        base = xyz[one] - xyz[two]
        u = np.sin(h) * base[:, 0] + np.cos(h) * base[:, 1]
        towards = np.cos(h) * base[:, 0] - np.sin(h) * base[:, 1]
        sd, cd = np.sin(centre[1]), np.cos(centre[1])
        uvw.append(np.stack([u, -sd * towards + cd * base[:, 2], cd * towards + sd * base[:, 2]], 1))
    nbase, nrow = len(one), len(one) * times
    mjd_s = START_MJD_S + np.arange(times) * integration_s
    edge = 1498.75e6 - 1311.25e6
    freq = 1311.25e6 + (np.arange(channels) + 0.5) * edge / channels
    shape = (nrow, channels, 2)
    return Visibilities(
        uvw_m=np.concatenate(uvw),
        time_mjd_s=np.repeat(mjd_s, nbase),
        antenna1=np.tile(one, times).astype(np.int32),
        antenna2=np.tile(two, times).astype(np.int32),
        freq_hz=freq,
        channel_width_hz=edge / channels,
        polarisations=("XX", "YY"),
        phase_centre_rad=centre,
        times_mjd_s=mjd_s,
        # The axis stays on the meridian: the sky moves west through it, its RA grows.
        pointing_rad=np.stack([centre[0] + angle, np.full(times, centre[1])], 1),
        antenna_names=[str(i + 1) for i in range(antennas)],
        antenna_positions_m=xyz,
        dish_diameter_m=4.65,
        telescope="OVRO_MMA",
        integration_s=integration_s,
        synthetic=True,
        history=["simulated by tests/support/skies.py"],
        data=np.zeros(shape, np.complex64),
        flag=np.zeros(shape, bool),
        weight=np.full(shape, 96, np.float32),
    )


def cosines(ra_rad, dec_rad, centre_rad):
    """Return l, m, n of a direction."""
    d = ra_rad - centre_rad[0]
    sd, cd = np.sin(centre_rad[1]), np.cos(centre_rad[1])
    return (
        np.cos(dec_rad) * np.sin(d),
        np.sin(dec_rad) * cd - np.cos(dec_rad) * sd * np.cos(d),
        np.sin(dec_rad) * sd + np.cos(dec_rad) * cd * np.cos(d),
    )


def offset(vis, east_deg, north_deg):
    """Return the ICRS direction (rad) of a tangential offset from the phase centre, by spherical trigonometry."""
    distance = np.radians(np.hypot(east_deg, north_deg))
    angle = np.arctan2(east_deg, north_deg)
    ra0, dec0 = vis.phase_centre_rad
    dec = np.arcsin(np.sin(dec0) * np.cos(distance) + np.cos(dec0) * np.sin(distance) * np.cos(angle))
    ra = ra0 + np.arctan2(
        np.sin(angle) * np.sin(distance) * np.cos(dec0), np.cos(distance) - np.sin(dec0) * np.sin(dec)
    )
    return ra % (2 * np.pi), dec


def airy(separation_rad, freq_hz, dish_m=4.65, blockage_m=0.4064):
    """Return the power of a blocked aperture."""
    x = np.pi * dish_m * freq_hz / C_M_S * np.sin(separation_rad) + 1e-12
    e = blockage_m / dish_m
    return ((2 * j1(x) / x - e * 2 * j1(e * x) / x) / (1 - e**2)) ** 2


def add_source(vis, ra_rad, dec_rad, flux_jy, *, index=0.0, ref_hz=1.4e9, beam=False):
    """Add a point source to both hands; with `beam`, through the beam of each time and channel."""
    lmn = np.array(cosines(ra_rad, dec_rad, vis.phase_centre_rad)) - [0, 0, 1]
    amplitude = flux_jy * (vis.freq_hz / ref_hz) ** index
    for time, axis in zip(vis.times_mjd_s, vis.pointing_rad, strict=True):
        rows = vis.time_mjd_s == time
        response = airy(distance(ra_rad, dec_rad, *axis), vis.freq_hz) if beam else 1.0
        phase = 2j * np.pi / C_M_S * np.outer(vis.uvw_m[rows] @ lmn, vis.freq_hz)
        vis.data[rows] += (amplitude * response * np.exp(phase)).astype(np.complex64)[..., None]


def distance(ra1, dec1, ra2, dec2):
    chord = np.sin((dec2 - dec1) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin((ra2 - ra1) / 2) ** 2
    return 2 * np.arcsin(np.sqrt(chord))


def add_noise(vis, sigma_jy, *, seed=5):
    """Add noise of `sigma_jy` to real and imaginary part of each hand."""
    rng = np.random.default_rng(seed)
    for part in (1, 1j):
        vis.data += (part * sigma_jy * rng.standard_normal(vis.data.shape)).astype(np.complex64)
