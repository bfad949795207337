"""What the picture of a tile shows; `contimg.plotting.sky_picture` draws it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.imaging.fits_output import wcs_cards
from contimg.imaging.grid import TileGrid
from contimg.imaging.imager_result import ImagerResult
from contimg.plotting.sky_picture import Mark, SkyPicture
from contimg.plotting.words import digits
from contimg.times import utc_from_mjd


def sky_picture(
    imaged: ImagerResult, pb: NDArray[np.floating], grid: TileGrid, facts: Mapping[str, Any], rms_mjy: float
) -> SkyPicture:
    """Return the picture of a tile's apparent image, with contours of its primary beam.

    Parameters
    ----------
    imaged : ImagerResult
    pb : (size, size)
        Effective beam.
    grid : TileGrid
    facts : mapping
        Of the tile, with its ``id`` and whether it is ``synthetic``.
    rms_mjy : float
        Noise that sets the colours (mJy/beam).
    """
    beam = imaged.beam
    calibrator = facts.get("calibrator")
    marks = [
        Mark(source["name"], source["ra_deg"], source["dec_deg"], source["name"] == calibrator)
        for source in facts.get("bright_sources", ())
        if source["name"] is not None
    ]
    return SkyPicture(
        image_jy=imaged.image,
        noise_jy=rms_mjy / 1e3,
        wcs=_wcs(grid),
        cell_deg=float(np.degrees(grid.cell_rad)),
        beam_deg=(beam.bmaj_deg, beam.bmin_deg, beam.bpa_deg),
        rms_mjy=rms_mjy,
        title=facts["id"],
        facts=(
            f"{utc_from_mjd(facts['start_mjd'])[11:19]} – {utc_from_mjd(facts['end_mjd'])[11:19]} UTC",
            f"{facts['freq_hz'] / 1e9:.4f} GHz",
            f"rms {digits(rms_mjy)} mJy/beam",
            f"beam {beam.bmaj_deg * 3600:.1f}″ × {beam.bmin_deg * 3600:.1f}″",
            "white rings: primary beam 0.5 and 0.2",
        ),
        brightness="apparent brightness",
        synthetic=facts["synthetic"],
        marks=sorted(marks, key=lambda mark: (not mark.calibrator, mark.name)),
        pb=pb,
        residual_jy=imaged.residual,
    )


def _wcs(grid: TileGrid) -> Any:
    """Return the celestial coordinates of a tile's pixels."""
    from astropy.io import fits
    from astropy.wcs import WCS

    return WCS(fits.Header([(key, *card) for key, card in wcs_cards(grid).items()]))
