"""Smearing by channels and integrations: against sums over finer ones, and out of images and models."""

import numpy as np
import pytest

from contimg.imaging.grid import TileGrid
from contimg.imaging.visibilities.samples import stokes_i
from contimg.imaging.visibilities.smearing import SmearingPhases, measure_smearing
from tests.imaging.test_image_tile import OPTIONS, plane, run, tile
from tests.support import skies

# Long integrations and wide channels: a source at 1 degree loses 5 % on the longest baselines of this small array.
SIZE = {"antennas": 24, "times": 6, "channels": 32, "span_m": 130, "integration_s": 80.0}


def uvw_at(vis, seconds):
    """Return the uvw of all rows that many seconds after their integrations' middles."""
    xyz, (one, two) = vis.antenna_positions_m, (vis.antenna1, vis.antenna2)
    middle = (vis.times_mjd_s[0] + vis.times_mjd_s[-1]) / 2
    angle = skies.SIDEREAL_RAD_S * (vis.time_mjd_s - middle + seconds)
    base, dec = xyz[one] - xyz[two], vis.phase_centre_rad[1]
    u = np.sin(angle) * base[:, 0] + np.cos(angle) * base[:, 1]
    towards = np.cos(angle) * base[:, 0] - np.sin(angle) * base[:, 1]
    return np.stack(
        [u, -np.sin(dec) * towards + np.cos(dec) * base[:, 2], np.cos(dec) * towards + np.sin(dec) * base[:, 2]], 1
    )


def add_smeared_source(vis, ra_rad, dec_rad, flux_jy, *, index=-0.7, parts=7, beam=True):
    """Add a source as the correlator sees it: the mean over parts of each integration and channel.

    Within an integration the fringes of the meridian, where the beam's axis is, stand still.
    """
    lmn = np.array(skies.cosines(ra_rad, dec_rad, vis.phase_centre_rad))
    steps = (np.arange(parts) - (parts - 1) / 2) / parts
    for time, axis in zip(vis.times_mjd_s, vis.pointing_rad, strict=True):
        rows = vis.time_mjd_s == time
        meridian = np.array(skies.cosines(*axis, vis.phase_centre_rad))
        response = skies.airy(skies.distance(ra_rad, dec_rad, *axis), vis.freq_hz) if beam else 1.0
        mean = 0
        for step in steps:
            delay = (uvw_at(vis, step * vis.integration_s)[rows] @ (lmn - meridian))[:, None] / skies.C_M_S
            for part in steps:
                mean = mean + np.exp(2j * np.pi * delay * (vis.freq_hz + part * vis.channel_width_hz)) / parts**2
        stopped = np.exp(2j * np.pi / skies.C_M_S * np.outer(vis.uvw_m[rows] @ (meridian - [0, 0, 1]), vis.freq_hz))
        spectrum = flux_jy * (vis.freq_hz / 1.405e9) ** index * response
        vis.data[rows] += (spectrum * mean * stopped).astype(np.complex64)[..., None]


def test_turns_are_those_of_the_rotating_earth():
    vis = skies.empty(**SIZE)
    lmn = np.array(skies.cosines(*skies.offset(vis, 1.0, 0.6), vis.phase_centre_rad))
    fringes = SmearingPhases(vis)
    for time in (0, 5):
        rows = vis.time_mjd_s == vis.times_mjd_s[time]
        beside = lmn - skies.cosines(*vis.pointing_rad[time], vis.phase_centre_rad)
        change = (uvw_at(vis, 40.0) - uvw_at(vis, -40.0))[rows] @ beside * 1.4e9 / skies.C_M_S
        within, along = fringes.turns(vis.uvw_m[rows], lmn[:, None], time, 1.4e9)
        assert np.abs(change).max() > 0.08
        assert within[:, 0] == pytest.approx(change, abs=1e-4)
        assert along[:, 0] == pytest.approx(vis.uvw_m[rows] @ beside / skies.C_M_S * vis.channel_width_hz, abs=1e-9)


