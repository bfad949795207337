"""Sources in world coordinates, as the tables hold them."""

import csv

import numpy as np
import pytest
from astropy.wcs import WCS

from contimg.crossmatch.source_finder import Component
from contimg.crossmatch.sources import Source, _as_source, find_sources, pixel_area, rounded, write_sources
from contimg.mosaic.grid import MosaicGrid
from tests.support.beams import beam, correlated_noise

SIZE, CELL_DEG = 2001, 0.002
BEAM = beam(36, 28, 30)


@pytest.fixture
def wcs():
    grid = WCS(naxis=2)
    grid.wcs.ctype, grid.wcs.crval = ["RA---TAN", "DEC--TAN"], [0.5, 20.0]
    grid.wcs.cdelt, grid.wcs.crpix = [-CELL_DEG, CELL_DEG], [1001, 1001]
    return grid


def component(wcs, ra_deg=0.5, dec_deg=20.0, **change):
    x, y = (float(v) for v in wcs.all_world2pix(ra_deg, dec_deg, 0))
    said = dict(
        x=x, y=y, place_covariance=np.diag([0.04, 0.09]), peak_jy=1.5, e_peak_jy=0.1, total_jy=2.0, e_total_jy=0.2,
        shape=np.diag([9.0, 16.0]), rms_jy=0.015, alone=True, resolved=True, compactness=0.75,
    )  # fmt: skip
    return Component(**(said | change))


def test_units_of_a_source(wcs):
    found = _as_source(component(wcs), wcs, BEAM)
    # Pixels of 7.2 arcsec; FWHM 2.3548 sigma; the longer axis is north-south.
    assert (found.e_ra_arcsec, found.e_dec_arcsec) == (pytest.approx(0.2 * 7.2), pytest.approx(0.3 * 7.2))
    assert (found.bmaj_arcsec, found.bmin_arcsec) == (
        pytest.approx(4 * 7.2 * 2.35482),
        pytest.approx(3 * 7.2 * 2.35482),
    )
    assert found.bpa_deg % 180 == pytest.approx(0, abs=1e-6)
    assert found.local_rms_jy_beam == 0.015 and found.snr == pytest.approx(100)
    assert (found.total_flux_jy, found.e_total_flux_jy) == (pytest.approx(2.0, rel=1e-6), pytest.approx(0.2, rel=1e-6))
    assert (found.peak_flux_jy_beam, found.code, found.gaussians) == (1.5, "S", 1) and found.compactness == 0.75
    assert _as_source(component(wcs, alone=False), wcs, BEAM).code == "C"


def test_a_source_that_is_not_resolved_has_the_beams_size_and_its_peak_as_flux(wcs):
    point = component(wcs, dec_deg=21.9, resolved=False, total_jy=1.5, e_total_jy=0.1)
    found = _as_source(point, wcs, BEAM)
    assert (found.bmaj_arcsec, found.bmin_arcsec, found.bpa_deg) == pytest.approx((36, 28, 30))
    assert (found.total_flux_jy, found.e_total_flux_jy) == (1.5, 0.1)


def test_errors_are_turned_with_the_pixels():
    # 20 deg of right ascension from the centre at declination 60, north is turned by 20 sin 60 = 17.3 deg.
    grid = MosaicGrid((100.0, 60.0), CELL_DEG, (1001, 1001), (SIZE, SIZE)).wcs()
    found = _as_source(component(grid, 120.0, 60.0, place_covariance=np.diag([0.04, 0.36])), grid, BEAM)
    turn = np.radians(20 * np.sin(np.radians(60)))
    along_x, along_y = 0.2 * 7.2, 0.6 * 7.2
    assert found.e_ra_arcsec == pytest.approx(np.hypot(along_x * np.cos(turn), along_y * np.sin(turn)), rel=1e-3)
    assert found.e_dec_arcsec == pytest.approx(np.hypot(along_x * np.sin(turn), along_y * np.cos(turn)), rel=1e-3)


@pytest.mark.parametrize("offset_deg", [0.5, 1.0, 1.9])
def test_total_flux_is_of_pixels_that_shrink_as_cos_cubed(wcs, offset_deg):
    found = _as_source(component(wcs, dec_deg=20.0 + offset_deg), wcs, BEAM)
    assert found.total_flux_jy / 2.0 == pytest.approx(np.cos(np.radians(offset_deg)) ** 3, rel=1e-6)
    assert found.e_total_flux_jy / 0.2 == pytest.approx(np.cos(np.radians(offset_deg)) ** 3, rel=1e-6)


@pytest.mark.parametrize("dec", [0.0, 30.0, 80.0])
def test_pixels_of_a_mosaic_have_one_area(dec):
    grid = MosaicGrid((0.5, dec), CELL_DEG, (1001, 1001), (SIZE, SIZE)).wcs()
    assert [pixel_area(grid, x, y) for x, y in ((1000, 1000), (0, 0), (2000, 300))] == pytest.approx(
        [1, 1, 1], rel=1e-5
    )


def test_right_ascension_is_positive(wcs):
    assert _as_source(component(wcs, -0.25), wcs, BEAM).ra_deg == pytest.approx(359.75)


def test_sources_are_found_where_they_are_and_numbered_by_peak():
    grid = MosaicGrid((359.9, 30.0), CELL_DEG, (101, 81), (160, 200)).wcs()
    truth = [(0.05, 30.02, 0.05), (359.8, 29.95, 0.5), (359.95, 30.1, 0.2)]
    data = 1e-3 * correlated_noise((160, 200), 36 / 7.2 / 2.35482, 3)
    y, x = np.mgrid[:160, :200]
    for ra, dec, flux in truth:
        px, py = grid.all_world2pix(ra, dec, 0)
        data += flux * np.exp(-4 * np.log(2) * ((x - px) ** 2 + (y - py) ** 2) / 5.0**2)
    found = find_sources(data, np.full(data.shape, 1e-3), grid, beam(36, 36, 0))
    assert [source.source for source in found] == [1, 2, 3]
    for source, (ra, dec, flux) in zip(found, (truth[1], truth[2], truth[0]), strict=True):
        assert abs(source.total_flux_jy - flux) < 4 * source.e_total_flux_jy
        assert abs((source.ra_deg - ra + 180) % 360 - 180) * 3600 * np.cos(np.radians(30)) < 4 * source.e_ra_arcsec
        assert abs(source.dec_deg - dec) * 3600 < 4 * source.e_dec_arcsec


def test_numbers_are_written_with_nine_digits(tmp_path, wcs):
    assert rounded(123.4567890123) == "123.456789" and rounded(1e-7 / 3) == "3.33333333e-08"
    assert (rounded(3), rounded("S"), rounded(float("nan"))) == (3, "S", "nan")
    source = _as_source(component(wcs, 0.5, 20.123456789), wcs, BEAM)
    write_sources(tmp_path / "s.csv", [source])
    (row,) = csv.DictReader((tmp_path / "s.csv").read_text().splitlines())
    assert list(row) == list(Source.__dataclass_fields__)
    assert float(row["dec_deg"]) == pytest.approx(20.123456789, abs=1e-7)  # 0.4 mas
    write_sources(tmp_path / "s.csv", [])
    assert (tmp_path / "s.csv").read_text().splitlines() == [",".join(row)]
