"""One small simulated tile, and copies of a file of it to change."""

import shutil

import h5py
import pytest

from contimg.simulate import GainErrors, NightOptions, simulate_night


def put(file, key, value):
    """Replace a dataset of an open file; None removes it, a function changes the old value."""
    old = file[key][()] if key in file else None
    if key in file:
        del file[key]
    if value is not None:
        file[key] = value(old) if callable(value) else value


@pytest.fixture(scope="session")
def small_tile(tmp_path_factory):
    """Four integrations of six antennas in all 16 subbands, by number of subband."""
    options = NightOptions(
        tiles=1, antennas=6, channels=4, integrations=4, sources=1, calibrator="none", declination_deg=54.57,
        gains=GainErrors.none(),
    )  # fmt: skip
    out = simulate_night(tmp_path_factory.mktemp("tile") / "night", options).out
    return sorted((out / "incoming").iterdir(), key=lambda path: path.name[-7:])


@pytest.fixture
def changed(small_tile, tmp_path):
    """Return a function that gives a copy of sb00 in which datasets were replaced, or which a function changed."""

    def change(values, path=small_tile[0]):
        target = tmp_path / path.name
        shutil.copy(path, target)
        with h5py.File(target, "r+") as file:
            if callable(values):
                values(file)
            else:
                for key, value in values.items():
                    put(file, key, value)
        return target

    return change
