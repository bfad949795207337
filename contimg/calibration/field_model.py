"""The sky model of a tile: the catalogue's sources through the primary beam."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from contimg.config import BeamOptions
from contimg.measurement_set import Coordinates, Visibilities
from contimg.sky.catalogue import Catalogue
from contimg.sky.predict import attenuation, predict
from contimg.sky.spherical import separation

SAME_SOURCE_RAD = np.radians(30 / 3600)  # a catalogue source this near to the calibrator is the calibrator
FIELD_RADIUS_RAD = np.radians(8.0)  # cut-off of the Airy model
MOST_SOURCES = 300


def field_sources(
    vis: Visibilities, beam: BeamOptions, known: Catalogue, away_from: tuple[float, float] | None
) -> Catalogue:
    """Return the catalogue's sources in a tile, at most 300, brightest through the beam first.

    Parameters
    ----------
    vis : Visibilities
    beam : BeamOptions
    known : Catalogue
    away_from : (float, float) or None
        ICRS direction [rad] of the calibrator, whose own entry in the catalogue (within 30 arcsec) is left out.
    """
    ra, dec = vis.pointing_rad[len(vis.pointing_rad) // 2]
    near = known.within(ra, dec, FIELD_RADIUS_RAD)
    if away_from is not None:
        distance = separation(np.radians(near.ra_deg), np.radians(near.dec_deg), *away_from)
        near = near.select(distance > SAME_SOURCE_RAD)
    order = np.argsort(-apparent_jy(vis, near, beam), kind="stable")
    return near.select(order[:MOST_SOURCES])


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
