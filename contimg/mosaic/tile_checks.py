"""Checks of a tile's FITS files against its twin, before the tile goes into a mosaic.

The manifest in the twin shows whether a file is the one that was written; these checks show whether its content is what
the twin describes: tile, unit, coordinates, beam, frequency, and extremes of the pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import naming
from contimg.imaging.fits_output import KINDS
from contimg.products.facts import ImageFacts
from contimg.products.fits_images import DamagedFileError, FitsImage, read_image
from contimg.products.numbers import ImageQa
from contimg.products.twin import Twin

# Largest differences between a header and its twin; the twin's numbers are rounded.
_POSITION_PX = 0.01
_BEAM_ARCSEC = 1e-4
_ANGLE_DEG = 1e-4
_FREQ_HZ = 1.0
_TIME_DAYS = 1e-8
# An effective beam is a power response from 0 to 1; interpolation may exceed that by this.
_PB_ERROR = 0.01
# Largest offset of its maximum, which is broad, from the position in the twin.
_PB_PEAK_ARCSEC, _PB_PEAK_PX = 60.0, 3.0
# Peaks in twins are rounded to 1e-4 mJy/beam.
_PEAK_MJY, _PEAK_FRACTION = 2e-4, 1e-5


def read_checked(folder: Path, plane: str, twin: Twin, facts: ImageFacts) -> FitsImage:
    """Read a plane of a tile image and compare its header with the twin.

    Parameters
    ----------
    folder : Path
        The tile's files.
    plane : str
        ``image`` or ``pb``.
    twin : Twin
    facts : ImageFacts

    Raises
    ------
    DamagedFileError
        If the file is missing or damaged, or its header disagrees with the twin.
    """
    if plane not in facts.files:
        raise DamagedFileError(folder, f"has no file of the plane '{plane}' in its twin")
    found = read_image(folder / facts.files[plane], verify=True)
    for disagreement in (*_shape(found, facts), *_labels(found, plane, twin), *_numbers(found, twin, facts)):
        raise DamagedFileError(found.path, disagreement)
    return found


def _shape(found: FitsImage, facts: ImageFacts) -> Iterator[str]:
    """Yield each disagreement in the size of the image and in its celestial coordinates."""
    size, cell_deg = facts.size_px, facts.cell_arcsec / 3600
    if found.data.shape != (size, size):
        yield f"is {found.data.shape[1]} x {found.data.shape[0]} pixels, in its twin {size} x {size}"
        return
    wcs = found.wcs.wcs
    if list(wcs.ctype) != ["RA---SIN", "DEC--SIN"]:
        yield f"has the projection {', '.join(wcs.ctype)}, not SIN"
    expected = np.diag([-cell_deg, cell_deg])
    if not np.allclose(found.wcs.pixel_scale_matrix, expected, rtol=0, atol=1e-6 * cell_deg):
        yield f"does not have pixels of {facts.cell_arcsec:g} arcsec with north up, as in its twin"
    ra_deg, dec_deg = facts.centre_deg
    east = ((wcs.crval[0] - ra_deg + 180) % 360 - 180) * np.cos(np.radians(dec_deg))
    offset_px = np.hypot(east, wcs.crval[1] - dec_deg) / cell_deg
    if not offset_px < _POSITION_PX:
        yield f"is centred on {wcs.crval[0]:.5f} {wcs.crval[1]:.5f}, in its twin on {ra_deg:.5f} {dec_deg:.5f}"
    if list(wcs.crpix) != [size // 2 + 1, size // 2 + 1]:
        yield f"has its centre at pixel {wcs.crpix[0]:g}, {wcs.crpix[1]:g}, not {size // 2 + 1}"


def _labels(found: FitsImage, plane: str, twin: Twin) -> Iterator[str]:
    """Yield each disagreement in tile, quantity, unit and the mark of simulated data."""
    kind, unit = KINDS[plane]
    tile_id = found.header.get("OBJECT")
    if tile_id != naming.iso(twin.id):
        yield f"is of tile {tile_id or 'nobody knows'}, not of {naming.iso(twin.id)}"
    if found.header.get("BTYPE") != kind:
        yield f"holds '{found.header.get('BTYPE', 'no BTYPE')}', not '{kind}'"
    if found.header.get("BUNIT", "") != unit:
        yield f"has the unit '{found.header.get('BUNIT', '')}', not '{unit}'"
    if bool(found.header.get("SYNTHET")) != twin.synthetic:
        yield f"says {'nothing of' if twin.synthetic else 'that it is of'} simulated data, unlike its twin"


def _numbers(found: FitsImage, twin: Twin, facts: ImageFacts) -> Iterator[str]:
    """Yield each disagreement in beam, frequency and time."""
    arcsec = 1 / 3600
    expected: Mapping[str, tuple[float, float]] = {
        "BMAJ": (facts.beam.bmaj_arcsec * arcsec, _BEAM_ARCSEC * arcsec),
        "BMIN": (facts.beam.bmin_arcsec * arcsec, _BEAM_ARCSEC * arcsec),
        "FREQ": (facts.freq_hz, _FREQ_HZ),
        "MJD-OBS": (facts.start_mjd, _TIME_DAYS),
    }
    for key, (value, tolerance) in expected.items():
        yield from _disagreement(found.header.get(key), key, value, tolerance)
    angle = found.header.get("BPA")
    turned = None if not _is_number(angle) else facts.beam.bpa_deg + (angle - facts.beam.bpa_deg + 90) % 180 - 90
    yield from _disagreement(turned, "BPA", facts.beam.bpa_deg, _ANGLE_DEG)
    if not facts.beam.bmaj_arcsec >= facts.beam.bmin_arcsec > 0:
        yield f"has an impossible beam of {facts.beam.bmaj_arcsec:g} x {facts.beam.bmin_arcsec:g} arcsec"


def _disagreement(found: Any, key: str, expected: float, tolerance: float) -> Iterator[str]:
    """Yield a sentence if a keyword's value is no number or differs from the expected one by more than a tolerance."""
    if not _is_number(found):
        yield f"has no {key}"
    elif not abs(found - expected) <= tolerance:
        yield f"has {key} {found:.10g}, in its twin {expected:.10g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_pb(pb: FitsImage, facts: ImageFacts, pb_limit: float) -> None:
    """Check that an effective beam is a power response with its maximum at the position in its twin.

    Raises
    ------
    DamagedFileError
        If it has no value above `pb_limit`, one outside 0 to 1, or its maximum elsewhere.
    """
    finite = np.isfinite(pb.data)
    highest = float(pb.data[finite].max(initial=-np.inf))
    if highest < pb_limit:
        raise DamagedFileError(pb.path, f"is nowhere above image.pb_limit ({pb_limit:g})")
    lowest = float(pb.data[finite].min())
    if highest > 1 + _PB_ERROR or lowest < -_PB_ERROR:
        raise DamagedFileError(pb.path, f"reaches from {lowest:.3g} to {highest:.3g}: a response lies between 0 and 1")
    if facts.pb_peak_deg is None:
        return
    y, x = np.unravel_index(int(np.where(finite, pb.data, -1).argmax()), pb.data.shape)
    x_there, y_there = pb.wcs.all_world2pix(*facts.pb_peak_deg, 0)
    offset_px = float(np.hypot(x - x_there, y - y_there))
    if not offset_px <= max(_PB_PEAK_PX, _PB_PEAK_ARCSEC / facts.cell_arcsec):
        offset = f"{offset_px * facts.cell_arcsec:.0f} arcsec"
        raise DamagedFileError(pb.path, f"peaks {offset} from the place that its twin says")


