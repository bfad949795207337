"""Simulate a night: the correlator's files, the truth and a configuration overlay."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from contimg.simulate import array, band, far_sources, frames, predict, sky
from contimg.simulate import constants as c
from contimg.simulate.correlator import Correlator, make_correlator
from contimg.simulate.errors import SimulationError
from contimg.simulate.faults import place_file, write_file
from contimg.simulate.hdf5 import write_subband
from contimg.simulate.host_headers import file_header, header_of_host
from contimg.simulate.instrument import Instrument, make_instrument
from contimg.simulate.options import NightOptions
from contimg.simulate.pointing import Observation, plan_observation
from contimg.simulate.record import TRUTH_FILE, NightRecord, image_geometry, write_config, write_truth_json
from contimg.simulate.schedule import SimulatedTile, make_tiles
from contimg.simulate.telescope_validation import check_stations
from contimg.simulate.validation import validate

Progress = Callable[[int, int, str], None]
_OWN_FILES = (
    TRUTH_FILE,
    "truth.csv",
    "catalogue.csv",
    "calibrators.csv",
    "truth_gains.npz",
    "config.yaml",
)


def simulate_night(
    out: Path, options: NightOptions, overwrite: bool = False, progress: Progress | None = None
) -> NightRecord:
    """Write a simulated part of a night into ``out``.

    Parameters
    ----------
    out : Path
        Folder to fill: ``incoming/``, ``late/``, ``truth.csv``, ``truth.json``, ``truth_gains.npz``,
        ``catalogue.csv``, ``config.yaml`` and, with a synthetic calibrator, ``calibrators.csv``.
    options : NightOptions
    overwrite : bool
        Replace a night that the simulator wrote there before.
    progress : callable, optional
        Called with (files done, files in all, what is being written).

    Returns
    -------
    NightRecord

    Raises
    ------
    SimulationError
        One sentence naming the option that cannot be honoured and the remedy.
    """
    validate(options)
    stations = _stations(options)
    observation = plan_observation(options)
    tiles = make_tiles(options, observation.start_jd)
    out = Path(out).resolve()
    _check_space(out, options, len(stations))
    _prepare(out, overwrite)

    instrument = make_instrument(options, stations, observation.declination_rad)
    header = file_header(options, instrument, stations)
    times_jd = np.stack([_true_times_jd(tile, options) for tile in tiles])
    correlator = make_correlator(options, header, times_jd)
    record = _record(out, options, observation, tiles, stations)
    # The truth comes first, so that a run broken off half-way is still recognised as the simulator's own.
    _write_truth(record, observation, correlator, times_jd)
    _write_subbands(record, observation, correlator, instrument, progress)
    return record


def _true_times_jd(tile: SimulatedTile, options: NightOptions) -> np.ndarray:
    """Return the true centres of a tile's integrations; the file has them with the error of the correlator's clock."""
    return tile.times_jd - options.telescope.correlator.clock_error_s / c.SECONDS_PER_DAY


def _write_truth(record: NightRecord, observation: Observation, correlator: Correlator, times_jd: np.ndarray) -> None:
    """Write the truth, the catalogues and the configuration overlay."""
    out, options = record.out, correlator.options
    write_truth_json(out / TRUTH_FILE, options, record, correlator.events, correlator.sigma_jy)
    sky.write_truth(out / "truth.csv", observation.sources)
    sky.write_catalogue(out / "catalogue.csv", observation.sources, options.seed)
    builtin = options.calibrator_is_builtin or observation.calibrator is None
    if observation.calibrator is not None and not builtin:
        sky.write_calibrators(out / "calibrators.csv", (observation.calibrator,))
    correlator.gains.save(out / "truth_gains.npz", record.stations, times_jd, c.CORRELATOR_UNITS_PER_JY)
    write_config(out / "config.yaml", record, builtin, options.smearing)


def _write_subbands(
    record: NightRecord,
    observation: Observation,
    correlator: Correlator,
    instrument: Instrument,
    progress: Progress | None,
) -> None:
    """Write the subband files in time order, all of a tile before the next; report the progress."""
    options = correlator.options
    frequencies = band.band_frequencies(options.channels)
    headers = [header_of_host(correlator.header, options, subband) for subband in range(c.SUBBANDS)]
    total = len(record.files)
    for tile in record.tiles:
        tile_sky = _place_sky(observation, tile, options, instrument)
        for subband in range(c.SUBBANDS):
            number = tile.index * c.SUBBANDS + subband
            file = record.files[number]
            if progress is not None:
                progress(number, total, f"{tile.tile_id} sb{subband:02d}")
            if file.path is not None:
                data = correlator.visibilities(tile_sky, tile.index, subband)
                write_file(file, headers[subband], tile.times_jd, frequencies[subband], data)
                if options.telescope.header.spectral_line_files:
                    twin = file.path.with_name(f"{file.path.stem}_spl.hdf5")
                    write_subband(twin, headers[subband], tile.times_jd, frequencies[subband], data)
    if progress is not None:
        progress(total, total, "done")


def _place_sky(
    observation: Observation, tile: SimulatedTile, options: NightOptions, instrument: Instrument
) -> predict.TileSky:
    """Return the sky of a tile, shifted by the ionosphere."""
    times_jd = _true_times_jd(tile, options)
    arcsec = options.telescope.sky.ionosphere_arcsec
    shift = far_sources.ionospheric_shift_rad(arcsec, times_jd, observation.start_jd, options.seed)
    return predict.place_sky(observation.sources, times_jd, instrument, shift)


def _stations(options: NightOptions) -> tuple[int, ...]:
    """Return the simulated stations in correlator order."""
    if options.stations:
        unknown = set(options.stations) - set(array.active_stations())
        if unknown or len(set(options.stations)) < 3:
            raise SimulationError(
                "--stations must name at least three different active stations of the array"
                + (f": {min(unknown)} is not active." if unknown else ".")
            )
        chosen = tuple(sorted(set(options.stations)))
    else:
        chosen = array.choose_stations(options.antennas, options.max_baseline_m)
    absent = set(options.dead) - set(chosen)
    if absent:
        raise SimulationError(f"--dead {min(absent)} is not among the simulated stations: choose from {chosen}.")
    check_stations(options.telescope, chosen)
    return array.correlator_order(chosen)


def _check_space(out: Path, options: NightOptions, antennas: int) -> None:
    """Refuse a night that the disk cannot hold."""
    rows = options.integrations * antennas * (antennas + 1) // 2
    products = len(options.telescope.correlator.products)
    per_file = rows * (options.channels * products * 13 + 44) * 1.02 + 100_000
    needed = options.tiles * c.SUBBANDS * per_file * (1 + options.telescope.header.spectral_line_files)
    existing = out
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise SimulationError(
            f"The night needs {needed / 1e9:.1f} GB but {existing} has {free / 1e9:.1f} GB free: "
            "lower --tiles, --antennas or --channels, or choose another disk."
        )


def _prepare(out: Path, overwrite: bool) -> None:
    """Make the folders; remove an earlier simulated night only when asked, and never any other file."""
    if out.exists() and not out.is_dir():
        raise SimulationError(f"OUT {out} is a file: name a folder.")
    if out.is_dir() and any(out.iterdir()):
        if not (out / TRUTH_FILE).is_file():
            raise SimulationError(f"OUT {out} is not empty and was not made by the simulator: choose a new folder.")
        if not overwrite:
            raise SimulationError(
                f"OUT {out} holds an earlier simulated night: add --overwrite or choose a new folder."
            )
        for name in _OWN_FILES:
            (out / name).unlink(missing_ok=True)
        for folder in ("incoming", "late"):
            for file in (out / folder).glob("*_sb??*.hdf5"):
                file.unlink()
    for folder in ("incoming", "late"):
        (out / folder).mkdir(parents=True, exist_ok=True)


def _record(
    out: Path,
    options: NightOptions,
    observation: Observation,
    tiles: tuple[SimulatedTile, ...],
    stations: tuple[int, ...],
) -> NightRecord:
    """Describe the night: tiles, their centres, files with their faults, and the image that suits the array."""
    middles = np.array([tile.middle_jd for tile in tiles])
    centres = zip(*frames.icrs_of_meridian(observation.declination_rad, middles), strict=True)
    size, cell = image_geometry(stations)
    files = [place_file(out, options, tile, subband) for tile in tiles for subband in range(c.SUBBANDS)]
    return NightRecord(
        out=out,
        config=out / "config.yaml",
        tiles=tiles,
        tile_centres_deg=tuple((float(ra), float(dec)) for ra, dec in centres),
        files=tuple(files),
        calibrator="none" if observation.calibrator is None else observation.calibrator.name,
        transit_tile=_transit_tile(options, observation, tiles),
        declination_rad=observation.declination_rad,
        stations=stations,
        size_px=size,
        cell_arcsec=cell,
    )


def _transit_tile(options: NightOptions, observation: Observation, tiles: tuple[SimulatedTile, ...]) -> int | None:
    """Return the index of the tile in which the calibrator transits; None without calibrator or between tiles."""
    if observation.calibrator is None:
        return None
    calibrator, length_s = observation.calibrator, options.integrations * c.INTEGRATION_S
    transit = frames.transit_jd(calibrator.ra_deg, calibrator.dec_deg, observation.start_jd)
    for tile in tiles:
        if 0 <= (transit - tile.start_jd) * c.SECONDS_PER_DAY < length_s:
            return tile.index
    return None