def test_three_places_stand_for_integration_and_channel():
    vis = skies.empty(**SIZE)
    lmn = np.array(skies.cosines(*skies.offset(vis, -0.9, 0.5), vis.phase_centre_rad))[:, None]
    places = np.random.default_rng(4).normal(0, 90, (24, 3))
    fringes, one, two = SmearingPhases(vis), *np.triu_indices(24, 1)
    nodes = [node[:, 0] for node in fringes.quadrature(places, lmn, 2, 1.4e9)]
    mean = sum(node[one] * node[two].conj() for node in nodes) / 3
    within, along = fringes.turns(places[one] - places[two], lmn, 2, 1.4e9)
    exact = (np.sinc(within) * np.sinc(along))[:, 0]
    assert exact.min() < 0.97
    assert np.abs(mean.real - exact).max() < 0.0005
    assert np.abs(mean - exact).max() < 0.01


def test_the_coherence_of_an_image_is_the_mean_of_its_samples():
    vis = skies.empty(**SIZE)
    grid = TileGrid(512, np.radians(20 / 3600), tuple(vis.phase_centre_rad))
    place = skies.offset(vis, 0.9, -0.7)
    add_smeared_source(vis, *place, 1.0, index=0.0, beam=False)
    clear = skies.empty(**SIZE)
    skies.add_source(clear, *place, 1.0)
    samples = stokes_i(vis)
    weight = samples.weight * np.random.default_rng(1).uniform(0.2, 1, samples.weight.shape).astype(np.float32)
    left = float((weight * (samples.vis * stokes_i(clear).vis.conj()).real).sum() / weight.sum())
    assert left < 0.99
    found = measure_smearing(vis, samples, weight, grid)
    east, north, _ = skies.cosines(*place, vis.phase_centre_rad)
    assert float(found.at(east, north)) == pytest.approx(left, abs=3e-4)
    assert left < float(found.at(0.0, 0.0)) < 1


@pytest.fixture(scope="module")
def smeared(tmp_path_factory):
    """Return a smeared field of one very bright and some other sources, and its images with and without the remedy."""
    sky = [(0.8, 0.5, 20.0, -0.7), (-0.9, -0.6, 1.5, -0.7), (0.4, -1.0, 1.2, -0.7), (-0.2, 0.3, 0.8, -0.7)]
    vis = skies.empty(**SIZE)
    for east, north, flux, index in sky:
        add_smeared_source(vis, *skies.offset(vis, east, north), flux, index=index)
    skies.add_noise(vis, 0.15)
    paths = tile(tmp_path_factory.mktemp("smeared"), vis)
    made = {}
    for wanted in (True, False, None):
        there = (*paths[:2], paths[2].with_name(str(wanted)), paths[3].with_name(f"{wanted}.json"))
        made[wanted] = there, run(there, OPTIONS.model_copy(update={"smearing": wanted, "size_px": 480}))
    return vis, sky, made


def test_smeared_sources_are_subtracted(smeared):
    _, _, made = smeared
    assert made[False][1].qa["noise_ratio"] > 2
    assert made[True][1].qa["noise_ratio"] < 1.1


def test_fluxes_of_smeared_sources_are_true(smeared):
    vis, sky, made = smeared
    errors = {}
    for wanted in (True, False):
        facts = made[wanted][1].facts
        rows = []
        for east, north, flux, index in sky:
            ra, dec = np.degrees(skies.offset(vis, east, north))
            for one in facts["bright_sources"]:
                if np.hypot((one["ra_deg"] - ra) * np.cos(np.radians(dec)), one["dec_deg"] - dec) < 0.01:
                    rows.append(one["flux_jy"] / (flux * (facts["freq_hz"] / 1.405e9) ** index) - 1)
        errors[wanted] = rows
    assert errors[False][0] < -0.005
    assert abs(errors[True][0]) < 0.001
    pbcor, head = plane(made[True][0], "pbcor")
    assert np.nanmax(pbcor) == pytest.approx(20.0 * (head["FREQ"] / 1.405e9) ** -0.7, rel=0.003)


def test_simulated_tiles_are_taken_for_clear_unless_they_say_otherwise(smeared):
    _, _, made = smeared
    assert not made[None][1].facts["smearing"]["corrected"]
    assert made[True][1].facts["smearing"]["corrected"]
    assert made[None][1].qa == made[False][1].qa
