"""Rows read past HDF5 are those that h5py reads, however and wherever the values are stored."""

import os

import h5py
import numpy as np
import pytest

from contimg.correlator.chunks import Rows

SHAPE, CHUNKS = (50, 1, 10, 2), (8, 1, 4, 1)


def values_of(dtype=np.float32):
    return np.arange(np.prod(SHAPE), dtype=dtype).reshape(SHAPE)


def write(path, order=range(0, 50, 8), **options):
    values = values_of()
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("set", SHAPE, np.float32, chunks=CHUNKS, **options)
        for start in order:  # HDF5 places chunks as they are written
            dataset[start : start + 8] = values[start : start + 8]
    return values[:, 0]


def assert_reads(rows, values):
    for start, stop in ((0, 50), (0, 1), (7, 9), (16, 24), (45, 50)):
        out = np.empty((stop - start, *values.shape[1:]), values.dtype)
        rows.read(start, out)
        assert np.array_equal(out, values[start:stop])


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}], ids=["plain", "compressed"])
@pytest.mark.parametrize("order", [range(0, 50, 8), range(48, -1, -8)], ids=["forward", "backward"])
def test_rows(tmp_path, order, options):
    values = write(tmp_path / "file.h5", order, **options)
    with h5py.File(tmp_path / "file.h5") as file:
        rows = Rows(file["set"])
        assert rows.read_directly == (not options)
        assert_reads(rows, values)


def linked_outside(path, target):
    with h5py.File(path, "w") as file, h5py.File(target, "w") as other:
        # Both files hold chunks of other values where the wanted ones lie in the other file.
        file.create_dataset("decoy", data=-values_of(), chunks=CHUNKS)
        other.create_dataset("wanted", data=values_of(), chunks=CHUNKS)
        file["set"] = h5py.ExternalLink(target.name, "/wanted")


def linked_twice_outside(path, target):
    linked_outside(path, target)
    with h5py.File(path, "r+") as file:
        file["first"] = file.get("set", getlink=True)
        del file["set"]
        file["set"] = h5py.SoftLink("/first")


def linked_inside(path, target):
    with h5py.File(path, "w") as file:
        file.create_dataset("real", data=values_of(), chunks=CHUNKS)
        file["set"] = h5py.SoftLink("/real")


def virtual(path, target):
    with h5py.File(path, "w") as file, h5py.File(target, "w") as other:
        other.create_dataset("wanted", data=values_of(), chunks=CHUNKS)
        layout = h5py.VirtualLayout(SHAPE, np.float32)
        layout[...] = h5py.VirtualSource(target.name, "wanted", SHAPE)
        file.create_virtual_dataset("set", layout)


def in_a_raw_file(path, target):
    with h5py.File(path, "w") as file:
        file.create_dataset("set", data=values_of(), external=[(str(target), 0, h5py.h5f.UNLIMITED)])


def behind_a_user_block(path, target):
    with h5py.File(path, "w", userblock_size=1024) as file:
        file.create_dataset("set", data=values_of(), chunks=CHUNKS)


def moved_by_bytes_before_it(path, target):
    """HDF5 looks for its signature at 0, 512, 1024 ...: bytes before it shift every address."""
    write(target)
    path.write_bytes(bytes(512) + target.read_bytes())


def newest_format(path, target):
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("set", data=values_of(), chunks=CHUNKS)


def never_written_in_part(path, target):
    with h5py.File(path, "w") as file:
        file.create_dataset("set", SHAPE, np.float32, chunks=CHUNKS)[:20] = values_of()[:20]


def stored(**options):
    def make(path, target):
        with h5py.File(path, "w") as file:
            file.create_dataset("set", data=values_of(), **options)

    return make


