"""The subtables of a Measurement Set; their columns are those of version 2 (casacore note 229)."""

from __future__ import annotations

from typing import Any

import numpy as np

from contimg.measurement_set.coordinates import Coordinates

# Casacore's Stokes::StokesTypes (casa/casacore measures/Measures/Stokes.h).
CORR_TYPE = {"XX": 9, "XY": 10, "YX": 11, "YY": 12}
APPLICATION = "contimg"
SYNTHETIC = "synthetic data: made by a simulator, not by the telescope"
_TOPO = 5  # MFrequency::TOPO


def write_subtables(table: Any, coordinates: Coordinates) -> None:
    """Fill the subtables of an open, new Measurement Set."""
    _write_antennas(table, coordinates)
    _write_directions(table, coordinates)
    _write_frequencies(table, coordinates)
    _write_observation(table, coordinates)
    _write_history(table, coordinates)


def _span_s(coordinates: Coordinates) -> tuple[float, float]:
    """Return the start of the first and the end of the last integration (UTC seconds since MJD 0)."""
    half_s = coordinates.integration_s / 2
    return float(coordinates.times_mjd_s[0]) - half_s, float(coordinates.times_mjd_s[-1]) + half_s


def _write_antennas(table: Any, coordinates: Coordinates) -> None:
    """Fill ANTENNA and FEED: two linear receptors at each antenna."""
    nant = len(coordinates.antenna_names)
    _fill(table, "ANTENNA", nant, {
        "NAME": coordinates.antenna_names, "STATION": coordinates.antenna_names,
        "TYPE": ["GROUND-BASED"] * nant, "MOUNT": ["ALT-AZ"] * nant,
        "POSITION": coordinates.antenna_positions_m, "OFFSET": np.zeros((nant, 3)),
        "DISH_DIAMETER": np.full(nant, coordinates.dish_diameter_m),
        "FLAG_ROW": np.isin(np.arange(nant), list(coordinates.unknown_positions)),
    })  # fmt: skip
    _fill(table, "FEED", nant, {
        "ANTENNA_ID": np.arange(nant), "FEED_ID": np.zeros(nant, int), "SPECTRAL_WINDOW_ID": np.full(nant, -1),
        "TIME": np.full(nant, sum(_span_s(coordinates)) / 2), "INTERVAL": np.full(nant, 1e30),
        "NUM_RECEPTORS": np.full(nant, 2), "BEAM_ID": np.full(nant, -1), "BEAM_OFFSET": np.zeros((nant, 2, 2)),
        "POLARIZATION_TYPE": {"shape": [nant, 2], "array": ["X", "Y"] * nant},
        "POL_RESPONSE": np.tile(np.eye(2, dtype=np.complex64), (nant, 1, 1)),
        "POSITION": np.zeros((nant, 3)), "RECEPTOR_ANGLE": np.zeros((nant, 2)),
    })  # fmt: skip


def _write_directions(table: Any, coordinates: Coordinates) -> None:
    """Fill FIELD with the phase centre, and POINTING with the beam's axis at each time and antenna."""
    centre = coordinates.phase_centre_rad.reshape(1, 1, 2)
    _fill(table, "FIELD", 1, {
        "NAME": ["meridian"], "CODE": [""], "TIME": [sum(_span_s(coordinates)) / 2], "NUM_POLY": [0],
        "SOURCE_ID": [-1], "DELAY_DIR": centre, "PHASE_DIR": centre, "REFERENCE_DIR": centre, "FLAG_ROW": [False],
    }, icrs=("DELAY_DIR", "PHASE_DIR", "REFERENCE_DIR"))  # fmt: skip
    # One row per time and antenna: CASA looks the pointing of each antenna up by itself.
    nant, times = len(coordinates.antenna_names), coordinates.times_mjd_s
    nrow = len(times) * nant
    axis = np.repeat(coordinates.pointing_rad, nant, axis=0).reshape(-1, 1, 2)
    _fill(table, "POINTING", nrow, {
        "ANTENNA_ID": np.tile(np.arange(nant), len(times)), "TIME": np.repeat(times, nant),
        "INTERVAL": np.full(nrow, coordinates.integration_s), "TIME_ORIGIN": np.repeat(times, nant),
        "NAME": ["meridian"] * nrow, "NUM_POLY": np.zeros(nrow, int),
        "DIRECTION": axis, "TARGET": axis, "TRACKING": np.zeros(nrow, bool),
    }, icrs=("DIRECTION", "TARGET"), at_once=nant)  # fmt: skip


