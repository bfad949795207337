"""Samples of Stokes I: the noise that is measured, what is left out, and what cannot be imaged."""

from dataclasses import replace

import numpy as np
import pytest

from contimg.imaging.visibilities.samples import row_blocks, stokes_i, usable_data
from tests.support import skies


def noisy(sigma_jy, **options):
    """Return visibilities whose real and imaginary parts scatter by `sigma_jy` at weight 96, in each hand."""
    vis = skies.empty(**({"antennas": 4, "times": 40, "channels": 16} | options))
    rng = np.random.default_rng(4)
    noise = rng.standard_normal((*vis.data.shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    vis.data[:] = noise * np.float32(sigma_jy)
    return vis


def test_the_noise_of_weight_one_is_that_of_the_data():
    """Sigma at weight 96 is that of weight 1 over sqrt(96)."""
    samples = stokes_i(noisy(0.2))
    assert samples.unit_sigma_jy == pytest.approx(0.2 * 96**0.5, rel=0.1)


def test_each_baseline_has_noise_of_its_own():
    vis = noisy(0.2)
    loud = (vis.antenna1 == 0) & (vis.antenna2 == 1)
    vis.data[loud] *= 5
    found = stokes_i(vis).unit_sigma_jy
    assert found[loud] == pytest.approx(1.0 * 96**0.5, rel=0.15)
    assert found[~loud] == pytest.approx(0.2 * 96**0.5, rel=0.15)
    assert len(np.unique(found)) == 6


def test_the_sky_is_no_noise():
    """Of XX and YY the difference is taken: a source of 1000 Jy cancels."""
    vis = noisy(0.2)
    vis.data += np.complex64(1000)
    assert stokes_i(vis).unit_sigma_jy == pytest.approx(0.2 * 96**0.5, rel=0.1)


@pytest.mark.parametrize("hand", [0, 1])
def test_with_one_hand_the_differences_of_channels_tell_the_noise(hand):
    vis = noisy(0.2)
    vis.flag[..., hand] = True
    samples = stokes_i(vis)
    assert samples.unit_sigma_jy == pytest.approx(0.2 * 96**0.5, rel=0.12)
    assert np.all(samples.weight == 96)
    assert samples.vis == pytest.approx(vis.data[..., 1 - hand], rel=1e-5)  # it stands for Stokes I as it is


def test_a_baseline_with_few_samples_has_the_noise_of_the_others():
    vis = noisy(0.2)
    few = (vis.antenna1 == 0) & (vis.antenna2 == 1)
    vis.flag[few] = True
    vis.flag[np.flatnonzero(few)[:2]] = False
    vis.data[few] *= 100
    samples = stokes_i(vis)
    rows = np.isin(samples.rows, np.flatnonzero(few))
    assert rows.sum() == 2
    assert samples.unit_sigma_jy[rows] == pytest.approx(0.2 * 96**0.5, rel=0.1)


def test_without_anything_to_compare_no_noise_is_measured():
    vis = noisy(0.2, times=2, channels=1)
    vis.flag[..., 1] = True
    assert stokes_i(vis).unit_sigma_jy is None


def test_a_tile_of_flags_has_no_samples():
    vis = noisy(0.2)
    vis.flag[:] = True
    samples = stokes_i(vis)
    assert samples.vis.shape == samples.weight.shape == (0, 16) and samples.unit_sigma_jy is None


@pytest.mark.parametrize("products", [("YY", "XX"), ("RR", "LL"), ("XX",), ("XX", "XY", "YX", "YY")])
def test_other_products_than_xx_and_yy_cannot_be_imaged(products):
    with pytest.raises(ValueError, match=f"needs the polarisations XX and YY, not {', '.join(products)}"):
        stokes_i(replace(noisy(0.2), polarisations=products))


def test_any_number_of_threads_gives_the_same_bits():
    vis = noisy(0.2)
    vis.flag[np.random.default_rng(1).uniform(size=vis.flag.shape) < 0.3] = True
    one, three = stokes_i(vis), stokes_i(vis, threads=3)
    assert np.array_equal(one.vis, three.vis) and np.array_equal(one.weight, three.weight)


def test_a_selection_keeps_what_belongs_to_its_rows():
    samples = stokes_i(noisy(0.2))
    chosen = np.array([5, 2, 90])
    some = samples.select(chosen)
    for name in ("rows", "uvw_m", "time_index", "vis", "weight", "unit_sigma_jy"):
        assert np.array_equal(getattr(some, name), getattr(samples, name)[chosen])
    assert np.array_equal(some.freq_hz, samples.freq_hz)
    assert replace(samples, unit_sigma_jy=None).select(chosen).unit_sigma_jy is None


@pytest.mark.parametrize(
    ("count", "largest", "expected"),
    [(10, 4, [(0, 4), (4, 8), (8, 10)]), (4, 4, [(0, 4)]), (3, 0, [(0, 1), (1, 2), (2, 3)]), (0, 5, [])],
)
def test_blocks_cover_every_row_once(count, largest, expected):
    assert [one.indices(count)[:2] for one in row_blocks(count, largest)] == expected


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0, 0.0])
def test_what_has_no_usable_weight_is_no_data(wrong):
    vis = noisy(0.2)
    vis.weight[0, 0, 0] = wrong
    data, weight = usable_data(vis, slice(0, 1))
    assert (data[0, 0, 0], weight[0, 0, 0]) == (0, 0)
    assert (data[0, 0, 1], weight[0, 0, 1]) == (vis.data[0, 0, 1], 96)
