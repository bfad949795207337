"""What a header says: antennas by number, products in any order, one lattice of times."""

import h5py
import numpy as np
import pytest

from contimg.correlator import hdf5, probe
from contimg.correlator.files import FileFault

TABLE = ("antenna_names", "antenna_numbers", "antenna_positions", "antenna_diameters")


def fault_of(path):
    with pytest.raises(FileFault) as fault:
        probe.look(path)
    return fault.value.code


def numbered_from(first):
    def change(file):
        for key in ("antenna_numbers", "ant_1_array", "ant_2_array"):
            file[f"Header/{key}"][...] = file[f"Header/{key}"][()] + first

    return change


def in_another_order(file):
    order = np.random.default_rng(1).permutation(117)
    for key in TABLE:
        file[f"Header/{key}"][...] = file[f"Header/{key}"][()][order]


def only_the_correlated(file):
    used = np.unique(file["Header/ant_1_array"][()])
    for key in TABLE:
        value = file[f"Header/{key}"][()][used]
        del file[f"Header/{key}"]
        file[f"Header/{key}"] = value
    file["Header/Nants_telescope"][...] = len(used)


@pytest.mark.parametrize("change", [numbered_from(1), numbered_from(1000), in_another_order, only_the_correlated])
def test_antennas_are_found_by_their_number(small_tile, changed, change):
    truth, header = hdf5.read_header(small_tile[0]), hdf5.read_header(changed(change))
    for side in ("antenna1", "antenna2"):
        rows, true = getattr(header, side), getattr(truth, side)
        assert [header.antenna_names[row] for row in rows] == [truth.antenna_names[row] for row in true]
        assert np.array_equal(header.antenna_positions_m[rows], truth.antenna_positions_m[true])
    if change is not only_the_correlated:  # the same array, so calibrations of the one apply to the other
        assert header.setup == truth.setup


def test_names_as_numbers_are_names(small_tile, changed):
    truth = hdf5.read_header(small_tile[0])
    assert hdf5.read_header(changed({"Header/antenna_names": np.arange(1, 118)})).setup == truth.setup


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"Header/antenna_names": np.array([b"\xe9%d" % n for n in range(117)])}, "dtype"),
        ({"Header/antenna_names": np.full(117, b"")}, "dtype"),
        ({"Header/antenna_names": np.full(117, b"a b")}, "dtype"),
        ({"Header/antenna_names": np.full(117, b"same")}, "antennas"),
        ({"Header/antenna_names": np.linspace(0, 1, 117)}, "dtype"),
        ({"Header/antenna_numbers": np.zeros(117, int)}, "antennas"),
        ({"Header/antenna_numbers": np.arange(117) + 500}, "antennas"),
        ({"Header/ant_1_array": lambda v: v + 1}, "antennas"),
        ({"Header/ant_1_array": lambda v: v[::-1].copy()}, "antennas"),
        ({"Header/ant_2_array": lambda v: v * 0}, "antennas"),
        ({"Header/antenna_positions": lambda v: v * 0}, "antennas"),
        ({"Header/antenna_positions": lambda v: v[:1] + 0 * v}, "antennas"),
        ({"Header/antenna_positions": lambda v: v[:, ::-1].copy()}, "antennas"),
        ({"Header/antenna_diameters": np.linspace(4, 5, 117)}, "antennas"),
        ({"Header/polarization_array": np.array([-5, -5])}, "polarisations"),
        ({"Header/polarization_array": np.array([-1, -2])}, "polarisations"),
        ({"Header/polarization_array": np.array([-7, -8])}, "polarisations"),
        ({"Header/phase_center_app_dec": np.radians(89.7)}, "contradiction"),
        ({"Header/extra_keywords/ha_phase_center": 0.1}, "contradiction"),
    ],
)
def test_what_cannot_be(changed, values, code):
    assert fault_of(changed(values)) == code


def stations(file):
    return np.unique(file["Header/ant_1_array"][()])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e9])
def test_a_station_without_a_position_matters_where_it_is_correlated(small_tile, changed, value):
    truth = hdf5.read_header(small_tile[0])
    with h5py.File(small_tile[0]) as file:
        used = int(stations(file)[2])
        unused = next(n for n in range(117) if n not in stations(file))

    def place(station):
        def change(positions):
            positions[station] = value
            return positions

        return {"Header/antenna_positions": change}

    assert fault_of(changed(place(used))) == "antennas"
    header = hdf5.read_header(changed(place(unused)))
    others = np.arange(117) != unused
    assert np.array_equal(header.antenna_positions_m[others], truth.antenna_positions_m[others])
    assert np.isnan(header.antenna_positions_m[unused]).all() == (not np.isfinite(value))


def test_diameters_of_stations_that_are_not_correlated_do_not_matter(changed, small_tile):
    with h5py.File(small_tile[0]) as file:
        used = stations(file)
    diameters = np.full(117, np.nan)
    diameters[used] = 4.65
    assert hdf5.read_header(changed({"Header/antenna_diameters": diameters})).dish_diameter_m == 4.65


