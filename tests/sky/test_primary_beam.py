"""A primary beam that is off the pointing and wider than nominal, against closed forms and a cube of the same beam."""

import math

import numpy as np
import pytest

from contimg.config import BeamOptions, CalibrationOptions
from contimg.imaging.effective_beam import effective_beam
from contimg.imaging.grid import TileGrid
from contimg.sky.calibrator_lists import load
from contimg.sky.predict import attenuation
from contimg.sky.primary_beam import airy_response, beam_axes, measured_beam
from contimg.sky.spherical import separation, unit_vectors
from contimg.sky.transits import DriftScan, passages
from tests.sky.test_beam_cube import write
from tests.support import skies

OFFSET_DEG, WIDTH = (0.09, -0.125), 1.1
ODD = BeamOptions(offset_deg=list(OFFSET_DEG), fwhm_scale=WIDTH)


@pytest.mark.parametrize("dec_deg", [-30.0, 0.0, 54.6, 80.0])
def test_the_axis_is_off_by_the_angle_in_the_direction_given(dec_deg):
    pointing = np.radians([[10.0, dec_deg], [200.0, dec_deg]])
    axes = beam_axes(pointing, ODD)
    ra, dec = np.arctan2(axes[:, 1], axes[:, 0]), np.arcsin(axes[:, 2])
    angle = separation(ra, dec, *pointing.T)
    assert np.degrees(angle) == pytest.approx(math.hypot(*OFFSET_DEG), abs=1e-12)
    position = np.arctan2(  # from north to east, Smart, Spherical Astronomy, section 9
        np.cos(dec) * np.sin(ra - pointing[:, 0]),
        np.sin(dec) * np.cos(pointing[:, 1]) - np.cos(dec) * np.sin(pointing[:, 1]) * np.cos(ra - pointing[:, 0]),
    )
    assert position == pytest.approx(math.atan2(*OFFSET_DEG), abs=1e-12)


def test_without_an_offset_the_axis_is_the_pointing():
    pointing = np.radians([[10.0, 33.0]])
    ra, dec = pointing[0]
    expected = [[math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)]]
    assert np.array_equal(beam_axes(pointing, BeamOptions()), np.array(expected))


def test_the_width_at_half_power_scales():
    narrow, wide = (np.linspace(0, 0.06, 60001) * scale for scale in (1.0, WIDTH))
    half = narrow[np.abs(airy_response(narrow, 1.4e9, BeamOptions()) - 0.5).argmin()]
    assert wide[np.abs(airy_response(wide, 1.4e9, ODD) - 0.5).argmin()] == pytest.approx(WIDTH * half, rel=1e-4)


def test_sources_are_attenuated_by_the_beam_where_it_is():
    vis = skies.empty(times=8, channels=6, ra_deg=0.2, dec_deg=54.6)
    ra, dec = skies.offset(vis, np.array([0.0, 0.7, -1.9]), np.array([0.0, -1.1, 0.8]))
    axes = beam_axes(vis.pointing_rad, ODD)
    angle = skies.distance(ra[:, None], dec[:, None], np.arctan2(axes[:, 1], axes[:, 0]), np.arcsin(axes[:, 2]))
    assert np.abs(attenuation(vis, ra, dec, ODD) - skies.airy(angle[:, :, None] / WIDTH, vis.freq_hz)).max() < 1e-12


def test_the_effective_beam_is_that_of_a_cube_of_the_same_beam(tmp_path):
    vis = skies.empty(times=12, channels=8, ra_deg=150.0, dec_deg=16.0)
    grid, weights = TileGrid(300, math.radians(1 / 60), tuple(vis.phase_centre_rad)), np.ones((12, 8))
    cube = write(tmp_path / "beam.fits", squint_deg=OFFSET_DEG)
    odd = effective_beam(vis.pointing_rad, weights, vis.freq_hz, grid, BeamOptions(offset_deg=list(OFFSET_DEG)))
    assert np.abs(odd.image() - effective_beam(vis.pointing_rad, weights, vis.freq_hz, grid, cube).image()).max() < 1e-4
    assert np.degrees(odd.peak()) == pytest.approx(OFFSET_DEG, abs=0.001)