def check_coverage(image: FitsImage, above: NDArray[np.bool_]) -> None:
    """Check that an image has a finite value wherever its effective beam counts.

    Parameters
    ----------
    image : FitsImage
    above : (ny, nx) bool
        Where the effective beam is above ``image.pb_limit``.

    Raises
    ------
    DamagedFileError
        If a pixel there is not finite: a mosaic would have a hole that no map of weights shows.
    """
    blank = int(np.count_nonzero(above & ~np.isfinite(image.data)))
    if blank:
        raise DamagedFileError(image.path, f"has {blank} pixels that are not finite where the effective beam counts")


def check_pixels(image: FitsImage, qa: ImageQa) -> None:
    """Check that an image's largest and smallest pixel are those in its twin.

    Raises
    ------
    DamagedFileError
        If it has no finite pixel, or other extremes.
    """
    values = image.data[np.isfinite(image.data)]
    if not values.size:
        raise DamagedFileError(image.path, "has no finite pixel")
    for word, found, expected in (("peak", values.max(), qa.peak_mjy), ("minimum", values.min(), qa.min_mjy)):
        found_mjy = float(found) * 1e3
        if expected is not None and not abs(found_mjy - expected) <= _PEAK_MJY + _PEAK_FRACTION * abs(expected):
            raise DamagedFileError(
                image.path, f"has a {word} of {found_mjy:.6g} mJy/beam, in its twin {expected:.6g} mJy/beam"
            )
