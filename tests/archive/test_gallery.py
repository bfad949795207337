"""The gallery's page: its map, its records, and what stands on it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS
from mocpy import MOC

from contimg.archive import gallery, sky_map
from tests.archive.entry import made, unmeasured

FOLDER = Path("/archive/gallery/2026-02")
EDGE_PX = 480 * (1 - 0.985)  # the left end of the map's equator


def month_of(path):
    match = re.fullmatch(r'contimg\("(\d{4}-\d\d)", (.*)\);\n', path.read_text())
    return match[1], json.loads(match[2])


def record(tmp_path, entry):
    gallery.write_month(tmp_path / "mosaics.js", [entry], FOLDER)
    return month_of(tmp_path / "mosaics.js")[1][0]


@pytest.mark.parametrize("dec_deg", [-89.0, -30.0, 0.0, 12.3, 54.0, 90.0])
@pytest.mark.parametrize("ra_deg", [0.0, 1.0, 90.0, 179.0, 181.0, 300.0, 359.9, 390.0, -60.0])
def test_the_map_is_the_projection_of_fits(ra_deg, dec_deg):
    """FITS's AIT by wcslib [deg]; the whole sky is 4 sqrt 2 by 2 sqrt 2 radians."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---AIT", "DEC--AIT"]
    x, y = wcs.wcs_world2pix(ra_deg, dec_deg, 0)
    half_width, half_height = np.degrees(2 * np.sqrt(2)), np.degrees(np.sqrt(2))
    expected = 480 * (1 - 0.985 * (x + 1) / half_width), 240 * (1 - 0.985 * (y + 1) / half_height)
    assert sky_map.aitoff(ra_deg, dec_deg) == pytest.approx(expected, abs=1e-6)


def test_a_month_is_written_the_newest_first(tmp_path):
    other = "mosaic_20260212T002649"
    entries = [made(), made(data_id=other, name=f"{other}.v2", version=2), made(data_id=other, name=other)]
    gallery.write_month(tmp_path / "mosaics.js", entries, FOLDER)
    month, records = month_of(tmp_path / "mosaics.js")
    assert month == "2026-02"
    assert [one["name"] for one in records] == [f"{other}.v2", other, "mosaic_20260211T002649"]


def test_what_a_card_says(tmp_path):
    found = record(tmp_path, made(approved="approved by ann: fine", reasons=["noisy", "few tiles"], verdict="warning"))
    assert dict(found["facts"]) == {
        "observed": "2026-02-11 00:26 UTC",
        "centre": "12.500°, +37.100°",
        "rms": "0.123 mJy/beam",
        "beam": "14.4″ × 10.8″",
        "frequency": "1.405 GHz",
        "tiles": "2",
        "calibrator": "3C286, 3C48",
    }
    assert found["note"] == "approved by ann: fine; noisy; few tiles"
    assert found["href"] == "mosaics/2026-02-11/mosaic_20260211T002649/data/mosaic_20260211T002649.html"
    assert found["thumbnail"] == "gallery/2026-02/mosaic_20260211T002649.png"
    for word in ("3c286", "warning", "sky", "few tiles", "2026-02-11", "ann", "+37.100"):
        assert word in found["text"]
    assert "simulated" not in found["text"] and found["text"] == found["text"].lower()


def test_what_a_card_says_of_a_bundle_that_states_nothing(tmp_path):
    found = record(tmp_path, unmeasured(synthetic=True))
    assert dict(found["facts"]) == {
        "observed": "not known",
        "centre": "not measured",
        "rms": "not measured",
        "beam": "-",
        "frequency": "not measured",
        "tiles": "not known",
        "calibrator": "-",
    }
    assert (found["thumbnail"], found["outline"], found["note"]) == (None, None, "")
    assert found["href"] == "mosaics/2026-02-11/mosaic_20260211T002649/"
    assert "simulated" in found["text"]


def points(path):
    assert path.startswith("M") and path.endswith("Z")
    return [tuple(map(float, point.split(","))) for point in path[1:-1].split("L")]


def test_an_outline_is_the_corners_on_the_map(tmp_path):
    corners = [[13.0, -36.5], [12.0, -36.5], [12.0, 37.5]]
    found = points(record(tmp_path, made(corners_deg=corners))["outline"])
    assert found == [pytest.approx(sky_map.aitoff(*corner), abs=0.051) for corner in corners]


@pytest.mark.parametrize(
    ("centre", "left"), [([179.9, 0.0], True), ([180.1, 0.0], False), (None, True), ([-179.9, 0.0], False)]
)
def test_an_outline_that_the_edge_cuts_is_on_the_side_of_its_centre(tmp_path, centre, left):
    corners = [[181.0, -1.0], [179.0, -1.0], [179.0, 1.0], [181.0, 1.0]]
    found = points(record(tmp_path, made(corners_deg=corners, centre_deg=centre))["outline"])
    xs = [x if left else 960 - x for x, _ in found]
    # Both meridians are within 3 px of the map's end.
    assert all(EDGE_PX - 0.1 <= x < EDGE_PX + 3 for x in xs)
    inner = [sky_map.aitoff(179.0, dec)[0] for dec in (-1.0, 1.0)]
    assert sorted(xs)[2:] == pytest.approx(inner, abs=0.06)


def test_fields_on_either_side_of_0_h_are_not_cut(tmp_path):
    found = points(
        record(tmp_path, made(corners_deg=[[359.0, 0.0], [1.0, 0.0], [1.0, 1.0]], centre_deg=[0, 0]))["outline"]
    )
    assert all(abs(x - 480) < 5 for x, _ in found)


