"""Small simulated nights, converted, for the tests of calibration; and what is true of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contimg import measurement_set, naming
from contimg.calibration.caltables import read_solutions
from contimg.config import FlagOptions, IngestOptions
from contimg.convert.convert_tile import convert_tile
from contimg.simulate import NightOptions, simulate_night

CALIBRATOR = "3C286"


@dataclass
class Night:
    """A simulated night: its tiles as Measurement Sets with twins, its true gains, its catalogue."""

    folder: Path
    tile_ids: tuple[str, ...]

    def ms(self, tile: int) -> Path:
        return self.folder / f"{tile}.ms"

    def twin(self, tile: int) -> Path:
        return self.folder / f"{tile}.json"

    @property
    def catalogue(self) -> Path:
        return self.folder / "night" / "catalogue.csv"

    def true_gains(self, tile: int) -> tuple[list[str], np.ndarray]:
        """Return antenna names and gains (nant, nchan, npol, ntime), channels ascending, raw units per sqrt Jy."""
        truth = np.load(self.folder / "night" / "truth_gains.npz")
        freq = truth["frequencies_hz"].ravel()
        order = np.argsort(freq)
        steady = (truth["amplitudes"] * np.exp(1j * truth["phases"]))[:, :, None]
        steady = steady * truth["bandpass"].reshape(*steady.shape[:2], -1)[:, :, order]
        offset = freq[order] - truth["delay_reference_hz"]
        steady = steady * np.exp(2j * np.pi * 1e-9 * truth["delays_ns"][:, :, None] * offset)
        gains = steady[:, :, :, None] * truth["drifts"][:, :, tile][:, :, None, :]
        return [str(s) for s in truth["stations"]], gains.transpose(0, 2, 1, 3) * np.sqrt(truth["units_per_jy"])


def make_night(folder: Path, **changes: object) -> Night:
    """Simulate and convert a night; the calibrator transits in the middle tile unless told otherwise."""
    asked = {"tiles": 3, "antennas": 20, "channels": 4, "integrations": 24, "sources": 12, "seed": 7}
    record = simulate_night(folder / "night", NightOptions(**(asked | changes)))
    files = sorted((folder / "night" / "incoming").glob("*.hdf5"))
    starts = [naming.parse_id(tile_id) for tile_id in record.tile_ids]
    for i, tile_id in enumerate(record.tile_ids):
        mine = [f for f in files if np.argmin([abs(naming.SubbandName.parse(f.name).time - s) for s in starts]) == i]
        convert_tile(
            mine,
            folder / f"{i}.ms",
            folder / f"{i}.json",
            tile_id=tile_id,
            ingest=IngestOptions(),
            flag=FlagOptions(),
        )
    return Night(folder, tuple(record.tile_ids))


def gain_errors(night: Night, tile: int, tables: dict[str, Path], refant: str) -> np.ndarray:
    """Return solved over true gains (nant, nchan, npol, ntime), phases relative to the reference antenna.

    Without a table of kind K the delays are 0.
    """
    names, true = night.true_gains(tile)
    bandpass, gain = (read_solutions(tables[kind]) for kind in "BG")
    index = [bandpass.antenna_names.index(name) for name in names]
    times = measurement_set.read_coordinates(night.ms(tile)).times_mjd_s
    steady = np.where(bandpass.flag, np.nan, bandpass.values)[0][index]
    if "K" in tables:
        delay = read_solutions(tables["K"])
        turns = delay.values[0][index] * 1e-9 * (bandpass.freq_hz[None, :, None] - delay.freq_hz.mean())
        steady = steady * np.exp(2j * np.pi * turns)
    over_time = np.empty((len(names), 2, len(times)), complex)
    for a, i in enumerate(index):
        for pol in range(2):
            good = ~gain.flag[:, i, 0, pol]
            if not good.any():
                over_time[a, pol] = np.nan
                continue
            value, when = gain.values[good, i, 0, pol], gain.time_mjd_s[good]
            phase = np.unwrap(np.angle(value))
            over_time[a, pol] = np.interp(times, when, np.abs(value)) * np.exp(1j * np.interp(times, when, phase))
    ratio = steady[..., None] * over_time[:, None] / true
    reference = ratio[names.index(refant)]
    return ratio * np.exp(-1j * np.angle(reference))
