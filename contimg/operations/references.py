"""Reference data that the configuration names: catalogue, list of calibrators and beam, checked before a run."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any

from contimg import naming
from contimg.config import Config
from contimg.errors import InputError
from contimg.operations.file_digests import FileDigests, reference_files, strips_of_catalogue
from contimg.plan.model import Plan, PlannedTile
from contimg.sky.strips import catalogue_at
from contimg.storage.notes import read_note, write_note

_FIELD_RADIUS_DEG = 2.5
"""Beyond it the response of a 4.65-m dish is below 0.1 at 1.4 GHz, and apparent places differ by 0.4 deg from ICRS."""


class Known:
    """A cache of what was found in files, by their digest or stamp; it may be deleted at any time.

    Parameters
    ----------
    cache : Path
        The folder of the caches, below ``paths.state``.
    """

    def __init__(self, cache: Path) -> None:
        self._place = cache / "preflight.json"
        self._content: dict[str, Any] = {}
        with contextlib.suppress(OSError):
            content = read_note(self._place)
            self._content = content if isinstance(content, dict) else {}
        self._before = dict(self._content)
        self.digests = FileDigests(cache / "digests.json")

    def get(self, key: str) -> Any:
        """Return the value of a key, or None."""
        return self._content.get(key)

    def put(self, key: str, value: Any) -> None:
        """Set the value (JSON) of a key."""
        self._content[key] = value

    def save(self) -> None:
        """Write the cache if it changed; where it cannot be written, the files are read again next time."""
        if self._content != self._before:
            with contextlib.suppress(OSError):
                write_note(self._place, self._content)


def findings(config: Config, known: Known) -> list[str]:
    """Return a sentence for each file of reference data that is missing, unreadable, or lacks columns or rows."""
    found: list[str] = []
    named = [*reference_files(config).items()]
    folder = next((path for key, path in named if key == "sky.catalogue" and path.is_dir()), None)
    if folder is not None:
        strips = strips_of_catalogue(config)
        named = [one for one in named if one[0] != "sky.catalogue"] + [("sky.catalogue", path) for path in strips]
        make = f"contimg catalogue make --from nvss FILE --dec DEG {folder}"
        found += [] if strips else [f"config key 'sky.catalogue' names {folder}, a folder without a strip: type {make}"]
    for key, path in named:
        if not path.is_file() or not os.access(path, os.R_OK):
            found.append(f"config key '{key}' names {path}, which cannot be read: correct the path")
            continue
        digest = known.digests.sha256(path, key)
        if known.get(f"{key} {digest}") is None:
            try:
                known.put(f"{key} {digest}", _read(key, path))
            except InputError as error:
                found.append(f"config key '{key}': {error}")
    return found


def _read(key: str, path: Path) -> Any:
    """Read a file of reference data; return what is cached: for a catalogue the square degrees with sources."""
    if key == "beam.cube":
        from contimg.sky.beam_cube import read_cube

        read_cube(path)
        return True
    if key == "calibration.calibrators":
        from contimg.sky import calibrator_lists

        if not calibrator_lists.load(path):
            raise InputError(f"{path} holds no calibrator: give a list with one, or write builtin")
        return True
    from contimg.sky.catalogue import read_catalogue
    from contimg.sky.strip_files import read_header, strip_cells

    if read_header(path) is not None:
        return strip_cells(path).tolist()
    catalogue = read_catalogue(path)
    if not len(catalogue):
        raise InputError(f"{path} holds no source: give the catalogue of the strip, or null")
    cells = {_cell(ra, dec) for ra, dec in zip(catalogue.ra_deg.tolist(), catalogue.dec_deg.tolist(), strict=True)}
    return sorted(cells)


def _cell(ra_deg: float, dec_deg: float) -> int:
    """Return the number of the square degree that a position lies in."""
    return (math.floor(dec_deg) + 90) * 360 + math.floor(ra_deg) % 360


def strip_findings(config: Config, plan: Plan, known: Known) -> list[str]:
    """Return a sentence if the catalogue holds no source in any field of the planned groups."""
    place = config.sky.catalogue
    tiles = [plan.tiles[t] for group in plan.groups.values() for t in group.tiles]
    if place is None or not tiles or not Path(place).exists():
        return []
    chosen = {tile.id: catalogue_at(Path(place), tile.dec_app_deg) for tile in tiles}
    found = []
    for path in dict.fromkeys(chosen.values()):
        found += _without_sources(path, [tile for tile in tiles if chosen[tile.id] == path], known)
    return found


def _without_sources(path: Path, tiles: list[PlannedTile], known: Known) -> list[str]:
    """Return a sentence if a catalogue holds no source in any of the fields of some tiles."""
    cells = known.get(f"sky.catalogue {known.digests.sha256(path, 'sky.catalogue')}")
    if cells is None or any(not cells_of_field(tile).isdisjoint(cells) for tile in tiles):
        return []
    first, last = tiles[0], tiles[-1]
    return [
        f"config key 'sky.catalogue': {path} has no source near the planned tiles (declination {first.dec_app_deg:.1f} "
        f"deg, right ascension {meridian_deg(first):.0f} to {meridian_deg(last):.0f} deg): name the strip's catalogue"
    ]


def meridian_deg(tile: PlannedTile) -> float:
    """Return the right ascension (deg, of date, to 0.01) on the meridian in the middle of a tile.

    Greenwich mean sidereal time plus the east longitude (Meeus 1998, Astronomical Algorithms, equation 12.4).
    """
    days = tile.mid_mjd - 51544.5
    return (280.46061837 + 360.98564736629 * days + math.degrees(tile.longitude_rad)) % 360


def cells_of_field(tile: PlannedTile) -> set[int]:
    """Return the square degrees that a tile's field touches."""
    ra, dec = meridian_deg(tile), tile.dec_app_deg
    rows = range(math.floor(dec - _FIELD_RADIUS_DEG), math.floor(dec + _FIELD_RADIUS_DEG) + 1)
    cosine = min(math.cos(math.radians(min(abs(row), 89))) for row in rows)
    reach = min(180.0, _FIELD_RADIUS_DEG / cosine + 1)
    columns = range(math.floor(ra - reach), math.floor(ra + reach) + 1)
    return {_cell(column, row) for row in rows if -90 <= row < 90 for column in columns}


def stamp(path: str) -> str:
    """Return a file's name, size, modification time and inode as text: the key of its header in the cache."""
    now = os.stat(path)
    return f"{naming.SubbandName.parse(Path(path).name)} {now.st_size} {now.st_mtime_ns} {now.st_ino}"
