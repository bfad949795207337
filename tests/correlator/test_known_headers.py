"""A header found by its bytes is the header that HDF5 reads, and whatever else differs goes through HDF5."""

import os
import random
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from contimg.correlator import files, header, known_headers, probe
from contimg.correlator.files import FileFault
from contimg.correlator.hdf5 import read_header
from contimg.correlator.known_headers import KnownHeaders, known_header
from contimg.simulate import GainErrors, NightOptions, simulate_night

pytestmark = pytest.mark.usefixtures("fresh")


@pytest.fixture
def fresh(monkeypatch):
    """Nothing known: what other tests have looked at plays no part."""
    monkeypatch.setattr(probe, "_KNOWN", KnownHeaders())


@pytest.fixture
def opened_by_hdf5(monkeypatch):
    """The names of the files that HDF5 opens."""
    names = []
    inner = files.opened

    def opened(path):
        names.append(path.name)
        return inner(path)

    monkeypatch.setattr(files, "opened", opened)
    return names


def taught(paths):
    """Return known headers that have seen two files."""
    known = KnownHeaders()
    for path in paths[:2]:
        known.learn(path)
    return known


def outcome(look, path):
    """Return what a look gave: the answer, or the code and words of the fault."""
    try:
        return look(path)
    except FileFault as fault:
        return fault.code, str(fault)


def by_hdf5(path):
    """Return the outcome of a look that compares with nothing."""
    probe._KNOWN = KnownHeaders()
    return outcome(probe.look, path)


def compared(path, sound):
    """Return the outcome of a look that compares with sound files."""
    probe._KNOWN = taught(sound)
    return outcome(probe.look, path)


def test_every_subband_of_three_tiles_is_read_as_by_hdf5(tmp_path, opened_by_hdf5):
    options = NightOptions(tiles=3, antennas=4, channels=2, integrations=4, sources=1, gains=GainErrors.none())
    night = sorted((simulate_night(tmp_path / "night", options).out / "incoming").iterdir())
    known = taught(night)
    opened_by_hdf5.clear()
    found = {path: known.header_of(path) for path in night}
    assert opened_by_hdf5 == []
    for path, head in found.items():
        expected = read_header(path)
        for name, value in vars(expected).items():
            np.testing.assert_array_equal(getattr(head, name), value, err_msg=name)
    assert len({head.start_mjd for head in found.values()}) == 3
    assert {head.subband for head in found.values()} == set(range(16))


def test_hdf5_opens_two_files_of_a_tile(small_tile, opened_by_hdf5):
    for path in small_tile:
        probe.look(path)
    assert opened_by_hdf5 == [path.name for path in small_tile[:2]]


def test_bytes_changed_anywhere_have_the_outcome_that_hdf5_gives(small_tile, tmp_path):
    sound, dice = small_tile[3].read_bytes(), random.Random(20261126)
    path = tmp_path / small_tile[3].name
    differing = 0
    for _ in range(200):
        content = bytearray(sound)
        for _ in range(dice.choice([1, 1, 4, 30])):
            content[dice.randrange(24_000)] = dice.randrange(256)
        path.write_bytes(content)
        expected = by_hdf5(path)
        assert compared(path, small_tile) == expected
        differing += isinstance(expected, tuple)
    assert 50 < differing < 200


