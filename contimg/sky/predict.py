"""Visibilities of point sources through the moving, frequency-dependent primary beam."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.config import BeamOptions
from contimg.measurement_set import Coordinates
from contimg.sky import geometry
from contimg.sky.beam_cube import read_cube
from contimg.sky.constants import C_M_S
from contimg.sky.primary_beam import airy_response, beam_axes
from contimg.sky.spherical import unit_vectors

_NODES = 24
_BLOCK = 32  # channels whose phasors are a common factor times that of the first


def direction_cosines(
    ra_rad: ArrayLike, dec_rad: ArrayLike, centre_rad: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return ``l``, ``m`` and ``n - 1`` of directions about a phase centre; NaN beyond 90 degrees."""
    ra0, dec0 = np.asarray(centre_rad, np.float64)
    ra, dec = np.asarray(ra_rad, np.float64), np.asarray(dec_rad, np.float64)
    l = np.cos(dec) * np.sin(ra - ra0)  # noqa: E741
    m = np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(ra - ra0)
    n = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * np.cos(ra - ra0)
    return l, m, np.where(n > 0, -(l**2 + m**2) / np.where(n > 0, 1 + n, 1), np.nan)


def attenuation(vis: Coordinates, ra_rad: ArrayLike, dec_rad: ArrayLike, beam: BeamOptions) -> NDArray[np.float64]:
    """Return the primary beam's power response (nsrc, ntime, nchan) at sources, for each time and channel.

    Parameters
    ----------
    vis : Coordinates
        Times, pointing directions and channels.
    ra_rad, dec_rad : (nsrc,) array_like
        ICRS.
    beam : BeamOptions

    Raises
    ------
    InputError
        If ``beam.cube`` cannot be used, or does not cover the band.
    """
    ra, dec = np.atleast_1d(ra_rad), np.atleast_1d(dec_rad)
    if beam.cube is not None:
        return _cube_attenuation(vis, ra, dec, beam, beam.cube)
    sources, axes = unit_vectors(np.stack([ra, dec], axis=-1)), beam_axes(vis.pointing_rad, beam)
    chord = np.linalg.norm(sources[:, None] - axes[None], axis=-1)
    angle = 2 * np.arcsin(np.clip(chord / 2, 0, 1))
    nodes_hz, to_channels = _frequency_nodes(vis.freq_hz)
    power = airy_response(angle[:, :, None], nodes_hz[None, None, :], beam) @ to_channels
    return np.where(angle[:, :, None] < np.pi / 2, power, 0.0)


