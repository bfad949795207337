"""The radio surveys whose catalogues can be converted: frequencies, resolutions, and the names of their columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Survey:
    """A survey and the format of its catalogue as distributed.

    Names of columns are compared without case, and with every other character than letters and digits as ``_``.
    Of several the first that a file has is taken.

    Attributes
    ----------
    title : str
        Name of the survey, the first word of a source without a name.
    freq_hz : float
        Frequency of its flux densities.
    resolution_arcsec : float
        Width of its beam.
    scale_error : float
        Fractional error of its flux scale, with which it counts in a spectral index.
    name, ra, dec, flux, flux_err : tuple of str
        Accepted names of the columns.
    keep : mapping
        Column -> values of the rows that the survey's authors recommend; a file without the column keeps all rows.
    """

    title: str
    freq_hz: float
    resolution_arcsec: float
    scale_error: float
    name: tuple[str, ...]
    ra: tuple[str, ...]
    dec: tuple[str, ...]
    flux: tuple[str, ...]
    flux_err: tuple[str, ...]
    keep: Mapping[tuple[str, ...], tuple[float, ...]]


# VizieR computes positions in degrees beside the original ones if it is asked to: they need no conversion.
_RA = ("_RAJ2000", "RAJ2000", "ra", "RA_deg", "ra_deg_cont", "RA_ICRS")
_DEC = ("_DEJ2000", "DEJ2000", "dec", "decl", "DEC_deg", "dec_deg_cont", "DE_ICRS")
# PyBDSF's names, which LoTSS, TGSS, VLASS and RACS share.
_PYBDSF_FLUX, _PYBDSF_ERROR = ("Total_flux",), ("E_Total_flux",)

# Frequencies, beams and errors of the flux scale: Condon et al. 1998 (NVSS), Becker et al. 1995 (FIRST), Hale et al.
# 2021, Duchesne et al. 2023 and 2025 (RACS), Gordon et al. 2021 (VLASS Quick Look, whose fluxes are 15 % low), Intema
# et al. 2017 (TGSS), Shimwell et al. 2022 (LoTSS).
SURVEYS: dict[str, Survey] = {
    "nvss": Survey(
        "NVSS", 1.4e9, 45.0, 0.03, ("NVSS", "name", "source_name"), _RA, _DEC,
        ("S1.4", "flux_20_cm", "Total_flux", "flux"), ("e_S1.4", "flux_20_cm_error", "E_Total_flux", "flux_err"), {},
    ),
    "first": Survey(
        "FIRST", 1.4e9, 5.4, 0.05, ("FIRST", "name", "source_name"), _RA, _DEC,
        ("Fint", "int_flux_20_cm", "int_flux", "Int flux"), ("Rms", "flux_20_cm_error", "flux_20_cm_rms"), {},
    ),
    "racs": Survey(
        "RACS-low", 887.5e6, 25.0, 0.08, ("source_name", "name", "source_id", "gaussian_id"), _RA, _DEC,
        ("Total_flux_source", "Total_flux_gaussian", "Ftot", "FtotS"),
        ("E_Total_flux_source", "E_Total_flux_gaussian", "e_Ftot", "e_FtotS"), {},
    ),
    "racs-mid": Survey(
        "RACS-mid", 1367.5e6, 11.2, 0.06, ("name", "source_name", "source_id"), _RA, _DEC,
        (*_PYBDSF_FLUX, "Total_flux_source", "Ftot"), (*_PYBDSF_ERROR, "E_Total_flux_source", "e_Ftot"), {},
    ),
    "racs-high": Survey(
        "RACS-high", 1655.5e6, 11.8, 0.1, ("name", "source_name", "source_id"), _RA, _DEC,
        (*_PYBDSF_FLUX, "Total_flux_source", "Ftot"), (*_PYBDSF_ERROR, "E_Total_flux_source", "e_Ftot"), {},
    ),
    "vlass": Survey(
        "VLASS", 3.0e9, 2.5, 0.15, ("Component_name", "CompName", "Source_name", "name"),
        ("RAJ2000", "RA", "RA_Source", "_RAJ2000"), ("DEJ2000", "DEC", "DEC_Source", "_DEJ2000"),
        (*_PYBDSF_FLUX, "Total_flux_source", "Ftot"), (*_PYBDSF_ERROR, "E_Total_flux_source", "e_Ftot"),
        {("Duplicate_flag", "DupFlag"): (0, 1), ("Quality_flag", "QualFlag"): (0, 4)},
    ),
    "tgss": Survey(
        "TGSS", 147.5e6, 25.0, 0.1, ("TGSSADR", "Source_name", "name"), _RA, _DEC,
        ("Stotal", *_PYBDSF_FLUX, "int_flux_150_mhz"), ("e_Stotal", *_PYBDSF_ERROR, "int_flux_150_mhz_error"), {},
    ),
    "lotss": Survey(
        "LoTSS", 144e6, 6.0, 0.1, ("Source_Name", "Source", "name"), _RA, _DEC,
        (*_PYBDSF_FLUX, "SpeakTot", "Sint"), (*_PYBDSF_ERROR, "e_SpeakTot", "e_Sint"), {},
    ),
}  # fmt: skip


def plain(column: str) -> str:
    """Return the name of a column in lower case, with every character but letters and digits as ``_``."""
    return re.sub(r"[^a-z0-9]", "_", column.strip().lower())


def find_column(accepted: Sequence[str], columns: Sequence[str]) -> str | None:
    """Return the column of a file, spelt as there, that has the first of some accepted names that occurs; else None."""
    spelt = {plain(column): column for column in reversed(columns)}
    return next((spelt[plain(name)] for name in accepted if plain(name) in spelt), None)
