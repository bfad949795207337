"""The table of fluxes in tiles: what it holds, and that it is read back as it was."""

import csv

import numpy as np
import pytest

from contimg.config import BeamOptions
from contimg.mosaic.tile_fluxes import COLUMNS, read_tile_fluxes, write_tile_fluxes
from contimg.sky.beam_fit import TileFluxes

USED = BeamOptions(offset_deg=[0.05, -0.1], fwhm_scale=1.1)


def tile(name="2026-02-11T00:26:49", centre_ra_deg=359.9, **changes):
    given = {
        "tile": name, "start_mjd": 61082.0187, "end_mjd": 61082.0223, "freq_hz": 1.405e9,
        "centre_deg": (centre_ra_deg, 54.6),
        "bandwidth_hz": 187.5e6, "beam_arcsec": 45.25, "ra_deg": np.array([0.4, 359.9]),
        "dec_deg": np.array([54.6, 55.6]), "flux_jy": np.array([0.5, 1.25]), "e_flux_jy": np.array([0.001, 0.002]),
        "divided_by": USED,
    }  # fmt: skip
    return TileFluxes(**(given | changes))


def test_it_is_read_back(tmp_path):
    tiles = [tile(), tile("2026-02-11T00:31:58", 1.2, divided_by=BeamOptions())]
    write_tile_fluxes(tmp_path / "t.csv", tiles)
    found = read_tile_fluxes(tmp_path / "t.csv", BeamOptions(dish_diameter_m=5.0))
    assert [one.tile for one in found] == [one.tile for one in tiles]
    for one, other in zip(found, tiles, strict=True):
        for key in ("start_mjd", "end_mjd", "centre_deg", "freq_hz", "bandwidth_hz", "beam_arcsec"):
            assert getattr(one, key) == getattr(other, key)
        for key in ("ra_deg", "dec_deg", "flux_jy", "e_flux_jy"):
            np.testing.assert_allclose(getattr(one, key), getattr(other, key), atol=1e-7)
        assert (one.divided_by.offset, one.divided_by.width) == (other.divided_by.offset, other.divided_by.width)
        assert one.divided_by.dish_diameter_m == 5.0  # the dish is the configuration's


def test_offsets_are_from_the_middle_of_the_tile_and_across_right_ascension_0(tmp_path):
    write_tile_fluxes(tmp_path / "t.csv", [tile()])
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    # Half a degree of right ascension at this declination; a degree north is tan(1 deg) in a tangential plane.
    assert float(rows[0]["east_deg"]) == pytest.approx(0.5 * np.cos(np.radians(54.6)), abs=1e-4)
    assert float(rows[0]["north_deg"]) == pytest.approx(0, abs=3e-3)
    assert float(rows[1]["east_deg"]) == pytest.approx(0, abs=1e-9)
    assert float(rows[1]["north_deg"]) == pytest.approx(np.degrees(np.tan(np.radians(1))), abs=1e-5)


def test_a_group_without_sources_has_an_empty_table(tmp_path):
    nothing = {key: np.array([]) for key in ("ra_deg", "dec_deg", "flux_jy", "e_flux_jy")}
    write_tile_fluxes(tmp_path / "t.csv", [tile(**nothing)])
    assert (tmp_path / "t.csv").read_text() == ",".join(COLUMNS) + "\n"
    assert read_tile_fluxes(tmp_path / "t.csv", BeamOptions()) == []
