"""Put a night together: sky, antennas, receivers, correlator files and the truth beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from contimg.simulate import array, band, frames, predict, schedule, sky
from contimg.simulate import constants as c
from contimg.simulate.errors import SimulationError
from contimg.simulate.faults import place_file, write_file
from contimg.simulate.gains import Gains, make_gains
from contimg.simulate.hdf5 import FileHeader
from contimg.simulate.interference import Event, add_events, coupling, plan_events
from contimg.simulate.options import NightOptions
from contimg.simulate.pointing import Observation, plan_observation
from contimg.simulate.randomness import generator
from contimg.simulate.record import TRUTH_FILE, NightRecord, image_geometry, write_config, write_truth_json
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
    """Write a simulated stretch of night into ``out``.

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
    tiles = schedule.make_tiles(options, observation.start_jd)
    out = Path(out).resolve()
    _check_space(out, options, len(stations))
    _prepare(out, overwrite)

    header = _file_header(options, observation, stations)
    frequencies = band.band_frequencies(options.channels)
    times = np.stack([tile.times_jd for tile in tiles])
    gains = make_gains(options.gains, stations, options.dead, frequencies, times, options.seed)
    events = plan_events(
        options.rfi, options.rfi_jy, options.tiles, options.channels, options.integrations, options.seed
    )
    record = _record(out, options, observation, tiles, stations)
    sigma = predict.noise_sigma_jy(options.sefd_jy, header.channel_width_hz) if options.noise else 0.0
    # The truth comes first, so that a run broken off half-way is still recognised as the simulator's own.
    write_truth_json(out / TRUTH_FILE, options, record, events, sigma)
    sky.write_truth(out / "truth.csv", observation.sources)
    sky.write_catalogue(out / "catalogue.csv", observation.sources, options.seed)
    builtin = options.calibrator_name.lower() != "synthetic"
    if not builtin:
        sky.write_calibrators(out / "calibrators.csv", (observation.calibrator,))
    gains.save(out / "truth_gains.npz", stations, times, c.CORRELATOR_UNITS_PER_JY)
    write_config(out / "config.yaml", record, builtin, options.smearing)

    hearing = coupling(len(stations), options.seed)
    local = array.local_positions(header.antenna_positions_m[np.array(stations) - 1])
    total = len(record.files)
    for tile in tiles:
        tile_sky = predict.place_sky(observation.sources, tile.times_jd, observation.declination_rad, local)
        for subband in range(c.SUBBANDS):
            number = tile.index * c.SUBBANDS + subband
            file = record.files[number]
            if progress is not None:
                progress(number, total, f"{tile.tile_id} sb{subband:02d}")
            if file.path is not None:
                data = _correlate(options, header, tile_sky, tile.index, subband, gains, events, hearing, sigma)
                write_file(file, header, tile.times_jd, frequencies[subband], data)
    if progress is not None:
        progress(total, total, "done")
    return record


def _stations(options: NightOptions) -> tuple[int, ...]:
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
    strangers = set(options.dead) - set(chosen)
    if strangers:
        raise SimulationError(f"--dead {min(strangers)} is not among the simulated stations: choose from {chosen}.")
    return array.correlator_order(chosen)


def _check_space(out: Path, options: NightOptions, antennas: int) -> None:
    """Refuse a night that the disk cannot hold."""
    rows = options.integrations * antennas * (antennas + 1) // 2
    per_file = rows * (options.channels * len(c.POLARIZATIONS) * 13 + 44) * 1.02 + 100_000
    needed = options.tiles * c.SUBBANDS * per_file
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
    """Make the folders; clear an earlier night only when asked, and never anything foreign."""
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


def _file_header(options: NightOptions, observation: Observation, stations: tuple[int, ...]) -> FileHeader:
    positions = array.antenna_positions()
    first, second = array.baseline_pairs(len(stations))
    local = array.local_positions(positions[np.array(stations) - 1])
    uvw = array.meridian_uvw(local[second] - local[first], observation.declination_rad)
    stored = array.rotate_uv(uvw, frames.stored_uv_angle(observation.declination_rad))
    delays = 2 * generator(options.seed, "applied-delays").integers(0, 8189, (c.TELESCOPE_STATIONS, 2))
    active = np.isin(np.arange(c.TELESCOPE_STATIONS) + 1, array.active_stations())
    return FileHeader(
        stations=stations,
        antenna_positions_m=positions,
        declination_rad=observation.declination_rad,
        uvw_m=stored,
        first=first,
        second=second,
        applied_delays_ns=np.where(active[:, None], delays, 0),
        channel_width_hz=band.channel_width_hz(options.channels),
    )


def _record(
    out: Path,
    options: NightOptions,
    observation: Observation,
    tiles: tuple[schedule.Tile, ...],
    stations: tuple[int, ...],
) -> NightRecord:
    middles = np.array([tile.middle_jd for tile in tiles])
    centres = zip(*frames.icrs_of_meridian(observation.declination_rad, middles), strict=True)
    size, cell = image_geometry(stations)
    files = [place_file(out, options, tile, subband) for tile in tiles for subband in range(c.SUBBANDS)]
    transit = None
    if observation.calibrator is not None:
        after_s = _transit_after_s(observation)
        inside = [tile.index for tile in tiles if 0 <= after_s(tile) < options.integrations * c.INTEGRATION_S]
        transit = inside[0] if inside else None
    return NightRecord(
        out=out,
        config=out / "config.yaml",
        tiles=tiles,
        tile_centres_deg=tuple((float(ra), float(dec)) for ra, dec in centres),
        files=tuple(files),
        calibrator="none" if observation.calibrator is None else observation.calibrator.name,
        transit_tile=transit,
        declination_rad=observation.declination_rad,
        stations=stations,
        size_px=size,
        cell_arcsec=cell,
    )


def _transit_after_s(observation: Observation) -> Callable[[schedule.Tile], float]:
    """Return a function that gives the calibrator's transit after a tile's start, s."""
    calibrator = observation.calibrator
    transit = frames.transit_jd(calibrator.ra_deg, calibrator.dec_deg, observation.start_jd)
    return lambda tile: (transit - tile.start_jd) * c.SECONDS_PER_DAY


def _correlate(
    options: NightOptions,
    header: FileHeader,
    tile_sky: predict.TileSky,
    tile: int,
    subband: int,
    gains: Gains,
    events: tuple[Event, ...],
    hearing: np.ndarray,
    sigma_jy: float,
) -> np.ndarray:
    """Return the visibilities of one file, (integrations, baselines, channels, 2), correlator units."""
    first, second = header.first, header.second
    frequencies = band.subband_frequencies(subband, options.channels)
    smearing = header.channel_width_hz if options.smearing else None
    intensity = predict.predict(tile_sky, frequencies, first, second, smearing)
    data = np.repeat(intensity[..., None], len(c.POLARIZATIONS), axis=-1)
    struck = tuple(event for event in events if (event.tile, event.subband) == (tile, subband))
    add_events(data, struck, hearing, first, second, options.seed)
    if options.dead:
        deaf = np.isin(header.stations, options.dead)
        data[:, deaf[first] | deaf[second]] = 0
    rng = generator(options.seed, "noise", tile, subband)
    predict.add_receivers(data, np.flatnonzero(first == second), options.sefd_jy, sigma_jy, rng)
    antenna_gains = gains.of(tile, subband).astype(np.complex64)
    data *= np.conj(antenna_gains[:, first])
    data *= antenna_gains[:, second]
    data *= np.float32(c.CORRELATOR_UNITS_PER_JY)
    data.imag[:, first == second] = 0
    return data
