"""Consistency of the headers of a tile's files, each by itself and with the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from contimg.commissioning.findings import CONFIRMED, NOT_MEASURABLE, REFUTED, Finding, listed
from contimg.correlator.hdf5 import Header
from contimg.correlator.setup import SAME_DECLINATION_DEG, table_of

GRID_DEG = 0.25
"""Grid of the declinations for which the real-time system has fringe-stopping tables."""
_ON_GRID_DEG = 1e-6
_TABLE_DEG = 0.06
"""Rounding (deg) of the declination in the name of a fringe-stopping table."""


def header_finding(headers: Sequence[Header]) -> Finding:
    """Return the finding on the agreement of the hosts' headers."""
    declinations = np.degrees([header.dec_app_rad for header in headers]) * 3600
    spread = float(np.ptp(declinations))
    parts, named = [], []
    if spread > 3600 * SAME_DECLINATION_DEG:
        parts.append(f"declinations differ by {spread:.1f} arcsec")
    for words, attribute in (("applied delays", "applied_delays_sha256"), ("antenna order", "antenna_order_sha256")):
        values = Counter(getattr(header, attribute) for header in headers)
        if len(values) > 1:
            usual = values.most_common(1)[0][0]
            odd = [f"sb{h.subband:02d}" for h in headers if getattr(h, attribute) != usual]
            parts.append(f"{words} of {listed(odd)} differ from those of the others")
            named += odd
    tables = sorted({parsed for header in headers if (parsed := table_of(header.fs_table)) is not None})
    if len(tables) > 1:
        parts.append(
            f"fringe-stopping tables are for {listed([f'{dec:g} deg, {count} antennas' for dec, count in tables])}"
        )
    own = float(np.degrees(headers[0].dec_app_rad))
    parts += [f"the fringe-stopping table is for {dec:g} deg, the header for {own:.3f} deg"
             for dec, _ in tables if abs(dec - own) > _TABLE_DEG]  # fmt: skip
    details = {"declination_spread_arcsec": spread, "files": len(headers)}
    if parts:
        return Finding(
            "header_agreement", REFUTED, "; ".join(parts), spread, None, "arcsec", tuple(dict.fromkeys(named)), details
        )
    text = f"{len(headers)} headers agree; declinations to {spread:.2g} arcsec"
    return Finding("header_agreement", CONFIRMED, text, spread, None, "arcsec", (), details)


def declination_finding(header: Header) -> Finding:
    """Return the finding on the declination: on the 0.25-deg grid it need not be that of the dishes."""
    declination = float(np.degrees(header.dec_app_rad))
    off = declination - round(declination / GRID_DEG) * GRID_DEG
    if abs(off) < _ON_GRID_DEG:
        text = (
            f"{declination:.6f} deg is on the {GRID_DEG:g}-deg grid of the fringe-stopping tables: the dishes can "
            f"stand up to {GRID_DEG / 2:g} deg away, which fluxes against position show, not one transit"
        )
        return Finding("declination", NOT_MEASURABLE, text, off, None, "deg", ("grid",))
    text = f"{declination:.6f} deg is {abs(off):.4f} deg off the {GRID_DEG:g}-deg grid of the fringe-stopping tables"
    return Finding("declination", CONFIRMED, text, off, None, "deg")


def file_finding(headers: Sequence[Header], faults: Sequence[str], missing: Sequence[int]) -> Finding:
    """Return the finding on the files themselves: faults of single files, and missing subbands."""
    parts = list(faults)
    named = []
    wrong = [header for header in headers if _labelled(header) not in (None, header.subband)]
    for header in wrong:
        parts.append(f"{header.path.name} has the frequencies of sb{header.subband:02d}")
        named.append(header.path.name)
    if parts:
        return Finding("files", REFUTED, listed(parts, 4), float(len(parts)), None, "files", tuple(named))
    lacking = f"; missing: {listed([f'sb{s:02d}' for s in missing])}" if missing else ""
    return Finding("files", CONFIRMED, f"{len(headers)} subband files{lacking}", float(len(headers)), None, "files")


def _labelled(header: Header) -> int | None:
    """Return the subband in a file's name."""
    found = re.search(r"_sb(\d\d)\.hdf5$", header.path.name)
    return int(found[1]) if found else None
