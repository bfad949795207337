"""The keywords of tile images and mosaics, and the planes that carry them."""

import hashlib

import numpy as np
import pytest
from astropy.io import fits

from contimg import __version__
from contimg.products.fits_header import ImageKeywords, add_keywords, write_plane


def keywords(kind="tile", **changes):
    given = {
        "kind": kind, "name": "2026-02-11T00:26:49", "telescope": "OVRO_MMA", "beam_deg": (0.02, 0.01, -30.0),
        "freq_hz": 1.405e9, "bandwidth_hz": 187.5e6, "start_mjd": 61082.0, "end_mjd": 61082.25, "synthetic": False,
    }  # fmt: skip
    return ImageKeywords(**(given | changes))


@pytest.mark.parametrize("kind", ["tile", "mosaic"])
def test_values_are_the_same_for_tiles_and_mosaics(kind):
    head = fits.Header()
    add_keywords(head, keywords(kind, history=["one", "two"], extra={"NTILES": (3, "tiles used")}))
    expected = {
        "BMAJ": 0.02, "BMIN": 0.01, "BPA": -30.0, "FREQ": 1.405e9, "RESTFRQ": 1.405e9, "BANDWID": 187.5e6,
        "SPECSYS": "TOPOCENT", "TIMESYS": "UTC", "DATE-OBS": "2026-02-11T00:00:00.000",
        "DATE-BEG": "2026-02-11T00:00:00.000", "DATE-END": "2026-02-11T06:00:00.000", "MJD-OBS": 61082.0,
        "MJD-BEG": 61082.0, "MJD-END": 61082.25, "TELESCOP": "OVRO_MMA", "INSTRUME": "DSA-110",
        "OBJECT": "2026-02-11T00:26:49", "NTILES": 3, "SYNTHET": False, "ORIGIN": f"contimg {__version__}",
    }  # fmt: skip
    assert {key: head[key] for key in head if key != "HISTORY"} == expected
    assert list(head["HISTORY"]) == ["one", "two"]
    assert head.comments["OBJECT"] == kind


def test_letters_that_fits_does_not_have_are_replaced():
    """In names of a person's files and calibrators, which the history has."""
    head = fits.Header()
    add_keywords(head, keywords("tile", history=["flux anchor: kalibratoren_süd.csv: 3 Jy ± 1 %"]))
    assert list(head["HISTORY"]) == ["flux anchor: kalibratoren_s?d.csv: 3 Jy ? 1 %"]


def test_a_telescope_that_is_not_known_is_not_invented():
    assert "TELESCOP" not in keywords(telescope=None).cards()


@pytest.mark.parametrize("unit", ["Jy/beam", ""])
def test_a_plane_is_valid_fits_and_the_same_bytes_each_time(tmp_path, unit):
    data = np.arange(12.0).reshape(3, 4)
    data[0, 0] = np.nan
    digests = set()
    for name in ("one.fits", "two.fits"):
        head = fits.Header()
        add_keywords(head, keywords())
        write_plane(tmp_path / name, data, head, "Intensity", unit)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    with fits.open(tmp_path / "one.fits", checksum=True) as hdus:
        hdus.verify("exception")
        assert (hdus[0].verify_checksum(), hdus[0].verify_datasum()) == (1, 1)
        assert hdus[0].data.dtype.name == "float32"
        assert np.array_equal(hdus[0].data, data.astype(np.float32), equal_nan=True)
        assert (hdus[0].header["BTYPE"], hdus[0].header.get("BUNIT", "")) == ("Intensity", unit)
    with pytest.raises(OSError, match="already exists"):
        write_plane(tmp_path / "one.fits", data, head, "Intensity", unit)
