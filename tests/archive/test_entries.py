"""What is read from a bundle for the archive: footprint, picture, exposure; and what is kept of it."""

import json
import math
import time

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from mocpy import MOC
from PIL import Image

from contimg.archive import entries
from contimg.bundle import bundle
from contimg.storage import notes

ID = "mosaic_20260211T002649"
TILES = ("2026-02-11T00:26:49", "2026-02-11T00:31:58")
STEP_DEG = 0.01


def product(kind, tile, **facts):
    return {"twin": {"kind": kind, "id": tile, "facts": facts}}


METADATA = {
    "verdict": {"verdict": "warning", "reasons": [{"message": "noisy"}]}, "synthetic": True, "centre_deg": [0.0, 0.0],
    "start_mjd": 61082.0, "end_mjd": 61082.1, "freq_hz": 1.4e9, "bandwidth_hz": 1.8e8, "rms_mjy": 4.0, "n_images": 2,
    "calibrators": None, "beam": None, "tiles_used": list(TILES),
    "lineage": {"products": [
        product("image", TILES[0], start_mjd=61082.0, end_mjd=61082.0 + 300 / 86400),
        product("image", TILES[1], start_mjd=61082.01, end_mjd=61082.01 + 150 / 86400),
        product("image", "2026-02-11T00:37:07", start_mjd=61082.02, end_mjd=61083.0),  # left out of the mosaic
        product("ms", TILES[0], start_mjd=61082.0, end_mjd=61083.0),
    ], "files": []},
}  # fmt: skip


def put(path, pixels=None, *, metadata=METADATA, kind=("RA---CAR", "DEC--CAR")):
    """Make a bundle whose pixel (x, y) is at x and y hundredths of a degree west and north of 10 deg, 0 deg."""
    path.mkdir(parents=True)
    (path / bundle.METADATA).write_text(json.dumps(metadata))
    if pixels is not None:
        header = fits.Header()
        for axis, (ctype, value, step) in enumerate(
            zip(kind, (10.0, 0.0), (-STEP_DEG, STEP_DEG), strict=True), start=1
        ):
            header[f"CTYPE{axis}"], header[f"CRVAL{axis}"], header[f"CRPIX{axis}"] = ctype, value, 1.0
            header[f"CDELT{axis}"] = step
        fits.PrimaryHDU(pixels.astype(np.float32), header).writeto(path / f"{ID}.fits")
    return path


def row(path, **change):
    found = {"published_path": str(path), "data_id": ID, "sha256": "1" * 64, "version": 1, "published_at": "2026-02-12",
             "approved_by": None, "approved_reason": None, "doi": None}  # fmt: skip
    return found | change


@pytest.fixture
def kept(tmp_path):
    folder = tmp_path / "2026-02"
    folder.mkdir()
    return folder


def test_the_footprint_is_where_pixels_have_a_value(tmp_path, kept):
    pixels = np.full((80, 120), np.nan)
    pixels[20:60, 30:100] = 1.0
    found = entries.entry(kept, row(put(tmp_path / ID, pixels)))
    # Plate carree on the equator: right ascension and declination are linear in the pixels.
    expected = [[10 - 0.30, 0.20], [10 - 0.99, 0.20], [10 - 0.99, 0.59], [10 - 0.30, 0.59]]
    assert found["corners_deg"] == [pytest.approx(corner, abs=1e-5) for corner in expected]
    assert found["shape_px"] == [120, 80] and found["field_deg"] == pytest.approx(0.70)
    assert found["kilobytes"] == (tmp_path / ID / f"{ID}.fits").stat().st_size // 1024
    moc = MOC.from_fits(str(kept / found["moc"]))
    inside = 0.70 * 0.40
    assert inside <= moc.sky_fraction * 41252.96 <= (0.70 + 0.06) * (0.40 + 0.06)  # cells of 0.03 deg stick out


def test_an_image_of_four_axes_is_as_good(tmp_path, kept):
    pixels = np.ones((80, 120))
    two = entries.entry(kept, row(put(tmp_path / "two" / ID, pixels)), anew=True)
    four = entries.entry(kept, row(put(tmp_path / "four" / ID, pixels[None, None])), anew=True)
    for key in ("corners_deg", "shape_px", "field_deg"):
        assert four[key] == two[key]