CHANGES = {
    "a time is NaN": {"Header/time_array": lambda old: np.where(np.arange(len(old)) == 0, np.nan, old)},
    "a clock jumps": {"Header/time_array": lambda old: old + np.where(np.arange(len(old)) < 30, 0, 1)},
    "a clock stands in 1990": {"Header/time_array": lambda old: old - 36 * 365},
    "no time passes": {"Header/integration_time": lambda old: old * 0},
    "another time passes": {"Header/integration_time": lambda old: old * 1.1},
    "frequencies of no subband": {"Header/freq_array": lambda old: old + 2e6},
    "frequencies are infinite": {"Header/freq_array": lambda old: old * np.inf},
    "frequencies ascend": {"Header/freq_array": lambda old: old[:, ::-1]},
    "channels of another width": {"Header/channel_width": lambda old: old * 2},
    "a width of NaN": {"Header/channel_width": lambda old: old * np.nan},
    "off the meridian": {"Header/extra_keywords/ha_phase_center": lambda old: 0.1},
    "a pointing in degrees": {"Header/phase_center_app_dec": lambda old: 54.57},
    "a pointing of NaN": {"Header/phase_center_app_dec": lambda old: np.nan},
    "another pointing": {"Header/phase_center_app_dec": lambda old: 0.5},
    "another latitude": {"Header/latitude": lambda old: 0.5},
    "another antenna": {"Header/antenna_names": lambda old: np.where(old == b"1", b"9", old)},
    "another number": {"Header/antenna_numbers": lambda old: np.where(old == 2, 3, old)},
    "all antennas in one place": {"Header/antenna_positions": lambda old: old * 0},
    "another product": {"Header/polarization_array": lambda old: np.array([-5, -7])},
    "other pairs": {"Header/ant_1_array": lambda old: old[::-1]},
    "other delays": {"Header/extra_keywords/applied_delays_ns": lambda old: old.replace(b"0", b"7", 1)},
    "another table": {"Header/extra_keywords/fs_table": lambda old: old[:-1] + b"Z"},
    "observed, not simulated": {"Header/history": lambda old: old.replace(b"imul", b"tart")},
}


def in_place(path, values):
    """Overwrite values of datasets where they lie, so that the structure of the file stays."""
    with h5py.File(path, "r+") as file:
        for key, change in values.items():
            file[key][...] = change(file[key][()])


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_changed_values_have_the_outcome_that_hdf5_gives(small_tile, tmp_path, changes):
    path = tmp_path / small_tile[3].name
    shutil.copy(small_tile[3], path)
    in_place(path, changes)
    assert path.stat().st_size == small_tile[3].stat().st_size
    expected = by_hdf5(path)
    assert compared(path, small_tile) == expected
    assert expected != by_hdf5(small_tile[3])


def elsewhere(file, key, target):
    """Put a link to a dataset of another file in the place of one."""
    del file[key]
    file[key] = h5py.ExternalLink(str(target), key)


@pytest.mark.parametrize("key", ["Data/visdata", "Data/flags", "Header/time_array", "Header/freq_array"])
def test_values_in_another_file_are_refused(small_tile, changed, key):
    path = changed(lambda file: elsewhere(file, key, small_tile[1]))
    with open(path, "r+b") as file:  # the size must not be what tells it
        file.truncate(small_tile[0].stat().st_size)
    assert compared(path, small_tile)[0] in ("elsewhere", "unreadable")
    path = changed(lambda file: elsewhere(file, key, small_tile[1]))
    assert compared(path, small_tile)[0] == "elsewhere"
    assert compared(path, [path, path])[0] == "elsewhere"


def test_a_file_that_links_elsewhere_is_never_what_others_are_compared_with(small_tile, changed):
    path = changed(lambda file: elsewhere(file, "Data/visdata", small_tile[1]))
    known = taught([path, path])
    assert known.header_of(path) is None


def test_times_in_compressed_chunks_must_be_the_same(small_tile, changed):
    def compress(file):
        times = file["Header/time_array"][()]
        del file["Header/time_array"]
        file.create_dataset("Header/time_array", data=times, chunks=(64,), compression="gzip")

    path = changed(compress)
    known = taught([path, path])
    np.testing.assert_array_equal(known.header_of(path).times_mjd, read_header(path).times_mjd)
    later = path.with_name("later.hdf5")
    shutil.copy(path, later)
    in_place(later, {"Header/time_array": lambda old: old + 1})
    assert later.stat().st_size == path.stat().st_size
    assert known.header_of(later) is None


def test_single_precision_in_another_byte_order_must_be_the_same(small_tile, changed):
    path = changed({"Header/integration_time": lambda old: old.astype(">f8")})
    known = taught([path, path])
    assert known.header_of(path).integration_s == read_header(path).integration_s
    in_place(path, {"Header/integration_time": lambda old: old * 1.001})
    assert known.header_of(path) is None


