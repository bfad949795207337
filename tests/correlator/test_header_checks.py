"""Every key of the header, damaged in every way: plan, conversion and inspection say the same, in one sentence."""

import h5py
import numpy as np
import pytest

from contimg.correlator import files, hdf5, header_checks, probe
from contimg.correlator.files import FileFault
from contimg.correlator.header_checks import CHECKS
from contimg.errors import InputError
from contimg.operations import inspect

NUMBERS = [key for key, check in CHECKS.items() if check.kind in ("integer", "number", "double")]
TEXTS = [key for key, check in CHECKS.items() if key not in NUMBERS]


def verdict(path):
    """Return the code of a file's fault, or None; whoever looks at the file agrees."""
    try:
        probe.look(path)
    except FileFault as fault:
        assert path.name in str(fault) and "\n" not in str(fault)
        for other in (hdf5.read_header, hdf5.read_setup, inspect.look):
            with pytest.raises(InputError, match="set it aside") as said:
                other(path)
            assert fault.what in str(said.value) and str(path) in str(said.value)
        return fault.code
    assert hdf5.read_header(path).setup == probe.look(path).setup
    inspect.look(path)
    return None


def stored(small_tile, key):
    with h5py.File(small_tile[0]) as file:
        return file[f"Header/{key}"][()] if f"Header/{key}" in file else None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("key", NUMBERS)
def test_numbers_that_are_none(small_tile, changed, key, value):
    path = changed({f"Header/{key}": np.full(np.shape(stored(small_tile, key)), value)})
    expected = "antennas" if CHECKS[key].of_stations else CHECKS[key].code
    assert verdict(path) == expected


@pytest.mark.parametrize("value", [b"many", "many"], ids=["bytes", "text"])
@pytest.mark.parametrize("key", NUMBERS)
def test_text_in_place_of_numbers(small_tile, changed, key, value):
    shape = np.shape(stored(small_tile, key))
    text = value if shape == () else np.full(shape, value, "S4" if isinstance(value, bytes) else object)
    path = changed(lambda file: (file.__delitem__(f"Header/{key}"), file.create_dataset(f"Header/{key}", data=text)))
    assert verdict(path) == "dtype"


@pytest.mark.parametrize("kind", ["boolean", "complex", "compound", "opaque", "empty"])
@pytest.mark.parametrize("key", NUMBERS)
def test_other_types_in_place_of_numbers(small_tile, changed, key, kind):
    shape = np.shape(stored(small_tile, key))
    value = {
        "boolean": np.ones(shape, bool),
        "complex": np.ones(shape, complex),
        "compound": np.zeros(shape, [("a", "<i4"), ("b", "<f8")]),
        "opaque": np.zeros(shape, "V8"),
        "empty": h5py.Empty("f8"),
    }[kind]
    path = changed(lambda file: (file.__delitem__(f"Header/{key}"), file.create_dataset(f"Header/{key}", data=value)))
    assert verdict(path) in ("dtype", "contradiction", "antennas")


@pytest.mark.parametrize("key", CHECKS)
def test_wrong_shape(small_tile, changed, key):
    value = stored(small_tile, key)
    path = changed({f"Header/{key}": np.stack([value, value])})
    expected = "antennas" if "stations" in CHECKS[key].shape else "contradiction"
    assert verdict(path) == expected


@pytest.mark.parametrize("key", [key for key, check in CHECKS.items() if check.shape and check.shape != (1, "*")])
def test_a_row_too_few_and_a_turned_array(small_tile, changed, key):
    value = stored(small_tile, key)
    assert verdict(changed({f"Header/{key}": value[:-1]})) is not None
    if value.ndim == 2:
        assert verdict(changed({f"Header/{key}": value.T.copy()})) == "antennas"


@pytest.mark.parametrize("key", CHECKS)
def test_missing(changed, key):
    assert verdict(changed({f"Header/{key}": None})) == ("missing_key" if CHECKS[key].needed else None)


WRONG_UNITS = {
    "latitude in radians": ("latitude", np.radians, "contradiction"),
    "longitude in radians": ("longitude", np.radians, "contradiction"),
    "longitude in hours": ("longitude", lambda v: v / 15, "contradiction"),
    "longitude towards west": ("longitude", lambda v: -v, "contradiction"),
    "latitude in whole degrees": ("latitude", np.rint, "contradiction"),
    "altitude in cm": ("altitude", lambda v: v * 100, "contradiction"),
    "declination in degrees": ("phase_center_app_dec", np.degrees, "contradiction"),
    "hour angle in degrees": ("extra_keywords/ha_phase_center", lambda v: 0.5, "contradiction"),
    "positions in km": ("antenna_positions", lambda v: v / 1000, "antennas"),
    "positions in cm": ("antenna_positions", lambda v: v * 1e4, "antennas"),
    "positions from the Earth's centre": ("antenna_positions", lambda v: v + [-2.4e6, -4.5e6, 3.8e6], "antennas"),
    "diameters in cm": ("antenna_diameters", lambda v: v * 100, "antennas"),
    "diameters in km": ("antenna_diameters", lambda v: v / 1000, "antennas"),
    "times in MJD": ("time_array", lambda v: v - 2_400_000.5, "clock"),
    "times in seconds": ("time_array", lambda v: (v - 2_400_000.5) * 86400, "clock"),
    "times in Unix seconds": ("time_array", lambda v: (v - 2_440_587.5) * 86400, "clock"),
    "integration time in ms": ("integration_time", lambda v: v * 1000, "contradiction"),
    "integration time in days": ("integration_time", lambda v: v / 86400, "contradiction"),
    "integration time in minutes": ("integration_time", lambda v: v / 60, "times"),
    "frequencies in MHz": ("freq_array", lambda v: v / 1e6, "frequency"),
    "frequencies in GHz": ("freq_array", lambda v: v / 1e9, "frequency"),
    "channel width in kHz": ("channel_width", lambda v: v / 1e3, "frequency"),
    "channel width of the subband": ("channel_width", lambda v: v * 4, "frequency"),
}


