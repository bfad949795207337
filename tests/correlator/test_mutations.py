"""Files changed at random: whoever reads one gives an answer or one sentence, never another exception."""

import random
import warnings

import h5py
import numpy as np
import pytest

from contimg.correlator import hdf5, probe
from contimg.correlator.files import FileFault
from contimg.errors import InputError
from contimg.operations import inspect


def as_other_type(value, dice):
    dtype = dice.choice(["<f4", ">f8", "<i2", "u1", ">i4", "<c16", "f2", "?"])
    return value.astype(dtype) if value.dtype.kind in "fiub" else np.arange(value.size).reshape(value.shape)


def reshaped(value, dice):
    return dice.choice([value[None], value.ravel(), np.stack([value, value]), value.T.copy(), value.ravel()[:-1]])


def scaled(value, dice):
    return value * dice.choice([-1, 0, 1e-3, 1e3, 1e30, np.nan, np.inf]) if value.dtype.kind in "fic" else value


def linked(value, dice):
    places = ["/nowhere", "/Header", "/Header/latitude", "/Data/visdata"]
    return dice.choice([h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink(dice.choice(places))])


def emptied(value, dice):
    return dice.choice([h5py.Empty("f8"), h5py.Empty("S5"), np.zeros((0,)), np.zeros((0, 3)), np.void(b"abc")])


def textual(value, dice):
    return np.full(value.shape, dice.choice([b"x\xff", b"", b"nan"]))


CHANGES = (as_other_type, reshaped, scaled, linked, emptied, textual)


@pytest.mark.parametrize("change", CHANGES)
def test_one_changed_dataset(small_tile, changed, change):
    with h5py.File(small_tile[0]) as file:
        keys: list[str] = []
        file.visititems(lambda key, item: keys.append(key) if isinstance(item, h5py.Dataset) else None)
    dice = random.Random(change.__name__)
    outcomes = set()
    for key in keys:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what numpy says of the change itself
            path = changed({key: lambda value: change(np.asarray(value), dice)})
        try:
            probe.look(path)
            sound = True
        except FileFault as fault:
            sound = False
            assert fault.code and "\n" not in str(fault)
        if not key.startswith("Data/"):
            try:
                hdf5.read_header(path)
                assert sound
            except InputError:
                assert not sound
        try:
            inspect.look(path)
            assert sound
        except InputError as error:
            assert "\n" not in str(error)
        outcomes.add(sound)
    assert outcomes == {True, False}
