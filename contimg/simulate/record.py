"""The description of a simulated night: its record, ``truth.json`` and the configuration overlay."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from contimg.simulate import array, band
from contimg.simulate import constants as c
from contimg.simulate.faults import SimulatedFile
from contimg.simulate.gains import CONVENTION
from contimg.simulate.interference import InterferenceEvent
from contimg.simulate.options import NightOptions
from contimg.simulate.schedule import SimulatedTile

TRUTH_FILE = "truth.json"
_FIELD_DEG = 4.6
"""Width of the image, deg: the primary beam down to a tenth of its peak at the lowest frequency, plus the drift."""
_PIXELS_PER_FRINGE = 4


@dataclass(frozen=True)
class NightRecord:
    """Description of a simulated night, as `simulate_night` returns it.

    Attributes
    ----------
    out : Path
    config : Path
        Overlay for ``snakemake --configfile``.
    tiles : tuple of SimulatedTile
    tile_centres_deg : tuple of (float, float)
        ICRS position of (HA 0, pointing declination) at the middle of each tile, deg.
    files : tuple of SimulatedFile
        Every subband file, missing ones too, in time order, with its fault.
    calibrator : str
        Its name, ``none`` without one.
    transit_tile : int or None
    declination_rad : float
        Apparent pointing declination, rad.
    stations : tuple of int
        Station numbers in correlator order.
    size_px : int
    cell_arcsec : float
        Suggested image size and pixel.
    """

    out: Path
    config: Path
    tiles: tuple[SimulatedTile, ...]
    tile_centres_deg: tuple[tuple[float, float], ...]
    files: tuple[SimulatedFile, ...]
    calibrator: str
    transit_tile: int | None
    declination_rad: float
    stations: tuple[int, ...]
    size_px: int
    cell_arcsec: float

    @property
    def tile_ids(self) -> tuple[str, ...]:
        """Tile ids, UTC of the first integrations."""
        return tuple(tile.tile_id for tile in self.tiles)


def image_geometry(stations: tuple[int, ...]) -> tuple[int, float]:
    """Return image size (px, even, a product of 2, 3, 5, 7) and pixel (arcsec) that suit an array.

    The pixel is a quarter of the finest fringe, rounded down to 0.1 arcsec; the image covers 4.6 deg.
    """
    wavelength = c.SPEED_OF_LIGHT_M_S / band.subband_frequencies(0)[0]
    fringe = np.degrees(wavelength / array.longest_baseline_m(stations)) * 3600
    cell = max(np.floor(10 * fringe / _PIXELS_PER_FRINGE) / 10, 0.1)
    size = int(np.ceil(_FIELD_DEG * 3600 / cell / 2)) * 2
    while not _is_smooth(size):
        size += 2
    return size, float(cell)


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5, 7):
        while number % prime == 0:
            number //= prime
    return number == 1


def write_config(path: Path, record: NightRecord, builtin_calibrators: bool, smearing: bool) -> None:
    """Write the configuration overlay with which the pipeline processes this night."""
    out = record.out
    nights = sorted({tile_id[:10] for tile_id in record.tile_ids})
    calibrators = "builtin" if builtin_calibrators else str(out / "calibrators.csv")
    lines = [
        f"# Overlay for a night made by '{c.PROGRAM}' (simulated data).",
        "# snakemake -s PATH/Snakefile --directory WORK --configfile THIS_FILE --cores 2",
        "paths:",
        *(f"  {name}: {json.dumps(str(out / name))}" for name in ("incoming", "stage", "products", "state")),
        f"nights: [{', '.join(json.dumps(night) for night in nights)}]",
        "ingest:",
        "  settle_s: 0",
        "  deadline_s: 0",
        "calibration:",
        f"  calibrators: {json.dumps(calibrators)}",
        "sky:",
        f"  catalogue: {json.dumps(str(out / 'catalogue.csv'))}",
        "image:",
        f"  size_px: {record.size_px}",
        f"  cell_arcsec: {record.cell_arcsec:.1f}",
        f"  smearing: {json.dumps(smearing)}",
        # The simulated electronics drift by degrees and per cent between the calibrator's transit and a tile.
        "  selfcal:",
        "    rounds: 3",
        "    mode: amplitude",
        "mosaic:",
        f"  cell_arcsec: {record.cell_arcsec:.1f}",
        "crossmatch:",
        "  enabled: true",
        "publish:",
        "  auto: true",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_truth_json(
    path: Path,
    options: NightOptions,
    record: NightRecord,
    events: tuple[InterferenceEvent, ...],
    noise_sigma_jy: float,
) -> None:
    """Write options, pointing, array, noise, tiles, faults and interference of the night as JSON."""
    faulty = [
        {
            "tile": file.tile,
            "subband": file.subband,
            "kind": file.fault,
            "file": None if file.path is None else str(file.path.relative_to(record.out)),
        }
        for file in record.files
        if file.fault is not None
    ]
    content = {
        "program": c.PROGRAM,
        "simulated": True,
        "options": asdict(options) | {"sky_file": None if options.sky_file is None else str(options.sky_file)},
        "calibrator": record.calibrator,
        "transit_tile": record.transit_tile,
        "pointing_declination_apparent_deg": float(np.degrees(record.declination_rad)),
        "stations_in_correlator_order": list(record.stations),
        "dead_stations": list(options.dead),
        "longest_baseline_m": array.longest_baseline_m(record.stations),
        "sefd_jy": options.sefd_jy,
        "noise_sigma_jy_per_real_and_imaginary_part": noise_sigma_jy,
        "correlator_units_per_jy": c.CORRELATOR_UNITS_PER_JY,
        "gain_convention": CONVENTION,
        "primary_beam": {
            "model": "Airy power pattern of an annulus, evaluated per source, integration and channel",
            "dish_diameter_m": c.DISH_DIAMETER_M,
            "blockage_diameter_m": c.BLOCKAGE_DIAMETER_M,
        },
        "tiles": [
            {
                "index": tile.index,
                "tile_id": tile.tile_id,
                "middle_jd_utc": tile.middle_jd,
                "centre_icrs_deg": list(centre),
                "file_times": list(tile.file_times),
                "first_after_restart": tile.restart,
            }
            for tile, centre in zip(record.tiles, record.tile_centres_deg, strict=True)
        ],
        "faults": faulty,
        "rfi": {
            "meaning": "cells (tile, subband, channels x integrations) with interference on every baseline",
            "events": [event.describe() for event in events],
        },
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
