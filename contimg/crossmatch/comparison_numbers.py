"""The numbers of a comparison with a catalogue: flux scale, astrometry and completeness."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.crossmatch.matching import COMPLETENESS_SNR, Match
from contimg.crossmatch.systematics import measure_systematics
from contimg.products.numbers import CrossmatchQa
from contimg.statistics import MAD_TO_SIGMA

OUTLIER = 0.3
"""A flux ratio off the median by more than this fraction is an outlier."""


def measure(matched: Match, n_sources: int, min_matches: int, beam_arcsec: float) -> CrossmatchQa:
    """Measure flux scale, astrometry and completeness, and their systematic changes over the field.

    Parameters
    ----------
    matched : Match
    n_sources : int
        Sources found.
    min_matches : int
        With fewer compared (or expected) sources a number is None: not measured.
    beam_arcsec : float
        Geometric mean of the beam's axes, which offsets are compared with.
    """
    use = matched.compared
    strong = matched.expected_snr >= COMPLETENESS_SNR
    n_compared, n_expected = int(use.sum()), int(strong.sum())
    n_found = int((strong & (matched.source >= 0)).sum())
    numbers: dict[str, Any] = measure_systematics(matched, min_matches, beam_arcsec)
    if n_compared >= min_matches:
        numbers |= _flux_numbers(matched.flux_ratio[use], matched.peak_ratio[use])
        numbers |= _offset_numbers(matched, use, beam_arcsec)
    if n_expected >= min_matches:
        numbers["completeness"] = round(n_found / n_expected, 5)
    return CrossmatchQa(
        n_sources=n_sources,
        n_catalogue=len(matched.catalogue),
        n_matched=int((matched.source >= 0).sum()),
        n_compared=n_compared,
        n_expected=n_expected,
        n_expected_found=n_found,
        n_unmatched=len(matched.unmatched),
        **numbers,
    )


def _flux_numbers(ratio: NDArray[np.float64], peak_ratio: NDArray[np.float64]) -> dict[str, float]:
    """Return medians and scatter of found over catalogue flux."""
    middle = float(np.median(ratio))
    numbers = {
        "median_flux_ratio": middle,
        "flux_ratio_mad": MAD_TO_SIGMA * np.median(np.abs(ratio - middle)),
        "flux_ratio_p05": np.percentile(ratio, 5),
        "flux_ratio_p95": np.percentile(ratio, 95),
        "median_peak_ratio": np.median(peak_ratio),
        "flux_outliers": np.mean(np.abs(ratio / middle - 1) > OUTLIER),
    }
    return {key: round(float(value), 5) for key, value in numbers.items()}


def _offset_numbers(matched: Match, use: NDArray[np.bool_], beam_arcsec: float) -> dict[str, float]:
    """Return medians and scatter of found minus catalogue position."""
    dra, ddec, offset = matched.dra_arcsec[use], matched.ddec_arcsec[use], matched.separation_arcsec[use]
    middle = np.median(dra), np.median(ddec)
    numbers = {
        "median_dra_arcsec": middle[0],
        "median_ddec_arcsec": middle[1],
        "median_offset_arcsec": np.median(offset),
        "median_offset_beams": np.median(offset) / beam_arcsec,
        "systematic_offset_arcsec": np.hypot(*middle),
        "scatter_ra_arcsec": MAD_TO_SIGMA * np.median(np.abs(dra - middle[0])),
        "scatter_dec_arcsec": MAD_TO_SIGMA * np.median(np.abs(ddec - middle[1])),
        "offset_p95_arcsec": np.percentile(offset, 95),
    }
    return {key: round(float(value), 5) for key, value in numbers.items()}
