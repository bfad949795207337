"""Planes of products: valid FITS that astropy, cfitsio, CASA and spectral-cube read whole, plain or compressed."""

import hashlib
import time

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS

from contimg.products.fits_header import add_keywords
from contimg.products.fits_images import read_image
from contimg.products.fits_planes import image_hdu, write_plane
from tests.products.test_fits_header import OVRO_M, keywords
from tests.support.validators import assert_fitsverify

NOISE_JY = 1e-3
COMPRESSIONS = ["none", "lossless", "quantised"]


@pytest.fixture(scope="module")
def pixels():
    """Noise with blanks at the edge, a row of zeros and a bright pixel."""
    data = np.random.default_rng(3).normal(0, NOISE_JY, (60, 1000)).astype(np.float32)
    data[:10], data[20] = np.nan, 0
    data[40, 50] = 13.96
    return data


def header(**changes):
    head = fits.Header()
    for axis, kind, value, step in ((1, "RA---SIN", 202.78, -0.001), (2, "DEC--SIN", 30.51, 0.001)):
        head[f"CTYPE{axis}"], head[f"CRVAL{axis}"], head[f"CRPIX{axis}"] = kind, value, 30.0
        head[f"CDELT{axis}"], head[f"CUNIT{axis}"] = step, "deg"
    head["RADESYS"] = "ICRS"
    add_keywords(head, keywords(position_m=OVRO_M, **changes))
    return head


def written(path, pixels, compression="none", unit="Jy/beam"):
    write_plane(path, pixels, header(), "Intensity", unit, compression)
    return path


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_same_pixels_are_the_same_bytes_with_valid_checksums(tmp_path, pixels, compression, monkeypatch):
    """At any time: gzip has the time of making in its head."""
    digests = set()
    for name, now_s in (("a", 1.0e9), ("b", 1.7e9)):
        monkeypatch.setattr(time, "time", lambda now_s=now_s: now_s)
        digests.add(hashlib.sha256(written(tmp_path / name, pixels, compression).read_bytes()).hexdigest())
    assert len(digests) == 1
    with fits.open(tmp_path / "a", checksum=True, disable_image_compression=True) as hdus:
        hdus.verify("exception")
        assert [(hdu.verify_checksum(), hdu.verify_datasum()) for hdu in hdus[-1:]] == [(1, 1)]


@pytest.mark.parametrize(("compression", "error"), [("none", 0), ("lossless", 0), ("quantised", NOISE_JY / 16)])
def test_what_each_compression_keeps(tmp_path, pixels, compression, error):
    """All bits; or 1/16 of the noise, from medians of differences good to some per cent; blanks and zeros always."""
    image = read_image(written(tmp_path / "a.fits", pixels, compression), dtype=np.float32)
    assert np.array_equal(np.isnan(image.data), np.isnan(pixels))
    difference = np.abs(image.data - pixels)[10:]
    assert difference.max() <= error * 0.5 * 1.3 and not image.data[20].any()
    if error:
        # An even distribution over one step has a scatter of step / sqrt(12).
        assert np.delete(difference, 10, axis=0).std() > 0
        assert np.sqrt(np.mean(difference**2)) == pytest.approx(error / np.sqrt(12), rel=0.15)
    assert image.wcs.all_pix2world(29, 29, 0) == pytest.approx([202.78, 30.51])
    assert image.header["BUNIT"] == "Jy/beam" and image.header["CRVAL3"] == 1.405e9


def test_compression_makes_files_smaller(tmp_path):
    """A plane of which a fifth is blank: 4 bytes a pixel; the lossless one loses the blanks, RICE three quarters."""
    data = np.random.default_rng(5).normal(0, NOISE_JY, (400, 500)).astype(np.float32)
    data[:80] = np.nan
    sizes = [written(tmp_path / kind, data, kind).stat().st_size / data.nbytes for kind in COMPRESSIONS]
    assert sizes[0] > 1 and sizes[1] < 0.80 and sizes[2] < 0.25