def _write_frequencies(table: Any, coordinates: Coordinates) -> None:
    """Fill SPECTRAL_WINDOW and POLARIZATION with one row each, and DATA_DESCRIPTION, which refers to both."""
    nchan, npol = len(coordinates.freq_hz), len(coordinates.polarisations)
    width = np.full((1, nchan), coordinates.channel_width_hz)
    _fill(table, "SPECTRAL_WINDOW", 1, {
        "NUM_CHAN": [nchan], "NAME": ["band"], "REF_FREQUENCY": [coordinates.freq_hz.mean()],
        "CHAN_FREQ": coordinates.freq_hz.reshape(1, nchan), "CHAN_WIDTH": width, "EFFECTIVE_BW": width,
        "RESOLUTION": width, "TOTAL_BANDWIDTH": [width.sum()], "MEAS_FREQ_REF": [_TOPO], "NET_SIDEBAND": [1],
        "IF_CONV_CHAIN": [0], "FREQ_GROUP": [0], "FREQ_GROUP_NAME": [""], "FLAG_ROW": [False],
    })  # fmt: skip
    letters = [["XY".index(letter) for letter in name] for name in coordinates.polarisations]
    _fill(table, "POLARIZATION", 1, {
        "NUM_CORR": [npol], "CORR_TYPE": np.array([[CORR_TYPE[name] for name in coordinates.polarisations]]),
        "CORR_PRODUCT": np.array([letters]), "FLAG_ROW": [False],
    })  # fmt: skip
    _fill(table, "DATA_DESCRIPTION", 1, {"SPECTRAL_WINDOW_ID": [0], "POLARIZATION_ID": [0], "FLAG_ROW": [False]})


def _write_observation(table: Any, coordinates: Coordinates) -> None:
    """Fill OBSERVATION, with the array's reference point where it is known, PROCESSOR and STATE."""
    from casacore import tables

    _fill(table, "OBSERVATION", 1, {
        "TELESCOPE_NAME": [coordinates.telescope], "TIME_RANGE": np.array([_span_s(coordinates)]), "OBSERVER": [""],
        "PROJECT": [""], "RELEASE_DATE": [0.0], "SCHEDULE_TYPE": [""], "FLAG_ROW": [False],
        "LOG": {"shape": [1, 1], "array": [""]}, "SCHEDULE": {"shape": [1, 1], "array": [""]},
    })  # fmt: skip
    if coordinates.array_position_m is not None:
        with tables.table(table.getkeyword("OBSERVATION"), readonly=False, ack=False) as sub:
            sub.addcols(tables.makearrcoldesc("TELESCOPE_LOCATION", 0.0, shape=[3], valuetype="double"))
            sub.putcell("TELESCOPE_LOCATION", 0, coordinates.array_position_m)
    _fill(table, "PROCESSOR", 1, {
        "TYPE": ["CORRELATOR"], "SUB_TYPE": [""], "TYPE_ID": [-1], "MODE_ID": [-1], "FLAG_ROW": [False],
    })  # fmt: skip
    _fill(table, "STATE", 1, {
        "SIG": [True], "REF": [False], "CAL": [0.0], "LOAD": [0.0], "SUB_SCAN": [0],
        "OBS_MODE": ["OBSERVE_TARGET#ON_SOURCE"], "FLAG_ROW": [False],
    })  # fmt: skip


def _write_history(table: Any, coordinates: Coordinates) -> None:
    """Fill HISTORY with the history in the files' headers, and the mark of simulated data."""
    messages = [SYNTHETIC] * coordinates.synthetic + coordinates.history
    count = len(messages)
    _fill(table, "HISTORY", count, {
        # The time of the data: the wall clock would make every copy differ.
        "TIME": np.full(count, _span_s(coordinates)[0]), "OBSERVATION_ID": np.zeros(count, int), "MESSAGE": messages,
        "PRIORITY": ["INFO"] * count, "ORIGIN": [APPLICATION] * count, "OBJECT_ID": np.full(count, -1),
        "APPLICATION": [APPLICATION] * count,
        "CLI_COMMAND": {"shape": [count, 1], "array": [""] * count},
        "APP_PARAMS": {"shape": [count, 1], "array": [""] * count},
    })  # fmt: skip


def _fill(
    table: Any, name: str, count: int, columns: dict[str, Any], *, icrs: tuple[str, ...] = (), at_once: int = 0
) -> None:
    """Fill the columns of a subtable, all rows at once or `at_once` rows at a time.

    The latter is faster for columns in incremental storage. Directions in the columns `icrs` get the reference ICRS.
    """
    from casacore import tables

    if count == 0:
        return
    _fix_shapes(f"{table.name()}/{name}", name, columns)
    with tables.table(table.getkeyword(name), readonly=False, ack=False) as sub:
        for column in icrs:
            sub.putcolkeyword(column, "MEASINFO", sub.getcolkeyword(column, "MEASINFO") | {"Ref": "ICRS"})
        sub.addrows(count)
        for first in range(0, count, at_once or count):
            for column, values in columns.items():
                sub.putcol(column, values[first : first + at_once] if at_once else values, first, at_once or count)


def _fix_shapes(path: str, name: str, columns: dict[str, Any]) -> None:
    """Create an empty subtable again with arrays of fixed shape, so that the same tile gives the same bytes.

    Casacore stores arrays of variable shape in a file of their own (``table.f0i``), with uninitialised bytes between
    them, and arrays of fixed shape in the rows.
    """
    from casacore import tables

    description = tables.required_ms_desc(name)
    direct, fixed = 1, 4  # ColumnDesc::Direct and ColumnDesc::FixedShape
    for column, values in columns.items():
        shape = (values["shape"] if isinstance(values, dict) else np.shape(values))[1:]
        if shape and "ndim" in description[column]:
            described = {"shape": np.array(shape, np.int32), "ndim": len(shape), "_c_order": True}
            description[column].update(described, option=direct | fixed)
    tables.default_ms_subtable(name, path, description).close()