# how values are stored -> whether they are read past HDF5
STORED = {
    "link to another file": (linked_outside, True),
    "link to a link to another file": (linked_twice_outside, True),
    "link in the file": (linked_inside, True),
    "virtual": (virtual, False),
    "raw file": (in_a_raw_file, False),
    "user block": (behind_a_user_block, None),
    "bytes before the file": (moved_by_bytes_before_it, None),
    "newest format": (newest_format, True),
    "chunks never written": (never_written_in_part, False),
    "contiguous": (stored(), False),
    "big-endian": (stored(chunks=CHUNKS, dtype=">f4"), False),
    "double precision": (stored(chunks=CHUNKS, dtype=np.float64), True),
    "integers": (stored(chunks=CHUNKS, dtype=np.int32), True),
    "checksums": (stored(chunks=CHUNKS, fletcher32=True), False),
    "shuffled": (stored(chunks=CHUNKS, shuffle=True), False),
    "scaled integers": (stored(chunks=CHUNKS, dtype=np.int32, scaleoffset=0), False),
    "both products in a chunk": (stored(chunks=(8, 1, 4, 2)), True),
    "one chunk": (stored(chunks=SHAPE), True),
    "one sample a chunk": (stored(chunks=(1, 1, 1, 1)), True),
}


@pytest.mark.parametrize("kind", STORED)
def test_values_are_those_of_hdf5_wherever_they_lie(tmp_path, kind):
    make, directly = STORED[kind]
    make(tmp_path / "file.h5", tmp_path / "other.h5")
    with h5py.File(tmp_path / "file.h5") as file:
        rows = Rows(file["set"])
        assert directly is None or rows.read_directly == directly
        values = file["set"][:, 0]
        assert values[7, 3, 1] == values_of()[7, 0, 3, 1]  # the file holds what it should
        assert_reads(rows, values)
        assert rows.common_value(10, 3) is None


def test_a_file_that_is_replaced_under_its_name_keeps_its_bytes(tmp_path):
    values = write(tmp_path / "file.h5")
    with h5py.File(tmp_path / "file.h5") as file:
        (tmp_path / "new").write_bytes(bytes(os.path.getsize(tmp_path / "file.h5")))
        os.replace(tmp_path / "new", tmp_path / "file.h5")
        assert_reads(Rows(file["set"]), values)


def test_chunks_that_lie_apart(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        one, two = (file.create_dataset(name, SHAPE, np.float32, chunks=CHUNKS) for name in ("one", "two"))
        for channel in (8, 0, 4):
            for dataset, value in ((one, 1.0), (two, 2.0)):
                dataset[:, :, channel : channel + 4] = value + channel
    with h5py.File(tmp_path / "file.h5") as file:
        out = np.empty((30, 10, 2), np.float32)
        Rows(file["two"]).read(11, out)
    assert np.array_equal(out[3, :, 1], [2, 2, 2, 2, 6, 6, 6, 6, 10, 10])


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}], ids=["plain", "compressed"])
def test_common_value(tmp_path, options):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        dataset = file.create_dataset("set", (50, 1, 8, 2), np.float32, chunks=CHUNKS, **options)
        dataset[:20], dataset[20:30], dataset[30:] = 96, np.nan, 95
    with h5py.File(tmp_path / "file.h5") as file:
        rows = Rows(file["set"])
        for _ in range(2):  # what it remembers does not change its answers
            expected = {(0, 16): 96, (3, 2): 96, (16, 4): 96, (16, 5): None, (20, 3): None, (30, 2): 95, (32, 18): 95}
            found = {place: rows.common_value(*place) for place in expected}
            assert found == expected
        assert rows.common_value(10, 30) is None
        out = np.empty((10, 8, 2), np.float32)
        rows.read(12, out)
        assert (out[:8] == 96).all()
        assert np.isnan(out[8:]).all()


def test_file_that_ends_early(tmp_path):
    write(tmp_path / "file.h5", range(0, 50, 8))
    with h5py.File(tmp_path / "file.h5") as file:
        rows = Rows(file["set"])
        os.truncate(tmp_path / "file.h5", os.path.getsize(tmp_path / "file.h5") // 2)
        with pytest.raises(OSError, match="data end at byte"):
            rows.read(0, np.empty((50, 10, 2), np.float32))
