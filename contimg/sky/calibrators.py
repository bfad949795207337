"""Flux calibrators: their flux densities by frequency, and the built-in list of Perley & Butler 2017.

Only numpy is imported: the plan computes the transits of tens of thousands of tiles.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contimg.errors import InputError

# Fraction by which flux densities may be off: of Perley & Butler's steady sources (their scale is good to 3 per cent),
# of those that vary by some per cent over the years, and of a table of the user's own.
STEADY_ERROR, VARYING_ERROR, OWN_LIST_ERROR = 0.03, 0.05, 0.05


@dataclass(frozen=True)
class Calibrator:
    """A source of known flux density.

    Attributes
    ----------
    name : str
    ra_deg, dec_deg : float
        ICRS.
    coefficients : tuple of float, or None
        ``log10(S / Jy) = sum_i a_i log10(f / GHz)^i``; None when no flux is known.
    range_hz : (float, float), or None
        Frequencies at which the coefficients are valid; None when the list does not say.
    anchor : str
        Origin of the flux scale, recorded in twins; without coefficients the reason why there is no flux.
    extent_arcsec : float
        Largest angular size; 0 when the list does not say.
    notes : str
    flux_error : float
        Fraction by which the flux density may be off: the scale's error, variability and the age of the list.
    min_klambda, max_klambda : float
        Shortest and longest baseline [thousands of wavelengths] on which the source may be used.
    aliases : tuple of str
        Other names by which it is found.
    """

    name: str
    ra_deg: float
    dec_deg: float
    coefficients: tuple[float, ...] | None
    range_hz: tuple[float, float] | None
    anchor: str
    extent_arcsec: float = 0.0
    notes: str = ""
    flux_error: float = OWN_LIST_ERROR
    min_klambda: float = 0.0
    max_klambda: float = math.inf
    aliases: tuple[str, ...] = ()

    def flux_jy(self, freq_hz: ArrayLike) -> NDArray[np.float64]:
        """Return the flux density (Jy), in the shape of `freq_hz`.

        Raises
        ------
        InputError
            If the calibrator has no flux, or a frequency lies outside its range.
        """
        if self.coefficients is None:
            raise InputError(f"calibrator '{self.name}' has no flux: give it one in calibration.calibrators")
        freq = np.asarray(freq_hz, dtype=np.float64)
        if self.range_hz is not None and (np.min(freq) < self.range_hz[0] or np.max(freq) > self.range_hz[1]):
            low, high = (f"{edge / 1e9:g}" for edge in self.range_hz)
            raise InputError(
                f"calibrator '{self.name}' has a known flux from {low} to {high} GHz only, "
                f"not at {np.min(freq) / 1e9:.4g} to {np.max(freq) / 1e9:.4g} GHz: choose another calibrator"
            )
        log_freq = np.log10(freq / 1e9)
        return np.asarray(10 ** np.polynomial.polynomial.polyval(log_freq, self.coefficients), np.float64)


# Perley & Butler 2017, ApJS 230, 7: coefficients of Table 6 (GHz), ranges and largest angular sizes of
# the text and Table 1. Epoch 2016; 3C48, 3C138, 3C147 and 3C380 vary by some per cent over the years.
# Positions: ICRF where the source is in it, else the CASA list of flux standards (2 arcsec or better).
_P = "Perley & Butler 2017, epoch 2016"
_PERLEY_BUTLER = (
    ("J0133-3629", 23.490417, -36.493333, (1.0440, -0.6619, -0.2252), (0.2, 4), 840, "double lobed"),
    ("3C48", 24.4220809, 33.1597592, (1.3253, -0.7553, -0.1914, 0.0498), (0.05, 50), 1.2, "varies slowly"),
    ("Fornax A", 50.674121, -37.208200, (2.2175, -0.6606), (0.2, 0.5), 3300, "double lobed"),
    ("3C123", 69.268230, 29.670505, (1.8017, -0.7884, -0.1035, -0.0248, 0.0090), (0.05, 50), 44, "double"),
    ("J0444-2809", 71.157083, -28.165278, (0.9710, -0.8938, -0.1176), (0.2, 2), 120, "double"),
    (
        "3C138", 80.2911918, 16.6394587,
        (1.0088, -0.4981, -0.1552, -0.0102, 0.0223), (0.2, 50), 0.7, "varies, flares above 10 GHz",
    ),
    ("Pictor A", 79.957179, -45.778847, (1.9380, -0.7470, -0.0739), (0.2, 4), 500, "double lobed"),
    ("Taurus A", 83.633208, 22.014472, (2.9516, -0.2173, -0.0473, -0.0674), (0.05, 4), 480, "supernova remnant"),
    (
        "3C147", 85.6505746, 49.8520093,
        (1.4516, -0.6961, -0.2007, 0.0640, -0.0464, 0.0289), (0.05, 50), 0.9, "varies slowly",
    ),
    ("3C196", 123.400138, 48.217378, (1.2872, -0.8530, -0.1534, -0.0200, 0.0201), (0.05, 50), 7, "close double"),
    ("Hydra A", 139.523620, -12.095542, (1.7795, -0.9176, -0.0843, -0.0139, 0.0295), (0.05, 12), 480, "lobes"),
    ("Virgo A", 187.7059308, 12.3911233, (2.4466, -0.8116, -0.0483), (0.05, 3), 840, "halo"),
    ("3C286", 202.7845329, 30.5091550, (1.2481, -0.4507, -0.1798, 0.0357), (0.05, 50), 3, "steady"),
    ("3C295", 212.8360321, 52.2025392, (1.4701, -0.7658, -0.2780, -0.0347, 0.0399), (0.05, 50), 5, "steady"),
    ("Hercules A", 252.783946, 4.992589, (1.8298, -1.0247, -0.0951), (0.2, 12), 190, "double lobed"),
    ("3C353", 260.117279, -0.979756, (1.8627, -0.6938, -0.0998, -0.0732), (0.2, 4), 320, "double lobed"),
    (
        "3C380", 277.382430, 48.746156,
        (1.2320, -0.7909, 0.0947, 0.0976, -0.1794, -0.1566), (0.05, 4), 20, "core and halo, varies",
    ),
    ("Cygnus A", 299.868152, 40.733916, (3.3498, -1.0022, -0.2246, 0.0227, 0.0425), (0.05, 12), 120, "double lobed"),
    ("3C444", 333.607300, -17.026747, (1.1064, -1.0052, -0.0750, -0.0767), (0.2, 12), 120, "double lobed"),
    ("Cassiopeia A", 350.850000, 58.815000, (3.3584, -0.7518, -0.0347, -0.0705), (0.2, 4), 480, "fades 0.7 % a year"),
)  # fmt: skip

# Other names of these sources: truncated positions of J2000 and B1950, as the VLA's list of calibrators writes them; 3C
# (Bennett 1962) and its A-names; Messier and NGC numbers (SIMBAD).
_OTHER_NAMES = {
    "J0133-3629": ("B0131-367", "NGC 612"),
    "3C48": ("J0137+3309", "B0134+329"),
    "Fornax A": ("J0322-3712", "B0320-373", "For A", "NGC 1316"),
    "3C123": ("J0437+2940", "B0433+295"),
    "J0444-2809": ("B0442-282",),
    "3C138": ("J0521+1638", "B0518+165"),
    "Pictor A": ("J0519-4546", "B0518-458", "Pic A"),
    "Taurus A": ("J0534+2200", "B0531+219", "Tau A", "3C144", "M1", "NGC 1952", "Crab", "Crab Nebula"),
    "3C147": ("J0542+4951", "B0538+498"),
    "3C196": ("J0813+4813", "B0809+483"),
    "Hydra A": ("J0918-1205", "B0915-118", "Hyd A", "Hya A", "3C218"),
    "Virgo A": ("J1230+1223", "B1228+126", "Vir A", "3C274", "M87", "NGC 4486"),
    "3C286": ("J1331+3030", "B1328+307"),
    "3C295": ("J1411+5212", "B1409+524"),
    "Hercules A": ("J1651+0459", "B1648+050", "Her A", "3C348"),
    "3C353": ("J1720-0058", "B1717-009"),
    "3C380": ("J1829+4844", "B1828+487"),
    "Cygnus A": ("J1959+4044", "B1957+405", "Cyg A", "3C405"),
    "3C444": ("J2214-1701", "B2211-172"),
    "Cassiopeia A": ("J2323+5848", "B2321+585", "Cas A", "3C461"),
}


@functools.cache
def builtin() -> tuple[Calibrator, ...]:
    """Return the twenty sources of Perley & Butler 2017, with their other names.

    Names of B1950 are known without their letter, too: 1328+307.
    """
    return tuple(
        Calibrator(
            name, ra, dec, coefficients, (low * 1e9, high * 1e9), _P, extent, notes,
            flux_error=VARYING_ERROR if "varies" in notes else STEADY_ERROR,
            aliases=tuple(alias for other in _OTHER_NAMES[name] for alias in dict.fromkeys((other, other.lstrip("B")))),
        )
        for name, ra, dec, coefficients, (low, high), extent, notes in _PERLEY_BUTLER
    )  # fmt: skip
