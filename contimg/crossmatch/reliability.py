"""Which of a mosaic's sources may be artefacts of brighter ones, by what is as deep below zero.

Errors of the gains leave positive and negative spots round a bright source alike, and no source is negative. The
finder is therefore run on the negative image as well (as SoFiA does, Serra, Jurek & Floer 2012, PASA 29, 296): a faint
source beside a bright one that is hardly higher than such a spot is deep cannot be distinguished from an artefact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.crossmatch.source_finder import PEAK_SIGMA
from contimg.crossmatch.sources import Source
from contimg.sky.spherical import unit_vectors

BRIGHT_SNR = 500.0
"""Least S/N of a source whose artefacts are looked for: they reach a few thousandths of it at most."""
MARGIN = 1.5
"""How much higher than the deepest spot a source must be: of few spots, the deepest is not the highest there can be."""
REACH_BEAMS = 20.0
"""Distance up to which a bright source is taken to have artefacts as others have, though none of its own was found."""
FAR_BEAMS = 40.0
"""Largest distance of a negative spot that is put down to a bright source."""
INNER = 0.7
"""Spots count from this fraction of a source's distance on: artefacts fall with distance, and unevenly."""
NEAR_BRIGHT, AT_EDGE = "near a bright source", "at the edge"


def with_doubts(
    sources: Sequence[Source], negatives: Sequence[Source], beam_deg: float, rms: NDArray[np.floating], wcs: Any
) -> list[Source]:
    """Return sources with `doubt` set where they may be artefacts of brighter ones, or are cut off by the edge.

    Parameters
    ----------
    sources : sequence of Source
    negatives : sequence of Source
        What the finder finds in the negative image, with the same noise.
    beam_deg : float
        Major axis of the beam.
    rms : (ny, nx) array
        Local noise, NaN outside the footprint.
    wcs : astropy.wcs.WCS
        Of `rms`.
    """
    beside = _beside_bright(sources, negatives, np.radians(beam_deg))
    cut = _at_edge(sources, beam_deg, rms, wcs)
    doubts = np.where(cut, AT_EDGE, np.where(beside, NEAR_BRIGHT, ""))
    return [replace(one, doubt=str(doubt)) for one, doubt in zip(sources, doubts, strict=True)]


def _beside_bright(sources: Sequence[Source], negatives: Sequence[Source], beam_rad: float) -> NDArray[np.bool_]:
    """Return which sources are not `MARGIN` times as high as artefacts of a brighter source are deep."""
    doubtful = np.zeros(len(sources), bool)
    snr = np.array([one.snr for one in sources])
    bright = np.nonzero(snr >= BRIGHT_SNR)[0]
    if not len(bright):
        return doubtful
    places, spots = _vectors(sources), _vectors(negatives)
    depth = np.array([one.snr for one in negatives])
    peak_jy = np.array([one.peak_flux_jy_beam for one in sources])
    owner = _owners(places[bright], peak_jy[bright], spots, beam_rad)
    distances = [_beams(places[i], spots[owner == k], beam_rad) for k, i in enumerate(bright)]
    depths = [depth[owner == k] for k in range(len(bright))]
    near = [level[away <= REACH_BEAMS] for away, level in zip(distances, depths, strict=True)]
    ratios = [level.max() / snr[i] for i, level in zip(bright, near, strict=True) if level.size]
    typical = float(np.median(ratios)) if ratios else 0.0
    for k, i in enumerate(bright):
        away = _beams(places[i], places, beam_rad)
        # Without a spot of its own it has none above the finder's limit, but may have some up to it.
        level = np.where(away <= REACH_BEAMS, min(PEAK_SIGMA, typical * snr[i]), 0.0)
        for spot_away, spot_depth in zip(distances[k], depths[k], strict=True):
            level = np.where(spot_away >= INNER * away, np.maximum(level, spot_depth), level)
        doubtful |= (snr < MARGIN * level) & (np.arange(len(sources)) != i)
    return doubtful


def _owners(
    bright: NDArray[np.float64], peak_jy: NDArray[np.float64], spots: NDArray[np.float64], beam_rad: float
) -> NDArray[np.int64]:
    """Return for each negative spot (n,) the bright source that it is put down to, by most brightness over distance.

    -1 where none is near enough.
    """
    owner, most = np.full(len(spots), -1), np.zeros(len(spots))
    for k, place in enumerate(bright):
        away = _beams(place, spots, beam_rad)
        weight = np.where(away <= FAR_BEAMS, peak_jy[k] / np.maximum(away, 1.0), 0.0)
        owner, most = np.where(weight > most, k, owner), np.maximum(weight, most)
    return owner


def _vectors(sources: Sequence[Source]) -> NDArray[np.float64]:
    """Return unit vectors (n, 3) of sources."""
    return unit_vectors(np.radians(np.array([(one.ra_deg, one.dec_deg) for one in sources]).reshape(-1, 2)))


def _beams(place: NDArray[np.float64], others: NDArray[np.float64], beam_rad: float) -> NDArray[np.float64]:
    """Return the distances (n,) of unit vectors from one of them, in beams."""
    chord = np.linalg.norm(others - place, axis=1)
    return np.asarray(2 * np.arcsin(np.minimum(chord / 2, 1.0)) / beam_rad)


def _at_edge(sources: Sequence[Source], beam_deg: float, rms: NDArray[np.floating], wcs: Any) -> NDArray[np.bool_]:
    """Return which sources are less than half a beam from pixels without data: their peak may lie beyond."""
    cut = np.zeros(len(sources), bool)
    if not len(sources):
        return cut
    x, y = wcs.all_world2pix([one.ra_deg for one in sources], [one.dec_deg for one in sources], 0)
    reach = max(1, round(beam_deg / abs(float(wcs.wcs.cdelt[0])) / 2))
    for i, (column, row) in enumerate(zip(np.rint(x).astype(int), np.rint(y).astype(int), strict=True)):
        part = rms[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        cut[i] = part.shape != (2 * reach + 1, 2 * reach + 1) or not np.isfinite(part).all()
    return cut