@pytest.mark.parametrize("case", WRONG_UNITS)
def test_wrong_unit(changed, case):
    key, change, code = WRONG_UNITS[case]
    assert verdict(changed({f"Header/{key}": change})) == code


@pytest.mark.parametrize("keys", [("latitude", "longitude"), ("latitude",), ("longitude",)])
def test_radians_of_a_telescope_that_nobody_knows(changed, keys):
    values = {f"Header/{key}": np.radians for key in keys}
    assert verdict(changed({"Header/telescope_name": np.bytes_("mine"), **values})) == "antennas"


def test_longitude_counts_round_the_earth(changed, small_tile):
    assert verdict(changed({"Header/longitude": lambda v: v + 360})) is None


@pytest.mark.parametrize("key", ["latitude", "longitude", "altitude", "phase_center_app_dec", "antenna_positions"])
@pytest.mark.parametrize("dtype", [np.int64, np.float16])
def test_numbers_that_lost_their_digits(changed, key, dtype):
    with np.errstate(over="ignore"):
        assert verdict(changed({f"Header/{key}": lambda v: v.astype(dtype)})) == "dtype"


@pytest.mark.parametrize(
    "value", [np.int64(5), np.float64(5), np.array([b"a", b"b"]), np.array([1, 2])],
    ids=["integer", "number", "texts", "integers"],
)  # fmt: skip
@pytest.mark.parametrize("key", [key for key in TEXTS if key != "antenna_names"])
def test_what_is_no_text(changed, key, value):
    assert verdict(changed({f"Header/{key}": value})) == ("dtype" if np.shape(value) == () else "contradiction")


@pytest.mark.parametrize("value", [b"", b"\xd6VRO", "Öwro", b"OVRO\nMMA"])
def test_a_telescope_has_a_name_in_ascii(changed, value):
    assert verdict(changed({"Header/telescope_name": value})) == "dtype"


@pytest.mark.parametrize("key", ["history", "extra_keywords/applied_delays_ns", "extra_keywords/fs_table"])
def test_other_texts_may_hold_any_bytes(changed, key):
    assert verdict(changed({f"Header/{key}": np.bytes_(b"M\xfcller, simulated\n")})) is None


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("Nbls", np.float64), ("Ntimes", lambda v: np.array([v])), ("latitude", np.float32),
        ("phase_center_app_dec", lambda v: np.array([v])), ("freq_array", np.ravel), ("channel_width", lambda v: -v),
        ("antenna_numbers", lambda v: v.astype(">i4")), ("antenna_positions", lambda v: v.astype(">f8")),
        ("time_array", lambda v: v.astype(">f8")), ("polarization_array", lambda v: v.astype(np.int8)),
        ("antenna_names", lambda v: v.astype("U4").astype(object)), ("telescope_name", lambda v: "OVRO_MMA"),
    ],
)  # fmt: skip
def test_the_same_value_in_another_form_is_the_same(small_tile, changed, key, change):
    header, same = hdf5.read_header(changed({f"Header/{key}": change})), hdf5.read_header(small_tile[0])
    for name in ("antenna_names", "polarisations", "telescope", "setup", "start_mjd", "n_times", "channel_width_hz"):
        assert getattr(header, name) == getattr(same, name)
    assert np.array_equal(header.antenna_positions_m, same.antenna_positions_m)
    assert np.array_equal(header.freq_hz, same.freq_hz)


def test_integers_must_be_integers(changed):
    assert verdict(changed({"Header/Nbls": 21.5})) == "contradiction"
    assert verdict(changed({"Header/antenna_numbers": np.arange(117) + 0.5})) == "contradiction"


@pytest.mark.parametrize("value", [1e300, -1e300, 0, -1, 2**40])
@pytest.mark.parametrize("key", ["Nbls", "Ntimes", "Nants_data", "Nants_telescope"])
def test_sizes_beyond_all_bounds(changed, key, value):
    assert verdict(changed({f"Header/{key}": value})) in ("contradiction", "antennas")