def test_a_cube_is_moved_and_widened_like_the_pattern(tmp_path):
    vis = skies.empty(times=6, channels=8, ra_deg=150.0, dec_deg=16.0)
    grid, weights = TileGrid(300, math.radians(1 / 60), tuple(vis.phase_centre_rad)), np.ones((6, 8))
    cube = write(tmp_path / "beam.fits").model_copy(update={"offset_deg": list(OFFSET_DEG), "fwhm_scale": WIDTH})
    images = [effective_beam(vis.pointing_rad, weights, vis.freq_hz, grid, beam).image() for beam in (cube, ODD)]
    assert np.abs(images[0] - images[1]).max() < 1e-4
    ra, dec = skies.offset(vis, np.array([0.0, 0.7, -1.9]), np.array([0.0, -1.1, 0.8]))
    assert np.abs(attenuation(vis, ra, dec, cube) - attenuation(vis, ra, dec, ODD)).max() < 1e-4


def test_a_calibrator_crosses_the_beam_where_it_is():
    scan = DriftScan(math.radians(30.5), 61082.0, 61083.0, math.radians(-118.28), math.radians(37.23))
    found = {}
    for name, beam in (("nominal", BeamOptions()), ("north", BeamOptions(offset_deg=[0.0, 0.4]))):
        known = load(CalibrationOptions().calibrators)
        found[name] = {one.name: one for one in passages(known, scan, beam, CalibrationOptions())}["3C286"]
    offset = found["nominal"].offset_deg
    assert found["north"].beam_response == pytest.approx(
        float(airy_response(math.radians(abs(offset - 0.4)), 1.405e9, BeamOptions())), abs=1e-12
    )


@pytest.mark.parametrize(
    ("asked", "facts", "offset", "width"),
    [
        ({}, {"primary_beam": {"offset_deg": [0.1, 0.2], "fwhm_scale": 1.2}}, (0.0, 0.0), 1.0),
        ({"offset_deg": "auto"}, {"primary_beam": {"offset_deg": [0.1, 0.2], "fwhm_scale": 1.2}}, (0.1, 0.2), 1.0),
        ({"fwhm_scale": "auto"}, {"primary_beam": {"offset_deg": [0.1, 0.2], "fwhm_scale": 1.2}}, (0.0, 0.0), 1.2),
        ({"offset_deg": "auto", "fwhm_scale": 0.9}, {"primary_beam": {"problem": "too few"}}, (0.0, 0.0), 0.9),
        ({"offset_deg": "auto", "fwhm_scale": "auto"}, {}, (0.0, 0.0), 1.0),
    ],
)
def test_what_a_calibration_measured_stands_for_auto_and_for_nothing_else(asked, facts, offset, width):
    beam = measured_beam(BeamOptions(**asked), facts)
    assert beam.measures == (False, False)
    assert (beam.offset, beam.width) == (offset, width)


def test_until_it_is_measured_auto_is_the_nominal_beam():
    pointing, auto = np.radians([[10.0, 33.0]]), BeamOptions(offset_deg="auto", fwhm_scale="auto")
    np.testing.assert_array_equal(beam_axes(pointing, auto), beam_axes(pointing, BeamOptions()))
    assert airy_response(0.02, 1.4e9, auto) == airy_response(0.02, 1.4e9, BeamOptions())


@pytest.mark.parametrize("away_deg", [1.0, 5.0, 40.0, 85.0])
def test_a_beam_interpolated_over_768_channels_is_that_of_each(away_deg):
    vis = skies.empty(antennas=2, times=2, channels=768, ra_deg=150.0, dec_deg=0.0)
    ra, dec = vis.pointing_rad[0] + np.radians([0.0, away_deg])
    seen = attenuation(vis, [ra], [dec], BeamOptions())
    angle = np.arccos(np.clip((unit_vectors(np.array([ra, dec])) * unit_vectors(vis.pointing_rad)).sum(-1), -1, 1))
    exact = airy_response(angle[None, :, None], vis.freq_hz[None, None, :], BeamOptions())
    assert np.abs(seen - exact).max() < 1e-10
