"""The entry of one mosaic in the archive's tables and gallery: read from its bundle once, then cached as JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contimg import naming
from contimg.archive.thumbnail import write_thumbnail
from contimg.bundle import bundle
from contimg.bundle.pixel_rows import pixel_rows
from contimg.errors import InputError
from contimg.products.fits_images import DamagedFileError, reported
from contimg.products.fits_planes import image_hdu
from contimg.storage.atomic import atomic_path
from contimg.storage.notes import are_whole, digests_of, read_note, write_note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMA = 6
MOC_ORDER = 11  # cells of 1.7 arcmin
_ORDER_0_DEG = 58.6  # width of a HEALPix cell of order 0: sqrt(4 pi / 12) rad
_MAX_POINTS = 1_000_000  # whose positions are computed, in a second or so


def entry(folder: Path, row: Mapping[str, Any], *, anew: bool = False) -> dict[str, Any]:
    """Return the entry of a published mosaic, from the cache if it is there, else from its bundle.

    Parameters
    ----------
    folder : Path
        The folder of its month, with the cached entries, thumbnails and MOCs.
    row : mapping
        The mosaic's row in the registry.
    anew : bool
        Read the bundle although the entry is cached.

    Raises
    ------
    InputError
        If the bundle's metadata or images cannot be read.
    """
    path = Path(row["published_path"])
    kept = folder / f"{path.name}.json"
    found = None if anew else read_note(kept)
    content: dict[str, Any] = found if isinstance(found, dict) else {}
    stands_for = content.get("schema"), content.get("manifest_sha256")
    if stands_for != (SCHEMA, row["sha256"]) or not are_whole(folder, content["files"]):
        try:
            content = _read_bundle(folder, path, row["data_id"]) | {"manifest_sha256": row["sha256"]}
        except DamagedFileError as error:
            raise InputError(f"{error.path} {error.fault}: type contimg reconcile, then contimg archive") from None
        write_note(kept, content)
    # What may change without the bundle comes from the row.
    approved = f"approved by {row['approved_by']}: {row['approved_reason']}" if row["approved_by"] else None
    return content | {
        "data_id": row["data_id"],
        "version": row["version"],
        "name": path.name,
        "path": str(path),
        "published_at": row["published_at"],
        "approved": approved,
        "doi": row["doi"],
    }


def _read_bundle(folder: Path, path: Path, data_id: str) -> dict[str, Any]:
    """Return what an entry takes from a bundle; write its thumbnail and MOC into `folder`."""
    metadata, inside = bundle.read_metadata(path), bundle.payload(path)
    image, page = inside / f"{data_id}.fits", inside / f"{data_id}.html"
    tiles = _tiles_used(metadata)
    spans_s = _spans_s(tiles)
    return {
        "schema": SCHEMA,
        **described(metadata),
        "exposure_s": _exposure_s(inside / f"{data_id}.coverage.fits", spans_s),
        "tile_s": max(spans_s, default=None),
        "band_hz": _band_hz(tiles, metadata),
        "kilobytes": image.stat().st_size // 1024 if image.exists() else None,
        "image": image.relative_to(path).as_posix(),
        "page": page.relative_to(path).as_posix() if page.exists() else None,
        **pictured(image, folder, path.name, metadata.get("rms_mjy")),
    }


def described(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an entry takes from the metadata of a bundle without its lineage, which the registry keeps too.

    What the bundle does not state is None.
    """
    beam = metadata.get("beam") or {}
    stated = ("centre_deg", "start_mjd", "end_mjd", "freq_hz", "bandwidth_hz", "rms_mjy", "n_images")
    return {
        "verdict": metadata["verdict"]["verdict"],
        "reasons": [reason["message"] for reason in metadata["verdict"]["reasons"]],
        "synthetic": metadata["synthetic"],
        **{key: metadata.get(key) for key in stated},
        "bmaj_arcsec": beam.get("bmaj_arcsec"),
        "bmin_arcsec": beam.get("bmin_arcsec"),
        "calibrators": metadata.get("calibrators") or [],
    }


def pictured(image: Path, folder: Path, name: str, rms_mjy: float | None) -> dict[str, Any]:
    """Write the thumbnail and MOC of an image into `folder`; return their names, and the field's corners and size.

    All of them are None where there is no image, or no pixel in it. ``files`` has the SHA-256 of what was written.
    """
    found: dict[str, Any] = dict.fromkeys(("thumbnail", "corners_deg", "shape_px", "field_deg"))
    if image.exists():
        found["thumbnail"] = write_thumbnail(image, folder / f"{name}.png", rms_mjy)
        found |= _footprint(image, folder / f"{name}.moc.fits")
    return found | {"files": digests_of(folder, [found[key] for key in ("thumbnail", "moc") if found.get(key)])}


