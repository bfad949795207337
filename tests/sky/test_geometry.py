"""Baselines, meridian and phases against published numbers and against astropy."""

import numpy as np
import pytest

from contimg.errors import InputError
from contimg.sky import geometry

OVRO = geometry.Location(0.6498455107238486, -2.064427799136453, 1188.0519)
TIMES = 61082.3 + np.arange(24) * 12.884901888 / 86400

# Baselines "a-b" = position(b) - position(a) of the correlator, geocentric metres, and its w at declination 0.7 rad.
GOLDEN = {
    "24-10": ((-121.56006568, 65.41033646, 0.0), -0.00235901594),
    "24-3": ((-157.01247077, 84.48774614, 0.0), -0.00358683304),
    "10-3": ((-35.45240509, 19.07740967, 0.0), -0.00122781710),
    "24-66": ((44.81614726, 65.08353365, 103.35708384), 6.50700362),
    "10-66": ((166.37621294, -0.32680282, 103.35708384), 6.50936263),
    "3-66": ((201.82861802, -19.40421249, 103.35708384), 6.51059045),
}


@pytest.mark.parametrize("pair", GOLDEN)
def test_golden_w(pair):
    baseline, w_m = GOLDEN[pair]
    local = geometry.site_frame(np.array(baseline), OVRO.longitude_rad)
    assert local @ geometry.direction(0.0, 0.7) == pytest.approx(w_m, abs=1e-6)


def test_meridian_there_and_back():
    icrs = geometry.meridian_icrs(TIMES, 0.9525, OVRO)
    ha, dec = geometry.apparent_from_icrs(icrs, TIMES, OVRO)
    assert np.abs(ha).max() < 1e-10
    assert np.abs(dec - 0.9525).max() < 1e-10


def test_meridian_moves_at_the_sidereal_rate():
    # At dec 16.3: precession makes the ICRS rate vary by tan(dec) cos(RA) 520" per radian, 190" an hour at dec 54.
    ra = geometry.meridian_icrs(np.array([61082.0, 61082.0 + 1 / 24]), np.radians(16.3), OVRO)[:, 0]
    advance_deg = np.degrees((ra[1] - ra[0]) % (2 * np.pi))
    assert advance_deg == pytest.approx(1.00273790935 * 15, abs=60 / 3600)


def test_declination_is_apparent():
    # Of a real tile: 54.5734 deg apparent is 54.66 deg ICRS at RA 128.7.
    times = 61082.0 + np.arange(0, 1, 1e-3)
    icrs = np.degrees(geometry.meridian_icrs(times, np.radians(54.5734), OVRO))
    assert np.interp(128.7, *zip(*sorted(icrs.tolist()), strict=True)) == pytest.approx(54.66, abs=0.005)


def test_against_astropy():
    from astropy import units as u
    from astropy.coordinates import EarthLocation, HADec, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    icrs = np.radians([[128.7, 54.66], [359.99, 16.3], [10.0, 65.7]])
    site = EarthLocation.from_geodetic(OVRO.longitude_rad * u.rad, OVRO.latitude_rad * u.rad, OVRO.height_m * u.m)
    with iers.conf.set_temp("auto_download", False):
        frame = HADec(obstime=Time(61082.3, format="mjd", scale="utc"), location=site)
        there = SkyCoord(icrs[:, 0], icrs[:, 1], unit="rad", frame="icrs").transform_to(frame)
        truth = geometry.direction(there.ha.rad, there.dec.rad)
    ours = geometry.direction(*geometry.apparent_from_icrs(icrs, 61082.3, OVRO))
    # C3: w within 5e-6 of the longest baseline, that is a direction within 5e-6 rad.
    assert np.linalg.norm(ours - truth, axis=1).max() < 5e-6


def test_baselines_at_transit_and_lengths():
    east_itrf = 100 * np.array([-np.sin(OVRO.longitude_rad), np.cos(OVRO.longitude_rad), 0.0])
    other = np.array([300.0, -200.0, 2600.0])
    centre = geometry.meridian_icrs(TIMES[12], 0.9525, OVRO)
    uvw = geometry.uvw(np.array([east_itrf, other]), centre, TIMES, OVRO)
    assert abs(uvw[12, 0, 2]) < 1e-6 * 100
    # u is the length, but for the angle between the ICRS north and the north of date (0.1 deg).
    assert uvw[12, 0, 0] == pytest.approx(100, abs=1e-2)
    for antenna, length in ((0, 100.0), (1, np.linalg.norm(other))):
        assert np.linalg.norm(uvw[:, antenna], axis=1) == pytest.approx(np.full(24, length), rel=1e-12)


def test_v_points_to_icrs_north():
    centre = np.radians([112.66, 54.62])
    _, north, towards = geometry.basis(centre, TIMES[12], OVRO)[0]
    step = 1e-4
    place = geometry.direction(*geometry.apparent_from_icrs(centre + [0, step], TIMES[12], OVRO))
    moved = (place - towards) / step
    assert moved @ north == pytest.approx(1, abs=2e-4)  # aberration changes the scale by 1e-4
    assert np.arccos(np.clip(moved @ north / np.linalg.norm(moved), -1, 1)) < 1e-4


def test_rotation_is_the_change_of_w():
    positions = np.random.default_rng(1).normal(0, 1000, (5, 3))
    centre = geometry.meridian_icrs(TIMES[12], 0.9525, OVRO)
    local = geometry.site_frame(positions, OVRO.longitude_rad)
    old = local @ geometry.direction(0, 0.9525)
    new = geometry.uvw(positions, centre, TIMES, OVRO)[..., 2]
    change = geometry.rotation_m(positions, centre, 0.9525, TIMES, OVRO)
    assert np.abs(change - (new - old)).max() < 1e-9
    assert np.abs(change[12]).max() < 1e-6


def test_phasor_is_exact_far_from_zero():
    path, freq = 1e6, 1.4e9
    turns = path * freq / geometry.C_M_S
    expected = np.exp(-2j * np.pi * (turns % 1))
    assert geometry.phasors(np.array([path]), np.array([freq]))[0, 0] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("mjd", [30000.0, 75000.0])
def test_a_date_without_earth_orientation_is_an_error(mjd):
    with pytest.raises(InputError, match="upgrade the package astropy-iers-data"):
        geometry.meridian_icrs(mjd, 0.9, OVRO)


@pytest.mark.parametrize("antennas", [3, 24, 96])
def test_antennas_are_found_from_any_of_their_baselines(antennas):
    # The eigenvalue of the antennas' common place is 0 but for rounding, which differs with what is flagged.
    rng = np.random.default_rng(antennas)
    for _ in range(100):
        places = rng.normal(scale=800, size=(antennas, 3))
        one, two = np.triu_indices(antennas, 1)
        rows = rng.choice(len(one), size=rng.integers(antennas, 4 * len(one)))  # some missing, some several times
        one, two = one[rows], two[rows]
        found = geometry.antenna_uvw(places[one] - places[two], one, two, antennas)
        assert found[one] - found[two] == pytest.approx(places[one] - places[two], abs=1e-8)


def test_baselines_that_do_not_close_are_an_error():
    one, two = np.triu_indices(4, 1)
    uvw = np.zeros((6, 3))
    uvw[0] = 1e-3
    with pytest.raises(ValueError, match="do not close"):
        geometry.antenna_uvw(uvw, one, two, 4)
