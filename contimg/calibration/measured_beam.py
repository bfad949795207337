"""The primary beam measured in a tile that is being calibrated, where ``beam.offset_deg`` or ``fwhm_scale`` is auto.

The catalogued sources of the field drift through the beam while the tile is observed. Their fluxes in a few parts of
it, measured together in the calibrated visibilities, tell where the beam is. The calibration is then solved once more
with that beam, and its tiles are imaged with it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from contimg.calibration.flux_ensemble import measure_fluxes
from contimg.config import BeamOptions
from contimg.errors import InputError
from contimg.measurement_set import Visibilities
from contimg.products.draft import TwinDraft
from contimg.sky.beam_fit import BeamFit, TileFluxes, fit_beam
from contimg.sky.catalogue import Catalogue
from contimg.sky.constants import C_M_S
from contimg.sky.primary_beam import measured_beam
from contimg.sky.spherical import unit_vectors

_BY_ROW = ("uvw_m", "time_mjd_s", "antenna1", "antenna2", "data", "flag", "weight")
PASSES = 2
"""How often the beam is measured: the calibrator's own beam is in the gains that the first measurement rests on."""
_PARTS = 4
# The calibrator's own beam is in the gains of the first pass: parts of the tile may differ by more than tiles do.
_PART_SCALE = 0.1
_MIN_SNR = 10.0
_MIN_RESPONSE = 0.2
_BEAMS_APART = 1.2  # resolution, over the wavelength by the longest baseline


@dataclass(frozen=True)
class FieldInBeam:
    """A calibrated tile less its model, and the model.

    Attributes
    ----------
    residual : Visibilities
        A few channels over the band.
    sources : Catalogue or None
        The catalogue's sources in the model.
    calibrator : Catalogue or None
    beam : BeamOptions
        The beam of the model.
    """

    residual: Visibilities
    sources: Catalogue | None
    calibrator: Catalogue | None
    beam: BeamOptions


def measure_beam(field: FieldInBeam, asked: BeamOptions, draft: TwinDraft) -> BeamOptions | None:
    """Measure the beam in a calibrated tile.

    Parameters
    ----------
    field : FieldInBeam
    asked : BeamOptions
        What of the beam is ``auto`` and so measured.
    draft : TwinDraft
        Of the calibration; gets the fact ``primary_beam``.

    Returns
    -------
    BeamOptions or None
        `asked` with numbers instead of ``auto``; None where the beam could not be measured.
    """
    if field.sources is None:
        draft.facts["primary_beam"] = {"problem": "no catalogue is configured (sky.catalogue)"}
        return None
    try:
        parts = _fluxes_in_parts(field, field.sources)
        fit = fit_beam(parts, field.sources, field.beam, fitted=asked.measures, tile_scale=_PART_SCALE)
    except InputError as error:
        draft.facts["primary_beam"] = {"problem": str(error)}
        return None
    draft.facts["primary_beam"] = _facts(fit)
    return measured_beam(asked, draft.facts)


def _fluxes_in_parts(field: FieldInBeam, sources: Catalogue) -> list[TileFluxes]:
    """Return the fluxes of the field's sources in each part of a tile, as the beam of the model gives them."""
    residual = field.residual
    n_times = len(residual.times_mjd_s)
    baselines = len(residual.uvw_m) // n_times
    longest_m = float(np.linalg.norm(residual.uvw_m, axis=1).max())
    middle_hz = float(residual.freq_hz.mean())
    parts: list[TileFluxes] = []
    for times in np.array_split(np.arange(n_times), min(_PARTS, n_times)):
        rows = slice(int(times[0]) * baselines, (int(times[-1]) + 1) * baselines)
        part = dataclasses.replace(
            residual,
            **{name: getattr(residual, name)[rows] for name in _BY_ROW},
            times_mjd_s=residual.times_mjd_s[times],
            pointing_rad=residual.pointing_rad[times],
        )
        found = measure_fluxes(part, sources, field.beam, field.calibrator)
        use = (found.noise * _MIN_SNR < found.ratio) & (found.response >= _MIN_RESPONSE)
        chosen = found.sources.select(use)
        flux = found.flux_jy[use]
        half = residual.integration_s / 2
        x, y, z = unit_vectors(part.pointing_rad).mean(0)
        parts.append(
            TileFluxes(
                tile=str(len(parts)),
                start_mjd=float(part.times_mjd_s[0] - half) / 86400,
                end_mjd=float(part.times_mjd_s[-1] + half) / 86400,
                centre_deg=(math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))),
                freq_hz=middle_hz,
                bandwidth_hz=float(residual.freq_hz[-1] - residual.freq_hz[0]) * (1 + 1 / len(residual.freq_hz)),
                beam_arcsec=math.degrees(_BEAMS_APART * C_M_S / middle_hz / longest_m) * 3600,
                ra_deg=chosen.ra_deg,
                dec_deg=chosen.dec_deg,
                flux_jy=found.ratio[use] * flux,
                e_flux_jy=found.noise[use] * flux,
            )
        )
    return parts


def _facts(fit: BeamFit) -> dict[str, Any]:
    """Return a fit as a fact of a calibration's twin."""
    return {
        "offset_deg": [round(fit.east_deg, 4), round(fit.north_deg, 4)],
        "e_offset_deg": [round(fit.e_east_deg, 4), round(fit.e_north_deg, 4)],
        "fwhm_scale": round(fit.fwhm_scale, 4),
        "e_fwhm_scale": round(fit.e_fwhm_scale, 4),
        "sources": fit.n_sources,
        "scatter": round(fit.scatter, 2),
    }
