"""Subband files of one calibrator transit: of a folder, of a date of the inbox, or a list of files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contimg import naming
from contimg.config import BeamOptions, CalibrationOptions, Config
from contimg.correlator import hdf5, inbox
from contimg.correlator.band import SUBBANDS
from contimg.correlator.hdf5 import Header
from contimg.correlator.inbox import Cluster
from contimg.errors import InputError
from contimg.sky import calibrator_lists, transits
from contimg.sky.calibrators import Calibrator

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class TransitFiles:
    """One tile's files and the calibrator that transits in it.

    Attributes
    ----------
    headers : tuple of Header
        From the highest frequency to the lowest.
    faults : tuple of str
        What is wrong with files that cannot be used, a sentence each.
    calibrator : Calibrator or None
    apparent_jy : float
        Its flux density through the nominal beam at the middle of the band; 0 without one.
    """

    headers: tuple[Header, ...]
    faults: tuple[str, ...]
    calibrator: Calibrator | None
    apparent_jy: float

    @property
    def tile_id(self) -> str:
        """Id of the tile: UTC of its first integration."""
        return naming.id_from_mjd(self.headers[0].start_mjd)


def find_transit(places: Sequence[str], config: Config) -> TransitFiles:
    """Return the files of the tile with the brightest calibrator transit.

    Parameters
    ----------
    places : sequence of str
        UTC dates of the inbox, folders (an inbox, or a night with ``incoming/``) or files; none means the inbox.
    config : Config

    Raises
    ------
    InputError
        If there are no subband files there, or none can be read.
    """
    listing = inbox.arrange(_paths(places, config), config.ingest)
    if not listing.clusters:
        raise InputError(f"{_words(places, config)} holds no files named YYYY-MM-DDTHH:MM:SS_sbNN.hdf5: name the "
                         "folder of a night, its files or its date")  # fmt: skip
    known = calibrator_lists.load(config.calibration.calibrators)
    best: tuple[float, Cluster, Calibrator | None] | None = None
    problems: list[str] = []
    for cluster in listing.clusters:
        header = _first_header(cluster, problems)
        if header is None:
            continue
        calibrator, flux_jy = brightest(header, known, config.beam, config.calibration)
        if best is None or flux_jy > best[0]:
            best = (flux_jy, cluster, calibrator)
    if best is None:
        raise InputError(problems[0])
    flux_jy, cluster, calibrator = best
    headers, faults = read_tile([Path(file.path) for file in cluster.files])
    return TransitFiles(headers, faults, calibrator, flux_jy)


def _paths(places: Sequence[str], config: Config) -> list[str]:
    """Return the paths of the subband files that dates, folders and files name."""
    if not places:
        return inbox.list_files(config.paths.incoming)
    found: list[str] = []
    for place in places:
        if _DATE.fullmatch(place) and not os.path.exists(place):
            listed = inbox.list_files(config.paths.incoming)
            found += [path for path in listed if os.path.basename(path).startswith(place)]
        elif os.path.isdir(place):
            inside = Path(place) / "incoming"
            found += inbox.list_files(inside if inside.is_dir() else Path(place))
        elif os.path.lexists(place):
            found.append(place)
        else:
            raise InputError(f"{place} is no file, folder or date such as 2026-02-11: correct it")
    return sorted(set(found))


def _words(places: Sequence[str], config: Config) -> str:
    return " ".join(places[:2]) if places else str(config.paths.incoming)


def _first_header(cluster: Cluster, problems: list[str]) -> Header | None:
    """Return the header of the first readable file of a tile; faults of unreadable ones are noted."""
    for file in cluster.files:
        try:
            return hdf5.read_header(Path(file.path), any_frame=True)
        except (InputError, OSError) as error:
            problems.append(_sentence(error))
    return None


def _sentence(error: Exception) -> str:
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)


def read_tile(paths: Sequence[Path]) -> tuple[tuple[Header, ...], tuple[str, ...]]:
    """Return the consistent headers of a tile, highest frequency first, and a sentence on each file that is left out.

    Raises
    ------
    InputError
        If no file can be read.
    """
    headers: list[Header] = []
    faults: list[str] = []
    for path in paths:
        try:
            headers.append(hdf5.read_header(path, any_frame=True))
        except (InputError, OSError) as error:
            faults.append(_sentence(error))
    if not headers:
        raise InputError(faults[0] if faults else "a tile without files cannot be checked")
    shapes = [(header.n_times, header.start_mjd, header.antenna_order_sha256, header.products) for header in headers]
    usual = max(set(shapes), key=shapes.count)
    for header, shape in zip(headers, shapes, strict=True):
        if shape != usual:
            faults.append(f"{header.path.name} has other times, antennas or products than the others")
    kept = [header for header, shape in zip(headers, shapes, strict=True) if shape == usual]
    return tuple(sorted(kept, key=lambda header: -header.freq_hz[0])), tuple(faults)


def brightest(
    header: Header, known: Sequence[Calibrator], beam: BeamOptions, options: CalibrationOptions
) -> tuple[Calibrator | None, float]:
    """Return the calibrator of the largest apparent flux that transits during a file, and that flux (Jy)."""
    half = header.integration_s / 2 / 86400
    scan = transits.DriftScan(
        header.dec_app_rad, header.start_mjd - half, header.end_mjd + half,
        header.location.longitude_rad, header.location.latitude_rad,
    )  # fmt: skip
    passing = transits.passages(known, scan, beam, options)
    usable = [one for one in passing if one.apparent_flux_jy is not None]
    if not usable:
        return None, 0.0
    best = max(usable, key=lambda one: one.apparent_flux_jy or 0.0)
    return calibrator_lists.find(known, best.name), float(best.apparent_flux_jy or 0.0)


def missing_subbands(headers: Sequence[Header]) -> list[int]:
    """Return the missing subbands."""
    return sorted(set(range(SUBBANDS)) - {header.subband for header in headers})
