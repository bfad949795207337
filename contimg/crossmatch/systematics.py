"""Systematic differences between a mosaic and a catalogue: size, error, and the most likely cause.

Each catalogued source gives a flux ratio and an offset. Their mean is the flux scale and the shift; their change over
the strip shows a wrong primary beam (with declination), a drift of the gains (with right ascension, which is time) and
errors of the astrometric frame. All have errors from the sample itself, so that a verdict can follow the errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.crossmatch.matching import COMPLETENESS_SNR, Match
from contimg.sky.constants import SIDEREAL_DAYS_PER_DAY
from contimg.statistics import best_explanation, robust_fit

SLOPE_SOURCES = 10
"""Least number of sources for slopes over the field: each of the fits has four parameters or fewer."""
# Systematic errors of single sources, added in quadrature: of fluxes, and of positions in beams.
_FLUX_FLOOR, _POSITION_FLOOR_BEAMS = 0.01, 0.01
_SIDEREAL_ARCSEC_PER_S = 15 * SIDEREAL_DAYS_PER_DAY
KEYS = (
    "flux_scale", "e_flux_scale", "flux_tilt_ra", "e_flux_tilt_ra", "flux_tilt_dec", "e_flux_tilt_dec",
    "flux_bow_dec", "e_flux_bow_dec", "shift_beams", "e_shift_beams", "shift_ra_arcsec", "shift_dec_arcsec",
    "e_shift_arcsec", "distortion_beams", "e_distortion_beams", "field_rotation_deg", "field_stretch",
    "peak_over_total", "e_peak_over_total", "unmatched_fraction", "diagnosis",
)  # fmt: skip
"""The numbers of `measure_systematics`."""


@dataclass(frozen=True)
class _Field:
    """The compared sources: positions in the field scaled to -1..1, ln of flux ratios and offsets, with errors.

    `half_deg` is half of the field's height, and `aspect` its width over its height.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    half_deg: float
    aspect: float
    log_ratio: NDArray[np.float64]
    e_log_ratio: NDArray[np.float64]
    east: NDArray[np.float64]
    north: NDArray[np.float64]
    e_offset: NDArray[np.float64]
    cos_dec: NDArray[np.float64]


def measure_systematics(matched: Match, min_matches: int, beam_arcsec: float) -> dict[str, Any]:
    """Measure flux scale, shift, and their changes over the field, with errors.

    Parameters
    ----------
    matched : Match
    min_matches : int
        With fewer compared sources nothing is measured; with fewer than 10, no slopes.
    beam_arcsec : float
        Geometric mean of the beam's axes.

    Returns
    -------
    dict
        `KEYS`, None where not measured. ``flux_scale``: ratio of the ensemble. ``flux_tilt_ra``, ``flux_tilt_dec``:
        change of ln ratio from the field's middle to its eastern and northern edge; ``flux_bow_dec``: from the middle
        to both the northern and the southern edge. ``shift_beams``: systematic offset; ``distortion_beams``: rms
        displacement at the edge by a field that is rotated, stretched or sheared. ``peak_over_total``: 1 where
        sources have the shape of the beam. ``unmatched_fraction``: of the found sources of 10 sigma and as bright as
        the catalogue's are. ``diagnosis``: the hypothesis that explains the differences best, in words.
    """
    numbers: dict[str, Any] = dict.fromkeys(KEYS)
    use = matched.compared & (matched.flux_ratio > 0)
    n = int(use.sum())
    if n < max(2, min_matches):
        return numbers
    field = _field(matched, use, beam_arcsec)
    one = np.ones((n, 1))
    flux = robust_fit(one, field.log_ratio, field.e_log_ratio)
    scale = math.exp(flux.coefficients[0])
    east, north = (robust_fit(one, offset, field.e_offset) for offset in (field.east, field.north))
    numbers |= {"flux_scale": scale, "e_flux_scale": scale * flux.errors[0]}
    shift = east.coefficients[0], north.coefficients[0]
    e_shift = max(east.errors[0], north.errors[0])
    numbers |= {"shift_ra_arcsec": shift[0], "shift_dec_arcsec": shift[1], "e_shift_arcsec": e_shift}
    numbers |= {"shift_beams": math.hypot(*shift) / beam_arcsec, "e_shift_beams": e_shift / beam_arcsec}
    numbers |= _shape(matched, use)
    if n >= SLOPE_SOURCES:
        numbers |= _slopes(field) | _distortion(field, beam_arcsec)
    rounded = {key: None if value is None else round(float(value), 6) for key, value in numbers.items()}
    return rounded | {"diagnosis": _diagnosis(field, flux.inflation, max(east.inflation, north.inflation), n)}