def _tiles_used(metadata: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the facts of the tile images that are in the mosaic; those that were left out add nothing to it."""
    used = {naming.iso(tile) for tile in metadata["tiles_used"] or []}
    return [
        product["twin"]["facts"]
        for product in metadata["lineage"]["products"]
        if product["twin"]["kind"] == "image" and naming.iso(product["twin"]["id"]) in used
    ]


def _spans_s(tiles: Iterable[Mapping[str, Any]]) -> list[float]:
    """Return how long [s] each tile was observed, of those whose times are known."""
    return [
        (facts["end_mjd"] - facts["start_mjd"]) * 86400
        for facts in tiles
        if facts.get("start_mjd") is not None and facts.get("end_mjd") is not None
    ]


def _exposure_s(coverage: Path, spans_s: Sequence[float]) -> float | None:
    """Return the median exposure [s] of a covered pixel: the tiles that saw it times the median length of a tile.

    ObsCore 1.1 asks for the median where the exposure differs between pixels. None where the bundle does not say how
    many tiles saw each pixel.
    """
    import numpy as np
    from astropy.io import fits

    if not coverage.exists() or not spans_s:
        return None
    pixels: Counter[int] = Counter()  # by number of tiles
    with reported(coverage), fits.open(coverage, memmap=False) as opened:
        for _, block in pixel_rows(image_hdu(opened)):
            numbers, counts = np.unique(block[block > 0], return_counts=True)
            pixels.update(dict(zip(numbers.astype(int).tolist(), counts.tolist(), strict=True)))
    if not pixels:
        return None
    tiles = sorted(pixels)
    half = np.searchsorted(np.cumsum([pixels[number] for number in tiles]), pixels.total() / 2)
    return tiles[int(half)] * float(np.median(spans_s))


def _band_hz(tiles: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any]) -> list[float] | None:
    """Return the lowest and the highest frequency of the channels in the mosaic.

    They are the edges of the tiles' bands. The mosaic's frequency and bandwidth are means that follow the weights, and
    do not end where the data do; they stand in where a bundle of an earlier version says nothing else.
    """
    bands = [facts["band_hz"] for facts in tiles if facts.get("band_hz")]
    if bands and len(bands) == len(tiles):
        return [min(low for low, _ in bands), max(high for _, high in bands)]
    freq, width = metadata["freq_hz"], metadata["bandwidth_hz"]
    return None if freq is None or width is None else [freq - width / 2, freq + width / 2]


def _footprint(image: Path, place: Path) -> dict[str, Any]:
    """Write the MOC of an image's finite pixels; return corners, shape and width of its field, for the entry."""
    import numpy as np
    from astropy.io import fits
    from astropy.wcs import WCS
    from mocpy import MOC

    with reported(image), fits.open(image, memmap=False) as opened:
        hdu = image_hdu(opened)
        wcs = WCS(hdu.header).celestial
        ny, nx = (1, *hdu.shape)[-2:]
        step_deg = float(np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))))
        stride, order = _sampling(nx * ny, step_deg)
        rows, columns, x, y = _covered(pixel_rows(hdu), nx, stride)
    sky = wcs.pixel_to_world(x, y)
    seen = np.isfinite(sky.icrs.ra.deg)
    moc = MOC.from_lonlat(sky.icrs.ra[seen], sky.icrs.dec[seen], max_norder=order)
    with atomic_path(place) as part:
        moc.save(str(part), format="fits")
    if not rows.size:
        return {"shape_px": [nx, ny]}
    x0, x1, y0, y1 = columns[0], columns[-1], rows[0], rows[-1]
    corners = wcs.pixel_to_world([x0, x1, x1, x0], [y0, y0, y1, y1]).icrs
    outline = [[round(float(c.ra.deg), 6), round(float(c.dec.deg), 6)] for c in corners]
    valid = all(np.isfinite(value) for corner in outline for value in corner)
    return {
        "corners_deg": outline if valid else None,
        "shape_px": [nx, ny],
        "field_deg": round(float(max(x1 - x0, y1 - y0) + 1) * float(step_deg), 6),
        "moc": place.name,
    }


def _sampling(n_pixels: int, step_deg: float) -> tuple[int, int]:
    """Return of which pixels the positions are looked at, each so many-th, and the order of the MOC that they fill.

    A cell is covered when one of its points is: a grid of half the cell's width misses none. Where the pixels, or a
    million of them over a wide field, are further apart than that, the cells are larger.
    """
    wanted = int(0.5 * _ORDER_0_DEG / 2**MOC_ORDER / step_deg)
    stride = max(1, wanted, math.ceil(math.sqrt(n_pixels / _MAX_POINTS)))
    order = math.floor(math.log2(_ORDER_0_DEG / (2 * stride * step_deg)) + 1e-9)
    return stride, max(0, min(MOC_ORDER, order))


def _covered(
    blocks: Iterable[tuple[int, NDArray[Any]]], n_columns: int, stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and columns that hold a finite pixel, and x and y of the finite ones of each `stride`-th pixel.

    Parameters
    ----------
    blocks : iterable of (int, array)
        Blocks of rows, as `pixel_rows` gives them.
    n_columns, stride : int
    """
    import numpy as np

    rows, found_x, found_y = [], [np.empty(0, int)], [np.empty(0, int)]
    in_column = np.zeros(n_columns, bool)
    for first, block in blocks:
        finite = np.isfinite(block)
        rows += (first + np.nonzero(finite.any(axis=1))[0]).tolist()
        in_column |= finite.any(axis=0)
        offset = -first % stride
        y, x = np.nonzero(finite[offset::stride, ::stride])
        found_x.append(x * stride)
        found_y.append(first + offset + y * stride)
    return np.array(rows, int), np.nonzero(in_column)[0], np.concatenate(found_x), np.concatenate(found_y)
