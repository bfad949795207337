"""Files that go wrong do so as promised."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from contimg.simulate import band


def test_truncated_file_cannot_be_opened(small_night, subband_file):
    good = subband_file(small_night, 1, 4)
    bad = subband_file(small_night, 1, 0)
    assert bad.stat().st_size == pytest.approx(good.stat().st_size / 2, rel=0.05)
    with pytest.raises(OSError):
        h5py.File(bad)


def test_zero_byte_file(small_night, subband_file):
    assert subband_file(small_night, 1, 1).stat().st_size == 0


def test_placeholder_is_all_zero_and_all_flagged(small_night, subband_file):
    with h5py.File(subband_file(small_night, 1, 2)) as file:
        assert not file["Data/visdata"][:].any() and file["Data/flags"][:].all()


def test_nan_file(small_night, subband_file):
    with h5py.File(subband_file(small_night, 1, 3)) as file:
        assert np.isnan(file["Data/visdata"][:]).all()


def test_incomplete_file_keeps_its_suffix(small_night, subband_file):
    path = subband_file(small_night, 1, 5)
    assert path.name.endswith("_sb05_incomplete.hdf5") and path.is_file()
    assert not path.with_name(path.name.replace("_incomplete", "")).exists()


def test_leftover_lies_beside_a_good_file(small_night, subband_file):
    path = subband_file(small_night, 1, 6)
    with h5py.File(path) as file:
        assert file["Data/visdata"].shape[0] == 144
    leftover = path.with_name(path.name.replace(".hdf5", "_incomplete.hdf5"))
    assert 0 < leftover.stat().st_size < path.stat().st_size


def test_wrong_band_and_wrong_time_contradict_the_name(small_night, subband_file):
    with h5py.File(subband_file(small_night, 1, 7)) as file:
        fallback = 1530e6 - (3400 + 47.5) * 250e6 / 8192  # a quarter of 384 raw channels averaged
        assert file["Header/freq_array"][0, 0] == pytest.approx(fallback, abs=1)
        assert abs(file["Header/freq_array"][0, 0] - band.subband_frequencies(7, 4)[0]) > 1e6
    with h5py.File(subband_file(small_night, 1, 8)) as file:
        assert 55000 <= file["Header/time_array"][0] - 2400000.5 < 55001


def test_missing_and_late_files(small_night):
    incoming = {path.name for path in (small_night.out / "incoming").iterdir()}
    first = small_night.tiles[0]
    assert first.file_name(1) not in incoming
    assert first.file_name(2) not in incoming
    with h5py.File(small_night.out / "late" / first.file_name(2)) as file:
        assert file["Data/visdata"].shape[0] == 144
    assert len(incoming) == 32 - 2 + 1  # one leftover more, one missing and one late less


def test_truth_lists_the_faults_and_every_path_is_there(small_night):
    truth = json.loads((small_night.out / "truth.json").read_text())
    kinds = {(fault["tile"], fault["subband"]): fault["kind"] for fault in truth["faults"]}
    assert kinds == {
        (0, 1): "missing",
        (0, 2): "late",
        (1, 0): "truncated",
        (1, 1): "zero_byte",
        (1, 2): "zeros",
        (1, 3): "nan",
        (1, 5): "incomplete",
        (1, 6): "leftover",
        (1, 7): "wrong_band",
        (1, 8): "wrong_time",
    }
    assert all(file.path is None or file.path.is_file() for file in small_night.files)
    assert all(fault["file"] is None or (small_night.out / fault["file"]).is_file() for fault in truth["faults"])