@dataclass(frozen=True)
class FieldFrame:
    """Places in the field that compared sources span: -1 to 1 from edge to edge, eastward and northward.

    Attributes
    ----------
    ra0_deg : float
        Right ascension that offsets are counted from.
    middle_deg, half_deg : (float, float)
        Middle and half width of the sample, along right ascension (on the sky, from `ra0_deg`) and declination.
    """

    ra0_deg: float
    middle_deg: tuple[float, float]
    half_deg: tuple[float, float]

    @classmethod
    def of(cls, matched: Match, use: NDArray[np.bool_]) -> FieldFrame:
        """Return the frame of the compared sources of a mask; there must be one."""
        ra, dec = matched.catalogue.ra_deg[use], matched.catalogue.dec_deg[use]
        x = cls._east_deg(float(ra[0]), ra, dec)
        middle = tuple(float(value.max() + value.min()) / 2 for value in (x, dec))
        half = (max(float(np.abs(v - m).max()), 1e-6) for v, m in zip((x, dec), middle, strict=True))
        half_x, half_y = half
        return cls(float(ra[0]), (middle[0], middle[1]), (half_x, half_y))

    def places(
        self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the places (x, y) of directions."""
        x = (self._east_deg(self.ra0_deg, ra_deg, dec_deg) - self.middle_deg[0]) / self.half_deg[0]
        return x, (dec_deg - self.middle_deg[1]) / self.half_deg[1]

    @staticmethod
    def _east_deg(ra0_deg: float, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((ra_deg - ra0_deg + 180) % 360 - 180) * np.cos(np.radians(dec_deg))


def _field(matched: Match, use: NDArray[np.bool_], beam_arcsec: float) -> _Field:
    """Return the compared sources, with positions relative to the middle of the sample."""
    ra, dec = matched.catalogue.ra_deg[use], matched.catalogue.dec_deg[use]
    frame = FieldFrame.of(matched, use)
    half_x, half_y = frame.half_deg
    return _Field(
        *frame.places(ra, dec), half_y, half_x / half_y, np.log(matched.flux_ratio[use]),
        np.hypot(matched.e_log_ratio[use], _FLUX_FLOOR), matched.dra_arcsec[use], matched.ddec_arcsec[use],
        np.hypot(matched.e_offset_arcsec[use], _POSITION_FLOOR_BEAMS * beam_arcsec), np.cos(np.radians(dec)),
    )  # fmt: skip


def _shape(matched: Match, use: NDArray[np.bool_]) -> dict[str, float]:
    """Return the ratio of peak and integrated flux with its error, and the fraction of sources not in the catalogue."""
    log_shape = np.log(matched.peak_ratio[use] / matched.flux_ratio[use])
    fit = robust_fit(np.ones((len(log_shape), 1)), log_shape, np.hypot(2 / matched.expected_snr[use], _FLUX_FLOOR))
    shape = math.exp(fit.coefficients[0])
    found = int(np.count_nonzero((matched.source >= 0) & (matched.expected_snr >= COMPLETENESS_SNR)))
    # Catalogues are incomplete at their limit: sources fainter than nine tenths of the catalogue are not expected in
    # it.
    faintest = float(np.percentile(matched.flux_jy, 10))
    unmatched = int(np.count_nonzero(matched.unmatched_flux_jy > faintest))
    return {
        "peak_over_total": shape,
        "e_peak_over_total": shape * float(fit.errors[0]),
        "unmatched_fraction": unmatched / max(1, found + unmatched),
    }


def _slopes(field: _Field) -> dict[str, float]:
    """Return the changes of the flux ratio over the field with their errors."""
    design = np.stack([np.ones_like(field.x), field.x, field.y, field.y**2], axis=1)
    fit = robust_fit(design, field.log_ratio, field.e_log_ratio)
    names = ("flux_tilt_ra", "flux_tilt_dec", "flux_bow_dec")
    return dict(zip(names, fit.coefficients[1:], strict=True)) | {
        f"e_{name}": error for name, error in zip(names, fit.errors[1:], strict=True)
    }


def _distortion(field: _Field, beam_arcsec: float) -> dict[str, float]:
    """Return the linear terms of the offsets: their rms displacement at the edge, rotation (deg) and stretch."""
    design = np.stack([np.ones_like(field.x), field.x, field.y], axis=1)
    east, north = (robust_fit(design, offset, field.e_offset) for offset in (field.east, field.north))
    terms = np.array([*east.coefficients[1:], *north.coefficients[1:]])
    half_arcsec = field.half_deg * 3600
    return {
        "distortion_beams": float(np.sqrt((terms**2).mean() * 2)) / beam_arcsec,
        "e_distortion_beams": float(max(*east.errors[1:], *north.errors[1:])) / beam_arcsec,
        "field_rotation_deg": math.degrees(float(east.coefficients[2]) / half_arcsec),
        "field_stretch": float(north.coefficients[2]) / half_arcsec,
    }


def _diagnosis(field: _Field, flux_inflation: float, offset_inflation: float, n: int) -> str | None:
    """Return the hypothesis that explains fluxes or offsets best, in words; None with few sources."""
    if n < SLOPE_SOURCES:
        return None
    one, nothing = np.ones(n), np.zeros(n)
    flux = best_explanation(
        {"flux scale": one, "drift of the gains": field.x, "beam offset": field.y, "beam width": field.y**2},
        field.log_ratio, field.e_log_ratio * flux_inflation,
    )  # fmt: skip
    # Offsets to east and to north as one vector: a clock error moves all to the east by 15 arcsec/s cos(dec).
    both = np.concatenate
    place = best_explanation(
        {
            "clock": both([_SIDEREAL_ARCSEC_PER_S * field.cos_dec, nothing]),
            "shift to the north": both([nothing, one]),
            "rotation": both([field.y, -field.aspect * field.x]),
            "stretch": both([field.aspect * field.x, field.y]),
        },
        both([field.east, field.north]), np.tile(field.e_offset * offset_inflation, 2),
    )  # fmt: skip
    if flux is None or place is None:
        return None
    best = max(flux, place, key=lambda explanation: explanation.improvement)
    value, error = best.value, best.error
    middle = _SIDEREAL_ARCSEC_PER_S * float(np.mean(field.cos_dec))
    half = f"{field.half_deg:.1f} deg"
    return {
        "flux scale": f"a flux scale of {math.exp(value):.3f} ± {error:.3f}",
        "drift of the gains": f"gains that drift: fluxes change by {value:+.1%} ± {error:.1%} to the east",
        "beam offset": f"a primary beam off in declination: fluxes change by {value:+.1%} ± {error:.1%} over {half}",
        "beam width": f"another width of the primary beam: fluxes change by {value:+.1%} ± {error:.1%} over {half}",
        "shift to the north": f"a shift of {value:+.2f} ± {error:.2f} arcsec to the north",
        "clock": f"a shift to the east of {value * middle:+.2f} ± {error * middle:.2f} arcsec, as of a clock"
        f" {value:+.3f} ± {error:.3f} s off",
        "rotation": f"a rotation of the field ({value:+.2f} ± {error:.2f} arcsec at its edge)",
        "stretch": f"a stretch of the field ({value:+.2f} ± {error:.2f} arcsec at its edge)",
    }[best.name]