def _frequency_nodes(freq_hz: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies at which a beam is computed, and the matrix that interpolates it to the channels.

    A polynomial through Chebyshev's nodes is right to 1e-8 up to the horizon; few channels are their own nodes.
    """
    if len(freq_hz) <= _NODES:
        return freq_hz, np.eye(len(freq_hz))
    low, high = float(freq_hz.min()), float(freq_hz.max())
    node = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
    place = (2 * freq_hz - low - high) / (high - low)
    chebyshev = np.polynomial.chebyshev.chebvander
    matrix = np.linalg.solve(chebyshev(node, _NODES - 1).T, chebyshev(place, _NODES - 1).T)
    return (low + high) / 2 + (high - low) / 2 * node, np.asarray(matrix, np.float64)


def _cube_attenuation(
    vis: Coordinates, ra_rad: NDArray[np.float64], dec_rad: NDArray[np.float64], beam: BeamOptions, path: str
) -> NDArray[np.float64]:
    """Return the response of a beam cube (nsrc, ntime, nchan)."""
    cube = read_cube(path)
    cube.check_band(path, vis.freq_hz)
    sources, axes = unit_vectors(np.stack([ra_rad, dec_rad], axis=-1)), beam_axes(vis.pointing_rad, beam)
    return np.stack([cube.response(sources, axis, vis.freq_hz, beam.width) for axis in axes], axis=1)


def array_location(vis: Coordinates) -> geometry.Location:
    """Return the location of the array: its reference point, else the mean of its antennas."""
    itrf_m = vis.antenna_positions_m.mean(0) if vis.array_position_m is None else vis.array_position_m
    return geometry.Location.from_itrf(itrf_m)


def true_cosines(vis: Coordinates, ra_rad: ArrayLike, dec_rad: ArrayLike) -> NDArray[np.float64]:
    """Return ``l, m, n - 1`` (ntime, 3, nsrc) of the apparent places of ICRS directions; NaN beyond 90 degrees.

    Annual aberration changes the scale of the sky by up to 1e-4: 0.36 arcsec per degree from the phase centre, 8
    degrees of phase on the longest baseline. Images contain it (`direction_cosines`), catalogues do not.
    """
    times, location = vis.times_mjd_s / 86400, array_location(vis)
    icrs = np.stack([np.atleast_1d(ra_rad), np.atleast_1d(dec_rad)], axis=-1)
    hour_angle, dec = geometry.apparent_from_icrs(icrs[None], times[:, None], location)
    axes = geometry.basis(vis.phase_centre_rad, times, location)
    cosines = np.einsum("tij,tsj->tis", axes, geometry.direction(hour_angle, dec))
    n = cosines[:, 2]
    l2m2 = cosines[:, 0] ** 2 + cosines[:, 1] ** 2
    cosines[:, 2] = np.where(n > 0, -l2m2 / np.where(n > 0, 1 + n, 1), np.nan)
    return cosines


def predict(
    vis: Coordinates,
    ra_rad: ArrayLike,
    dec_rad: ArrayLike,
    flux_jy: ArrayLike,
    beam: BeamOptions,
    *,
    true_places: bool = False,
) -> NDArray[np.complex64]:
    """Return the visibilities of point sources seen through the moving, frequency-dependent beam.

    Parameters
    ----------
    vis : Coordinates
        Times, channels and baselines of the visibilities.
    ra_rad, dec_rad : (nsrc,) array_like
        ICRS.
    flux_jy : (nsrc, nchan) array_like
        True flux densities at ``vis.freq_hz``.
    beam : BeamOptions
    true_places : bool
        False: directions as measured in an image of these visibilities. True: ICRS directions from a
        catalogue, for which the change of aberration over the field counts (`true_cosines`).

    Returns
    -------
    (nrow, nchan) complex64
        Jy; the same for XX and YY.
    """
    flux = np.asarray(flux_jy, np.float64)
    apparent = attenuation(vis, ra_rad, dec_rad, beam) * flux[:, None, :]
    return predict_apparent(vis, ra_rad, dec_rad, apparent, true_places=true_places)


def predict_apparent(
    vis: Coordinates,
    ra_rad: ArrayLike,
    dec_rad: ArrayLike,
    apparent_jy: ArrayLike,
    *,
    true_places: bool = False,
) -> NDArray[np.complex64]:
    """Return the visibilities of point sources of given apparent flux densities (nsrc, ntime, nchan).

    Notes
    -----
    ``V_pq = sum_s S_s E_ps conj(E_qs)`` with ``E_ps = exp(2 pi i f/c (u_p l + v_p m + w_p (n - 1)))``, the
    exact wide-field sum in the sign convention of `contimg.measurement_set`: one matrix product a
    time and channel instead of one phasor a row, channel and source. Phases are reduced to one turn
    in double precision; relative error about 1e-6. Smearing within a channel or an integration is
    not modelled.

    Raises
    ------
    ValueError
        If the baselines do not close to 10 micrometres: then uvw are not those of antennas.
    """
    apparent = np.asarray(apparent_jy, np.float32)
    model = np.zeros((len(vis.uvw_m), len(vis.freq_hz)), np.complex64)
    if apparent.shape[0] == 0:
        return model
    if true_places:
        lmn = true_cosines(vis, ra_rad, dec_rad)
    else:
        still = direction_cosines(np.atleast_1d(ra_rad), np.atleast_1d(dec_rad), vis.phase_centre_rad)
        lmn = np.broadcast_to(np.stack(still), (len(vis.times_mjd_s), 3, apparent.shape[0]))
    visible = np.isfinite(lmn[:, 2]).all(0)
    lmn, apparent = lmn[:, :, visible], apparent[visible]
    used, number = np.unique(np.concatenate([vis.antenna1, vis.antenna2]), return_inverse=True)
    for rows, time in _rows_by_time(vis):
        one, two = number[: len(vis.antenna1)][rows], number[len(vis.antenna1) :][rows]
        delay_m = geometry.antenna_uvw(vis.uvw_m[rows], one, two, len(used)) @ lmn[time]
        for start in range(0, len(vis.freq_hz), _BLOCK):
            channels = slice(start, start + _BLOCK)
            phasor = _phasors(delay_m, vis.freq_hz[channels])
            flux = apparent[:, time, channels].T
            product = (phasor * flux[:, None, :]) @ phasor.conj().transpose(0, 2, 1)
            model[rows, channels] = product[:, one, two].T
    return model


def _phasors(delay_m: NDArray[np.float64], freq_hz: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Return exp(2 pi i f/c delay) as (nchan, nant, nsrc)."""
    turns = delay_m[None] * (freq_hz[0] / C_M_S)
    step = np.diff(freq_hz)
    first = _exp_turns(turns)
    if len(step) > 1 and np.ptp(step) * len(step) < 1.0:  # Hz: 1e-5 turns at 3 km off by the whole band
        # Powers of one step by repeated doubling: 5 roundings for 32 channels.
        powers = np.empty((len(freq_hz), *delay_m.shape), np.complex128)
        powers[0] = 1
        done = 1
        while done < len(freq_hz):
            count = min(done, len(freq_hz) - done)
            factor = _exp_turns(delay_m[None] * (done * step.mean() / C_M_S))
            powers[done : done + count] = powers[:count] * factor
            done += count
        return (powers * first).astype(np.complex64)
    return _exp_turns(delay_m[None] * (freq_hz[:, None, None] / C_M_S)).astype(np.complex64)


def _exp_turns(turns: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return exp(2 pi i turns), with the turns reduced to the fraction of one first."""
    return np.exp(2j * np.pi * (turns - np.rint(turns)))


def _rows_by_time(vis: Coordinates) -> list[tuple[slice | NDArray[np.intp], int]]:
    """Return the rows of each time (a slice where they are contiguous) and its index in times_mjd_s."""
    values, inverse = np.unique(vis.time_mjd_s, return_inverse=True)
    groups: list[tuple[slice | NDArray[np.intp], int]] = []
    order = np.argsort(inverse, kind="stable")
    edges = np.searchsorted(inverse[order], np.arange(len(values) + 1))
    for i, value in enumerate(values):
        rows = order[edges[i] : edges[i + 1]]
        time = int(np.argmin(np.abs(vis.times_mjd_s - value)))
        contiguous = rows[-1] - rows[0] == len(rows) - 1
        groups.append((slice(int(rows[0]), int(rows[-1]) + 1) if contiguous else rows, time))
    return groups
