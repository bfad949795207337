"""The header of a mosaic's FITS files, and the table of its tiles."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contimg.mosaic.grid import MosaicGrid
from contimg.mosaic.tile_images import GroupTile
from contimg.products.facts import MosaicImageFacts, tile_facts
from contimg.products.fits_header import ImageKeywords, add_keywords
from contimg.products.numbers import image_qa

TILE_COLUMNS = (
    "tile", "used", "left_out", "verdict", "rms_mjy", "rms_common_mjy", "expected_rms_mjy", "noise_ratio",
    "bmaj_arcsec", "bmin_arcsec", "bpa_deg", "weight_fraction", "freq_hz", "bandwidth_hz", "flagged_fraction",
    "bandpass", "gains", "flux_anchor", "sun_altitude_deg", "sun_separation_deg", "daytime", "twin_sha256",
)  # fmt: skip


def header(
    grid: MosaicGrid, facts: MosaicImageFacts, mosaic_id: str, tiles: Sequence[GroupTile], synthetic: bool
) -> Any:
    """Return the FITS header that all images of a mosaic share.

    Keywords as in the tile images, NTILES, and the names of the files with weights and noise; HISTORY has the digest of
    the twin of every tile that is used.
    """
    from astropy.io import fits

    head = fits.Header()
    for card in grid.wcs().to_header().cards:
        if card.keyword not in ("DATE-OBS", "MJD-OBS", "MJDREF"):
            head.append(card)
    history = [
        "pixel = sum(PB I / s^2) / sum(PB^2 / s^2), s = noise of the tile at the common beam",
        f"flux anchor: {facts.flux_anchor or 'not recorded'}",
        *(f"tile {tile.id} twin sha256 {tile.input.sha256[:32]}" for tile in tiles),
    ]
    beam = facts.beam
    keywords = ImageKeywords(
        kind="mosaic",
        name=mosaic_id,
        telescope=facts.telescope,
        beam_deg=(beam.bmaj_arcsec / 3600, beam.bmin_arcsec / 3600, beam.bpa_deg),
        freq_hz=facts.freq_hz,
        bandwidth_hz=facts.bandwidth_hz,
        start_mjd=facts.start_mjd,
        end_mjd=facts.end_mjd,
        synthetic=synthetic,
        position_m=next((tile.image.position_m for tile in tiles if tile.image and tile.image.position_m), None),
        extra={
            "NTILES": (len(tiles), "tiles used"),
            "WGTFILE": (facts.files.weights, "its weights, beside it"),
            "RMSFILE": (facts.files.rms, "its noise, beside it"),
        },
        history=history,
    )
    add_keywords(head, keywords)
    return head


def write_tiles_table(path: Path, tiles: Sequence[GroupTile]) -> None:
    """Write a CSV table with one row for each tile of the group, used or left out."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, TILE_COLUMNS, lineterminator="\n")
        writer.writeheader()
        for tile in tiles:
            writer.writerow({key: "" if value is None else value for key, value in tile_row(tile).items()})


def tile_row(tile: GroupTile) -> dict[str, Any]:
    """Return a tile's row of the table; None where something was not measured."""
    beam = tile.image.beam.facts() if tile.image else {}
    facts = tile.image.facts if tile.image else None
    sun = tile_facts(tile.twin).sun
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
        "sun_altitude_deg": sun.altitude_deg if sun else None,
        "sun_separation_deg": sun.separation_deg if sun else None,
        "daytime": sun.daytime if sun else None,
        "weight_fraction": None if tile.weight_fraction is None else round(tile.weight_fraction, 6),
        "twin_sha256": tile.input.sha256,
    }
    return {key: row.get(key) for key in TILE_COLUMNS}
