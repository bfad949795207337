"""The independent route from the correlator's files to phased visibilities: pyuvdata."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def read_with_pyuvdata(files: Sequence[Path], centre_rad: Sequence[float]):
    """Return a `UVData` of the files, phased to an ICRS centre, ascending, ant1 < ant2."""
    import astropy_iers_data
    from astropy.utils import iers
    from pyuvdata import UVData

    parts = []
    with warnings.catch_warnings(), iers.conf.set_temp("auto_download", False):
        warnings.simplefilter("ignore")  # pyuvdata says at length what it misses in these files
        for path in sorted(files, key=lambda path: path.name[-7:]):
            uv = UVData()
            uv.read(path, file_type="uvh5", run_check=False)
            uv.uvw_array = uv.uvw_array.astype(np.float64)
            lat, dec = uv.telescope.location.lat.rad, float(uv.extra_keywords["phase_center_dec"])
            meridian = uv._add_phase_center(
                "meridian", cat_type="driftscan", cat_frame="altaz",
                cat_lon=np.pi if dec < lat else 0.0, cat_lat=np.pi / 2 - abs(lat - dec),
            )  # fmt: skip
            uv.phase_center_id_array[:] = meridian
            uv._clear_unused_phase_centers()
            uv._set_app_coords_helper()
            uv.set_uvws_from_antenna_positions(update_vis=False)
            parts.append(uv)
        uv = parts[0]
        if len(parts) > 1:
            uv.fast_concat(parts[1:], "freq", inplace=True, run_check=False)
        with iers.earth_orientation_table.set(iers.IERS_A.open(astropy_iers_data.IERS_A_FILE)):
            lon, lat = centre_rad
            uv.phase(lon=lon, lat=lat, phase_frame="icrs", epoch=2000.0, cat_name="centre")
        uv.reorder_freqs(channel_order="freq")
        uv.conjugate_bls("ant1<ant2")
    return uv
