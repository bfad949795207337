"""Fluxes in strips of many tiles, fitted with the restoring beam of the header, at any declination."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from contimg.config import MosaicOptions, QaOptions
from contimg.mosaic.mosaic_group import mosaic_group
from tests.support.fake_tiles import Sky, TileMaker

MOSAIC_ID = "mosaic_20260211T000000"
CELL, SPACING = 100.0, 1.2887


def fitted_fluxes(image, header, sky):
    """Return found over true flux by a least-squares fit of the header's beam, constant in pixels, where covered."""
    wcs, cell = WCS(header).celestial, header["CDELT2"]
    angle = np.radians(header["BPA"])
    axes = np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]])  # (east, north)
    sigma = np.array([header["BMAJ"], header["BMIN"]]) / cell / 2.3548200450309493
    inverse = (axes.T / sigma**2) @ axes
    ratios = []
    for x, y, flux in zip(*wcs.all_world2pix(sky.ra_deg, sky.dec_deg, 0), sky.flux_jy, strict=True):
        rows, columns = (slice(round(float(v)) - 6, round(float(v)) + 7) for v in (y, x))
        data = image[rows, columns] if rows.start >= 0 and columns.start >= 0 else np.empty(0)
        if data.shape != (13, 13) or not np.isfinite(data).all():
            continue
        north, east = np.mgrid[rows, columns] - np.array([y, x])[:, None, None]
        offset = np.stack([-east, north])
        beam = np.exp(-0.5 * np.einsum("iyx,ij,jyx->yx", offset, inverse, offset))
        ratios.append((beam * data).sum() / (beam**2).sum() / flux)
    return np.array(ratios)


@pytest.mark.parametrize("dec", [0.0, 80.0])
def test_fluxes_are_right_to_a_third_of_a_per_cent_anywhere_in_thirty_tiles(tmp_path, dec):
    rng = np.random.default_rng(7)
    n, span = 30, 30 * SPACING
    number = round(150 * np.cos(np.radians(dec + np.sign(dec) * 1.6)))  # none nearer to another than 3 beams
    ra = 340 + (np.arange(number) + 0.5) / number * (span + 2) - 1
    sky = Sky(ra % 360, dec + np.resize([0.0, 1.6, -1.6, 0.8, -0.8], number), rng.uniform(1, 2, number))
    maker = TileMaker(tmp_path, size=160, cell_arcsec=CELL, beam_arcsec=(360, 300, 25), rms_jy=1e-5, dec_deg=dec)
    twins = [maker.make(i, (340 + i * SPACING) % 360, sky) for i in range(n)]
    made = mosaic_group(
        twins, tmp_path / MOSAIC_ID, tmp_path / f"{MOSAIC_ID}.json", mosaic_id=MOSAIC_ID,
        options=MosaicOptions(cell_arcsec=CELL), pb_limit=0.2, qa=QaOptions(),
    )  # fmt: skip
    assert made.facts["n_images"] == n
    with fits.open(tmp_path / MOSAIC_ID / f"{MOSAIC_ID}.fits") as hdus:
        ratios = fitted_fluxes(np.squeeze(hdus[0].data).astype(float), hdus[0].header, sky)
    assert len(ratios) > 0.8 * number
    assert np.abs(ratios - 1).max() < 0.003
