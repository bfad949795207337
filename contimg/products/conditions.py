"""Facts of a twin about the conditions in which a tile was observed: the Sun, and the clock."""

from __future__ import annotations

from contimg.products.record import Record


class SunFacts(Record):
    """Where the Sun is in the middle of a tile.

    Attributes
    ----------
    altitude_deg : float
        Of its centre, without refraction.
    separation_deg : float
        From the phase centre.
    daytime : bool
        Whether any of it is above the horizon.
    """

    altitude_deg: float
    separation_deg: float
    daytime: bool


class SunRange(Record):
    """Where the Sun is during the tiles of a mosaic: its lowest and highest altitude, its least separation.

    Attributes
    ----------
    altitude_deg : (float, float)
    separation_deg : float
    daytime : ``day``, ``night`` or ``day and night``
    """

    altitude_deg: tuple[float, float]
    separation_deg: float
    daytime: str


class ClockEpochFacts(Record):
    """What is known about the clock behind a tile's times (`contimg.correlator.clock_epochs.ClockEpoch`)."""

    since: str
    clock: str
    offset_s: float | None = None
    source: str
