"""The gallery's map of the whole sky: coverage of the archive, and outlines of fields."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_WIDTH, _HEIGHT = 960.0, 480.0
_ORDER = 6  # HEALPix cells of 0.9 deg, in which the map shows the coverage


def aitoff(ra_deg: float, dec_deg: float) -> tuple[float, float]:
    """Return the place of a direction on the map [px]: Hammer-Aitoff, right ascension 0 in the middle, to the left.

    Calabretta & Greisen 2002, A&A 395, 1077, eqs. 102-103 (AIT), scaled so that the whole sky fills the map.
    """
    longitude = math.radians((ra_deg + 180) % 360 - 180)
    latitude = math.radians(dec_deg)
    scale = 1 / math.sqrt(1 + math.cos(latitude) * math.cos(longitude / 2))
    x = scale * math.cos(latitude) * math.sin(longitude / 2)  # -1 to 1
    y = scale * math.sin(latitude)
    return _WIDTH / 2 * (1 - x * 0.985), _HEIGHT / 2 * (1 - y * 0.985)


def _signed(degrees: int) -> str:
    return f"{degrees:+d}" if degrees else "0"


def _path(points: Sequence[tuple[float, float]], *, closed: bool = False) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points) + ("Z" if closed else "")


def sky_map(coverage: Path) -> str:
    """Return the map of the sky with the archive's coverage; the script adds the outlines of what it shows."""
    edge = [aitoff(180 - 1e-6, d) for d in range(-90, 91, 3)] + [aitoff(180 + 1e-6, d) for d in range(90, -91, -3)]
    parts = [f'<path class="sky" d="{_path(edge, closed=True)}"/>', f'<path class="cover" d="{_cells(coverage)}"/>']
    for ra in range(30, 360, 30):
        if ra != 180:
            parts.append(f'<path class="grid" d="{_path([aitoff(ra, d) for d in range(-90, 91, 3)])}"/>')
    for dec in range(-60, 61, 30):
        line = [aitoff(180 + 1e-6 + r * (360 - 2e-6) / 120, dec) for r in range(121)]
        parts.append(f'<path class="grid" d="{_path(line)}"/>')
        x, y = aitoff(180 - 1e-6, dec)
        parts.append(f'<text x="{x + 4:.0f}" y="{y - 4:.0f}">{_signed(dec)}°</text>')
    for hour in (2, 6, 10, 14, 18, 22):
        x, y = aitoff(hour * 15, 0)
        parts.append(f'<text x="{x:.0f}" y="{y - 4:.0f}" text-anchor="middle">{hour}h</text>')
    box = f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}"
    return (
        f'<svg viewBox="{box}" role="img" aria-label="sky map of the mosaics">{"".join(parts)}<g id="fields"></g></svg>'
    )


def _cells(coverage: Path) -> str:
    """Return a MOC's cells of 0.9 deg as one path; those that the map's edge (12 h) cuts are left out."""
    from astropy_healpix import HEALPix
    from mocpy import MOC

    cells = MOC.from_fits(str(coverage)).degrade_to_order(_ORDER).flatten()
    if not len(cells):
        return ""
    ra, dec = HEALPix(2**_ORDER, order="nested").boundaries_lonlat(cells, step=1)
    outlines = []
    for ra_deg, dec_deg in zip(ra.deg, dec.deg, strict=True):
        if not _crosses_edge(ra_deg):
            outlines.append(_path([aitoff(r, d) for r, d in zip(ra_deg, dec_deg, strict=True)], closed=True))
    return "".join(outlines)


def _crosses_edge(ra_deg: Iterable[float]) -> bool:
    """Return whether an outline lies on both sides of the map's edge (12 h): near the poles the map is narrow there."""
    from_edge = [(ra - 180) % 360 for ra in ra_deg]
    return max(from_edge) - min(from_edge) > 180


def outline(entry: Mapping[str, Any]) -> str:
    """Return a field's outline; one that crosses the map's edge (12 h) is drawn on the side of its centre."""
    corners = entry["corners_deg"]
    points = [aitoff(ra, dec) for ra, dec in corners]
    if _crosses_edge([ra for ra, _ in corners]):
        side = aitoff(*entry["centre_deg"])[0] < _WIDTH / 2 if entry["centre_deg"] else True
        edge_deg = 180 - 1e-6 if side else 180 + 1e-6
        points = [aitoff(ra if ((ra % 360) < 180) == side else edge_deg, dec) for ra, dec in corners]
    return _path(points, closed=True)
