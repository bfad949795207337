"""The sky model of a tile: the catalogue's sources through the primary beam."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions
from contimg.measurement_set import Coordinates, Visibilities
from contimg.sky.calibrators import Calibrator
from contimg.sky.catalogue import Catalogue
from contimg.sky.predict import attenuation, predict
from contimg.sky.preference import is_unsteady
from contimg.sky.spherical import separation

SAME_SOURCE_RAD = np.radians(30 / 3600)  # a catalogue source this near to the calibrator is the calibrator
FIELD_RADIUS_RAD = np.radians(8.0)  # cut-off of the Airy model
MOST_SOURCES = 300


def field_sources(
    vis: Visibilities,
    beam: BeamOptions,
    known: Catalogue,
    away_from: tuple[float, float] | None,
    calibrators: Sequence[Calibrator] = (),
) -> Catalogue:
    """Return the catalogue's sources in a tile, at most 300, brightest through the beam first.

    Parameters
    ----------
    vis : Visibilities
    beam : BeamOptions
    known : Catalogue
    away_from : (float, float) or None
        ICRS direction [rad] of the calibrator, whose own entry in the catalogue (within 30 arcsec) is left out.
    calibrators : sequence of Calibrator
        The list on whose scale the model is to be: see `on_scale_of`.
    """
    ra, dec = vis.pointing_rad[len(vis.pointing_rad) // 2]
    near = on_scale_of(calibrators, known.within(ra, dec, FIELD_RADIUS_RAD), vis.freq_hz)
    if away_from is not None:
        distance = separation(np.radians(near.ra_deg), np.radians(near.dec_deg), *away_from)
        near = near.select(distance > SAME_SOURCE_RAD)
    order = np.argsort(-apparent_jy(vis, near, beam), kind="stable")
    return near.select(order[:MOST_SOURCES])


def on_scale_of(calibrators: Sequence[Calibrator], sources: Catalogue, freq_hz: NDArray[np.float64]) -> Catalogue:
    """Return sources of a catalogue, those that a list of calibrators has with the list's places and fluxes.

    A survey's flux of a source of 15 Jy is off by some per cent. In the field of another calibrator of the list that
    error would make gains that disagree with those solved on the source itself.

    Parameters
    ----------
    calibrators : sequence of Calibrator
        Those without a flux in the band, and unsteady ones, change nothing.
    sources : Catalogue
    freq_hz : (nchan,) float64
        The band: fluxes become those at its middle, with the spectral index between its ends.
    """
    low, middle, high = float(freq_hz.min()), float(np.median(freq_hz)), float(freq_hz.max())
    for one in calibrators:
        in_range = one.range_hz is None or (one.range_hz[0] <= low and high <= one.range_hz[1])
        if one.coefficients is None or not in_range or is_unsteady(one):
            continue
        place = np.radians(one.ra_deg), np.radians(one.dec_deg)
        same = separation(np.radians(sources.ra_deg), np.radians(sources.dec_deg), *place) <= SAME_SOURCE_RAD
        if not same.any():
            continue
        row = int(np.argmax(np.where(same, sources.flux_jy, 0)))
        at_low, at_middle, at_high = (float(value) for value in one.flux_jy([low, middle, high]))
        index = np.log(at_high / at_low) / np.log(high / low) if high > low else sources.spectral_index[row]
        given = {
            "ra_deg": one.ra_deg, "dec_deg": one.dec_deg, "flux_jy": at_middle, "ref_freq_hz": middle,
            "spectral_index": index, "flux_err_jy": one.flux_error * at_middle,
        }  # fmt: skip
        columns = {name: getattr(sources, name).copy() for name in given}
        for name, value in given.items():
            columns[name][row] = value
        keep = ~same
        keep[row] = True
        sources = dataclasses.replace(sources, **columns).select(keep)
    return sources


def apparent_jy(vis: Visibilities, sources: Catalogue, beam: BeamOptions) -> NDArray[np.float64]:
    """Return flux densities through the beam (nsrc,) [Jy], mean over the tile, at the middle of the band."""
    middle = vis.freq_hz[len(vis.freq_hz) // 2]
    known = {f.name: getattr(vis, f.name) for f in dataclasses.fields(Coordinates)}
    reference = Coordinates(**(known | {"freq_hz": np.array([middle])}))
    response = attenuation(reference, np.radians(sources.ra_deg), np.radians(sources.dec_deg), beam)
    return sources.flux_at(middle)[:, 0] * response[:, :, 0].mean(1)


def predict_sources(vis: Visibilities, sources: Catalogue, beam: BeamOptions) -> NDArray[np.complex64]:
    """Return the model visibilities (nrow, nchan) of catalogue sources, through the beam at each time and channel."""
    ra, dec = np.radians(sources.ra_deg), np.radians(sources.dec_deg)
    return predict(vis, ra, dec, sources.flux_at(vis.freq_hz), beam, true_places=True)
