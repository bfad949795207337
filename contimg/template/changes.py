"""Sources of a mosaic that are new, or brighter or fainter than in its template."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.crossmatch.sources import Source, find_sources, rounded
from contimg.template.stack import Stack


@dataclass(frozen=True)
class Change:
    """A source that differs from the template.

    Attributes
    ----------
    kind : str
        ``new`` where the template has less than `NEW_SIGMA` of its noise there, else ``brighter`` or ``fainter``.
    ra_deg, dec_deg : float
        ICRS.
    e_ra_arcsec, e_dec_arcsec : float
    difference_jy, e_difference_jy : float
        Mosaic minus template (Jy/beam), and its error from the noise.
    snr : float
        Difference over its error and that of the flux scale.
    template_jy : float
        Brightest pixel of the template within a beam (Jy/beam).
    """

    kind: str
    ra_deg: float
    dec_deg: float
    e_ra_arcsec: float
    e_dec_arcsec: float
    difference_jy: float
    e_difference_jy: float
    snr: float
    template_jy: float


NEW_SIGMA = 5.0
"""A changed source is new where the template is fainter than this many times its noise."""


def find_changes(
    stack: Stack, difference: NDArray[np.float32], sigma: NDArray[np.float32], *, flux_error: float, least: float
) -> list[Change]:
    """Find the sources that differ significantly from a template, given the noise and the error of the flux scale.

    Parameters
    ----------
    stack : Stack
        The template.
    difference, sigma : (ny, nx) float32
        Mosaic minus template and its noise (Jy/beam).
    flux_error : float
        Fraction of a source's brightness that the flux scale may be wrong by.
    least : float
        Least difference, in units of noise and flux error together.
    """
    wcs, changes = stack.grid.wcs(), []
    reach = max(1, round(stack.beam.bmaj_deg / stack.grid.cell_deg))
    for sign in (1, -1):
        for source in find_sources(sign * difference, sigma, wcs, stack.beam):
            x, y = wcs.all_world2pix(source.ra_deg, source.dec_deg, 0)
            row, column = round(float(y)), round(float(x))
            box = np.s_[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
            brightest = float(np.nanmax(stack.image[box], initial=0.0))
            snr = source.peak_flux_jy_beam / np.hypot(source.local_rms_jy_beam, flux_error * brightest)
            if snr >= least:
                noise = float(np.nanmedian(stack.weights[box])) ** -0.5
                kind = "fainter" if sign < 0 else "new" if brightest < NEW_SIGMA * noise else "brighter"
                changes.append(_change(source, kind, sign, float(snr), brightest))
    return sorted(changes, key=lambda change: (-change.snr, change.ra_deg))


def _change(source: Source, kind: str, sign: int, snr: float, brightest: float) -> Change:
    return Change(
        kind=kind,
        ra_deg=source.ra_deg,
        dec_deg=source.dec_deg,
        e_ra_arcsec=source.e_ra_arcsec,
        e_dec_arcsec=source.e_dec_arcsec,
        difference_jy=sign * source.peak_flux_jy_beam,
        e_difference_jy=source.e_peak_flux_jy_beam,
        snr=snr,
        template_jy=brightest,
    )


def write_changes(path: Path, changes: Sequence[Change]) -> None:
    """Write changes as CSV, columns as in `Change`."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Change)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: rounded(value) for key, value in asdict(change).items()} for change in changes)
