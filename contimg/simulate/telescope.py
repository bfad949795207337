"""Options for differences of the simulated telescope from its file headers, and for signals outside the main beam.

All defaults describe a telescope whose headers are right under a quiet sky.
"""

from __future__ import annotations

from dataclasses import dataclass, field

POLARIZATION_CODES = {"XX": -5, "YY": -6, "XY": -7, "YX": -8}
"""AIPS numbering of linear polarisation products."""
BEAM_PATTERNS = ("airy", "tapered")
SATELLITE_KINDS = ("iridium", "starlink")


@dataclass(frozen=True)
class BeamErrors:
    """Differences of the primary beam from the nominal pattern on the nominal axis.

    Attributes
    ----------
    offset_deg : tuple of float
        Beam axis minus (hour angle 0, true pointing declination), east and north, deg on the sky.
    width : float
        Width of the beam relative to the nominal one.
    pattern : str
        ``airy``, or ``tapered``: a dish whose illumination falls to the edge, differently over the band.
    antenna_offset_deg : float
        Rms scatter of the antennas' axes about the common one, in each coordinate, deg.
    antenna_width : float
        Rms scatter of the antennas' beam widths (fraction).
    """

    offset_deg: tuple[float, float] = (0.0, 0.0)
    width: float = 1.0
    pattern: str = "airy"
    antenna_offset_deg: float = 0.0
    antenna_width: float = 0.0

    @property
    def differ_between_antennas(self) -> bool:
        """Whether antennas have beams of their own."""
        return self.antenna_offset_deg > 0 or self.antenna_width > 0


@dataclass(frozen=True)
class ArrayErrors:
    """Errors of the antenna positions in the header.

    Attributes
    ----------
    swapped_antennas : tuple of (int, int)
        Pairs of stations whose signals arrive at each other's inputs.
    moved_antennas : tuple of (int, float, float)
        (station, east, north): true position minus that of the header and of the fringe stopping, m.
    local_positions : bool
        The header's ``antenna_positions`` are east, north, up of the site instead of geocentric; fringes are
        stopped with the right positions.
    """

    swapped_antennas: tuple[tuple[int, int], ...] = ()
    moved_antennas: tuple[tuple[int, float, float], ...] = ()
    local_positions: bool = False


@dataclass(frozen=True)
class CorrelatorErrors:
    """Faults of the correlator that its header does not show.

    Attributes
    ----------
    clock_error_s : float
        Header time minus true time, s.
    conjugated : bool
        Write complex conjugate visibilities.
    swapped_polarisations : tuple of int
        Stations whose X and Y receptors are exchanged; every station for the exchange of the whole array.
    products : tuple of str
        Polarisation products and their order in the files, header and data alike: two or four of XX, YY, XY, YX.
        XY and YX hold noise only.
    packet_loss : tuple of (int, float)
        (station, fraction): samples of that antenna lost and replaced by zeros, on average over the
        integrations; the loss of each integration and subband is drawn between 0 and twice that.
    """

    clock_error_s: float = 0.0
    conjugated: bool = False
    swapped_polarisations: tuple[int, ...] = ()
    products: tuple[str, ...] = ("XX", "YY")
    packet_loss: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class HeaderErrors:
    """Deviations of the headers, and additional files.

    Attributes
    ----------
    declination_grid : bool
        The header and the fringe stopping use the pointing declination rounded to 0.25 deg; the dishes do not.
    host_declination : tuple of int
        Subbands whose host writes a declination 1e-10 rad off.
    host_delays : tuple of int
        Subbands whose host failed to read one board and writes other ``applied_delays_ns``.
    spectral_line_files : bool
        Write a spectral-line twin ``*_sbNN_spl.hdf5`` beside each file.
    """

    declination_grid: bool = False
    host_declination: tuple[int, ...] = ()
    host_delays: tuple[int, ...] = ()
    spectral_line_files: bool = False


@dataclass(frozen=True)
class HostileSky:
    """Signals from outside the main beam, and the ionosphere.

    Attributes
    ----------
    sun_jy : tuple of float
        Apparent flux density of the Sun through the far sidelobes in XX and YY at 1.4 GHz, Jy; (0, 0) for none.
        It is in the data while above the horizon.
    ateam_response : float
        Power response of the far sidelobes towards Cas A, Cyg A, Tau A and Vir A (1e-3 is -30 dB).
    satellites : tuple of (int, str)
        (subband, kind) with bursts of moving satellites, kind one of `SATELLITE_KINDS`.
    satellite_jy : float
        Apparent flux density of a burst, Jy.
    ionosphere_arcsec : float
        Amplitude of the common, slowly varying shift of all sources at 1.4 GHz, arcsec.
    """

    sun_jy: tuple[float, float] = (0.0, 0.0)
    ateam_response: float = 0.0
    satellites: tuple[tuple[int, str], ...] = ()
    satellite_jy: float = 500.0
    ionosphere_arcsec: float = 0.0


@dataclass(frozen=True)
class TelescopeErrors:
    """All differences of the simulated telescope from an ideal one with correct headers."""

    beam: BeamErrors = field(default_factory=BeamErrors)
    array: ArrayErrors = field(default_factory=ArrayErrors)
    correlator: CorrelatorErrors = field(default_factory=CorrelatorErrors)
    header: HeaderErrors = field(default_factory=HeaderErrors)
    sky: HostileSky = field(default_factory=HostileSky)
