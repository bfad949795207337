"""Small nights, and outside tools (pyuvdata, scipy) to judge them with."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import simpson
from scipy.special import j0

from contimg.simulate import GainErrors, NightOptions, simulate_night

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def small_night(tmp_path_factory):
    """Two tiles with every kind of fault, gain error and noise."""
    options = NightOptions(
        tiles=2,
        antennas=8,
        channels=4,
        integrations=4,
        sources=5,
        seed=7,
        rfi=((4, "line"), (9, "broad")),
        restarts=(1,),
        missing=((0, 1),),
        late=((0, 2),),
        corrupt=(
            (1, 0, "truncated"),
            (1, 1, "zero_byte"),
            (1, 2, "zeros"),
            (1, 3, "nan"),
            (1, 5, "incomplete"),
            (1, 6, "leftover"),
            (1, 7, "wrong_band"),
            (1, 8, "wrong_time"),
        ),
    )
    return simulate_night(tmp_path_factory.mktemp("small") / "night", options)


@pytest.fixture(scope="session")
def one_source_night(tmp_path_factory):
    """One 10 Jy source on the meridian at the middle of the only tile; no noise, perfect antennas."""
    options = NightOptions(
        tiles=1,
        antennas=10,
        channels=4,
        declination_deg=54.57,
        sources=0,
        noise=False,
        gains=GainErrors.none(),
    )
    return simulate_night(tmp_path_factory.mktemp("one") / "night", options)


def file_of(record, tile: int, subband: int) -> Path:
    """Return the file of one tile and subband."""
    return next(file.path for file in record.files if (file.tile, file.subband) == (tile, subband))


@pytest.fixture
def subband_file():
    return file_of


@pytest.fixture
def open_with_pyuvdata():
    """Return a function that reads a file with pyuvdata, which computes phase centre and (u, v, w) itself."""

    def read(path):
        from pyuvdata import UVData

        uv = UVData()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            uv.read(path, file_type="uvh5", run_check=False)
            uv.uvw_array = uv.uvw_array.astype(np.float64)
            lat, dec = uv.telescope.location.lat.rad, float(uv.extra_keywords["phase_center_dec"])
            centre = uv._add_phase_center(
                "meridian",
                cat_type="driftscan",
                cat_frame="altaz",
                cat_lon=np.pi if dec < lat else 0.0,
                cat_lat=np.pi / 2 - abs(lat - dec),
            )
            uv.phase_center_id_array[:] = centre
            uv._clear_unused_phase_centers()
            uv._set_app_coords_helper()
            uv.set_uvws_from_antenna_positions(update_vis=False)
            uv.check(strict_uvw_antpos_check=True)
        return uv

    return read


@pytest.fixture
def aperture_beam():
    """Return the power beam by numerical integration over the illuminated annulus, without a formula of it."""

    def beam(offset_rad, frequency_hz, dish_m=4.65, blockage_m=0.4064):
        radius = np.linspace(blockage_m / 2, dish_m / 2, 201)
        k = 2 * np.pi * frequency_hz / 299792458.0
        waves = j0(k * np.sin(np.asarray(offset_rad))[..., None] * radius)
        return (simpson(waves * radius, x=radius) / simpson(radius, x=radius)) ** 2

    return beam


@pytest.fixture
def offset_from_axis():
    """Return a source's angle from the beam axis at each row of a UVData, by pyuvdata's apparent places."""

    def offset(uv, ra_deg, dec_deg):
        from pyuvdata.utils.phasing import calc_app_coords

        app_ra, app_dec = calc_app_coords(
            lon_coord=np.radians(ra_deg),
            lat_coord=np.radians(dec_deg),
            coord_frame="icrs",
            time_array=uv.time_array,
            lst_array=uv.lst_array,
            telescope_loc=uv.telescope.location,
        )
        pointing = float(uv.extra_keywords["phase_center_dec"])
        haversine = (
            np.sin((app_dec - pointing) / 2) ** 2
            + np.cos(app_dec) * np.cos(pointing) * np.sin((uv.lst_array - app_ra) / 2) ** 2
        )
        return 2 * np.arcsin(np.sqrt(haversine))

    return offset