@pytest.mark.parametrize("hours", [1e-5, 1 / 3600, 1, -1, 24 * 365])
@pytest.mark.parametrize("integration", [1, 2, 3])
def test_a_clock_that_jumps_in_a_file(changed, hours, integration):
    def jump(file):
        times = file["Header/time_array"][()]
        times[21 * integration :] += hours / 24
        file["Header/time_array"][...] = times

    path = changed(jump)
    if abs(hours) * 3600 < 0.1:  # below 1 % of an integration
        assert probe.look(path).end_mjd > probe.look(path).start_mjd
    else:
        assert fault_of(path) == "times"


def test_times_that_stand_still_or_turn_back(changed):
    assert fault_of(changed({"Header/time_array": lambda jd: 0 * jd + jd[0]})) == "times"
    assert fault_of(changed({"Header/time_array": lambda jd: jd[::-1].copy()})) == "times"


def test_no_fringe_stopping_table_is_one_more_setup(small_tile, changed):
    """The correlator's writer leaves the key out where it was given no table."""
    header = hdf5.read_header(changed({"Header/extra_keywords/fs_table": None}))
    truth = hdf5.read_header(small_tile[0])
    assert header.fs_table == "" and header.setup[:2] == truth.setup[:2] and truth.fs_table


def products_of(order):
    """Return a change of a file to products in an order, XY and YX being multiples of XX and YY."""
    codes = {"XX": -5, "YY": -6, "XY": -7, "YX": -8}

    def change(file):
        for name in ("visdata", "flags", "nsamples"):
            xx, yy = np.moveaxis(file[f"Data/{name}"][()], -1, 0)
            cross = (7j * xx, -7j * yy) if name == "visdata" else (~xx, ~yy) if name == "flags" else (0 * xx, 0 * yy)
            parts = dict(zip(("XX", "YY", "XY", "YX"), (xx, yy, *cross), strict=True))
            del file[f"Data/{name}"]
            value = np.stack([parts[one] for one in order], -1).astype(xx.dtype)
            file.create_dataset(f"Data/{name}", data=value, chunks=True)
        del file["Header/polarization_array"]
        file["Header/polarization_array"] = np.array([codes[one] for one in order])
        file["Header/Npols"][...] = len(order)

    return change


@pytest.mark.parametrize("order", ["XX XY YX YY", "YY XX", "XX XY YX YY", "YX YY XX XY", "XX YY XY", "YY YX XX"])
def test_xx_and_yy_are_found_in_any_order_and_company(small_tile, changed, order):
    truth = hdf5.read_header(small_tile[0])
    header = hdf5.read_header(changed(products_of(order.split())))
    assert (header.polarisations, header.products) == (("XX", "YY"), tuple(order.split()))
    with hdf5.open_data(truth) as one, hdf5.open_data(header) as other:
        for ours, theirs in zip(one.read(3, 17), other.read(3, 17), strict=True):
            assert np.array_equal(ours, theirs)
        ours, theirs = one.at(2, 0, 21), other.at(2, 0, 21)
        assert np.array_equal(ours[0], theirs[0])
        assert ours[1] is None and (theirs[1] is None or not theirs[1].any())
        assert np.all(np.broadcast_to(ours[2], theirs[0].shape) == theirs[2])


@pytest.mark.parametrize("order", ["XX", "YY", "XX XY", "XY YX"])
def test_a_file_without_xx_or_yy_is_set_aside(changed, order):
    path = changed(products_of(order.split()))
    with pytest.raises(FileFault, match="polarization_array has no ") as fault:
        probe.look(path)
    assert fault.value.code == "polarisations"


def linked_out(file, key, other):
    file.copy(key, other, name="values")
    del file[key]
    file[key] = h5py.ExternalLink(other.filename, "/values")


def mapped_out(file, key, other):
    values = file[key][()]
    other["values"] = values
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[...] = h5py.VirtualSource(other.filename, "values", values.shape)
    del file[key]
    file.create_virtual_dataset(key, layout)


def stored_out(file, key, other):
    values = file[key][()]
    del file[key]
    file.create_dataset(key, data=values, external=[(other.filename + ".raw", 0, h5py.h5f.UNLIMITED)])


@pytest.mark.parametrize("where", [linked_out, mapped_out, stored_out])
@pytest.mark.parametrize(
    "key",
    ["Header/time_array", "Header/integration_time", "Header/ant_2_array", "Header/antenna_positions",
     "Header/antenna_numbers", "Header/freq_array", "Header/polarization_array", "Data/visdata", "Data/flags",
     "Data/nsamples"],
)  # fmt: skip
def test_values_of_another_file_are_refused(changed, tmp_path, where, key):
    """A file's digest stands for what is read of it: values elsewhere could change without a trace."""

    def change(file):
        with h5py.File(tmp_path / "other.h5", "w") as other:
            where(file, key, other)

    path = changed(change)
    assert fault_of(path) == "elsewhere"
    with pytest.raises(FileFault, match=rf"{key}.*other file|{key}.*another file"):
        probe.look(path)


@pytest.mark.parametrize("storage", [{"chunks": True}, {"chunks": True, "compression": "gzip"}])
def test_how_values_are_stored_in_the_file_does_not_matter(small_tile, changed, storage):
    keys = ["Header/time_array", "Header/antenna_positions", "Header/freq_array", "Data/visdata"]

    def change(file):
        for key in keys:
            values = file[key][()]
            del file[key]
            file.create_dataset(key, data=values, **storage)

    assert probe.look(changed(change)) == probe.look(small_tile[0])
