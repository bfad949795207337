"""Rows read past HDF5 are those that h5py reads, however the chunks lie in the file."""

import h5py
import numpy as np
import pytest

from contimg.correlator.chunks import Rows

SHAPE, CHUNKS = (50, 1, 10, 2), (8, 1, 4, 1)


def write(path, order, **options):
    values = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("set", SHAPE, np.float32, chunks=CHUNKS, **options)
        for start in order:  # HDF5 places chunks as they are written
            dataset[start : start + 8] = values[start : start + 8]
    return values[:, 0]


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}], ids=["plain", "compressed"])
@pytest.mark.parametrize("order", [range(0, 50, 8), range(48, -1, -8)], ids=["forward", "backward"])
def test_rows(tmp_path, order, options):
    values = write(tmp_path / "file.h5", order, **options)
    with h5py.File(tmp_path / "file.h5") as file, open(tmp_path / "file.h5", "rb") as raw:
        rows = Rows(file["set"], raw.fileno())
        for start, stop in ((0, 50), (0, 1), (7, 9), (16, 24), (45, 50)):
            out = np.empty((stop - start, *values.shape[1:]), np.float32)
            rows.read(start, out)
            assert np.array_equal(out, values[start:stop])


def test_chunks_that_lie_apart(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        one, two = (file.create_dataset(name, SHAPE, np.float32, chunks=CHUNKS) for name in ("one", "two"))
        for channel in (8, 0, 4):
            for dataset, value in ((one, 1.0), (two, 2.0)):
                dataset[:, :, channel : channel + 4] = value + channel
    with h5py.File(tmp_path / "file.h5") as file, open(tmp_path / "file.h5", "rb") as raw:
        out = np.empty((30, 10, 2), np.float32)
        Rows(file["two"], raw.fileno()).read(11, out)
    assert np.array_equal(out[3, :, 1], [2, 2, 2, 2, 6, 6, 6, 6, 10, 10])


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}], ids=["plain", "compressed"])
def test_common_value(tmp_path, options):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        dataset = file.create_dataset("set", (50, 1, 8, 2), np.float32, chunks=CHUNKS, **options)
        dataset[:20], dataset[20:30], dataset[30:] = 96, np.nan, 95
    with h5py.File(tmp_path / "file.h5") as file, open(tmp_path / "file.h5", "rb") as raw:
        rows = Rows(file["set"], raw.fileno())
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
    with h5py.File(tmp_path / "file.h5") as file, open(tmp_path / "short", "w+b") as short:
        rows = Rows(file["set"], short.fileno())
        with pytest.raises(OSError, match="data end at byte"):
            rows.read(0, np.empty((50, 10, 2), np.float32))
