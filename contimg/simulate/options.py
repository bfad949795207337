"""Options of the simulator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from contimg.simulate import constants as c
from contimg.simulate.telescope import TelescopeErrors

CORRUPT_KINDS = (
    "truncated",
    "zero_byte",
    "zeros",
    "nan",
    "incomplete",
    "leftover",
    "wrong_band",
    "wrong_time",
)
RFI_KINDS = ("line", "burst", "broad")


@dataclass(frozen=True)
class GainErrors:
    """Sizes of the antenna-based errors; zero switches one off.

    Attributes
    ----------
    amplitude : float
        Scatter of the gain amplitudes (fraction).
    random_phase : bool
        Give every antenna and polarisation an arbitrary phase.
    delay_ns : float
        Scatter of the residual delays, ns.
    bandpass : float
        Size of the smooth bandpass ripples: rms fraction in amplitude and radians in phase.
    drift_phase_deg, drift_amplitude : float
        Rms of the slow drifts over the night, deg and fraction.
    """

    amplitude: float = 0.15
    random_phase: bool = True
    delay_ns: float = 5.0
    bandpass: float = 0.05
    drift_phase_deg: float = 4.0
    drift_amplitude: float = 0.01

    @classmethod
    def none(cls) -> GainErrors:
        """Return sizes of zero: unit gains."""
        return cls(0.0, False, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class NightOptions:
    """One part of a night. Tiles, subbands and integrations count from 0, stations from 1.

    Attributes
    ----------
    tiles, antennas, channels, integrations : int
        Size: tiles, antennas of the thinned real array, channels per subband (48 = real), integrations a tile.
    max_baseline_m : float or None
        Thin to baselines up to this length, m.
    stations : tuple of int
        Station numbers to use instead of an automatic choice; then ``antennas`` is ignored.
    calibrator : str or None
        Perley & Butler (2017) source, ``synthetic`` or ``none``. None means 3C286, or ``synthetic`` when
        ``declination_deg`` is given.
    declination_deg : float or None
        Apparent pointing declination, deg (not together with a built-in calibrator).
    declination_offset_deg : float
        Pointing declination minus the calibrator's apparent declination, deg.
    transit_tile : int or None
        Tile in the middle of which the calibrator transits; None = the middle tile.
    transit_offset_s : float
        Shift of the transit from the middle of that tile, s.
    calibrator_flux_jy : float
        Flux density of a synthetic calibrator at 1.4 GHz, Jy.
    date, start : str
        UTC date ``YYYY-MM-DD`` of the start; or the exact UTC start ``YYYY-MM-DDTHH:MM:SS`` of the data.
    cross_midnight, cross_ra0 : bool
        Put UTC midnight, or right ascension 0h, inside the run (the date moves on to where both fit).
    restarts : tuple of int
        Tiles that are the first after a correlator restart (names 105 s before the data, spread over 13-22 s).
    gaps : tuple of (int, float)
        (tile, seconds): time without data before that tile.
    sources : int
    flux_min_jy, flux_max_jy : float
        Number of random sources and the range of their log-uniform flux densities at 1.4 GHz, Jy.
    sky_file : Path or None
        CSV of sources to use instead of random ones (columns as in ``truth.csv``).
    seed : int
    noise : bool
    sefd_jy : float
        System equivalent flux density of one antenna, Jy.
    gains : GainErrors
    smearing : bool
        Apply bandwidth and time smearing (analytic sinc losses; slower).
    dead : tuple of int
        Stations whose antenna receives no sky signal.
    rfi : tuple of (int, str)
        (subband, kind), kind one of `RFI_KINDS`.
    rfi_jy : float
        Strength of the interference, Jy.
    missing, late : tuple of (int, int)
        (tile, subband) never written, or written to ``late/``.
    corrupt : tuple of (int, int, str)
        (tile, subband, kind), kind one of `CORRUPT_KINDS`.
    telescope : TelescopeErrors
        How the telescope and its sky differ from the ideal.
    """

    tiles: int = 3
    antennas: int = 24
    channels: int = 8
    integrations: int = c.REAL_INTEGRATIONS_PER_FILE
    max_baseline_m: float | None = None
    stations: tuple[int, ...] = ()
    calibrator: str | None = None
    declination_deg: float | None = None
    declination_offset_deg: float = 0.0
    transit_tile: int | None = None
    transit_offset_s: float = 0.0
    calibrator_flux_jy: float = 10.0
    date: str = "2026-02-11"
    start: str | None = None
    cross_midnight: bool = False
    cross_ra0: bool = False
    restarts: tuple[int, ...] = ()
    gaps: tuple[tuple[int, float], ...] = ()
    sources: int = 20
    flux_min_jy: float = 0.03
    flux_max_jy: float = 2.0
    sky_file: Path | None = None
    seed: int = 1
    noise: bool = True
    sefd_jy: float = c.DEFAULT_SEFD_JY
    gains: GainErrors = field(default_factory=GainErrors)
    smearing: bool = False
    dead: tuple[int, ...] = ()
    rfi: tuple[tuple[int, str], ...] = ()
    rfi_jy: float = 200.0
    missing: tuple[tuple[int, int], ...] = ()
    late: tuple[tuple[int, int], ...] = ()
    corrupt: tuple[tuple[int, int, str], ...] = ()
    telescope: TelescopeErrors = field(default_factory=TelescopeErrors)

    @classmethod
    def demo(cls, **changes: Any) -> NightOptions:
        """Return the demo night: ten tiles, 3C286 transits in the fifth; with faults and interference."""
        demo = cls(
            tiles=10,
            antennas=36,
            channels=8,
            max_baseline_m=700.0,
            transit_tile=4,
            sources=30,
            seed=286,
            rfi=((4, "line"), (4, "burst"), (9, "broad")),
            missing=((2, 7),),
            corrupt=((6, 3, "leftover"), (8, 12, "truncated")),
        )
        return replace(demo, **changes)

    @property
    def transit_index(self) -> int:
        """Tile in which the calibrator transits."""
        return (self.tiles - 1) // 2 if self.transit_tile is None else self.transit_tile

    @property
    def calibrator_name(self) -> str:
        """Name of the calibrator, the default filled in."""
        if self.calibrator is not None:
            return self.calibrator
        return "3C286" if self.declination_deg is None else "synthetic"

    @property
    def calibrator_is_builtin(self) -> bool:
        """Whether the calibrator comes from the published list."""
        return self.calibrator_name.lower() not in ("synthetic", "none")