def test_an_image_without_a_value_covers_nothing(tmp_path, kept):
    found = entries.entry(kept, row(put(tmp_path / ID, np.full((80, 120), np.nan))))
    assert (found["shape_px"], found["corners_deg"], found["field_deg"], found.get("moc")) == (
        [120, 80],
        None,
        None,
        None,
    )


def test_corners_beyond_the_sky_are_none(tmp_path, kept):
    """A hemisphere in the orthographic projection: the corners of the square around it are at no direction."""
    pixels = np.ones((40, 40))
    path = put(tmp_path / ID, pixels, kind=("RA---SIN", "DEC--SIN"))
    with fits.open(path / f"{ID}.fits", mode="update") as opened:
        opened[0].header.update(CDELT1=-5.0, CDELT2=5.0, CRPIX1=20.0, CRPIX2=20.0)
    found = entries.entry(kept, row(path))
    assert found["corners_deg"] is None and found["field_deg"] == pytest.approx(200)
    assert MOC.from_fits(str(kept / found["moc"])).sky_fraction > 0


def test_exposure_is_that_of_a_point(tmp_path, kept):
    """ObsCore 1.1: the median over the pixels. Three of seven are seen by one tile, four by both; 225 s each."""
    path = put(tmp_path / ID)
    fits.PrimaryHDU(np.array([[0, 1, 1, 1, 0], [2, 2, 2, 2, 0]], np.float32)).writeto(path / f"{ID}.coverage.fits")
    found = entries.entry(kept, row(path))
    assert found["exposure_s"] == pytest.approx(2 * 225, abs=1e-3) and found["tile_s"] == pytest.approx(300, abs=1e-3)


@pytest.mark.parametrize(("counts", "seen"), [([1, 1, 1, 2, 5], 1), ([4, 2, 2], 2), ([0, 0, 3], 3), ([0, 0], None)])
def test_exposure_follows_the_median_number_of_tiles(tmp_path, kept, counts, seen):
    path = put(tmp_path / ID)
    fits.PrimaryHDU(np.array([counts], np.float32)).writeto(path / f"{ID}.coverage.fits")
    expected = None if seen is None else pytest.approx(seen * 225, abs=1e-3)
    assert entries.entry(kept, row(path))["exposure_s"] == expected


def test_the_band_spans_the_tiles_used(tmp_path, kept):
    one, two, out, *rest = METADATA["lineage"]["products"]
    bands = [(1.35e9, 1.5e9), (1.31e9, 1.45e9), (1.0e9, 2.0e9)]
    with_bands = [
        {"twin": item["twin"] | {"facts": item["twin"]["facts"] | {"band_hz": band}}}
        for item, band in zip((one, two, out), bands, strict=True)
    ]
    metadata = METADATA | {"lineage": {"products": [*with_bands, *rest], "files": []}}
    assert entries.entry(kept, row(put(tmp_path / ID, metadata=metadata)))["band_hz"] == [1.31e9, 1.5e9]
    found = entries.entry(kept, row(put(tmp_path / "old" / ID)), anew=True)
    assert found["band_hz"] == [1.31e9, 1.49e9]  # of an earlier version: mean frequency and bandwidth


def test_exposure_and_pictures_that_a_bundle_does_not_hold_are_none(tmp_path, kept):
    found = entries.entry(kept, row(put(tmp_path / ID)))
    assert found["exposure_s"] is None and found["tile_s"] == pytest.approx(300, abs=1e-3)
    assert (found["verdict"], found["reasons"], found["calibrators"], found["synthetic"]) == (
        "warning", ["noisy"], [], True
    )  # fmt: skip
    for key in ("thumbnail", "page", "kilobytes", "bmaj_arcsec", "corners_deg"):
        assert found[key] is None
    unknown = METADATA | {
        "lineage": {"products": [product("image", TILES[0], start_mjd=61082.0, end_mjd=None)], "files": []}
    }
    found = entries.entry(kept, row(put(tmp_path / "other" / ID, metadata=unknown)), anew=True)
    assert found["exposure_s"] is found["tile_s"] is None


