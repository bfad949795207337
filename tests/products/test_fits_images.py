"""FITS images are read whole or refused in one sentence."""

from __future__ import annotations

import errno
import os
import resource

import numpy as np
import pytest
from astropy.io import fits

from contimg.errors import InputError
from contimg.products.fits_images import DamagedFileError, read_image

CARDS = {
    "CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRVAL1": 127.0, "CRVAL2": 54.6, "CRPIX1": 9.0, "CRPIX2": 9.0,
    "CDELT1": -0.01, "CDELT2": 0.01, "BUNIT": "Jy/beam",
}  # fmt: skip


def write(path, data, **cards):
    hdu = fits.PrimaryHDU(data)
    for key, value in (CARDS | cards).items():
        hdu.header[key] = value
    hdu.add_datasum()
    hdu.writeto(path)
    return path


@pytest.fixture
def plane():
    return np.arange(16 * 18, dtype=np.float32).reshape(16, 18)


def test_pixels_header_and_coordinates(tmp_path, plane):
    got = read_image(write(tmp_path / "a.fits", plane), verify=True)
    assert got.data.dtype == np.float64
    assert np.array_equal(got.data, plane)
    assert got.header["BUNIT"] == "Jy/beam"
    assert got.wcs.all_pix2world(8, 8, 0) == pytest.approx([127.0, 54.6])


@pytest.mark.parametrize("axes", [1, 2])
def test_axes_of_one_pixel_are_left_out(tmp_path, plane, axes):
    extra = {"CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CRPIX3": 1.0, "CDELT3": 1e6}
    got = read_image(write(tmp_path / "a.fits", plane.reshape((1,) * axes + plane.shape), **extra))
    assert got.data.shape == plane.shape


@pytest.mark.parametrize("cards", [{"DATE-OBS": "2026-02-11T00:00:00"}, {}])
def test_warnings_of_astropy_are_not_passed_on(tmp_path, plane, cards):
    # A date without MJD-OBS makes astropy warn, and warnings are errors in these tests.
    assert read_image(write(tmp_path / "a.fits", plane, **cards)).data.shape == plane.shape


def test_pixels_that_do_not_have_their_sum(tmp_path, plane):
    path = write(tmp_path / "a.fits", plane)
    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(content)
    read_image(path)
    with pytest.raises(DamagedFileError, match=r"a\.fits does not have the DATASUM of its header: delete"):
        read_image(path, verify=True)


def test_a_file_without_a_sum_cannot_be_verified(tmp_path, plane):
    path = tmp_path / "a.fits"
    header = fits.Header()
    header.update(CARDS)
    fits.PrimaryHDU(plane, header).writeto(path)
    assert np.array_equal(read_image(path).data, plane)
    with pytest.raises(DamagedFileError, match="DATASUM"):
        read_image(path, verify=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a whole FITS file"),
        (b"not FITS" * 1000, "not a whole FITS file"),
        (None, "does not exist"),
    ],
)
def test_what_is_no_fits(tmp_path, content, said):
    path = tmp_path / "a.fits"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=said) as error:
        read_image(path)
    assert error.value.path == path
    assert isinstance(error.value, InputError)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kept", [80, 2880, 2881, 3500])
def test_truncated_files(tmp_path, plane, kept):
    path = write(tmp_path / "a.fits", plane)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedFileError, match="not a whole FITS file"):
        read_image(path)


def test_a_cube_and_a_line_are_no_image(tmp_path, plane):
    with pytest.raises(DamagedFileError, match="one plane"):
        read_image(write(tmp_path / "cube.fits", np.stack([plane, plane])))
    with pytest.raises(DamagedFileError, match=r"one plane|whole FITS|celestial"):
        read_image(write(tmp_path / "line.fits", plane[0]))


def test_a_plane_that_is_not_of_the_sky(tmp_path, plane):
    with pytest.raises(DamagedFileError, match="no celestial coordinates"):
        read_image(write(tmp_path / "a.fits", plane, CTYPE1="FREQ", CTYPE2="STOKES"))


def test_a_fault_of_the_machine_is_no_fault_of_the_file(tmp_path, plane):
    path = write(tmp_path / "a.fits", plane)
    read_image(path)  # imports what it needs
    limits, free = resource.getrlimit(resource.RLIMIT_NOFILE), os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with pytest.raises(OSError) as error:
            read_image(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert error.value.errno == errno.EMFILE and not isinstance(error.value, InputError)


def test_a_folder_in_the_place_of_a_file(tmp_path):
    with pytest.raises(DamagedFileError, match="is no plain file: delete its product's twin"):
        read_image(tmp_path)
