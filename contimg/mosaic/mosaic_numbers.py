"""The measured numbers of a mosaic: noise, coverage, peak, beams and flags (``qa`` of its twin)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.config import MosaicOptions
from contimg.mosaic.grid import MosaicGrid
from contimg.mosaic.group_image import GroupImage
from contimg.mosaic.outliers import negative_outliers
from contimg.mosaic.stripes import strongest_stripe
from contimg.mosaic.tile_images import GroupTile, beam_deviation, median_axes_deg, used
from contimg.mosaic.tile_samples import Sampling
from contimg.plotting.features import Features
from contimg.products.gates import gates_of
from contimg.products.numbers import MosaicQa
from contimg.products.twin import Reason
from contimg.sky.confusion import confusion_rms_jy

WELL_COVERED = 0.5
"""The noise is quoted where the weight is at least this fraction of its 95th percentile."""

_NAMED = 3
"""Number of tiles with warnings that are named with their reasons."""


def confusion_jy(mosaic: GroupImage, options: MosaicOptions, *, synthetic: bool) -> float:
    """Return the confusion noise (Jy/beam) that is expected in a mosaic, however many tiles it has.

    Simulated skies hold the listed sources alone, and none where nothing else is asked for.
    """
    if options.confusion_ujy is not None:
        return options.confusion_ujy * 1e-6
    if synthetic:
        return 0.0
    return confusion_rms_jy(mosaic.beam, float(np.mean([image.facts.freq_hz for _, image in used(mosaic.tiles)])))


def measure(
    mosaic: GroupImage,
    local: NDArray[np.float32],
    factors: NDArray[np.float64],
    found: Features,
    confusion_jy: float = 0.0,
) -> MosaicQa:
    """Measure a mosaic's noise, coverage and peak, and the spread of beams and the flags of its tiles.

    Parameters
    ----------
    mosaic : GroupImage
    local : (ny, nx) float32
        Its local rms (Jy/beam), and `factors` (n,) over that of the weights, as `noise.local_rms` measures them.
    factors : (n,) float64
    found : Features
        Its peak, and its lowest pixels over their noise.
    confusion_jy : float
        Confusion noise (Jy/beam), a part of the expected noise.
    """
    images = [image for _, image in used(mosaic.tiles)]
    inside = mosaic.weights > 0
    well = mosaic.weights >= WELL_COVERED * np.percentile(mosaic.weights[inside], 95)
    beam_px = mosaic.beam.bmaj_deg / mosaic.grid.cell_deg
    # A mosaic that is too small for one box of 20 beams has no measured noise.
    rms_jy = float(np.median(local[well])) if factors.size else None
    expected = mosaic.expected_rms[well]
    expected_jy = math.hypot(float(np.median(expected)), confusion_jy) if np.isfinite(expected).all() else None
    axes_deg = median_axes_deg(images)
    flagged = [image.qa.flagged_fraction for image in images]
    known = [fraction for fraction in flagged if fraction is not None]
    peak_jy = found.brightest[0].value
    outliers = negative_outliers(mosaic.image, local, beam_px) if factors.size else (None, None)
    return MosaicQa(
        rms_mjy=_mjy(rms_jy),
        rms_min_mjy=None if rms_jy is None else _mjy(float(local[well].min())),
        rms_from_weights_mjy=_mjy(float(np.median(mosaic.rms[well]))),
        rms_over_weights=None if rms_jy is None else round(float(np.median(factors)), 4),
        expected_rms_mjy=_mjy(expected_jy),
        confusion_mjy=_mjy(confusion_jy),
        noise_ratio=None if rms_jy is None or not expected_jy else round(rms_jy / expected_jy, 4),
        peak_mjy=_mjy(peak_jy),
        dynamic_range=None if rms_jy is None else round(peak_jy / rms_jy, 2),
        area_deg2=round(_area_deg2(mosaic.grid, inside), 6),
        coverage=round(float(inside.mean()), 6),
        projection_error=round(mosaic.grid.worst_stretch([image.footprint for image in images]), 6),
        tiles_per_pixel=round(float(mosaic.tile_count[inside].mean()), 4),
        beam_spread=round(max(beam_deviation(image.beam, axes_deg) for image in images), 6),
        flagged_fraction=None if len(known) < len(flagged) else round(float(np.mean(known)), 6),
        n_images=len(images),
        tile_fraction=round(len(images) / len(mosaic.tiles), 4),
        negative_outliers=outliers[0],
        worst_negative=None if outliers[1] is None else round(outliers[1], 3),
        min_mjy=round(float(np.nanmin(mosaic.image)) * 1e3, 6),
        lowest_sigma=None if found.lowest is None else round(found.lowest.value, 3),
        negative_pixels=found.below,
        tile_noise_spread=_noise_spread(mosaic),
        striping=_striping(mosaic, local) if factors.size else None,
        **_warned(mosaic),
    )


def _striping(mosaic: GroupImage, local: np.ndarray) -> float | None:
    """Return the amplitude of the strongest stripe over the noise."""
    found = strongest_stripe(mosaic.image, local, Sampling.of(mosaic.grid, mosaic.beam))
    return None if found is None else round(found, 5)


def _warned(mosaic: GroupImage) -> dict[str, Any]:
    """Return the fraction of the weight that comes from tiles with warnings, and these warnings.

    Quantities that could not be measured on a tile with few sources are measured, or warned of, on the mosaic.
    """
    found = [(tile, _measured_warnings(tile)) for tile, _ in used(mosaic.tiles)]
    warned = [tile for tile, reasons in found if reasons]
    sentences = [f"tile {tile.id} ({reasons[0].code}: {reasons[0].message})" for tile, reasons in found if reasons]
    more = f" and {len(sentences) - _NAMED} more" if len(sentences) > _NAMED else ""
    return {
        "warned_weight": round(sum(tile.weight_fraction or 0.0 for tile in warned), 5),
        "warned_weight_of": "; ".join(sentences[:_NAMED]) + more if sentences else None,
    }


def _measured_warnings(tile: GroupTile) -> list[Reason]:
    """Return the warnings of a tile that follow from a measured number."""
    unmeasured = {gate.unmeasured_code for some in gates_of("image").values() for gate in some}
    return [one for one in tile.twin.reasons if one.severity == "warning" and one.code not in unmeasured]


def _noise_spread(mosaic: GroupImage) -> float | None:
    """Return the largest noise of a tile at the common beam over the median tile's."""
    noises = [tile.rms_common_jy for tile, _ in used(mosaic.tiles) if tile.rms_common_jy is not None]
    return round(max(noises) / float(np.median(noises)), 4) if noises else None


def _mjy(value_jy: float | None) -> float | None:
    """Return a value in mJy, rounded as twins hold it."""
    return None if value_jy is None else round(value_jy * 1e3, 6)


def _area_deg2(grid: MosaicGrid, inside: np.ndarray) -> float:
    """Return the solid angle of the pixels inside the footprint."""
    return int(np.count_nonzero(inside)) * grid.cell_deg**2
