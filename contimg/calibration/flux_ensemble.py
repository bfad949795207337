"""The flux scale of the ensemble of catalogued sources in a tile's field.

Where no standard transits, the amplitudes of a calibration are as good as the flux density of a listed source (10 to
25 per cent), or rest on the brightest sources of the field. The catalogued sources together are better: twenty sources
of 5 per cent each give the scale to about 1 per cent. Their fluxes are measured in the calibrated visibilities, all at
once, so that sidelobes and blends are accounted for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions
from contimg.measurement_set import Visibilities
from contimg.sky.catalogue import Catalogue
from contimg.sky.constants import C_M_S
from contimg.sky.geometry import antenna_uvw
from contimg.sky.predict import attenuation, true_cosines
from contimg.statistics import robust_fit, robust_sigma

MIN_REFERENCES = 20
"""Least number of references that the flux scale is tied to."""
_MOST_FITTED = 80
_CHANNELS_AT_ONCE = 8
# Errors of a single reference: where the catalogue gives none (resolution, epoch and frequency differ), and at least.
_CATALOGUE_ERROR, _LEAST_ERROR = 0.05, 0.02
_MAX_NOISE = 0.1  # references have a signal-to-noise ratio of 10
_MIN_RESPONSE = 0.3  # nearer to the edge errors of the beam would appear as errors of the scale
_FAINTEST = 0.05  # a source with less than this of its catalogued flux is not the one of the catalogue


@dataclass(frozen=True)
class EnsembleScale:
    """Measured over catalogued flux densities.

    Attributes
    ----------
    scale, error : float
        Huber's estimate of the ratio, and its standard error, which contains the scatter.
    scatter : float
        Robust standard deviation of ln of the single ratios.
    n : int
        Number of references.
    """

    scale: float
    error: float
    scatter: float
    n: int

    @property
    def numbers(self) -> dict[str, float | int]:
        """The numbers for the twin of a calibration."""
        return {
            "ensemble_scale": round(self.scale, 4),
            "e_ensemble_scale": round(self.error, 4),
            "ensemble_scatter": round(self.scatter, 4),
            "ensemble_references": self.n,
        }


@dataclass(frozen=True)
class FieldFluxes:
    """Measured fluxes of a field's sources; arrays are (n,).

    Attributes
    ----------
    sources : Catalogue
    ratio, noise : float64
        Over those of the model, and their errors by the noise.
    response : float64
        Mean power response of the beam.
    flux_jy : float64
        What an image of the model divided by the beam shows: mean apparent flux density over mean response.
    """

    sources: Catalogue
    ratio: NDArray[np.float64]
    noise: NDArray[np.float64]
    response: NDArray[np.float64]
    flux_jy: NDArray[np.float64]


def measure_fluxes(
    residual: Visibilities, sources: Catalogue, beam: BeamOptions, also: Catalogue | None = None
) -> FieldFluxes:
    """Measure the fluxes of catalogued sources in calibrated visibilities, all together.

    Parameters
    ----------
    residual : Visibilities
        Calibrated, less the model of `sources` and `also`; a few channels over the band are enough.
    sources : Catalogue
        The catalogue's sources in the field; the brightest 80 through the beam are fitted.
    beam : BeamOptions
        Of the model.
    also : Catalogue, optional
        Sources that are fitted with them but are not returned: the calibrator.

    Notes
    -----
    The amplitudes ``a_s`` of all sources, relative to the model, solve the normal equations of ``V = sum_s a_s M_s``:
    what is left of the visibilities gives the differences from 1. Errors follow from their inverse and the rms of what
    is left.
    """
    response, apparent = _means(residual, sources, beam)
    order = np.argsort(-apparent, kind="stable")[:_MOST_FITTED]
    chosen = sources.select(order)
    ratio, noise = _amplitudes(residual, chosen if also is None else chosen.followed_by(also), beam)
    seen = np.divide(apparent, response, out=np.zeros_like(apparent), where=response > 0)
    return FieldFluxes(chosen, ratio[: len(chosen)], noise[: len(chosen)], response[order], seen[order])


def measure_ensemble(
    residual: Visibilities, sources: Catalogue, beam: BeamOptions, also: Catalogue | None = None
) -> EnsembleScale | None:
    """Measure the flux scale of calibrated visibilities against a catalogue; parameters as of `measure_fluxes`.

    None where fewer than two references can be used.
    """
    found = measure_fluxes(residual, sources, beam, also)
    use = (found.noise < _MAX_NOISE) & (found.ratio > _FAINTEST) & (found.response >= _MIN_RESPONSE)
    if use.sum() < 2:
        return None
    stated = found.sources.flux_err_jy / found.sources.flux_jy
    error = np.maximum(np.where(np.isfinite(stated), stated, _CATALOGUE_ERROR), _LEAST_ERROR)
    values = np.log(found.ratio[use])
    fit = robust_fit(np.ones((len(values), 1)), values, np.hypot(found.noise[use] / found.ratio[use], error[use]))
    scale = math.exp(float(fit.coefficients[0]))
    return EnsembleScale(scale, scale * float(fit.errors[0]), robust_sigma(values), len(values))


def _means(vis: Visibilities, sources: Catalogue, beam: BeamOptions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean power response and mean apparent flux density of sources over the times and channels of a tile."""
    if not len(sources):
        return np.empty(0), np.empty(0)
    seen = attenuation(vis, np.radians(sources.ra_deg), np.radians(sources.dec_deg), beam).mean(1)
    return seen.mean(1), (seen * sources.flux_at(vis.freq_hz)).mean(1)


