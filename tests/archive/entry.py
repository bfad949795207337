"""An entry of the archive, as `contimg.archive.entries.entry` gives it."""

from typing import Any

ENTRY: dict[str, Any] = {
    "schema": 5,
    "data_id": "mosaic_20260211T002649",
    "version": 1,
    "name": "mosaic_20260211T002649",
    "path": "/archive/mosaics/2026-02-11/mosaic_20260211T002649",
    "published_at": "2026-02-12T00:00:00Z",
    "approved": None,
    "doi": None,
    "verdict": "passed",
    "reasons": [],
    "synthetic": False,
    "centre_deg": [12.5, 37.1],
    "start_mjd": 61082.018622685187,
    "end_mjd": 61082.03,
    "exposure_s": 600.0,
    "tile_s": 300.0,
    "band_hz": [1.315e9, 1.495e9],
    "freq_hz": 1.405e9,
    "bandwidth_hz": 1.8e8,
    "bmaj_arcsec": 14.44,
    "bmin_arcsec": 10.76,
    "rms_mjy": 0.123456,
    "n_images": 2,
    "calibrators": ["3C286", "3C48"],
    "kilobytes": 17,
    "thumbnail": "mosaic_20260211T002649.png",
    "image": "data/mosaic_20260211T002649.fits",
    "page": "data/mosaic_20260211T002649.html",
    "corners_deg": [[13.0, 36.5], [12.0, 36.5], [12.0, 37.5], [13.0, 37.5]],
    "shape_px": [640, 480],
    "field_deg": 1.2,
    "moc": "mosaic_20260211T002649.moc.fits",
    # What `contimg.archive.datalink.addresses` adds.
    "publisher_did": "ivo://dsa110.ovro/continuum?mosaic_20260211T002649",
    "access_url": "file:///archive/mosaics/2026-02-11/mosaic_20260211T002649/data/mosaic_20260211T002649.fits",
    "datalink_url": "file:///archive/gallery/2026-02/mosaic_20260211T002649.datalink.vot",
}
NOT_MEASURED = ("centre_deg", "start_mjd", "end_mjd", "exposure_s", "tile_s", "band_hz", "freq_hz", "bandwidth_hz",
                "bmaj_arcsec", "bmin_arcsec", "rms_mjy", "n_images", "kilobytes", "thumbnail", "page",
                "corners_deg", "shape_px", "field_deg", "moc")  # fmt: skip


def made(**change: Any) -> dict[str, Any]:
    """Return an entry with these values in place of its own."""
    return ENTRY | change


def unmeasured(**change: Any) -> dict[str, Any]:
    """Return the entry of a bundle that states nothing."""
    return ENTRY | dict.fromkeys(NOT_MEASURED) | {"calibrators": []} | change
