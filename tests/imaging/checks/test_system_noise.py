"""The noise of visibilities in units of their weights: noise of a known size in, the same number out."""

import numpy as np
import pytest

from contimg.imaging.checks import system_noise as module
from contimg.imaging.checks.system_noise import measure_system_noise
from contimg.imaging.visibilities.samples import stokes_i
from tests.support import skies

SIGMA_JY = 0.5


@pytest.fixture
def vis():
    """Noise alone, with weights that are its inverse variances; 32 channels over 16 subbands."""
    made = skies.empty(antennas=14, times=12, channels=32)
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((*made.data.shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    made.data[:] = noise * np.float32(SIGMA_JY)
    made.weight[:] = 1 / SIGMA_JY**2
    return made


def measured(vis, **options):
    return measure_system_noise(vis, stokes_i(vis), **options)


def test_noise_that_the_weights_promise_is_one(vis):
    found = measured(vis)
    assert found["system_noise"] == pytest.approx(1, rel=0.02)
    assert len(found["noise_by_subband"]) == 16
    assert all(value == pytest.approx(1, abs=0.05) for value in found["noise_by_subband"].values())
    assert found["time_noise"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_weights_that_belong_to_another_flux_scale_show(vis, factor):
    vis.data[:] *= np.float32(factor)
    found = measured(vis)
    assert found["system_noise"] == pytest.approx(factor, rel=0.02)
    assert found["subband_noise"] == pytest.approx(1, abs=0.05)  # the same in all


def test_the_subband_whose_noise_differs_most_is_named(vis):
    """The highest frequencies are subband 0: the last two channels of an ascending band."""
    vis.data[:, -2:] *= np.float32(3)
    found = measured(vis)
    assert found["subband_noise_of"] == "sb00" and found["subband_noise"] == pytest.approx(3, rel=0.05)
    vis.data[:, -2:] /= np.float32(9)
    assert measured(vis)["subband_noise"] == pytest.approx(1 / 3, rel=0.05)


def test_the_integration_whose_noise_differs_most_is_named(vis):
    baselines = 14 * 13 // 2
    vis.data[5 * baselines : 6 * baselines] *= np.float32(2)
    found = measured(vis)
    assert found["time_noise_of"] == "integration 5" and found["time_noise"] == pytest.approx(2, rel=0.05)


def test_a_bright_source_whose_hands_differ_is_no_noise(vis):
    """A steady difference of XX and YY, a hundred times the noise, cancels from one integration to the next."""
    vis.data[..., 0] += np.complex64(50)
    assert measured(vis)["system_noise"] == pytest.approx(1, rel=0.05)


def test_flagged_samples_do_not_count(vis):
    vis.data[:, 3] = 1e6
    vis.flag[:, 3] = True
    assert measured(vis)["system_noise"] == pytest.approx(1, rel=0.03)


def test_weights_that_are_counts_have_no_system_noise_but_subbands_can_be_compared(vis):
    vis.data[:, -2:] *= np.float32(3)
    found = measured(vis, calibrated_weights=False)
    assert found["system_noise"] is None and found["subband_noise_of"] == "sb00"


@pytest.mark.parametrize("what", ["one hand", "all flagged", "no noise"])
def test_where_nothing_can_be_compared_nothing_is_said(vis, what):
    if what == "one hand":
        vis.flag[..., 1] = True
    elif what == "all flagged":
        vis.flag[1:] = True
    else:
        vis.data[:] = 1
    found = measured(vis)
    assert found["noise_by_subband"] == {} and found["system_noise"] is None and found["time_noise_of"] is None


def test_as_many_baselines_are_read_as_are_enough(vis, monkeypatch):
    monkeypatch.setattr(module, "_ENOUGH_SAMPLES", 8000)
    samples = stokes_i(vis)
    rows = module._some_baselines(vis, samples)
    number = vis.antenna1[samples.rows[rows]].astype(int) * 100 + vis.antenna2[samples.rows[rows]]
    assert 8 <= len(np.unique(number)) <= 30 and len(rows) == 12 * len(np.unique(number))
    assert measured(vis)["system_noise"] == pytest.approx(1, rel=0.1)
