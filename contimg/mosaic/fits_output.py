"""The files of a mosaic: FITS with full headers, bit for bit the same each time, and the table of tiles."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import __version__
from contimg.mosaic.grid import MosaicGrid
from contimg.mosaic.tile_images import GroupTile
from contimg.products.facts import MosaicImageFacts, tile_facts
from contimg.products.numbers import image_qa
from contimg.times import utc_from_mjd

TILE_COLUMNS = (
    "tile", "used", "left_out", "verdict", "rms_mjy", "rms_common_mjy", "expected_rms_mjy", "noise_ratio",
    "bmaj_arcsec", "bmin_arcsec", "bpa_deg", "weight_fraction", "freq_hz", "bandwidth_hz", "flagged_fraction",
    "bandpass", "gains", "flux_anchor", "twin_sha256",
)  # fmt: skip


def header(
    grid: MosaicGrid, facts: MosaicImageFacts, mosaic_id: str, tiles: Sequence[GroupTile], synthetic: bool
) -> Any:
    """Return the header that a mosaic's FITS files share; BUNIT is the caller's.

    Keywords as in the tile images, and NTILES; every used tile with the digest of its twin is in HISTORY.
    """
    from astropy.io import fits

    head = fits.Header()
    wcs = grid.wcs().to_header()
    for card in wcs.cards:
        if card.keyword not in ("DATE-OBS", "MJD-OBS", "MJDREF"):
            head.append(card)
    beam = facts.beam
    head["BMAJ"] = (beam.bmaj_arcsec / 3600, "[deg] common restoring beam, major axis")
    head["BMIN"] = (beam.bmin_arcsec / 3600, "[deg] common restoring beam, minor axis")
    head["BPA"] = (beam.bpa_deg, "[deg] from local north to east")
    head["OBJECT"] = (mosaic_id, "mosaic")
    if facts.telescope:
        head["TELESCOP"] = (facts.telescope, "as in the correlator's files")
    head["INSTRUME"] = ("DSA-110", "instrument")
    head["FREQ"] = (facts.freq_hz, "[Hz] effective frequency, weighted over tiles")
    head["BANDWID"] = (facts.bandwidth_hz, "[Hz] bandwidth received, weighted over tiles")
    head["RESTFRQ"] = (facts.freq_hz, "[Hz] same as FREQ")
    head["SPECSYS"] = ("TOPOCENT", "frame of the frequencies")
    head["TIMESYS"] = ("UTC", "time scale")
    head["DATE-OBS"] = (utc_from_mjd(facts.start_mjd), "start of the first tile used")
    head["DATE-BEG"] = (utc_from_mjd(facts.start_mjd), "same as DATE-OBS")
    head["DATE-END"] = (utc_from_mjd(facts.end_mjd), "end of the last tile used")
    head["MJD-OBS"] = (facts.start_mjd, "[d] same as DATE-OBS")
    head["MJD-BEG"] = (facts.start_mjd, "[d] same as DATE-BEG")
    head["MJD-END"] = (facts.end_mjd, "[d] same as DATE-END")
    head["NTILES"] = (len(tiles), "tiles used")
    head["SYNTHET"] = (synthetic, "T: simulated data, not the sky")
    head["ORIGIN"] = (f"contimg {__version__}", "software")
    head["HISTORY"] = "pixel = sum(PB I / s^2) / sum(PB^2 / s^2), s = rms of the tile at the common beam"
    head["HISTORY"] = f"flux anchor: {facts.flux_anchor or 'not recorded'}"
    for tile in tiles:
        head["HISTORY"] = f"tile {tile.id} twin sha256 {tile.input.sha256[:32]}"
    return head


def write_fits(path: Path, data: NDArray[np.floating], head: Any, unit: str, kind: str) -> None:
    """Write one image as float32 with checksums whose comments hold no wall clock.

    Parameters
    ----------
    path : Path
    data : (ny, nx) array
    head : astropy.io.fits.Header
    unit, kind : str
        BUNIT, and what the image is.
    """
    from astropy.io import fits

    hdu = fits.PrimaryHDU(np.asarray(data, dtype=np.float32), header=head)
    hdu.header["BTYPE"] = (kind, "what the pixels are")
    hdu.header["BUNIT"] = (unit, "unit of the pixels")
    hdu.add_datasum(when="of the data")
    hdu.add_checksum(when="of the HDU", override_datasum=False)
    hdu.writeto(path, output_verify="exception")


def write_tiles_table(path: Path, tiles: Sequence[GroupTile]) -> None:
    """Write what became of every tile of the group, used or left out, as CSV."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, TILE_COLUMNS, lineterminator="\n")
        writer.writeheader()
        for tile in tiles:
            writer.writerow({key: "" if value is None else value for key, value in tile_row(tile).items()})


def tile_row(tile: GroupTile) -> dict[str, Any]:
    """Return a tile's row of the table; None where something was not measured."""
    beam = tile.image.beam.facts() if tile.image else {}
    facts = tile.image.facts if tile.image else None
    row = {
        "tile": tile.id,
        "used": "no" if tile.left_out else "yes",
        "left_out": tile.left_out,
        "verdict": tile.twin.verdict,
        **beam,
        **image_qa(tile.twin).model_dump(),
        **tile_facts(tile.twin).model_dump(),
        "freq_hz": facts.freq_hz if facts else None,
        "bandwidth_hz": facts.bandwidth_hz if facts else None,
        "rms_common_mjy": tile.rms_common_mjy,
        "weight_fraction": None if tile.weight_fraction is None else round(tile.weight_fraction, 6),
        "twin_sha256": tile.input.sha256,
    }
    return {key: row.get(key) for key in TILE_COLUMNS}
