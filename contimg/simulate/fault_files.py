"""Subband files of a simulated night, read whole, changed and written back in place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from contimg.simulate.errors import SimulationError

TRUTH_FILE = "truth.json"


@dataclass
class SubbandData:
    """The content of one subband file that faults change.

    Attributes
    ----------
    tile, subband : int
    data : ndarray
        (integrations, baselines, channels, polarisations) complex64, correlator units.
    nsamples : ndarray
        Same shape, float32.
    times_jd : ndarray
        (integrations,), UTC Julian dates.
    frequencies_hz : ndarray
        (channels,), descending.
    stations : ndarray
        (baselines, 2): station numbers of antennas 1 and 2.
    header : dict
        Values to set in the file's ``Header``, by key.
    """

    tile: int
    subband: int
    data: np.ndarray
    nsamples: np.ndarray
    times_jd: np.ndarray
    frequencies_hz: np.ndarray
    stations: np.ndarray
    header: dict[str, Any] = field(default_factory=dict)

    @property
    def cross(self) -> np.ndarray:
        """Which baselines are of two different antennas, shape (baselines,)."""
        return self.stations[:, 0] != self.stations[:, 1]

    def scale_antennas(self, chosen: Sequence[int], gain: np.ndarray | complex) -> None:
        """Multiply the baselines of some stations by a voltage gain (broadcast against the data)."""
        for column, factor in ((0, np.conj(gain)), (1, gain)):
            rows = np.isin(self.stations[:, column], chosen)
            self.data[:, rows] *= np.asarray(factor, np.complex64)


@dataclass(frozen=True)
class SimulatedNight:
    """A simulated night on the disk.

    Attributes
    ----------
    folder : Path
        As given to `simulate_night`.
    truth : dict
        Content of ``truth.json``.
    """

    folder: Path
    truth: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> SimulatedNight:
        """Return the night in a folder.

        Raises
        ------
        SimulationError
            If no simulated night is there.
        """
        place = folder / TRUTH_FILE
        if not place.is_file():
            raise SimulationError(f"{folder} holds no simulated night ({TRUTH_FILE} is missing): simulate one first.")
        return cls(folder, json.loads(place.read_text(encoding="utf-8")))

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.truth["tiles"])

    @property
    def transit_tile(self) -> int | None:
        """Tile in which the calibrator transits."""
        return self.truth["transit_tile"]

    @property
    def noise(self) -> float:
        """Noise of the real part of a visibility in correlator units, for antennas of gain 1; 0 where it has none."""
        return self.truth["noise_sigma_jy_per_real_and_imaginary_part"] * self.truth["correlator_units_per_jy"]

    @property
    def stations(self) -> tuple[int, ...]:
        """Station numbers, ascending."""
        return tuple(sorted(self.truth["stations_in_correlator_order"]))

    def path(self, tile: int, subband: int) -> Path:
        """Return the place of a subband file; it may be missing."""
        time = self.truth["tiles"][tile]["file_times"][subband]
        return self.folder / "incoming" / f"{time}_sb{subband:02d}.hdf5"

    def read(self, tile: int, subband: int) -> SubbandData:
        """Read a subband file.

        Raises
        ------
        SimulationError
            If it cannot be read.
        """
        path = self.path(tile, subband)
        try:
            with h5py.File(path, "r") as file:
                count = int(file["Header/Ntimes"][()])
                shape = (count, -1, *file["Data/visdata"].shape[2:])
                data, samples = (file[f"Data/{name}"][()].reshape(shape) for name in ("visdata", "nsamples"))
                antennas = [file[f"Header/{name}"][()].reshape(count, -1)[0] for name in ("ant_1_array", "ant_2_array")]
                times = file["Header/time_array"][()].reshape(count, -1)[:, 0]
                return SubbandData(
                    tile, subband, data, samples, times, file["Header/freq_array"][0], np.stack(antennas, 1) + 1
                )
        except OSError as error:
            raise SimulationError(f"{path} cannot be changed ({error}): choose another tile for the fault.") from error

    def write(self, content: SubbandData) -> None:
        """Write the changed content of a subband file back into it."""
        with h5py.File(self.path(content.tile, content.subband), "r+") as file:
            rows, baselines = file["Data/visdata"].shape[0], len(content.stations)
            shape = (rows, 1, *content.data.shape[2:])
            file["Data/visdata"][...] = content.data.reshape(shape)
            file["Data/nsamples"][...] = content.nsamples.reshape(shape)
            file["Header/time_array"][...] = np.repeat(content.times_jd, baselines)
            file["Header/freq_array"][0] = content.frequencies_hz
            for key, value in content.header.items():
                file[f"Header/{key}"][...] = value

    def note(self, fault: dict[str, Any]) -> None:
        """Add a fault to ``truth.json``."""
        self.truth["faults"].append(fault)
        text = json.dumps(self.truth, indent=1) + "\n"
        (self.folder / TRUTH_FILE).write_text(text, encoding="utf-8")
