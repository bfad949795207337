"""The correlator's HDF5 layout (writer ``dsamfs/io.py`` of ``dsa110-meridian-fs``), key by key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from contimg.simulate import constants as c

HISTORY = f"{c.PROGRAM}: simulated data, not from the telescope"


@dataclass(frozen=True)
class FileHeader:
    """Header items that all files of a night share.

    Attributes
    ----------
    stations : tuple of int
        Station numbers in correlator order.
    antenna_positions_m : ndarray
        (117, 3), geocentric offsets, m.
    declination_rad : float
        Apparent pointing declination, rad.
    uvw_m : ndarray
        (baselines, 3) as stored, m.
    first, second : ndarray
        Positions in ``stations`` of the antennas of each baseline.
    applied_delays_ns : ndarray
        (117, 2) integers, ns.
    channel_width_hz : float
    history : str
    polarizations : tuple of int
        Codes of the products in the order of the data.
    """

    stations: tuple[int, ...]
    antenna_positions_m: np.ndarray
    declination_rad: float
    uvw_m: np.ndarray
    first: np.ndarray
    second: np.ndarray
    applied_delays_ns: np.ndarray
    channel_width_hz: float
    history: str = HISTORY
    polarizations: tuple[int, ...] = c.POLARIZATIONS

    @property
    def fs_table(self) -> str:
        """Path of the fringe-stopping table as the correlator would write it."""
        dec = np.degrees(self.declination_rad)
        return f"/home/ubuntu/data/fringestopping_table_dec{dec:.1f}deg_{len(self.stations)}ant.npz"


def write_subband(
    path: Path,
    header: FileHeader,
    times_jd: np.ndarray,
    frequencies_hz: np.ndarray,
    visibilities: np.ndarray,
    flagged: bool = False,
) -> None:
    """Write one subband file.

    Parameters
    ----------
    path : Path
        Where to write; the caller renames it when it is complete.
    header : FileHeader
    times_jd : ndarray
        (integrations,), centres, UTC Julian dates.
    frequencies_hz : ndarray
        (channels,), descending, Hz.
    visibilities : ndarray
        (integrations, baselines, channels, products), complex64, correlator units.
    flagged : bool
        Flag everything (as the placeholder files of older pipelines do); the correlator never does.
    """
    integrations, baselines, channels, polarizations = visibilities.shape
    rows = integrations * baselines
    with h5py.File(path, "w") as file:
        head = file.create_group("Header")
        data = file.create_group("Data")
        _write_header(head, header, channels, integrations)
        index = np.array(header.stations) - 1
        # Created empty and extended, as the correlator does: this determines the chunk shapes.
        _extend(head, "ant_1_array", np.tile(index[header.first], integrations).astype(np.int64))
        _extend(head, "ant_2_array", np.tile(index[header.second], integrations).astype(np.int64))
        _extend(head, "uvw_array", np.tile(header.uvw_m.astype(np.float32), (integrations, 1)))
        _extend(head, "time_array", np.repeat(times_jd, baselines))
        _extend(head, "integration_time", np.full(rows, c.STORED_INTEGRATION_S))
        head["freq_array"] = frequencies_hz[np.newaxis, :]
        shape = (rows, 1, channels, polarizations)
        _extend(data, "visdata", visibilities.reshape(shape))
        _extend(data, "flags", np.full(shape, flagged))
        _extend(data, "nsamples", np.full(shape, c.SAMPLES_PER_INTEGRATION, dtype=np.float32))


def _write_header(head: h5py.Group, header: FileHeader, channels: int, integrations: int) -> None:
    antennas = len(header.stations)
    baselines = antennas * (antennas + 1) // 2
    head["latitude"] = np.degrees(c.SITE_LATITUDE_RAD)
    head["longitude"] = np.degrees(c.SITE_LONGITUDE_RAD)
    head["altitude"] = c.SITE_ALTITUDE_M
    head["telescope_name"] = np.bytes_("OVRO_MMA")
    head["instrument"] = np.bytes_("DSA")
    head["object_name"] = np.bytes_("search")
    head["history"] = np.bytes_(header.history)
    head["phase_type"] = np.bytes_("drift")
    head["phase_center_app_dec"] = header.declination_rad
    head["Nants_data"] = antennas
    head["Nants_telescope"] = c.TELESCOPE_STATIONS
    head["antenna_names"] = np.array([str(n + 1) for n in range(c.TELESCOPE_STATIONS)], dtype="S4")
    head["antenna_numbers"] = np.arange(c.TELESCOPE_STATIONS)
    head["antenna_positions"] = header.antenna_positions_m
    head["antenna_diameters"] = np.full(c.TELESCOPE_STATIONS, c.DISH_DIAMETER_M)
    head["Nbls"] = baselines
    head["Nblts"] = baselines * integrations
    head["Ntimes"] = integrations
    head["Nfreqs"] = channels
    head["Npols"] = len(header.polarizations)
    head["Nspws"] = 1
    head["channel_width"] = header.channel_width_hz
    head["spw_array"] = np.array([1])
    head["polarization_array"] = np.array(header.polarizations)
    extra = head.create_group("extra_keywords")
    extra["phase_center_dec"] = header.declination_rad
    extra["ha_phase_center"] = 0.0
    extra["phase_center_epoch"] = "HADEC"
    extra["fs_table"] = np.bytes_(header.fs_table)
    extra["applied_delays_ns"] = np.bytes_(" ".join(str(value) for value in header.applied_delays_ns.ravel()))


def _extend(group: h5py.Group, name: str, values: np.ndarray) -> None:
    tail = values.shape[1:]
    dataset = group.create_dataset(name, (0, *tail), maxshape=(None, *tail), dtype=values.dtype, chunks=True)
    dataset.resize(values.shape[0], axis=0)
    dataset[...] = values
