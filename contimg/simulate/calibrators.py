"""Flux-density calibrators of Perley & Butler (2017).

Coefficients: R. A. Perley & B. J. Butler 2017, ApJS 230, 7, table 6 (epoch 2016 where the source varies):
log10 S = a0 + a1 L + a2 L^2 + ..., S in Jy, L = log10 (frequency / GHz). Positions: VLA calibrator manual
(J2000, taken as ICRS; the difference is below 0.03 arcsec).
"""

from __future__ import annotations

from dataclasses import dataclass

from contimg.simulate.errors import SimulationError


@dataclass(frozen=True)
class FluxCalibrator:
    """A source with a published flux-density polynomial.

    Attributes
    ----------
    name : str
        3C name.
    ra_deg, dec_deg : float
        ICRS position, deg.
    coefficients : tuple of float
        a0, a1, ... of log10(S/Jy) in log10(frequency/GHz).
    """

    name: str
    ra_deg: float
    dec_deg: float
    coefficients: tuple[float, ...]


def _hms(hours: int, minutes: int, seconds: float) -> float:
    return 15.0 * (hours + minutes / 60 + seconds / 3600)


def _dms(degrees: int, minutes: int, seconds: float) -> float:
    return degrees + minutes / 60 + seconds / 3600


_ALL = (
    FluxCalibrator("3C48", _hms(1, 37, 41.299431), _dms(33, 9, 35.132990), (1.3253, -0.7553, -0.1914, 0.0498)),
    FluxCalibrator("3C123", _hms(4, 37, 4.3753), _dms(29, 40, 13.819), (1.8017, -0.7884, -0.1035, -0.0248, 0.0090)),
    FluxCalibrator(
        "3C138", _hms(5, 21, 9.886021), _dms(16, 38, 22.051220), (1.0088, -0.4981, -0.1552, -0.0102, 0.0223)
    ),
    FluxCalibrator(
        "3C147",
        _hms(5, 42, 36.137916),
        _dms(49, 51, 7.233560),
        (1.4516, -0.6961, -0.2007, 0.0640, -0.0464, 0.0289),
    ),
    FluxCalibrator("3C196", _hms(8, 13, 36.033), _dms(48, 13, 2.56), (1.2872, -0.8530, -0.1534, -0.0200, 0.0201)),
    FluxCalibrator("3C286", _hms(13, 31, 8.287984), _dms(30, 30, 32.958850), (1.2481, -0.4507, -0.1798, 0.0357)),
    FluxCalibrator("3C295", _hms(14, 11, 20.519), _dms(52, 12, 9.97), (1.4701, -0.7658, -0.2780, -0.0347, 0.0399)),
    FluxCalibrator(
        "3C380",
        _hms(18, 29, 31.7812),
        _dms(48, 44, 46.160),
        (1.2320, -0.7909, 0.0947, 0.0976, -0.1794, -0.1566),
    ),
)
CALIBRATORS = {calibrator.name: calibrator for calibrator in _ALL}


def find_calibrator(name: str) -> FluxCalibrator:
    """Return the calibrator called ``name`` (case and blanks ignored).

    Raises
    ------
    SimulationError
        If the name is not in the built-in list.
    """
    key = name.replace(" ", "").upper()
    if key not in CALIBRATORS:
        known = ", ".join(CALIBRATORS)
        raise SimulationError(f"--calibrator {name} is not built in: use one of {known}, or give --declination.")
    return CALIBRATORS[key]
