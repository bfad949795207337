"""A solved calibration as its readers see it: the twin, and tables that are checked against it.

The plan chooses calibrations by their twins. A table that the twin names must be there and be the one that was judged:
applying a set without its gains, or with the tables of another tile, would give data that look calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from contimg.calibration.caltables import FILES, Solutions, read_solutions, solve_again
from contimg.errors import InputError
from contimg.measurement_set import Coordinates
from contimg.products.twin import Twin

_TIME_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class CalibrationSet:
    """The twin of a calibration and the folder of its tables."""

    twin: Twin
    folder: Path

    @classmethod
    def beside(cls, twin: Twin, twin_path: Path) -> CalibrationSet:
        """Return the set whose twin stands at a path, its product beside it."""
        return cls(twin, Path(twin_path).with_suffix(""))

    def holds(self, kind: str) -> bool:
        """Return whether the set has solutions of a kind, by its twin."""
        return kind in self.twin.facts.get("files", {})

    def solutions(self, kind: str) -> Solutions:
        """Read the solutions of a kind, which must be those that the twin describes.

        Parameters
        ----------
        kind : ``K``, ``B`` or ``G``

        Raises
        ------
        InputError
            If the table is missing, damaged, empty, of another kind, tile or spectral window, or was altered after
            the calibration was judged; or if the set has no solutions of this kind.
        """
        if not self.holds(kind):
            self._refuse(self.folder, f"holds no table {FILES[kind]}, which {self.twin.id} is chosen for")
        path = self.folder / FILES[kind]
        found = read_solutions(path)
        if found.kind != kind:
            self._refuse(path, f"holds a table of kind {found.kind} instead of {kind}")
        self._check_tile(path, found)
        if kind == "B":
            self._check_channels(path, found)
        judged = self.twin.facts.get("solutions_sha256", {}).get(kind)
        if judged is None:
            self._refuse(path, f"cannot be checked, as the twin of {self.twin.id} has no digest of its solutions")
        if found.sha256 != judged:
            self._refuse(path, f"holds other solutions than those that were judged in {self.twin.id}")
        return found

    def solutions_for(self, kind: str, tile: Coordinates) -> Solutions:
        """Read the solutions of a kind, which must fit a tile too.

        Raises
        ------
        InputError
            As `solutions`; or if an antenna of the tile is missing, or the polarisations are others.
        """
        found, path = self.solutions(kind), self.folder / FILES[kind]
        absent = [name for name in tile.antenna_names if name not in found.antenna_names]
        if absent:
            self._refuse(path, f"has no antenna '{absent[0]}', which the tile has")
        receptors = found.values.shape[-1]
        if receptors != len(tile.polarisations):
            self._refuse(path, f"has {receptors} polarisations and the tile {len(tile.polarisations)}")
        return found

    def _check_tile(self, path: Path, found: Solutions) -> None:
        """Check that the solutions lie within the time of the tile on which the set was solved."""
        facts = self.twin.facts
        first_s, last_s = facts["start_mjd"] * 86400, facts["end_mjd"] * 86400
        times = found.time_mjd_s
        if times[0] < first_s - _TIME_TOLERANCE_S or times[-1] > last_s + _TIME_TOLERANCE_S:
            away_min = max(first_s - times[0], times[-1] - last_s) / 60
            self._refuse(path, f"has solutions {away_min:.1f} min outside tile {facts['tile']} of {self.twin.id}")

    def _check_channels(self, path: Path, found: Solutions) -> None:
        """Check that a bandpass has the channels of the tile on which the set was solved."""
        facts = self.twin.facts
        if len(found.freq_hz) != facts["n_channels"]:
            self._refuse(path, f"has {len(found.freq_hz)} channels and tile {facts['tile']} {facts['n_channels']}")
        low_hz, high_hz = facts["band_hz"]
        if found.freq_hz.min() > high_hz or found.freq_hz.max() < low_hz:
            band = f"{low_hz / 1e6:.1f} to {high_hz / 1e6:.1f} MHz"
            self._refuse(path, f"has no channel in the band of tile {facts['tile']}, {band}")

    def _refuse(self, path: Path, fault: str) -> NoReturn:
        raise InputError(f"{path} {fault}: {solve_again(self.folder)}")


def describe_tables(solutions: Mapping[str, Solutions]) -> dict[str, Any]:
    """Return the facts of a calibration by which its readers check its tables: their names and digests, by kind."""
    return {
        "files": {kind: FILES[kind] for kind in solutions},
        "solutions_sha256": {kind: one.sha256 for kind, one in solutions.items()},
    }
