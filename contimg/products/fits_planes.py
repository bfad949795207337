"""Writing one plane of a product as a FITS image, plain or tile-compressed; the same bytes whenever it is written.

Tile compression is that of FITS 4.0, section 10 (Pence, Seaman & White 2009, PASP 121, 414). Only ``lossless`` keeps
every bit: floating-point pixels have to be rounded before RICE, which is ``quantised``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Compression = Literal["none", "lossless", "quantised"]
QUANTISE_LEVEL = 16.0
"""Steps a sigma of the local noise: rounding then adds 1 / (16 sqrt(12)) = 1.8 % of the noise, in quadrature 0.02 %."""
_CHECKSUM_SEED = -1  # the dither follows from the pixels, so that the same pixels give the same bytes


def write_plane(
    path: Path,
    data: NDArray[np.floating] | NDArray[np.integer],
    header: Any,
    kind: str,
    unit: str,
    compression: Compression = "none",
) -> None:
    """Write one plane as a float32 FITS image (1, 1, ny, nx) with checksums.

    Parameters
    ----------
    path : Path
    data : (ny, nx) array
    header : astropy.io.fits.Header
        Of `contimg.products.fits_header.add_keywords`.
    kind, unit : str
        BTYPE, and BUNIT; no unit for ratios.
    compression : str
        ``lossless`` (GZIP_2 of all bits) or ``quantised`` (RICE_1 of pixels rounded to 1/16 of the local noise, with a
        dither that keeps zeros and blanks): then the image is the first extension.
    """
    from astropy.io import fits

    pixels = np.ascontiguousarray(data, dtype=np.float32)[None, None]
    head = header.copy()
    head.set("BTYPE", kind, "what the pixels are", before="BMAJ")
    if unit:
        head.set("BUNIT", unit, "unit of the pixels", before="BTYPE")
    if compression == "none":
        hdu = fits.PrimaryHDU(pixels, header=head)
        add_checksums(hdu)
        hdu.writeto(path, output_verify="exception")
        return
    lossless = compression == "lossless"
    image = fits.CompImageHDU(
        pixels,
        header=head,
        name="IMAGE",
        compression_type="GZIP_2" if lossless else "RICE_1",
        quantize_level=0.0 if lossless else QUANTISE_LEVEL,
        quantize_method=-1 if lossless else 2,
        dither_seed=_CHECKSUM_SEED,
    )
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path, output_verify="exception")
    _remove_times(path, "COMPRESSED_DATA" if lossless else "GZIP_COMPRESSED_DATA")
    # Of the table that holds the compressed pixels, which exists only in the file.
    with fits.open(path, mode="update", disable_image_compression=True) as hdus:
        add_checksums(hdus[1])


def add_checksums(hdu: Any) -> None:
    """Add DATASUM and CHECKSUM, with comments that hold no wall clock."""
    hdu.add_datasum(when="of the data")
    hdu.add_checksum(when="of the HDU", override_datasum=False)


def _remove_times(path: Path, column: str) -> None:
    """Set the time of making to zero, which stands in the head of every gzip stream of a column (RFC 1952)."""
    from astropy.io import fits

    with fits.open(path, disable_image_compression=True) as hdus:
        start, header, dtype = hdus[1].fileinfo()["datLoc"], hdus[1].header, hdus[1].columns.dtype.newbyteorder(">")
    if column not in dtype.names:
        return
    content = np.memmap(path, np.uint8, mode="r+")
    rows = content[start : start + header["NAXIS1"] * header["NAXIS2"]].view(dtype)
    heap = start + header.get("THEAP", header["NAXIS1"] * header["NAXIS2"])
    for count, place in rows[column].tolist():
        if count:
            content[heap + place + 4 : heap + place + 8] = 0
    content.flush()


def image_hdu(hdus: Any) -> Any:
    """Return the HDU with the image of a product's opened file: the first one, or the compressed one behind it."""
    first = hdus[0]
    if len(hdus) > 1 and not first.header.get("NAXIS") and "ZIMAGE" in getattr(hdus[1], "_bintable", hdus[1]).header:
        return hdus[1]
    return first
