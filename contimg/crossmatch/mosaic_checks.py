"""Checks of a mosaic's image against its twin and its noise map, before its sources are searched for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from contimg.products.facts import MosaicImageFacts
from contimg.products.fits_images import FitsImage

# Twins and headers hold rounded numbers: arcsec of beam and Hz of frequency that may be between them.
_BEAM_ARCSEC, _FREQ_HZ = 1e-3, 10.0


@dataclass(frozen=True)
class Fault:
    """What is wrong with a mosaic: the code of the reason, its message, what was found and what should be."""

    code: str
    message: str
    measured: float | None
    threshold: float | None


def faults_of(image: FitsImage, noise: FitsImage, facts: MosaicImageFacts) -> Iterator[Fault]:
    """Yield what a mosaic's image has that its twin or its noise map does not agree with.

    Parameters
    ----------
    image, noise : FitsImage
        Brightness, and noise of the weights: finite where the mosaic has data.
    facts : MosaicImageFacts
    """
    header = image.header
    expected = {
        "BMAJ": (facts.beam.bmaj_arcsec / 3600, _BEAM_ARCSEC / 3600),
        "BMIN": (facts.beam.bmin_arcsec / 3600, _BEAM_ARCSEC / 3600),
        "FREQ": (facts.freq_hz, _FREQ_HZ),
    }
    for key, (value, tolerance) in expected.items():
        found = header.get(key)
        if not isinstance(found, int | float) or not abs(found - value) <= tolerance:
            said = "no" if found is None else f"{found:.10g} as"
            yield Fault("header_disagrees", f"{image.path.name} has {said} {key}, its twin {value:.10g}", found, value)
    if image.data.shape != noise.data.shape or not np.allclose(image.wcs.wcs.crval, noise.wcs.wcs.crval, rtol=0):
        yield Fault("header_disagrees", f"{image.path.name} and {noise.path.name} have other pixels", None, None)
        return
    covered = np.isfinite(noise.data)
    blank = int(np.count_nonzero(covered & ~np.isfinite(image.data)))
    if blank:
        message = f"{blank} of {int(covered.sum())} pixels with weight have no finite value"
        yield Fault("pixels_not_finite", message, blank, 0)
