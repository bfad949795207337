"""The correlator's files: headers, frequencies, faults."""

import shutil

import h5py
import numpy as np
import pytest

from contimg.correlator import band, hdf5
from contimg.errors import InputError
from contimg.simulate import NightOptions, simulate_night


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    out = tmp_path_factory.mktemp("uvh5")
    options = NightOptions(
        tiles=1, antennas=5, channels=48, integrations=3, sources=2, calibrator="none", declination_deg=54.57
    )
    simulate_night(out, options)
    return sorted((out / "incoming").glob("*.hdf5"), key=lambda path: path.name[-7:])


@pytest.fixture
def broken(night, tmp_path):
    """Return a function that gives a copy of sb00 with one dataset replaced."""

    def replace(key, value):
        path = tmp_path / night[0].name
        shutil.copy(night[0], path)
        with h5py.File(path, "r+") as file:
            del file[key]
            if value is not None:
                file[key] = value
        return path

    return replace


def test_the_setup_is_that_of_the_header_and_each_part_tells(night, broken):
    header = hdf5.read_header(night[0])
    known = (header.applied_delays_sha256, header.antenna_order_sha256, header.fs_table)
    assert hdf5.read_setup(night[0]) == known == hdf5.read_setup(night[9])
    with h5py.File(night[0]) as file:
        names = file["Header/antenna_names"][()]
    names[5] = b"5b"
    for place, (key, value) in enumerate([
        ("Header/extra_keywords/applied_delays_ns", np.bytes_("1 2 3")),
        ("Header/antenna_names", names),
        ("Header/extra_keywords/fs_table", np.bytes_("another.npz")),
    ]):  # fmt: skip
        changed = hdf5.read_setup(broken(key, value))
        assert [i for i in range(3) if changed[i] != known[i]] == [place]
    with pytest.raises(InputError, match="it has no Header/extra_keywords/applied_delays_ns"):
        hdf5.read_setup(broken("Header/extra_keywords/applied_delays_ns", None))


# First and last channel in MHz of f = 1530 - (1024 + 384 NN + 8 i + 3.5) 250/8192, which stands on paper.
@pytest.mark.parametrize(
    ("subband", "first", "last"),
    [(0, 1498.643188, 1487.168579), (7, 1416.611938, 1405.137329), (15, 1322.861938, 1311.387329)],
)
def test_band_formula(subband, first, last):
    freq = band.subband_frequencies(subband, 48) / 1e6
    assert freq[[0, -1]] == pytest.approx([first, last], abs=1e-6)
    raw = 1530 - (1024 + 384 * subband + 8 * np.arange(48) + 3.5) * 0.030517578125
    assert np.abs(freq - raw).max() < 1e-9


def test_joined_axis_is_uniform():
    joined = np.concatenate([band.subband_frequencies(sb, 48) for sb in (3, 0, 15, *range(4, 15), 1, 2)])
    joined.sort()
    assert len(joined) == 768
    assert np.abs(np.diff(joined) - 244140.625).max() < 1e-6


def test_header(night):
    head = hdf5.read_header(night[4])
    assert head.subband == 4
    assert head.freq_hz == pytest.approx(band.subband_frequencies(4, 48), abs=1e-3)
    assert head.channel_width_hz == 244140.625
    assert head.n_times == 3
    assert head.integration_s == 12.884902000427246
    assert np.diff(head.times_mjd) * 86400 == pytest.approx([12.884901888] * 2, abs=1e-4)
    assert np.degrees(head.dec_app_rad) == pytest.approx(54.57, abs=1e-9)
    assert head.latitude_deg == pytest.approx(37.2334051, abs=1e-6)
    assert head.telescope == "OVRO_MMA"
    assert head.polarisations == ("XX", "YY")
    assert len(head.antenna_names) == 117
    assert head.antenna_names[102] == "103"
    assert len(head.antenna1) == 15  # with autocorrelations
    assert head.dish_diameter_m == 4.65
    assert head.synthetic
    assert "dec54.6" in head.fs_table


def test_headers_of_a_tile_agree(night):
    heads = [hdf5.read_header(path) for path in night]
    assert len({head.antenna_order_sha256 for head in heads}) == 1
    assert len({head.applied_delays_sha256 for head in heads}) == 1
    assert len({head.start_mjd for head in heads}) == 1
    assert [head.subband for head in heads] == list(range(16))


def test_negative_channel_width_is_accepted(broken):
    assert hdf5.read_header(broken("Header/channel_width", -244140.625)).channel_width_hz == 244140.625


def test_data_are_ascending_and_in_file_order(night):
    head = hdf5.read_header(night[2])
    with h5py.File(night[2]) as file:
        stored = file["Data/visdata"][:, 0].reshape(3, 15, 48, 2)
    with hdf5.open_data(head) as data:
        vis, flags, samples = data.read(4, 9)
    assert np.array_equal(vis, stored[:, 4:9, ::-1])
    assert not flags.any()
    assert (samples == 96).all()


def test_digests_see_a_change(broken, night):
    head = hdf5.read_header(night[0])
    other = hdf5.read_header(broken("Header/extra_keywords/applied_delays_ns", np.bytes_("1 2 3")))
    assert other.applied_delays_sha256 != head.applied_delays_sha256
    assert other.antenna_order_sha256 == head.antenna_order_sha256


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("Header/phase_center_app_dec", None, "it has no Header/phase_center_app_dec"),
        ("Header/freq_array", 1e9 + 1e5 * np.arange(48)[None], "no subband of the correlator"),
        ("Header/polarization_array", np.array([1, 2]), "not linear polarisations"),
        ("Header/Ntimes", 4, "time_array has"),
        ("Header/antenna_diameters", np.linspace(4, 5, 117), "antenna_diameters of correlated antennas differ"),
    ],
)
def test_contradictions(broken, key, value, says):
    with pytest.raises(InputError, match=says):
        hdf5.read_header(broken(key, value))


def test_data_of_another_shape(broken):
    head = hdf5.read_header(broken("Data/visdata", np.zeros((45, 1, 47, 2), np.complex64)))
    with pytest.raises(InputError, match="its header says"), hdf5.open_data(head):
        pass


@pytest.mark.parametrize(
    ("key", "says"), [("time_array", "one time an integration"), ("ant_1_array", "differ from one")]
)
def test_rows_that_break_the_order(broken, night, key, says):
    with h5py.File(night[0]) as file:
        value = file[f"Header/{key}"][()]
    value[20] += 1
    head = hdf5.read_header(broken(f"Header/{key}", value))
    with pytest.raises(InputError, match=says), hdf5.open_data(head):
        pass


@pytest.mark.parametrize("keep", [0, 100, 20_000])
def test_truncated(night, tmp_path, keep):
    path = tmp_path / night[0].name
    path.write_bytes(night[0].read_bytes()[:keep])
    with pytest.raises(InputError, match="not a whole HDF5 file"):
        hdf5.read_header(path)


def test_missing_file_is_the_machines_fault(tmp_path):
    with pytest.raises(FileNotFoundError):
        hdf5.read_header(tmp_path / "2026-02-11T00:00:00_sb00.hdf5")
