"""The simulated sources: calibrator and random point sources, and the catalogues written from them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contimg.simulate import constants as c
from contimg.simulate import frames
from contimg.simulate.calibrators import FluxCalibrator
from contimg.simulate.errors import SimulationError
from contimg.simulate.randomness import generator

SYNTHETIC_CALIBRATOR = "SIMCAL"
_STRIP_HALF_WIDTH_DEG = 1.6
_STRIP_OVERHANG_DEG = 1.2
_MIN_SEPARATION_DEG = 0.12
_ATTEMPTS = 30
_CATALOGUE_POSITION_ERROR_ARCSEC = 1.0
_CATALOGUE_FLUX_ERROR = 0.03
_CATALOGUE_NOISE_JY = 0.5e-3
_CATALOGUE_INDEX_ERROR = 0.1
COLUMNS = ("name", "ra_deg", "dec_deg", "flux_jy", "ref_freq_hz", "spectral_index", "spectral_curvature")
_DEFAULTS = {"ref_freq_hz": c.REFERENCE_FREQUENCY_HZ, "spectral_index": 0.0, "spectral_curvature": 0.0}
_SKY_REMEDY = "give a CSV with name, ra_deg, dec_deg and flux_jy, the last three numbers, flux_jy positive"


@dataclass(frozen=True)
class Source:
    """An unpolarised point source.

    Attributes
    ----------
    name : str
    ra_deg, dec_deg : float
        ICRS, deg.
    ref_freq_hz : float
    spectrum : tuple of float
        Coefficients b0, b1, ... of log10(S/Jy) = b0 + b1 L + b2 L^2 + ..., L = log10(f / ref_freq_hz).
        b1 is the spectral index, b2 the curvature.
    """

    name: str
    ra_deg: float
    dec_deg: float
    ref_freq_hz: float
    spectrum: tuple[float, ...]

    @classmethod
    def power_law(
        cls,
        name: str,
        position_deg: tuple[float, float],
        flux_jy: float,
        spectral_index: float,
        curvature: float = 0.0,
        ref_freq_hz: float = c.REFERENCE_FREQUENCY_HZ,
    ) -> Source:
        """Return a source at (RA, Dec) (ICRS, deg) with flux density ``flux_jy`` at ``ref_freq_hz``."""
        return cls(name, *position_deg, ref_freq_hz, (float(np.log10(flux_jy)), spectral_index, curvature))

    @classmethod
    def from_calibrator(cls, calibrator: FluxCalibrator) -> Source:
        """Return a published calibrator, its polynomial expanded exactly about 1.4 GHz."""
        shift = np.log10(c.REFERENCE_FREQUENCY_HZ / 1e9)
        about_ghz = np.polynomial.Polynomial(calibrator.coefficients)
        expanded = about_ghz(np.polynomial.Polynomial([shift, 1.0])).coef
        return cls(
            calibrator.name,
            calibrator.ra_deg,
            calibrator.dec_deg,
            c.REFERENCE_FREQUENCY_HZ,
            tuple(float(value) for value in expanded),
        )

    def flux_jy(self, frequency_hz: np.ndarray) -> np.ndarray:
        """Return the flux density at ``frequency_hz``, Jy."""
        return 10 ** np.polynomial.Polynomial(self.spectrum)(np.log10(frequency_hz / self.ref_freq_hz))

    def row(self) -> dict[str, str]:
        """Return the source as a row of ``truth.csv``."""
        index = self.spectrum[1] if len(self.spectrum) > 1 else 0.0
        curvature = self.spectrum[2] if len(self.spectrum) > 2 else 0.0
        values = (
            self.name,
            f"{self.ra_deg:.9f}",
            f"{self.dec_deg:.9f}",
            f"{10 ** self.spectrum[0]:.9g}",
            f"{self.ref_freq_hz:.9g}",
            f"{index:.9g}",
            f"{curvature:.9g}",
        )
        return dict(zip(COLUMNS, values, strict=True))


def random_sources(
    count: int,
    flux_range_jy: tuple[float, float],
    run_jd: tuple[float, float],
    declination_rad: float,
    avoid: tuple[Source, ...],
    seed: int,
) -> tuple[Source, ...]:
    """Draw point sources, evenly distributed over the strip of sky that drifts through the beam.

    Flux densities are log-uniform at 1.4 GHz, spectral indices normal (-0.7, 0.2). Sources keep 0.12 deg
    from each other and from ``avoid``, so that each is resolved from its neighbours.

    Parameters
    ----------
    count : int
    flux_range_jy : tuple of float
        Lowest and highest flux density, Jy.
    run_jd : tuple of float
        Start and end of the run, UTC Julian dates.
    declination_rad : float
        Apparent pointing declination, rad.
    avoid : tuple of Source
    seed : int

    Raises
    ------
    SimulationError
        If the strip is too small for that many separate sources.
    """
    rng = generator(seed, "sky")
    overhang_jd = _STRIP_OVERHANG_DEG / np.cos(declination_rad) / 360.0
    start, length = run_jd[0] - overhang_jd, run_jd[1] - run_jd[0] + 2 * overhang_jd
    lowest, highest = np.log(flux_range_jy)
    flux = np.exp(rng.uniform(lowest, highest, count))
    index = rng.normal(-0.7, 0.2, count)
    positions = _separate_positions(rng, count, (start, length), declination_rad, avoid)
    if len(positions) < count:
        raise SimulationError(
            f"--sources {count} do not fit apart from each other on this strip: ask for fewer or add --tiles."
        )
    return tuple(
        Source.power_law(f"SIM{number:04d}", positions[number], float(flux[number]), float(index[number]))
        for number in range(count)
    )


def _separate_positions(
    rng: np.random.Generator,
    count: int,
    strip_jd: tuple[float, float],
    declination_rad: float,
    avoid: tuple[Source, ...],
) -> dict[int, tuple[float, float]]:
    """Return (RA, Dec) (ICRS, deg) by number of source, each far enough from the others and from ``avoid``.

    Fewer than ``count`` after `_ATTEMPTS` draws if the strip, from the Julian date of its first transit over its
    length in days, is too small.
    """
    start, length = strip_jd
    taken = np.empty((len(avoid) + count, 3))
    for number, source in enumerate(avoid):
        taken[number] = _vectors(source.ra_deg, source.dec_deg)
    placed: dict[int, tuple[float, float]] = {}
    for _ in range(_ATTEMPTS):
        open_slices = np.array([number for number in range(count) if number not in placed])
        if not len(open_slices):
            break
        # The strip is divided into one slice for each source, so that every tile has sources.
        passing = start + length * (open_slices + rng.uniform(size=len(open_slices))) / max(count, 1)
        offset_deg = rng.uniform(-_STRIP_HALF_WIDTH_DEG, _STRIP_HALF_WIDTH_DEG, len(open_slices))
        ra, dec = frames.icrs_of_meridian(declination_rad + np.radians(offset_deg), passing)
        for number, ra_deg, dec_deg, here in zip(open_slices, ra, dec, _vectors(ra, dec), strict=True):
            others = taken[: len(avoid) + len(placed)]
            if (np.linalg.norm(others - here, axis=-1) > np.radians(_MIN_SEPARATION_DEG)).all():
                taken[len(others)] = here
                placed[int(number)] = (float(ra_deg), float(dec_deg))
    return placed


def _vectors(ra_deg: np.ndarray | float, dec_deg: np.ndarray | float) -> np.ndarray:
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def read_sources(path: Path) -> tuple[Source, ...]:
    """Read sources from a CSV with the columns of ``truth.csv`` (the last three are optional).

    Raises
    ------
    SimulationError
        If it is not a CSV, a column is missing or a value is not a number in its range.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            rows, columns = list(reader), reader.fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise SimulationError(f"--sky {path} is not a CSV ({error}): {_SKY_REMEDY}.") from error
    missing = [name for name in COLUMNS[:4] if name not in columns]
    if missing:
        raise SimulationError(f"--sky {path} has no column {missing[0]}: {_SKY_REMEDY}.")
    sources = []
    for line, row in enumerate(rows, start=2):
        try:
            sources.append(_source(row))
        except ValueError as error:
            raise SimulationError(f"--sky {path} line {line} is not a source ({error}): {_SKY_REMEDY}.") from error
    return tuple(sources)