def test_a_file_behind_a_user_block_is_left_to_hdf5(small_tile, tmp_path):
    path = tmp_path / small_tile[0].name
    with h5py.File(small_tile[0]) as source, h5py.File(path, "w", userblock_size=512) as target:
        for name in source:
            source.copy(name, target)
    probe.look(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert known_header(path, descriptor) is None
    finally:
        os.close(descriptor)


def test_a_value_inside_another_read_must_be_the_same():
    values = np.array(1.0)
    stored = {
        "free": known_headers._Stored(values, (1000,), frozenset([(1000, 8)])),
        "held": known_headers._Stored(values, (40,), frozenset([(40, 8)])),
        "twice": known_headers._Stored(values, (2000,), frozenset([(2000, 8)])),
    }
    reads = [(0, bytes(96)), (40, bytes(8)), (1000, bytes(8)), (2000, bytes(8)), (2000, bytes(8))]
    same, apart = known_headers._separated(reads, stored)
    assert set(apart) == {"free"}
    assert {(offset, len(content)) for offset, content in same.items()} == {(0, 96), (40, 8), (2000, 8)}


def test_a_file_that_grew_or_shrank_is_left_to_hdf5(small_tile, tmp_path):
    known = taught(small_tile)
    path = tmp_path / small_tile[2].name
    for extra in (b"x", b""):
        path.write_bytes(small_tile[2].read_bytes()[: None if extra else -1] + extra)
        assert known.header_of(path) is None


def test_what_cannot_be_opened_is_left_to_hdf5(small_tile, tmp_path):
    known = taught(small_tile)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nowhere"):
        assert known.header_of(path) is None
        known.learn(path)


def test_headers_that_never_serve_are_dropped_and_made_no_more(small_tile, tmp_path, monkeypatch):
    """Every file has another table, as no writer does: the cost is bounded."""
    made = []
    inner = known_headers.known_header

    def counted(path, descriptor):
        made.append(path)
        return inner(path, descriptor)

    monkeypatch.setattr(known_headers, "known_header", counted)
    probe._KNOWN = known = KnownHeaders()
    path = tmp_path / small_tile[0].name
    shutil.copy(small_tile[0], path)
    for number in range(80):
        in_place(path, {"Header/extra_keywords/fs_table": lambda old, n=number: old[:-2] + b"%02d" % n})
        probe.look(path)
    assert len(made) == 2
    assert known._by_size == {path.stat().st_size: []}
    for other in small_tile:  # which are not known any more, and are read as ever
        assert probe.look(other).subband == int(other.name[-7:-5])


def test_the_last_that_served_is_compared_first(small_tile, tmp_path):
    path = tmp_path / small_tile[0].name
    shutil.copy(small_tile[0], path)
    in_place(path, {"Header/phase_center_app_dec": lambda old: 0.5})
    known = taught(small_tile)
    known.learn(path)
    for one in (small_tile[4], path, path, small_tile[4]):
        assert known.header_of(one).dec_app_rad == read_header(one).dec_app_rad
    (headers,) = known._by_size.values()
    assert [one.idle for one in headers] == [0, 1]


def test_a_process_that_compared_headers_ends_well(small_tile):
    """HDF5 must hold no Python object when the interpreter goes."""
    code = "import sys; from pathlib import Path; from contimg.correlator import probe\n"
    code += "print([probe.look(Path(name)).subband for name in sys.argv[1:]])"
    done = subprocess.run([sys.executable, "-c", code, *map(str, small_tile)], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(list(range(16))), "")


def test_all_keys_that_may_differ_are_read_again(small_tile):
    """`with_values` asks for the keys in `VARYING`, and for no other."""
    asked = set()

    class Asked(known_headers._KnownValues):
        def _value(self, key):
            asked.add(key)
            return super()._value(key)

    descriptor = os.open(small_tile[0], os.O_RDONLY)
    try:
        known = known_header(small_tile[0], descriptor)
    finally:
        os.close(descriptor)
    header.with_values(known._head, Asked(small_tile[0], known._values))
    assert asked == set(header.VARYING)
