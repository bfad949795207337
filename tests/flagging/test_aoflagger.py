"""AOFlagger on a block: interference of a known place is found on the baselines that are searched, and there alone."""

import numpy as np
import pytest

from contimg.flagging.aoflagger import AOFlagger

N_TIMES, N_CHANNELS, CHANNEL = 24, 48, 20


@pytest.fixture(scope="module")
def flagger():
    return AOFlagger(N_TIMES, N_CHANNELS)


def noise(baselines=3):
    """Return amplitudes about 1, as those of a baseline in units of its median."""
    return (1 + 0.05 * np.random.default_rng(8).standard_normal((N_TIMES, baselines, N_CHANNELS, 2))).astype(np.float32)


def test_a_channel_of_interference_is_found(flagger):
    amplitude = noise()
    amplitude[:, :, CHANNEL] += 5
    found = flagger.run(amplitude, range(3))
    assert found.shape == (N_TIMES, 3, N_CHANNELS)
    assert found[:, :, CHANNEL].mean() > 0.95
    assert np.delete(found, CHANNEL, axis=2).mean() < 0.02


def test_noise_is_left(flagger):
    assert flagger.run(noise(), [0, 1, 2]).mean() < 0.02


def test_only_the_baselines_asked_for_are_searched(flagger):
    amplitude = noise()
    amplitude[:, :, CHANNEL] += 5
    found = flagger.run(amplitude, np.array([1]))
    assert found[:, 1].any() and not found[:, [0, 2]].any()
    assert not flagger.run(amplitude, []).any()


def test_interference_in_one_polarisation_is_found_and_what_is_missing_is_not(flagger):
    amplitude = noise()
    amplitude[:, :, CHANNEL, 0] += 10
    amplitude[5:9] = np.nan
    amplitude[:, :, 30, 1] = np.nan  # the other polarisation is enough
    found = flagger.run(amplitude, range(3))
    assert not found[5:9].any()
    kept = np.delete(found, slice(5, 9), axis=0)
    assert kept[:, :, CHANNEL].mean() > 0.95 and kept[:, :, 30].mean() < 0.1


def test_blocks_do_not_depend_on_each_other(flagger):
    """The buffers are used again: a second run of the same block after another one gives the same."""
    amplitude = noise()
    amplitude[:, :, CHANNEL] += 5
    first = flagger.run(amplitude, range(3))
    flagger.run(np.full_like(amplitude, np.nan), range(3))
    assert np.array_equal(flagger.run(amplitude, range(3)), first)
