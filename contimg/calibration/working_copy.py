"""The working copy of a tile, on which CASA solves: with a model, true weights and the calibrator at the phase centre.

CASA averages visibilities over time and channels before it solves; the copy is therefore phase-shifted to the
calibrator. It has the model in MODEL_DATA, and weights that are inverse variances, so that CASA's signal-to-noise
ratios are those of the solutions. The tile itself is only read.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.measurement_set import Visibilities
from contimg.sky import geometry
from contimg.sky.predict import array_location
from contimg.statistics import MAD_TO_SIGMA

_ROWS = 8192
_THIN_CHANNELS = 64


def shift_phase_centre(vis: Visibilities, centre_rad: NDArray[np.float64]) -> Visibilities:
    """Rotate visibilities to another ICRS phase centre, in place, and return them with the new coordinates.

    ``data' = data exp(-2 pi i f/c (w' - w))`` in the sign convention of `contimg.measurement_set`, with w' of
    the new centre's apparent place: nothing is approximated.
    """
    location = array_location(vis)
    antenna = geometry.uvw(vis.antenna_positions_m, centre_rad, vis.times_mjd_s / 86400, location)
    time = np.argmin(np.abs(vis.time_mjd_s[:, None] - vis.times_mjd_s), axis=1)
    uvw = antenna[time, vis.antenna1] - antenna[time, vis.antenna2]
    path_m = uvw[:, 2] - vis.uvw_m[:, 2]
    for start in range(0, len(uvw), _ROWS):
        rows = slice(start, start + _ROWS)
        vis.data[rows] *= geometry.phasors(path_m[rows], vis.freq_hz)[:, :, None]
    return dataclasses.replace(vis, uvw_m=uvw, phase_centre_rad=np.array(centre_rad, np.float64))


def thin(vis: Visibilities, model: NDArray[np.complex64]) -> tuple[Visibilities, NDArray[np.complex64]]:
    """Return copies of visibilities and model with at most 64 channels, spread over the band."""
    step = -(-len(vis.freq_hz) // _THIN_CHANNELS)
    few = dataclasses.replace(
        vis,
        freq_hz=vis.freq_hz[::step],
        data=vis.data[:, ::step].copy(),
        flag=vis.flag[:, ::step].copy(),
        weight=vis.weight[:, ::step].copy(),
    )
    return few, model[:, ::step].copy()


def noise_per_baseline(vis: Visibilities) -> NDArray[np.float64]:
    """Return the noise (nbl, npol) of one part of a visibility, from successive integrations.

    ``1.4826 median |difference| / sqrt 2`` of real and imaginary parts; NaN where no two successive integrations are
    unflagged.
    """
    ntime, npol = len(vis.times_mjd_s), len(vis.polarisations)
    nbl = len(vis.uvw_m) // ntime
    data = vis.data.reshape(ntime, nbl, -1, npol)
    good = (~vis.flag & (vis.weight > 0)).reshape(data.shape)
    # NaN in both parts: a flagged pair must not count as an imaginary part of 0.
    difference = np.where(good[1:] & good[:-1], data[1:] - data[:-1], complex(np.nan, np.nan))
    parts = np.concatenate([np.abs(difference.real), np.abs(difference.imag)], axis=2)
    parts = parts.transpose(1, 3, 0, 2).reshape(nbl, npol, -1)
    known = np.isfinite(parts).any(-1)
    noise = np.full((nbl, npol), np.nan)
    noise[known] = MAD_TO_SIGMA / np.sqrt(2) * np.nanmedian(parts[known], axis=-1)
    return noise


def set_true_weights(vis: Visibilities, noise: NDArray[np.float64]) -> None:
    """Replace weights by inverse variances, in place, and flag samples that were not received.

    Within a baseline weights stay proportional to the number of samples received. A baseline whose noise could not be
    measured, or is zero (noise-free simulations), gets the median noise of the others.

    Parameters
    ----------
    vis : Visibilities
    noise : (nbl, npol) float64
        From `noise_per_baseline`.
    """
    received = vis.weight > 0
    vis.flag |= ~received
    measured = np.isfinite(noise) & (noise > 0)
    if not measured.any():
        return
    noise = np.where(measured, noise, np.median(noise[measured]))
    scale = (1 / (noise**2 * typical_weight(vis))).astype(np.float32)
    vis.weight *= np.tile(scale, (len(vis.times_mjd_s), 1))[:, None, :]


def typical_weight(vis: Visibilities) -> float:
    """Return the median weight of the samples received: the number of samples that the measured noise refers to."""
    received = vis.weight[:: max(1, len(vis.weight) // 4096)]
    received = received[received > 0]
    return float(np.median(received if received.size else vis.weight[vis.weight > 0]))


def antenna_noise(vis: Visibilities, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factors s (nant, npol) of the antennas in the baselines' noise, ``sigma_pq = s_p s_q``.

    A least-squares solution of the logarithms; NaN for antennas without known baselines.
    """
    nbl = len(noise)
    one, two = vis.antenna1[:nbl], vis.antenna2[:nbl]
    parts = np.full((len(vis.antenna_names), noise.shape[1]), np.nan)
    for pol in range(noise.shape[1]):
        known = np.isfinite(noise[:, pol]) & (noise[:, pol] > 0)
        used, index = np.unique(np.concatenate([one[known], two[known]]), return_inverse=True)
        if len(used) < 3:
            continue
        design = np.zeros((int(known.sum()), len(used)))
        rows = np.arange(len(design))
        design[rows, index[: len(rows)]] = 1
        design[rows, index[len(rows) :]] = 1
        parts[used, pol] = np.exp(np.linalg.lstsq(design, np.log(noise[known, pol]), rcond=None)[0])
    return parts


def write(path: Path, vis: Visibilities, model: NDArray[np.complex64]) -> None:
    """Write the copy, with the model (nrow, nchan) in MODEL_DATA, the same in all polarisations."""
    from casacore import tables

    measurement_set.write(path, vis)
    _, nchan, npol = vis.shape
    with tables.table(str(path), readonly=False, ack=False) as table:
        description = tables.makearrcoldesc(
            "MODEL_DATA", 0, valuetype="complex", shape=[nchan, npol], options=5, comment="model"
        )
        tile_shape = np.array([npol, nchan, max(8, (1 << 17) // (npol * nchan))], np.int32)
        manager = {
            "TYPE": "TiledColumnStMan",
            "NAME": "TiledMODEL_DATA",
            "SPEC": {"DEFAULTTILESHAPE": tile_shape},
        }
        table.addcols(tables.maketabdesc(description), manager)
        for start in range(0, len(model), _ROWS):
            rows = model[start : start + _ROWS]
            table.putcol("MODEL_DATA", np.repeat(rows[:, :, None], npol, axis=2), start, len(rows))