def _source(row: dict[str, str | None]) -> Source:
    """Return the source of a row; ValueError where a value is missing, not a number or out of its range."""
    value = {name: _value(name, row.get(name)) for name in COLUMNS[1:]}
    name = row["name"]
    if name is None:
        raise ValueError("name is missing")
    position = (value["ra_deg"], value["dec_deg"])
    spectrum = (value["spectral_index"], value["spectral_curvature"])
    return Source.power_law(name, position, value["flux_jy"], *spectrum, value["ref_freq_hz"])


def _value(column: str, text: str | None) -> float:
    """Return the number in a column of the sky file, or the column's default where it is empty."""
    if not text:
        if column not in _DEFAULTS:
            raise ValueError(f"{column} is missing")
        return _DEFAULTS[column]
    number = float(text)
    outside = number <= 0 if column in ("flux_jy", "ref_freq_hz") else column == "dec_deg" and abs(number) > 90
    if not np.isfinite(number) or outside:
        raise ValueError(f"{column} is {text}")
    return number


def write_truth(path: Path, sources: tuple[Source, ...]) -> None:
    """Write the exact sources as CSV."""
    _write(path, COLUMNS, [source.row() for source in sources])


def write_calibrators(path: Path, sources: tuple[Source, ...]) -> None:
    """Write calibrators with their true flux density (``flux_err_jy`` 0.1 %) as CSV."""
    rows = [source.row() | {"flux_err_jy": f"{1e-3 * 10 ** source.spectrum[0]:.6g}"} for source in sources]
    _write(path, (*COLUMNS, "flux_err_jy"), rows)


def write_catalogue(path: Path, sources: tuple[Source, ...], seed: int) -> None:
    """Write the sources as a survey catalogue with measurement errors.

    Positions are off by 1 arcsec rms in each coordinate, flux densities by 3 % and 0.5 mJy (added in
    quadrature, given as ``flux_err_jy``), spectral indices by 0.1.
    """
    rng = generator(seed, "catalogue")
    rows = []
    for source in sources:
        east, north = rng.normal(0.0, _CATALOGUE_POSITION_ERROR_ARCSEC / 3600, size=2)
        flux = 10 ** source.spectrum[0]
        error = float(np.hypot(_CATALOGUE_FLUX_ERROR * flux, _CATALOGUE_NOISE_JY))
        measured = max(flux + float(rng.normal(0.0, error)), 0.1 * flux)
        index = source.spectrum[1] if len(source.spectrum) > 1 else 0.0
        rows.append(
            source.row()
            | {
                "ra_deg": f"{(source.ra_deg + east / np.cos(np.radians(source.dec_deg))) % 360:.7f}",
                "dec_deg": f"{source.dec_deg + north:.7f}",
                "flux_jy": f"{measured:.6g}",
                "flux_err_jy": f"{error:.6g}",
                "spectral_index": f"{index + float(rng.normal(0.0, _CATALOGUE_INDEX_ERROR)):.3f}",
            }
        )
    columns = tuple(name for name in COLUMNS if name != "spectral_curvature")
    _write(path, (*columns, "flux_err_jy"), rows)


def _write(path: Path, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
