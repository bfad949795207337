"""The header of a subband file, read key by key and checked against `contimg.correlator.header_checks`."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.correlator import header_checks
from contimg.correlator.antenna_table import read_antennas
from contimg.correlator.band import subband_of_frequencies, wrong_frequencies
from contimg.correlator.header_checks import POLARISATIONS, USED_PRODUCTS
from contimg.correlator.header_reader import HeaderReader
from contimg.correlator.header_values import HeaderValues
from contimg.sky import geometry
from contimg.times import MJD_ZERO_JD

VARYING = (
    "time_array",
    "integration_time",
    "freq_array",
    "channel_width",
    "phase_center_app_dec",
    "extra_keywords/ha_phase_center",
)
"""Keys in which files of one writer and setup may differ: what `with_values` reads."""


@dataclass(frozen=True)
class Header:
    """What a subband file says about itself.

    Attributes
    ----------
    path : Path
    times_mjd : (n_times,) float64
        Centres of the integrations, UTC; exact differences of the stored Julian dates.
    integration_s : float
    dec_app_rad : float
        Apparent declination of the pointing; the phase centre is (HA 0, this).
    freq_hz : (nchan,) float64
        As stored: descending.
    channel_width_hz : float
        Positive, whatever sign the file has.
    latitude_deg, longitude_deg, altitude_m : float
    telescope : str
    antenna_names : tuple of str
        All antennas of the telescope, in order of ``antenna_numbers``; `antenna1` and `antenna2` count in it.
    antenna_positions_m : (nant, 3) float64
        ITRF, relative to the location; NaN where a station that is in no baseline has none.
    dish_diameter_m : float
    antenna1, antenna2 : (n_baselines,) int64
        The pairs of one integration in the file's order, autocorrelations included: rows of `antenna_names`.
    polarisations : tuple of str
        Those that are read: ``("XX", "YY")``.
    products : tuple of str
        All that the file holds, in its order.
    applied_delays_sha256, antenna_order_sha256 : str
        Digests of the F-engine delays, and of the names and pairs of antennas.
    fs_table : str
        The fringe-stopping table; empty where the writer had none.
    history : str
    """

    path: Path
    times_mjd: NDArray[np.float64]
    integration_s: float
    dec_app_rad: float
    freq_hz: NDArray[np.float64]
    channel_width_hz: float
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    telescope: str
    antenna_names: tuple[str, ...]
    antenna_positions_m: NDArray[np.float64]
    dish_diameter_m: float
    antenna1: NDArray[np.int64]
    antenna2: NDArray[np.int64]
    polarisations: tuple[str, ...]
    products: tuple[str, ...]
    applied_delays_sha256: str
    antenna_order_sha256: str
    fs_table: str
    history: str

    @property
    def start_mjd(self) -> float:
        """Centre of the first integration: the tile's id comes from it."""
        return float(self.times_mjd[0])

    @property
    def end_mjd(self) -> float:
        return float(self.times_mjd[-1])

    @property
    def n_times(self) -> int:
        return len(self.times_mjd)

    @property
    def n_baselines(self) -> int:
        """Pairs of one integration, autocorrelations included."""
        return len(self.antenna1)

    @property
    def n_pols(self) -> int:
        return len(self.polarisations)

    @property
    def subband(self) -> int:
        """The subband that the frequencies belong to, 0 the highest."""
        return subband_of_frequencies(self.freq_hz)

    @property
    def synthetic(self) -> bool:
        """Whether the file says that it was simulated."""
        return "simulat" in self.history.lower()

    @property
    def location(self) -> geometry.Location:
        """The array's location as the header has it, never a constant of ours."""
        return geometry.Location(math.radians(self.latitude_deg), math.radians(self.longitude_deg), self.altitude_m)

    @property
    def setup(self) -> tuple[str, str, str]:
        """What a tile and its calibration must have in common: applied delays, antenna order, fringe-stopping table."""
        return self.applied_delays_sha256, self.antenna_order_sha256, self.fs_table

    @property
    def data_shape(self) -> tuple[int, int, int, int]:
        """The shape that the datasets of the data must have: row, 1, channel, product."""
        return self.n_baselines * self.n_times, 1, len(self.freq_hz), len(self.products)