def _amplitudes(
    residual: Visibilities, sources: Catalogue, beam: BeamOptions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sources' fluxes over those of the model, and their errors by the noise, both (n,)."""
    ra, dec = np.radians(sources.ra_deg), np.radians(sources.dec_deg)
    apparent = attenuation(residual, ra, dec, beam) * sources.flux_at(residual.freq_hz)[:, None, :]
    cosines = true_cosines(residual, ra, dec)
    data, weight = _stokes_i(residual)
    n_times = len(residual.times_mjd_s)
    baselines = len(residual.uvw_m) // n_times
    used, number = np.unique(np.concatenate([residual.antenna1, residual.antenna2]), return_inverse=True)
    one, two = number[:baselines], number[len(residual.antenna1) : len(residual.antenna1) + baselines]
    normal, target = np.zeros((len(sources), len(sources))), np.zeros(len(sources))
    squares, count = 0.0, 0
    for time in range(n_times):
        rows = slice(time * baselines, (time + 1) * baselines)
        path_m = antenna_uvw(residual.uvw_m[rows], one, two, len(used)) @ cosines[time]
        for start in range(0, len(residual.freq_hz), _CHANNELS_AT_ONCE):
            channels = slice(start, start + _CHANNELS_AT_ONCE)
            turns = path_m[None] * (residual.freq_hz[channels, None, None] / C_M_S)
            phasor = np.exp(2j * np.pi * (turns - np.rint(turns))).astype(np.complex64)
            model = phasor[:, one] * phasor[:, two].conj()
            model *= apparent[:, time, channels].T[:, None, :].astype(np.float32)
            root = np.sqrt(weight[rows, channels].T)[:, :, None]
            flat = (model * root).reshape(-1, len(sources)).view(np.float32)
            parts = np.concatenate([flat[:, 0::2], flat[:, 1::2]])
            left = (data[rows, channels].T * root[:, :, 0]).reshape(-1)
            seen = np.concatenate([left.real, left.imag])
            normal += parts.T @ parts
            target += parts.T @ seen
            squares += float(seen @ seen)
            count += 2 * int(np.count_nonzero(weight[rows, channels]))
    inverse = np.linalg.pinv(normal, hermitian=True)
    step = inverse @ target
    variance = max(0.0, squares - float(step @ target)) / max(1, count - len(sources))
    return 1 + step, np.sqrt(variance * np.maximum(np.diag(inverse), 0))


def _stokes_i(vis: Visibilities) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Return the weighted mean of the polarisations (nrow, nchan), and its weight."""
    weight = np.where(vis.flag, 0, vis.weight).astype(np.float32)
    total = weight.sum(2)
    data = (np.where(vis.flag, 0, vis.data) * weight).sum(2) / np.where(total > 0, total, 1)
    return data.astype(np.complex64), total
