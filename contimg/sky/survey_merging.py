"""Sources of several surveys merged into one catalogue: flux density and spectral index at 1.4 GHz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.sky.catalogue import DEFAULT_REF_FREQ_HZ, DEFAULT_SPECTRAL_INDEX, Catalogue, merge_duplicates
from contimg.sky.spherical import unit_vectors
from contimg.sky.survey_sources import SurveySources
from contimg.sky.surveys import Survey

# Positions of the faintest sources of these surveys are good to about this.
_POSITION_ARCSEC = 5.0
# A source that no better survey has counts only beyond this distance of all of its sources: not covered there.
_NOT_COVERED_DEG = 1.0
# Surveys within this of ln(1.4 GHz) give the flux density; those further off give the index only.
_NEAR_LOG_FREQ = 0.2
_MIN_LOG_FREQ_SPREAD = 0.1
# No known population is steeper or more inverted: such an index joins two different sources or a variable one.
_LARGEST_INDEX = 2.5


@dataclass
class _Merged:
    """Merged sources; `flux` and `error` are (n, surveys), NaN where a survey has no flux for a source."""

    name: NDArray[np.str_]
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    flux: NDArray[np.float64]
    error: NDArray[np.float64]

    def add(self, other: SurveySources, rows: NDArray[Any], column: int) -> None:
        """Append rows of a survey as sources of their own."""
        blank = np.full((int(np.count_nonzero(rows)), self.flux.shape[1]), np.nan)
        flux, error = blank.copy(), blank
        flux[:, column], error[:, column] = other.flux_jy[rows], other.flux_err_jy[rows]
        self.name = np.concatenate([self.name, _named(other, rows)])
        self.ra_deg = np.concatenate([self.ra_deg, other.ra_deg[rows]])
        self.dec_deg = np.concatenate([self.dec_deg, other.dec_deg[rows]])
        self.flux, self.error = np.concatenate([self.flux, flux]), np.concatenate([self.error, error])


def merge_surveys(surveys: Sequence[SurveySources]) -> Catalogue:
    """Merge the sources of surveys into a catalogue at 1.4 GHz.

    The survey nearest to 1.4 GHz gives the sources. Those of another survey within half of the wider of the two beams
    belong to the nearest of them, and their fluxes are added up; where a wider beam joins several sources, it counts
    for none. Sources that no better survey has stand only where those surveys do not cover the sky.

    The spectral index is the slope of a fit to all fluxes of a source, weighted by their errors and those of the
    flux scales; the flux density is the weighted mean of the surveys within 20 % of 1.4 GHz, carried there with the
    index, else that of the fit. A source of one frequency has no index (NaN) and is carried there with -0.7.

    Parameters
    ----------
    surveys : sequence of SurveySources
        Several files of one survey are joined first.

    Returns
    -------
    catalogue : Catalogue
        ``spectral_index`` is NaN where it is not known; `notes` say what became of the rows of the files.
    """
    joined, notes = _joined(surveys)
    order = sorted(joined, key=lambda one: abs(np.log(one.survey.freq_hz / DEFAULT_REF_FREQ_HZ)))
    empty = np.empty((0, len(order)))
    merged = _Merged(np.empty(0, np.str_), np.empty(0), np.empty(0), empty, empty)
    for column, other in enumerate(order):
        if column == 0:
            merged.add(other, np.ones(len(other.ra_deg), bool), column)
        else:
            used = _assign(merged, other, column, max(one.survey.resolution_arcsec for one in order[:column]))
            notes.append(f"{used} of {len(other.ra_deg)} sources of {other.survey.title} are in the catalogue")
    flux, error, index = _spectra(merged, [one.survey for one in order])
    frequency = np.full(len(flux), DEFAULT_REF_FREQ_HZ)
    catalogue = Catalogue(merged.name, merged.ra_deg, merged.dec_deg, flux, error, frequency, index, notes=tuple(notes))
    return catalogue


def _joined(surveys: Sequence[SurveySources]) -> tuple[list[SurveySources], list[str]]:
    """Return one set of sources a survey, without the rows that stand twice, and the notes of all files."""
    notes = [note for one in surveys for note in one.notes]
    found: list[SurveySources] = []
    for survey in dict.fromkeys(one.survey.title for one in surveys):
        same = [one for one in surveys if one.survey.title == survey]
        columns: dict[str, Any] = {
            key: np.concatenate([getattr(one, key) for one in same])
            for key in ("name", "ra_deg", "dec_deg", "flux_jy", "flux_err_jy")
        }
        frequency = np.full(len(columns["ra_deg"]), same[0].survey.freq_hz)
        index = np.full(len(frequency), DEFAULT_SPECTRAL_INDEX)
        whole, remarks = merge_duplicates(Catalogue(**columns, ref_freq_hz=frequency, spectral_index=index), survey)
        notes += [note for note in remarks if "duplicate" in note]
        found.append(replace(same[0], **{key: getattr(whole, key) for key in columns}))
    return found, notes


def _assign(merged: _Merged, other: SurveySources, column: int, beam_arcsec: float) -> int:
    """Add the fluxes of a survey to the sources that they belong to, or as new sources; return how many were used."""
    from scipy.spatial import cKDTree

    if not len(other.ra_deg):
        return 0
    if not len(merged.ra_deg):
        merged.add(other, np.ones(len(other.ra_deg), bool), column)
        return len(other.ra_deg)
    tree = cKDTree(unit_vectors(np.radians(np.stack([merged.ra_deg, merged.dec_deg], axis=-1))))
    places = unit_vectors(np.radians(np.stack([other.ra_deg, other.dec_deg], axis=-1)))
    distance, nearest = tree.query(places)
    reach = _chord(max(other.survey.resolution_arcsec / 2, beam_arcsec / 2, _POSITION_ARCSEC))
    own_beam = _chord(max(other.survey.resolution_arcsec / 2, _POSITION_ARCSEC))
    matched = (distance <= reach) & (tree.query_ball_point(places, own_beam, return_length=True) <= 1)
    fluxes = np.bincount(nearest[matched], other.flux_jy[matched], len(merged.ra_deg))
    errors = np.sqrt(np.bincount(nearest[matched], other.flux_err_jy[matched] ** 2, len(merged.ra_deg)))
    have = np.bincount(nearest[matched], minlength=len(merged.ra_deg)) > 0
    merged.flux[have, column], merged.error[have, column] = fluxes[have], errors[have]
    alone = distance > _chord(3600 * _NOT_COVERED_DEG)
    merged.add(other, alone, column)
    return int(np.count_nonzero(matched) + np.count_nonzero(alone))


def _chord(arcsec: float) -> float:
    """Return the distance of two unit vectors at an angle."""
    return float(2 * np.sin(np.radians(arcsec / 3600) / 2))


def _spectra(
    merged: _Merged, surveys: Sequence[Survey]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return flux densities and errors (Jy) at 1.4 GHz, and spectral indices, NaN where they are not known.

    A weighted least-squares fit of ln S against ln f has a closed form; errors of ln S are those of S over S.
    """
    x = np.log([survey.freq_hz / DEFAULT_REF_FREQ_HZ for survey in surveys])
    scale = np.array([survey.scale_error for survey in surveys])
    have = np.isfinite(merged.flux)
    y = np.log(np.where(have, merged.flux, 1.0))
    relative = np.where(have, np.nan_to_num(merged.error) / np.where(have, merged.flux, 1.0), 0.0)
    weight = np.where(have, 1 / (relative**2 + scale**2), 0.0)
    total = weight.sum(1)
    mean_x, mean_y = (weight * x).sum(1) / total, (weight * y).sum(1) / total
    spread = (weight * (x - mean_x[:, None]) ** 2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (weight * (x - mean_x[:, None]) * (y - mean_y[:, None])).sum(1) / spread
    low, high = np.where(have, x, np.inf).min(1, initial=np.inf), np.where(have, x, -np.inf).max(1, initial=-np.inf)
    known = (high - low > _MIN_LOG_FREQ_SPREAD) & (np.abs(slope) <= _LARGEST_INDEX)
    index = np.where(known, slope, np.nan)
    # The flux density: of the surveys near 1.4 GHz, else of all, else (no index) of the nearest in frequency.
    near = have & (np.abs(x) <= _NEAR_LOG_FREQ)
    away = np.where(have, np.abs(x), np.inf)
    nearest = away == away.min(axis=1, keepdims=True)
    chosen = np.where(near.any(axis=1, keepdims=True), near, np.where(known[:, None], have, nearest & have))
    used = np.where(known, index, DEFAULT_SPECTRAL_INDEX)
    share = np.where(chosen, weight, 0.0)
    share /= share.sum(1)[:, None]
    flux = np.exp((share * (y - used[:, None] * x)).sum(1))
    error = flux * np.sqrt((share**2 * np.where(chosen, merged.error / merged.flux, 0.0) ** 2).sum(1))
    return flux, error, index


def _named(sources: SurveySources, rows: NDArray[Any]) -> NDArray[np.str_]:
    """Return the names of rows: those of the survey, else made from the position in the manner of the IAU."""
    names = [
        name or _position_name(sources.survey.title, ra, dec)
        for name, ra, dec in zip(
            sources.name[rows].tolist(), sources.ra_deg[rows].tolist(), sources.dec_deg[rows].tolist(), strict=True
        )
    ]
    return np.array(names, np.str_)


def _position_name(title: str, ra_deg: float, dec_deg: float) -> str:
    """Return a name such as ``NVSS J133108+303032``, truncated as the IAU wants it, not rounded."""
    seconds, arcsec = int(ra_deg * 240 + 1e-6), int(abs(dec_deg) * 3600 + 1e-6)
    ra = f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}"
    return f"{title} J{ra}{'-' if dec_deg < 0 else '+'}{arcsec // 3600:02}{arcsec // 60 % 60:02}{arcsec % 60:02}"
