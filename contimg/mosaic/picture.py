"""What the picture of a mosaic shows; `contimg.plotting.sky_picture` draws it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contimg.mosaic.group_image import GroupImage
from contimg.mosaic.tile_images import used
from contimg.plotting.sky_picture import Mark, SkyPicture
from contimg.plotting.words import digits
from contimg.products.facts import MosaicImageFacts
from contimg.times import span_from_mjd


def sky_picture(
    mosaic: GroupImage,
    noise_jy: NDArray[np.floating],
    facts: MosaicImageFacts,
    rms_mjy: float,
    mosaic_id: str,
    *,
    synthetic: bool,
) -> SkyPicture:
    """Return the picture of a mosaic.

    Parameters
    ----------
    mosaic : GroupImage
    noise_jy : (ny, nx) array
        Noise of each pixel (Jy/beam).
    facts : MosaicImageFacts
    rms_mjy : float
        Median noise where the mosaic is well covered (mJy/beam), which sets the colours.
    mosaic_id : str
    synthetic : bool
        Whether the data are simulated: the picture is then marked as synthetic.
    """
    beam = facts.beam
    return SkyPicture(
        image_jy=mosaic.image,
        noise_jy=noise_jy,
        wcs=mosaic.grid.wcs(),
        cell_deg=mosaic.grid.cell_deg,
        beam_deg=(beam.bmaj_arcsec / 3600, beam.bmin_arcsec / 3600, beam.bpa_deg),
        rms_mjy=rms_mjy,
        title=mosaic_id,
        facts=(
            span_from_mjd(facts.start_mjd, facts.end_mjd),
            f"{len(facts.tiles_used)} tile{'' if len(facts.tiles_used) == 1 else 's'}",
            f"{facts.freq_hz / 1e9:.4f} GHz",
            f"rms {digits(rms_mjy)} mJy/beam where well covered",
            f"beam {beam.bmaj_arcsec:.1f}″ × {beam.bmin_arcsec:.1f}″",
        ),
        brightness="brightness",
        synthetic=synthetic,
        marks=_marks(mosaic, facts),
    )


def _marks(mosaic: GroupImage, facts: MosaicImageFacts) -> list[Mark]:
    """Return the sources that the tiles' model of the sky names, calibrators first."""
    known = {
        source.name: Mark(source.name, source.ra_deg, source.dec_deg, source.name in facts.calibrators)
        for _, image in used(mosaic.tiles)
        for source in image.facts.bright_sources
        if source.name is not None
    }
    return sorted(known.values(), key=lambda mark: (not mark.calibrator, mark.name))