def test_four_axes_in_astropy(tmp_path, pixels):
    """With the place of the array, so that astropy can turn the frequency into another frame; without a warning."""
    path = written(tmp_path / "a.fits", pixels)
    with fits.open(path) as hdus:
        assert hdus[0].shape == (1, 1, 60, 1000)
        wcs = WCS(hdus[0].header)
    assert list(wcs.wcs.ctype) == ["RA---SIN", "DEC--SIN", "FREQ", "STOKES"]
    sky, frequency, stokes = wcs.pixel_to_world(29, 29, 0, 0)
    assert (sky.ra.deg, sky.dec.deg) == pytest.approx((202.78, 30.51))
    assert frequency.to_value(u.Hz) == 1.405e9 and str(stokes.symbol) == "I"
    barycentric = frequency.with_observer_stationary_relative_to("icrs")
    # The Earth moves at 30 km/s, and turns at 0.4 km/s here.
    assert 0 < abs(barycentric.to_value(u.Hz) / 1.405e9 - 1) < 30.8 / 299792
    edges = wcs.sub([3]).all_pix2world([-0.5, 0.5], 0)[0]
    assert edges == pytest.approx([1.405e9 - 187.5e6 / 2, 1.405e9 + 187.5e6 / 2])


@pytest.mark.parametrize("unit", ["Jy/beam", "beam2.Jy-2", "Jy/pixel", "Hz", ""])
def test_units_are_those_of_the_standard(tmp_path, pixels, unit):
    """Those of all planes of tiles and mosaics: `tests/mosaic` and `tests/imaging` read them from real ones."""
    with fits.open(written(tmp_path / "a.fits", pixels, unit=unit)) as hdus:
        found = hdus[0].header.get("BUNIT", "")
    assert found == unit
    u.Unit(found, format="fits", parse_strict="raise")


@pytest.mark.filterwarnings("ignore")  # spectral-cube 0.7 uses names that astropy 8 calls outdated
def test_spectral_cube_reads_it_whole(tmp_path, pixels):
    from spectral_cube import SpectralCube

    cube = SpectralCube.read(written(tmp_path / "a.fits", pixels))
    assert cube.shape == (1, 60, 1000) and cube.unit == u.Jy / u.beam
    assert cube.spectral_axis.to_value(u.Hz).tolist() == [1.405e9]
    assert (cube.beam.major.to_value(u.deg), cube.beam.minor.to_value(u.deg)) == pytest.approx((0.02, 0.01))
    assert float(cube[0].value[40, 50]) == pytest.approx(13.96)


@pytest.mark.parametrize("unit", ["Jy/beam", "beam2.Jy-2"])
def test_casa_keeps_frequency_beam_unit_and_pixels(tmp_path, pixels, unit, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from contimg.calibration import casa

    path = written(tmp_path / "a.fits", pixels, unit=unit)
    with casa.tasks() as casatasks:
        casatasks.importfits(fitsimage=str(path), imagename="a.im")
        from casatools import image

        opened = image()
        opened.open("a.im")
        try:
            coordinates = opened.coordsys()
            assert coordinates.names() == ["Right Ascension", "Declination", "Frequency", "Stokes"]
            assert coordinates.referencevalue("n")["numeric"][2] == 1.405e9
            assert coordinates.increment("n")["numeric"][2] == 187.5e6
            assert coordinates.restfrequency()["value"][0] == 1.405e9
            assert coordinates.referencecode("spectral") == ["TOPO"] and coordinates.telescope() == "DSA-110"
            assert coordinates.stokes() == ["I"]
            assert opened.brightnessunit() == unit
            beam = opened.restoringbeam()
            assert [beam[axis]["value"] for axis in ("major", "minor")] == pytest.approx([72.0, 36.0])
            found, good = (np.squeeze(opened.getchunk(getmask=masks)).T for masks in (False, True))
            assert found[40, 50] == pytest.approx(13.96) and np.array_equal(good, np.isfinite(pixels))
        finally:
            opened.done()


@pytest.mark.fitsverify
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_fitsverify_finds_nothing(tmp_path, pixels, compression):
    path = written(tmp_path / "a.fits", pixels, compression)
    assert_fitsverify(path)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_image_of_a_file_is_found(tmp_path, pixels, compression):
    with fits.open(written(tmp_path / "a.fits", pixels, compression), memmap=False) as hdus:
        assert image_hdu(hdus).shape == (1, 1, 60, 1000)
        assert image_hdu(hdus).section[0, 0, 40:41][0, 50] == pytest.approx(13.96, abs=NOISE_JY / 16)


def test_a_table_is_no_image(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "table.fits")
    with fits.open(tmp_path / "table.fits") as hdus:
        assert image_hdu(hdus) is hdus[0]


def test_a_plane_never_replaces_a_file(tmp_path, pixels):
    written(tmp_path / "a.fits", pixels)
    for compression in COMPRESSIONS:
        with pytest.raises(OSError, match="already exists"):
            written(tmp_path / "a.fits", pixels, compression)
