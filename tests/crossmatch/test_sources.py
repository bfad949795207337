"""Sources as the tables hold them, and what PyBDSF's numbers become."""

import csv
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.wcs import WCS

from contimg.crossmatch.sources import Source, _as_source, _quiet, pixel_area, rounded, write_sources
from contimg.mosaic.grid import MosaicGrid

SIZE, CELL_DEG = 2001, 0.002


@pytest.fixture
def wcs():
    grid = WCS(naxis=2)
    grid.wcs.ctype, grid.wcs.crval = ["RA---TAN", "DEC--TAN"], [0.5, 20.0]
    grid.wcs.cdelt, grid.wcs.crpix = [-CELL_DEG, CELL_DEG], [1001, 1001]
    return grid


def item(ra_deg, dec_deg, **change):
    """Return what PyBDSF says of a source: fluxes in Jy, sizes and errors in degrees."""
    said = {
        "posn_sky_centroid": (ra_deg, dec_deg), "posn_sky_centroidE": (1 / 3600, 2 / 3600), "total_flux": 2.0,
        "total_fluxE": 0.2, "peak_flux_max": 1.5, "peak_flux_maxE": 0.1, "size_sky": (0.01, 0.005, 30.0),
        "rms_isl": 0.3, "code": "M", "gaussians": [1, 2, 3],
    }  # fmt: skip
    return SimpleNamespace(**(said | change))


def rms():
    return np.full((SIZE, SIZE), 0.01, np.float32)


def test_units_of_a_source(wcs):
    noise = rms()
    noise[1000, 1000] = 0.015
    found = _as_source(item(0.5, 20.0), noise, wcs)
    assert (found.e_ra_arcsec, found.e_dec_arcsec, found.bmaj_arcsec, found.bmin_arcsec, found.bpa_deg) == (
        pytest.approx(1), pytest.approx(2), pytest.approx(36), pytest.approx(18), 30.0
    )  # fmt: skip
    assert found.local_rms_jy_beam == pytest.approx(0.015) and found.snr == pytest.approx(100)
    assert (found.total_flux_jy, found.e_total_flux_jy) == (pytest.approx(2.0), pytest.approx(0.2))
    assert (found.peak_flux_jy_beam, found.code, found.gaussians) == (1.5, "M", 3)


@pytest.mark.parametrize("offset_deg", [0.5, 1.0, 1.9])
def test_total_flux_is_of_pixels_that_shrink_as_cos_cubed(wcs, offset_deg):
    found = _as_source(item(0.5, 20.0 + offset_deg), rms(), wcs)
    assert found.total_flux_jy / 2.0 == pytest.approx(np.cos(np.radians(offset_deg)) ** 3, rel=1e-6)
    assert found.e_total_flux_jy / 0.2 == pytest.approx(np.cos(np.radians(offset_deg)) ** 3, rel=1e-6)
    # The pixel's own solid angle, by the vectors to the middles of its sides.
    x, y = wcs.all_world2pix(0.5, 20.0 + offset_deg, 0)
    sides = [wcs.pixel_to_world(x + dx, y + dy) for dx, dy in ((-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5))]
    area = sides[0].separation(sides[1]).deg * sides[2].separation(sides[3]).deg / CELL_DEG**2
    assert found.total_flux_jy / 2.0 == pytest.approx(area, rel=1e-5)


@pytest.mark.parametrize("dec", [0.0, 30.0, 80.0])
def test_pixels_of_a_mosaic_have_one_area(dec):
    grid = MosaicGrid((0.5, dec), CELL_DEG, (1001, 1001), (SIZE, SIZE)).wcs()
    assert [pixel_area(grid, x, y) for x, y in ((1000, 1000), (0, 0), (2000, 300))] == pytest.approx(
        [1, 1, 1], rel=1e-5
    )


def test_right_ascension_is_positive(wcs):
    assert _as_source(item(-0.25, 20.0), rms(), wcs).ra_deg == pytest.approx(359.75)


def test_noise_beside_the_edge_is_that_of_the_island(wcs):
    noise = rms()
    noise[1000, 1000] = np.nan
    found = _as_source(item(0.5, 20.0), noise, wcs)
    assert found.local_rms_jy_beam == 0.3 and found.snr == pytest.approx(5)
    # A centroid outside the image is asked at its edge.
    noise = rms()
    noise[-1, :] = 0.02
    assert _as_source(item(0.5, 23.0), noise, wcs).local_rms_jy_beam == pytest.approx(0.02)


def test_numbers_are_written_with_nine_digits(tmp_path, wcs):
    assert rounded(123.4567890123) == "123.456789" and rounded(1e-7 / 3) == "3.33333333e-08"
    assert (rounded(3), rounded("S"), rounded(float("nan"))) == (3, "S", "nan")
    source = _as_source(item(0.5, 20.123456789), rms(), wcs)
    write_sources(tmp_path / "s.csv", [source])
    (row,) = csv.DictReader((tmp_path / "s.csv").read_text().splitlines())
    assert list(row) == list(Source.__dataclass_fields__)
    assert float(row["dec_deg"]) == pytest.approx(20.123456789, abs=1e-7)  # 0.4 mas
    write_sources(tmp_path / "s.csv", [])
    assert (tmp_path / "s.csv").read_text().splitlines() == [",".join(row)]


def test_logging_and_numpy_are_as_before(caplog):
    logger, before = logging.getLogger("PyBDSF"), (logging.root.manager.disable, np.geterr())
    level, kept = logger.level, list(logger.handlers)
    with pytest.raises(ValueError, match="as PyBDSF"), _quiet():
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.DEBUG)
        np.seterr(all="raise")
        logger.error("a message")
        raise ValueError("as PyBDSF")
    assert (logging.root.manager.disable, np.geterr()) == before
    assert (logger.level, logger.handlers) == (level, kept) and not caplog.records
