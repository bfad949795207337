"""A user's beam cube: sampled from the Airy pattern it gives the Airy results; wrong ones are one sentence."""

import math

import numpy as np
import pytest
from astropy.io import fits

from contimg.config import BeamOptions
from contimg.errors import InputError
from contimg.imaging.effective_beam import effective_beam
from contimg.imaging.grid import TileGrid
from contimg.sky.beam_cube import read_cube
from contimg.sky.predict import attenuation
from tests.support import skies

STEP_DEG, HALF, FREQ_HZ = 0.1, 50, np.linspace(1.30e9, 1.51e9, 12)


def write(path, *, squint_deg=(0.0, 0.0), scale=1.0, unit="deg", **cards):
    """Write the Airy power, shifted by a squint towards east and north, on a raster of 0.1 deg out to 5 deg."""
    east, north = np.meshgrid(np.arange(-HALF, HALF + 1) * STEP_DEG, np.arange(-HALF, HALF + 1) * STEP_DEG)
    sine = np.hypot(east - squint_deg[0], north - squint_deg[1]) * math.pi / 180
    cube = np.array([skies.airy(np.arcsin(sine), freq) for freq in FREQ_HZ]) * scale
    head = fits.Header()
    per_unit = {"deg": 1.0, "rad": math.pi / 180}.get(unit, 1.0)
    for axis in (1, 2):
        head[f"CRPIX{axis}"], head[f"CRVAL{axis}"], head[f"CDELT{axis}"] = HALF + 1, 0.0, STEP_DEG * per_unit
        head[f"CUNIT{axis}"] = unit
    head["CTYPE3"], head["CUNIT3"], head["CRPIX3"] = "FREQ", "MHz", 1
    head["CRVAL3"], head["CDELT3"] = FREQ_HZ[0] / 1e6, (FREQ_HZ[1] - FREQ_HZ[0]) / 1e6
    for key, value in cards.items():
        head[key] = value
    fits.writeto(path, cube.astype(np.float32), head, overwrite=True)
    return BeamOptions(cube=str(path))


@pytest.mark.parametrize("unit", ["deg", "rad"])
def test_a_cube_of_the_airy_pattern_gives_the_airy_result(tmp_path, unit):
    options = write(tmp_path / "beam.fits", unit=unit)
    vis = skies.empty(times=12, channels=16, ra_deg=0.2, dec_deg=54.6)
    grid = TileGrid(300, math.radians(1 / 60), tuple(vis.phase_centre_rad))
    weights = np.random.default_rng(3).uniform(0.2, 1, (12, 16))
    airy = effective_beam(vis.pointing_rad, weights, vis.freq_hz, grid, BeamOptions())
    cube = effective_beam(vis.pointing_rad, weights, vis.freq_hz, grid, options)
    assert np.abs(cube.image() - airy.image()).max() < 2e-5
    ra, dec = skies.offset(vis, np.array([0.0, 0.7, -1.9, 3.0]), np.array([0.0, -1.1, 0.8, 0.5]))
    assert np.abs(attenuation(vis, ra, dec, options) - attenuation(vis, ra, dec, BeamOptions())).max() < 2e-5


def test_east_and_north_of_the_cube_are_those_of_the_sky(tmp_path):
    options = write(tmp_path / "beam.fits", squint_deg=(0.05, 0.1))
    vis = skies.empty(times=12, channels=8, ra_deg=150.0, dec_deg=16.0)
    grid = TileGrid(300, math.radians(1 / 60), tuple(vis.phase_centre_rad))
    beam = effective_beam(vis.pointing_rad, np.ones((12, 8)), vis.freq_hz, grid, options)
    assert np.degrees(beam.peak()) == pytest.approx([0.05, 0.1], abs=0.001)


def test_beyond_the_raster_and_behind_the_dish_there_is_nothing(tmp_path):
    write(tmp_path / "beam.fits")
    cube = read_cube(tmp_path / "beam.fits")
    assert cube.power(math.radians(5.2), 0.0, 1.4e9) == 0
    axis = np.array([1.0, 0, 0])
    assert cube.response(np.array([[-1.0, 0, 0], [1, 0, 0]]), axis, [1.4e9])[:, 0] == pytest.approx([0, 1], abs=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"CTYPE3": "STOKES"}, "axis 3 is 'STOKES', not FREQ"),
        ({"CUNIT3": "m"}, "CUNIT3 is 'm'"),
        ({"unit": "arcmin"}, "CUNIT1 is 'arcmin'"),
        ({"CDELT2": 0.0}, "CDELT2 is 0"),
        ({"scale": 0.8}, "is 0.8 on the axis"),
        ({"squint_deg": (0.8, 0.0)}, "on the axis, not 1"),
        ({"scale": -1.0}, "negative values"),
    ],
)
def test_what_is_no_power_beam_is_one_sentence(tmp_path, wrong, message):
    write(tmp_path / "beam.fits", **wrong)
    with pytest.raises(InputError, match=message) as caught:
        read_cube(tmp_path / "beam.fits")
    assert "\n" not in str(caught.value)


def test_missing_or_flat_or_no_fits_or_of_another_band(tmp_path):
    with pytest.raises(InputError, match="does not exist: correct"):
        read_cube(tmp_path / "none.fits")
    (tmp_path / "text.fits").write_text("no fits")
    with pytest.raises(InputError, match="not a FITS file"):
        read_cube(tmp_path / "text.fits")
    fits.writeto(tmp_path / "flat.fits", np.ones((20, 20), np.float32))
    with pytest.raises(InputError, match="20 x 20, not east x north x frequency"):
        read_cube(tmp_path / "flat.fits")
    options = write(tmp_path / "low.fits", CRVAL3=900.0)
    vis = skies.empty(times=2, channels=4)
    with pytest.raises(InputError, match=r"covers 900\.0 to 1110\.0 MHz"):
        attenuation(vis, 0.1, 0.2, options)