def map_of(tmp_path, cells):
    moc = MOC.from_healpix_cells(np.array(cells, np.uint64), np.full(len(cells), 6, np.uint8), 11)
    moc.save(str(tmp_path / "coverage.fits"), format="fits", overwrite=True)
    return re.search(r'<path class="cover" d="([^"]*)"/>', sky_map.sky_map(tmp_path / "coverage.fits"))[1]


def test_coverage_is_drawn_cell_by_cell(tmp_path):
    """The southern corner of HEALPix's first base cell is at 45 deg, 0 deg; a cell of order 6 is 1/64 of it."""
    from astropy_healpix import HEALPix

    ra, dec = HEALPix(64, order="nested").boundaries_lonlat([0], step=1)
    assert ra.deg.min() == pytest.approx(45 - 45 / 64) and dec.deg.min() == pytest.approx(0, abs=1e-9)
    found = points(map_of(tmp_path, [0]))
    assert found == [pytest.approx(sky_map.aitoff(*at), abs=0.051) for at in zip(ra.deg[0], dec.deg[0], strict=True)]
    assert map_of(tmp_path, [0, 17]).count("M") == 2
    assert map_of(tmp_path, []) == ""


def test_cells_that_the_maps_edge_cuts_are_left_out(tmp_path):
    from astropy_healpix import HEALPix

    healpix = HEALPix(64, order="nested")
    every = np.arange(12 * 64**2)
    ra, _ = healpix.boundaries_lonlat(every, step=1)
    near = every[(np.abs(ra.deg - 180) < 2).all(axis=1)]
    cut = [cell for cell in near if ra.deg[cell].min() < 180 - 1e-9 and ra.deg[cell].max() > 180 + 1e-9]
    assert 50 < len(cut) < len(near)
    drawn = map_of(tmp_path, near)
    assert 0 < drawn.count("M") <= len(near) - len(cut)
    for outline in drawn.removesuffix("Z").split("Z"):
        xs = [x for x, _ in points(outline + "Z")]
        assert max(xs) - min(xs) < 30


@pytest.mark.parametrize("sign", [-1, 1])
def test_no_cell_near_a_pole_is_drawn_across_the_map(sign, tmp_path):
    """The map is narrow there, so that the width of an outline does not tell on which sides of the edge it lies."""
    from astropy_healpix import HEALPix

    every = np.arange(12 * 64**2)
    _, dec = HEALPix(64, order="nested").healpix_to_lonlat(every)
    drawn = map_of(tmp_path, every[sign * dec.deg > 55])
    assert drawn.count("M") > 4000
    for outline in drawn.removesuffix("Z").split("Z"):
        xs = [x for x, _ in points(outline + "Z")]
        assert max(xs) - min(xs) < 30


def test_a_field_far_north_that_the_edge_cuts_is_on_one_side(tmp_path):
    corners = [[186.0, 74.0], [174.0, 74.0], [174.0, 76.0], [186.0, 76.0]]
    found = points(record(tmp_path, made(corners_deg=corners, centre_deg=[179.0, 75.0]))["outline"])
    assert all(x < 480 for x, _ in found) and np.ptp([x for x, _ in found]) < 60


def test_the_page_lists_months_by_year(tmp_path):
    months = [
        {"month": "2025-12", "mosaics": 3, "simulated": 0, "strips": {"+30.5°": 1}},
        {"month": "2026-02", "mosaics": 5, "simulated": 2, "strips": {"-20.0°": 2, "+30.5°": 3}},
        {"month": "2026-01", "mosaics": 1, "simulated": 0, "strips": {"+30.5°": 1}},
    ]
    MOC.new_empty(11).save(str(tmp_path / "coverage.fits"), format="fits")
    gallery.write_page(tmp_path / "index.html", months, tmp_path / "coverage.fits")
    page = (tmp_path / "index.html").read_text()
    assert "9 published, 2 of them simulated." in page
    settings = json.loads(re.search(r'id="settings">(.*?)</script>', page)[1])
    assert '<option value="-20.0°">-20.0° (2)</option><option value="+30.5°">+30.5° (5)</option></select>' in page
    assert settings["positions"]["3c286"] == pytest.approx([202.78453, 30.50915], abs=1e-4)
    assert settings["months"] == [
        {"month": "2026-02", "mosaics": 5},
        {"month": "2026-01", "mosaics": 1},
        {"month": "2025-12", "mosaics": 3},
    ]
    links = re.search(r'id="list">(.*?)</p>', page)[1]
    assert re.sub(r"<[^>]*>", " ", links).replace("&nbsp;", "").split() == [
        "2026", ":", "01", "(1)", "·", "02", "(5)", "2025", ":", "12", "(3)"
    ]  # fmt: skip
    gallery.write_page(tmp_path / "index.html", months[:1], tmp_path / "coverage.fits")
    assert "3 published. Tables" in (tmp_path / "index.html").read_text()


def test_the_maps_equator_has_no_sign(tmp_path):
    MOC.from_healpix_cells(np.array([0], np.uint64), np.array([6], np.uint8), 11).save(
        str(tmp_path / "coverage.fits"), format="fits"
    )
    labels = re.findall(r"<text [^>]*>([^<]*)</text>", sky_map.sky_map(tmp_path / "coverage.fits"))
    assert labels == ["-60°", "-30°", "0°", "+30°", "+60°", "2h", "6h", "10h", "14h", "18h", "22h"]
