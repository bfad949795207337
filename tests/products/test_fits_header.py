"""The keywords of tile images and mosaics."""

import pytest
from astropy.coordinates import EarthLocation
from astropy.io import fits
from astropy.wcs import WCS

from contimg import __version__
from contimg.products.fits_header import ImageKeywords, add_keywords, place_of

# A place in the Owens Valley (m, ITRF): -118.2829 deg, 37.2326 deg, 1356 m.
OVRO_M = (-2409637.6, -4478386.4, 3838793.6)


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
        "WCSAXES": 4, "CTYPE3": "FREQ", "CRPIX3": 1.0, "CRVAL3": 1.405e9, "CDELT3": 187.5e6, "CUNIT3": "Hz",
        "CTYPE4": "STOKES", "CRPIX4": 1.0, "CRVAL4": 1.0, "CDELT4": 1.0,
        "BMAJ": 0.02, "BMIN": 0.01, "BPA": -30.0, "FREQ": 1.405e9, "RESTFRQ": 1.405e9, "BANDWID": 187.5e6,
        "SPECSYS": "TOPOCENT", "TIMESYS": "UTC", "DATE-OBS": "2026-02-11T00:00:00.000",
        "DATE-BEG": "2026-02-11T00:00:00.000", "DATE-AVG": "2026-02-11T03:00:00.000", "MJD-AVG": 61082.125,
        "DATE-END": "2026-02-11T06:00:00.000", "MJD-OBS": 61082.0,
        "MJD-BEG": 61082.0, "MJD-END": 61082.25, "TELESCOP": "DSA-110", "INSTRUME": "DSA-110",
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


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("OVRO_MMA", "DSA-110"), ("DSA_110", "DSA-110"), ("DSA-110; OVRO_MMA", "DSA-110"), ("VLA", "VLA"),
        ("OVRO_MMA; VLA", "OVRO_MMA; VLA"),
    ],
)  # fmt: skip
def test_the_telescope_has_the_name_of_its_papers_and_others_keep_theirs(said, written):
    value, comment = keywords(telescope=said).cards()["TELESCOP"]
    assert value == written and comment == f"{said} in the correlator's files"


def test_the_place_of_the_array():
    """Longitude, latitude and height against astropy's, whose WGS84 is 3 m smaller than the ellipsoid of FITS."""
    head = fits.Header()
    add_keywords(head, keywords(position_m=OVRO_M))
    place = EarthLocation.from_geocentric(*OVRO_M, unit="m").to_geodetic("WGS84")
    assert place_of(head) == OVRO_M
    assert head["OBSGEO-L"] == pytest.approx(place.lon.deg, abs=1e-12)
    assert head["OBSGEO-B"] == pytest.approx(place.lat.deg, abs=1e-6)
    assert head["OBSGEO-H"] == pytest.approx(place.height.to_value("m") - 3, abs=0.2)


@pytest.mark.parametrize(
    "cards", [{}, {"OBSGEO-X": 1.0, "OBSGEO-Y": 2.0}, {"OBSGEO-X": "a", "OBSGEO-Y": 1.0, "OBSGEO-Z": 1.0}]
)
def test_a_header_without_a_place_has_none(cards):
    assert place_of(fits.Header(cards)) is None


def test_the_number_of_axes_stands_before_the_axes():
    head = WCS(naxis=2).to_header()
    add_keywords(head, keywords())
    assert head["WCSAXES"] == 4 and list(head).count("WCSAXES") == 1
    assert list(head).index("WCSAXES") < min(list(head).index(key) for key in ("CRPIX1", "CTYPE3"))