def test_the_thumbnail_is_the_image_alone(tmp_path, kept):
    path = put(tmp_path / ID, np.ones((500, 1000)))
    Image.new("RGB", (64, 64), 0).save(path / f"{ID}.png")  # the picture with its axes, which is not looked at
    (path / f"{ID}.html").write_text("")
    found = entries.entry(kept, row(path))
    assert (found["thumbnail"], found["page"]) == (f"{ID}.png", f"{ID}.html")
    with Image.open(kept / f"{ID}.png") as small:
        assert (small.size, small.mode) == ((334, 167), "RGB")  # blocks of 3 x 3 pixels


def test_what_is_kept_is_not_read_again(tmp_path, kept):
    path = put(tmp_path / ID)
    first = entries.entry(kept, row(path))
    (path / bundle.METADATA).unlink()
    assert entries.entry(kept, row(path)) == first
    decided = {"approved_by": "ann", "approved_reason": "fine", "doi": "10.5555/x.1"}
    said = entries.entry(kept, row(path, **decided, published_at="2026-02-13", version=2))
    assert said["doi"] == "10.5555/x.1"
    assert (said["approved"], said["published_at"], said["version"]) == ("approved by ann: fine", "2026-02-13", 2)


@pytest.mark.parametrize("content", ["{", "[]", "null", '"text"', "3", "{}", '{"schema": 1}', '{"schema": 3}'])
def test_what_is_kept_and_cannot_be_used_is_made_again(tmp_path, kept, content):
    path = put(tmp_path / ID)
    first = entries.entry(kept, row(path))
    for damaged in (content.encode(), notes._framed(content.encode())):
        (kept / f"{ID}.json").write_bytes(damaged)
        assert entries.entry(kept, row(path)) == first
    assert notes.read_note(kept / f"{ID}.json")["manifest_sha256"] == "1" * 64


def test_another_manifest_is_another_bundle(tmp_path, kept):
    path = put(tmp_path / ID)
    entries.entry(kept, row(path))
    (path / bundle.METADATA).write_text(json.dumps(METADATA | {"rms_mjy": 5.0}))
    assert entries.entry(kept, row(path))["rms_mjy"] == 4.0
    assert entries.entry(kept, row(path, sha256="2" * 64))["rms_mjy"] == 5.0
    (path / bundle.METADATA).write_text(json.dumps(METADATA | {"rms_mjy": 6.0}))
    assert entries.entry(kept, row(path, sha256="2" * 64), anew=True)["rms_mjy"] == 6.0


@pytest.mark.parametrize(
    ("n_pixels", "step_deg", "expected"),
    [
        (18000 * 4200, 3 / 3600, (17, 11)),  # a mosaic of the telescope: each 17th pixel, cells of 1.7 arcmin
        (18000 * 4200, 1 / 60, (9, 7)),  # as many pixels, of an arcminute: 300 deg wide; cells of 27 arcmin
        (2000 * 500, 0.1, (1, 8)),  # pixels wider than a cell of order 11, of which most would lie between two
        (1, 30.0, (1, 0)),
    ],
)
def test_a_wide_or_coarse_mosaic_has_a_coarser_moc(n_pixels, step_deg, expected):
    stride, order = entries._sampling(n_pixels, step_deg)
    assert (stride, order) == expected
    assert stride * step_deg <= 0.5 * 58.6 / 2**order or order == 0  # a cell is twice as wide as the grid, or wider


def test_the_footprint_of_a_coarse_mosaic_has_no_holes_and_is_made_at_once(tmp_path, kept):
    """3000 x 1500 pixels of 0.02 deg: 60 x 30 deg on the sky, 4.5 million positions if each was computed."""
    path = put(tmp_path / ID, np.ones((1500, 3000)))
    with fits.open(path / f"{ID}.fits", mode="update") as opened:
        opened[0].header.update(CDELT1=-0.02, CDELT2=0.02, CRPIX1=1500.5, CRPIX2=750.5, CRVAL1=180.0, CRVAL2=0.0)
    started = time.process_time()
    found = entries.entry(kept, row(path))
    assert time.process_time() - started < 20
    moc = MOC.from_fits(str(kept / found["moc"]))
    area_deg2 = math.degrees(1) ** 2 * math.radians(60) * 2 * math.sin(math.radians(15))
    assert moc.sky_fraction * 41252.96 == pytest.approx(area_deg2, rel=0.03)
    inside = np.random.default_rng(1).uniform((151, -14), (209, 14), (2000, 2)) * u.deg
    assert moc.contains_lonlat(inside[:, 0], inside[:, 1]).all()