def parse(reader: HeaderReader, *, any_frame: bool = False) -> Header:
    """Read and check the header of an open file.

    Parameters
    ----------
    reader : HeaderReader
    any_frame : bool
        Accept antenna positions in any frame, and fingerprints: `contimg check` takes both.

    Raises
    ------
    FileFault
        With the code of the first thing that is wrong.
    """
    reader.require(("Header", "Data"))
    sizes = _sizes(reader, some_baselines=any_frame)
    times_mjd, integration_s = _times(reader, sizes["baselines"])
    frequencies, width_hz = _frequencies(reader)
    products = _products(reader)
    location = [reader.number(key) for key in ("latitude", "longitude", "altitude")]
    location[1] -= 360 if location[1] >= 180 else 0  # 241.7 is -118.3: one place, one number
    telescope = reader.text("telescope_name")
    problem = header_checks.wrong_site(telescope, location[0], location[1])
    if problem:
        raise reader.fault("contradiction", problem)
    antennas = read_antennas(reader, sizes["baselines"], sizes["antennas"], (location[0], location[1]), any_frame)
    return Header(
        path=reader.path,
        times_mjd=times_mjd,
        integration_s=integration_s,
        dec_app_rad=_declination(reader),
        freq_hz=frequencies,
        channel_width_hz=abs(width_hz),
        latitude_deg=location[0],
        longitude_deg=location[1],
        altitude_m=location[2],
        telescope=telescope,
        antenna_names=antennas.names,
        antenna_positions_m=antennas.positions_m,
        dish_diameter_m=antennas.diameter_m,
        antenna1=antennas.antenna1,
        antenna2=antennas.antenna2,
        polarisations=USED_PRODUCTS,
        products=products,
        applied_delays_sha256=_sha256(reader.text("extra_keywords/applied_delays_ns")),
        antenna_order_sha256=antennas.order_sha256,
        fs_table=reader.text("extra_keywords/fs_table"),
        history=reader.text("history"),
    )


def _sizes(reader: HeaderReader, *, some_baselines: bool) -> dict[str, int]:
    """Read the numbers of baselines, integrations and antennas; set the lengths of the arrays that follow them."""
    baselines, times, antennas, stations = (
        int(reader.number(key)) for key in ("Nbls", "Ntimes", "Nants_data", "Nants_telescope")
    )
    if baselines != antennas * (antennas + 1) // 2:
        if not reader.has("extra_keywords/fingerprint"):
            what = f"{antennas} antennas do not make {baselines} baselines with autocorrelations"
            raise reader.fault("antennas", what)
        if not some_baselines:
            raise reader.fault("antennas", "it is part of a fingerprint, with some of the baselines only")
    sizes = {"rows": baselines * times, "stations": stations, "baselines": baselines, "antennas": antennas}
    reader.sizes = sizes
    return sizes


def with_values(head: Header, values: HeaderValues) -> Header:
    """Return a header with the values of another file in place of those in which files of one kind differ.

    Parameters
    ----------
    head : Header
    values : HeaderValues
        Of a file that differs in nothing but the keys in `VARYING`.

    Raises
    ------
    FileFault
        With the code of the first thing that is wrong.
    """
    times_mjd, integration_s = _times(values, head.n_baselines)
    frequencies, width_hz = _frequencies(values)
    return replace(
        head,
        path=values.path,
        times_mjd=times_mjd,
        integration_s=integration_s,
        dec_app_rad=_declination(values),
        freq_hz=frequencies,
        channel_width_hz=abs(width_hz),
    )


def _declination(reader: HeaderValues) -> float:
    """Return the apparent declination of the pointing (rad), which must be on the meridian."""
    reader.optional_number("extra_keywords/ha_phase_center")  # its range: the meridian
    return reader.number("phase_center_app_dec")


def _times(reader: HeaderValues, n_baselines: int) -> tuple[NDArray[np.float64], float]:
    """Return the integrations' centres (MJD) and length (s); the other rows are looked at when the data are."""
    stamps_jd = reader.numbers("time_array", every=n_baselines)
    integration_s = float(reader.numbers("integration_time", first=1)[0])
    problem = _wrong_times(stamps_jd.tobytes(), integration_s)
    if problem:
        raise reader.fault("times", problem)
    return stamps_jd - MJD_ZERO_JD, integration_s


def _frequencies(reader: HeaderValues) -> tuple[NDArray[np.float64], float]:
    frequencies, width_hz = reader.numbers("freq_array").ravel(), reader.number("channel_width")
    problem = _wrong_frequencies(frequencies.tobytes()) or header_checks.wrong_width(width_hz, len(frequencies))
    if problem:
        raise reader.fault("frequency", problem)
    return frequencies, width_hz


def _products(reader: HeaderReader) -> tuple[str, ...]:
    codes = [int(code) for code in reader.numbers("polarization_array").tolist()]
    problem = header_checks.wrong_products(codes)
    if problem:
        raise reader.fault("polarisations", problem)
    return tuple(POLARISATIONS[code] for code in codes)


# Sixteen files of a tile have their times in common, all files of a subband their frequencies: checked once.
@functools.lru_cache(maxsize=64)
def _wrong_times(stamps_jd: bytes, integration_s: float) -> str | None:
    return header_checks.wrong_times(np.frombuffer(stamps_jd), integration_s)


@functools.lru_cache(maxsize=64)
def _wrong_frequencies(freq_hz: bytes) -> str | None:
    return wrong_frequencies(np.frombuffer(freq_hz))


@functools.lru_cache(maxsize=64)
def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