def test_times_of_a_lattice():
    step = 12.884901888
    stamps = 2_461_082.75 + np.arange(24) * step / 86400
    assert header_checks.wrong_times(stamps, step) is None
    assert header_checks.wrong_times(stamps[:1], step) is None
    assert header_checks.wrong_times(stamps[::-1], step).startswith("integration 2 in time_array comes -12.885 s after")
    stamps[23] += 1 / 24
    assert header_checks.wrong_times(stamps, step) == (
        "integration 24 in time_array comes 3612.885 s after the one before, not integration_time = 12.885 s"
    )


def test_the_height_of_the_array_is_its_own():
    """East, north and zenith at latitude 37.23 and longitude -118.28 in ITRF; a plane array lies in the first two."""
    latitude, longitude = np.radians([37.23, -118.28])
    east = np.array([-np.sin(longitude), np.cos(longitude), 0])
    zenith = np.array(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    )  # fmt: skip
    north = np.cross(zenith, east)
    places = np.array([[0, 10], [400, 30], [200, 430], [600, 1840], [-1170, -200]]) @ [east, north]
    assert header_checks.wrong_array(places, 4.65, 37.23, -118.28) is None
    assert header_checks.wrong_array(places + zenith * [[0], [3], [8], [4], [5]], 4.65, 37.23, -118.28) is None
    for latitude_deg, longitude_deg in ((0.65, -118.28), (37.23, -2.06), (37.23, 118.28), (-37.23, -118.28)):
        assert "in height" in header_checks.wrong_array(places, 4.65, latitude_deg, longitude_deg)


@pytest.mark.parametrize("key", ["extra_keywords/fs_table", "extra_keywords/ha_phase_center"])
def test_an_optional_key_that_leads_nowhere_is_missing(changed, key):
    def lead_nowhere(file):
        del file[f"Header/{key}"]
        file[f"Header/{key}"] = h5py.SoftLink("/Header/nothing")

    assert CHECKS[key].needed is False
    assert verdict(changed({f"Header/{key}": None})) is None
    assert verdict(changed(lead_nowhere)) == "missing_key"


@pytest.mark.parametrize("key", [key for key, check in CHECKS.items() if check.shape])
def test_one_value_of_an_array_differs_from_those_of_a_good_file_before(small_tile, changed, key):
    kind = stored(small_tile, key).dtype.kind

    def spoil_the_first(value):
        value.flat[0] = b"\xff" if kind == "S" else 2**40
        return value

    assert verdict(small_tile[0]) is None
    for _ in range(2):  # a remembered answer is the same one
        assert verdict(changed({f"Header/{key}": spoil_the_first})) == {
            "antenna_names": "dtype",
            "antenna_positions": "antennas",
            "antenna_diameters": "antennas",
        }.get(key, CHECKS[key].code)
        assert verdict(small_tile[0]) is None


@pytest.mark.parametrize("group", ["Header", "Data", "Header/extra_keywords"])
def test_a_group_that_is_not_there_is_missing_and_a_link_into_nothing_is_damage(changed, group):
    def lead_nowhere(file):
        del file[group]
        file[group] = h5py.SoftLink("/nothing")

    with pytest.raises(FileFault, match=f"it has no {group}$"):
        probe.look(changed(lambda file: file.__delitem__(group)))
    assert verdict(changed(lambda file: file.__delitem__(group))) == "missing_key"
    assert verdict(changed(lead_nowhere)) == "unreadable"


def with_filter(file, code):
    """Say that the visibilities went through a filter, which is left out of every chunk."""
    values = file["Data/visdata"][()]
    del file["Data/visdata"]
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((64, *values.shape[1:]))
    made.set_filter(code, h5py.h5z.FLAG_OPTIONAL, (0, 2))
    space = h5py.h5s.create_simple(values.shape)
    h5py.h5d.create(file["Data"].id, b"visdata", h5py.h5t.py_create(values.dtype, logical=True), space, made)


def test_data_compressed_with_a_filter_that_is_missing_are_a_fault_that_may_pass(changed):
    """32008 is bitshuffle, which HDF5 has as a plugin only."""
    path = changed(lambda file: with_filter(file, 32008))
    with pytest.raises(FileFault, match=r"visdata is compressed with HDF5's filter 32008.*HDF5_PLUGIN_PATH") as caught:
        probe.look(path)
    assert caught.value.code == "filter" and "filter" in files.PASSING


def test_data_compressed_with_a_filter_of_hdf5_itself_are_read(changed):
    def compress(file):
        values = file["Data/visdata"][()]
        del file["Data/visdata"]
        file.create_dataset(
            "Data/visdata", data=values, chunks=(64, *values.shape[1:]), compression="gzip", shuffle=True
        )

    assert probe.look(changed(compress)).subband == 0


def test_a_longitude_counted_eastwards_is_the_same_place(small_tile, changed):
    path = changed({"Header/longitude": lambda old: old + 360})
    assert probe.look(path).longitude_deg == pytest.approx(probe.look(small_tile[0]).longitude_deg, abs=1e-12)
    assert -180 <= probe.look(path).longitude_deg < 180
