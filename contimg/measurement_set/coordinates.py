"""The content of a Measurement Set in memory; signs and frames are those of `contimg.measurement_set`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(kw_only=True)
class Coordinates:
    """The coordinates of one tile's visibilities: all of a Measurement Set but its bulk columns.

    A row is one baseline at one integration, in time order; every time has the same baselines in the
    same order. Signs and frames are those of `contimg.measurement_set`.

    Attributes
    ----------
    uvw_m : (nrow, 3) float64
        The UVW column: position of antenna 1 minus that of antenna 2, (east, north, towards the source).
    time_mjd_s : (nrow,) float64
        Centre of the integration, UTC seconds since MJD 0.
    antenna1, antenna2 : (nrow,) int32
        Rows of `antenna_names`; ``antenna1 < antenna2``.
    freq_hz : (nchan,) float64, ascending
        Centres of the channels (topocentric).
    channel_width_hz : float
    polarisations : tuple of str
        ``("XX", "YY")``.
    phase_centre_rad : (2,) float64
        ICRS right ascension and declination.
    times_mjd_s : (ntime,) float64
    pointing_rad : (ntime, 2) float64
        ICRS direction of the beam's axis at each of ``times_mjd_s``.
    antenna_names : list of str
        Every antenna of the telescope's table, with or without data.
    antenna_positions_m : (nant, 3) float64
        Absolute, ITRF.
    dish_diameter_m : float
    telescope : str
    integration_s : float
    synthetic : bool
    history : list of str
    array_position_m : (3,) float64, optional
        The array's reference point, ITRF, from the files' header; kept in the column TELESCOPE_LOCATION
        that pyuvdata adds to OBSERVATION (without it pyuvdata asks the network for the site).
    unknown_positions : sequence of int
        Rows of `antenna_names` whose position is not known, and is that of the reference point instead: stations in
        no baseline. Their rows of ANTENNA are flagged (FLAG_ROW).
    """

    uvw_m: NDArray[np.float64]
    time_mjd_s: NDArray[np.float64]
    antenna1: NDArray[np.int32]
    antenna2: NDArray[np.int32]
    freq_hz: NDArray[np.float64]
    channel_width_hz: float
    polarisations: tuple[str, ...]
    phase_centre_rad: NDArray[np.float64]
    times_mjd_s: NDArray[np.float64]
    pointing_rad: NDArray[np.float64]
    antenna_names: list[str]
    antenna_positions_m: NDArray[np.float64]
    dish_diameter_m: float
    telescope: str
    integration_s: float
    synthetic: bool
    history: list[str] = field(default_factory=list)
    array_position_m: NDArray[np.float64] | None = None
    unknown_positions: Sequence[int] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, channels and polarisations of the bulk columns."""
        return len(self.uvw_m), len(self.freq_hz), len(self.polarisations)


@dataclass(kw_only=True)
class Visibilities(Coordinates):
    """The visibilities of one tile in memory, in the Measurement Set's conventions.

    Attributes
    ----------
    data : (nrow, nchan, npol) complex64
    flag : (nrow, nchan, npol) bool
    weight : (nrow, nchan, npol) float32
        WEIGHT_SPECTRUM: from nsamples; 0 where nothing was received.
    """

    data: NDArray[np.complex64]
    flag: NDArray[np.bool_]
    weight: NDArray[np.float32]
