"""Two tiles pixel by pixel: known scales, shifts, noise, invented sources and residues are measured."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from contimg.mosaic.pixel_pairs import compare_pixels
from contimg.mosaic.tile_samples import Sampling, TileSamples

FWHM = 2.4
SIGMA = FWHM / 2.3548200450309493
CHOSEN = Sampling(step=3, beam=FWHM, cell_arcsec=10.0)
SIZE = 240


def noise(rng, rms=1.0):
    """Return noise with the correlation of an image's."""
    return gaussian_filter(rng.normal(size=(SIZE, SIZE)), SIGMA, mode="wrap") * np.sqrt(4 * np.pi) * SIGMA * rms


def sky(seed, count=60, snr=(10, 200), shift=(0.0, 0.0)):
    """Return Gaussian sources between pixels, shifted along columns and rows."""
    rng = np.random.default_rng([seed, 5])
    x, y = rng.uniform(10, SIZE - 10, (2, count))
    flux = np.exp(rng.uniform(*np.log(snr), count))
    image = np.zeros((SIZE, SIZE))
    for a, b, s in zip(x + shift[0], y + shift[1], flux, strict=True):
        rows, columns = (slice(int(v) - 8, int(v) + 9) for v in (b, a))
        yy, xx = np.mgrid[rows, columns]
        near = s * np.exp(-((yy - b) ** 2 + (xx - a) ** 2) / 2 / SIGMA**2)
        inside = (yy >= 0) & (yy < SIZE) & (xx >= 0) & (xx < SIZE)
        image[yy[inside], xx[inside]] += near[inside]
    return image


def tile(values, rms=1.0, first=(0, 0)):
    return TileSamples(first, values.astype(np.float32), np.full(values.shape, rms, np.float32))


def pair(seed, *, scale=1.0, shift=(0.0, 0.0), rms=(1.0, 1.0), added=0.0, **of_sky):
    """Return the comparison of a tile with a flux scale, a shift and something added with a right one."""
    rng = np.random.default_rng(seed)
    one = scale * sky(seed, shift=shift, **of_sky) + noise(rng, rms[0]) + added
    other = sky(seed, **of_sky) + noise(rng, rms[1])
    return compare_pixels(tile(one, rms[0]), tile(other, rms[1]), CHOSEN)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rms", [(1.0, 1.0), (0.7, 2.0), (2.0, 0.7)])
def test_equal_tiles_agree_within_errors(seed, rms):
    found = pair(seed, rms=rms, snr=(20, 400))
    one = found.difference
    assert abs(one.log_scale) < 4 * one.e_log_scale and one.e_log_scale < 0.01
    assert one.offset_arcsec < 4 * one.e_offset_arcsec and one.e_offset_arcsec < 0.02 * FWHM * CHOSEN.cell_arcsec
    assert found.width == pytest.approx(1, abs=0.05)
    assert found.residue < 0.7
    assert one.n_missing == 0 and one.n_expected > 20


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [0.7, 0.9, 0.98, 1.02, 1.15, 2.0])
def test_a_flux_scale_is_measured_to_one_per_cent(seed, scale):
    one = pair(seed, scale=scale).difference
    assert one.scale == pytest.approx(scale, abs=max(0.01 * scale, 4 * scale * one.e_log_scale))
    assert one.e_log_scale < 0.01
    assert one.reversed().scale == pytest.approx(1 / one.scale)
    assert one.n_missing == 0  # sources of another flux are no sources of their own


def test_the_scale_does_not_lean_to_the_noisier_tile():
    """Of 40 pairs with unequal noise and sources of 10 to 14 sigma, the mean has no bias and its errors are right."""
    found = [pair(seed, rms=(1.0, 3.0), snr=(30, 42), count=40).difference for seed in range(40)]
    logs, errors = (np.array([getattr(one, key) for one in found]) for key in ("log_scale", "e_log_scale"))
    assert abs(logs.mean()) < 4 * logs.std() / 40**0.5
    assert abs(logs.mean()) < 0.006
    assert 0.5 < (logs / errors).std() < 1.5


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shift", [(0.03, 0.0), (0.0, -0.05), (0.1, 0.1), (-0.15, 0.2)])
def test_a_shift_is_measured_to_0_03_beam(seed, shift):
    """Shifts along columns (west) and rows (north) in beams."""
    one = pair(seed, shift=(shift[0] * FWHM, shift[1] * FWHM)).difference
    beam = FWHM * CHOSEN.cell_arcsec
    assert one.east_arcsec == pytest.approx(-shift[0] * beam, abs=max(0.03 * beam, 4 * one.e_offset_arcsec))
    assert one.north_arcsec == pytest.approx(shift[1] * beam, abs=max(0.03 * beam, 4 * one.e_offset_arcsec))
    assert one.e_offset_arcsec < 0.01 * beam
    assert one.scale == pytest.approx(1, abs=0.02 if max(map(abs, shift)) < 0.1 else 0.1)


@pytest.mark.parametrize("size", [0.5, 1.0, 2.0, 5.0])
def test_shifts_beyond_the_linear_ones_are_seen(size):
    """Beyond a third of a beam the size is a lower bound of what differs, but something differs."""
    one = pair(2, shift=(0.6 * size * FWHM, 0.8 * size * FWHM)).difference
    far = one.offset_arcsec > 0.3 * FWHM * CHOSEN.cell_arcsec and one.offset_arcsec > 10 * one.e_offset_arcsec
    assert far or one.sources_differ


@pytest.mark.parametrize("seed", range(4))
def test_invented_sources_are_counted(seed):
    extra = sky(seed + 100, count=20, snr=(15, 40))
    one = pair(seed, added=extra, count=30).difference
    assert 15 <= one.n_missing <= 20  # of 20, some beside a brighter one
    assert one.sources_differ
    assert one.scale == pytest.approx(1, abs=0.1)  # 20 of 50 sources are of one tile


def test_sources_that_one_tile_lacks_are_counted():
    rng = np.random.default_rng(4)
    full = sky(4, count=20, snr=(20, 40))
    found = compare_pixels(tile(noise(rng)), tile(full + noise(rng)), CHOSEN)
    assert found.difference.n_missing >= 10 and found.difference.sources_differ
    assert found.difference.scale < 0.5  # as far as sources are in both, they are far too faint


def test_one_variable_source_is_one_place():
    rng = np.random.default_rng(6)
    common = sky(6, count=30, snr=(20, 60))
    flare = np.zeros((SIZE, SIZE))
    flare[120, 120] = 2 * np.pi * SIGMA**2 * 30
    one = tile(common + gaussian_filter(flare, SIGMA) + noise(rng))
    found = compare_pixels(one, tile(common + noise(rng)), CHOSEN).difference
    assert found.n_missing == 1 and not found.sources_differ


@pytest.mark.parametrize(("truth", "said"), [(1.5, 1.0), (1.0, 2.0)])
def test_a_noise_that_is_not_what_the_tile_says(truth, said):
    rng = np.random.default_rng(3)
    common = sky(3)
    found = compare_pixels(tile(common + noise(rng, truth), said), tile(common + noise(rng)), CHOSEN)
    assert found.width == pytest.approx(((truth**2 + 1) / (said**2 + 1)) ** 0.5, rel=0.05)


def test_the_same_image_twice_has_no_scatter():
    rng = np.random.default_rng(3)
    image = sky(3) + noise(rng)
    assert compare_pixels(tile(image), tile(image * (1 + 1e-6)), CHOSEN).width < 1e-3


def test_a_bowl_that_one_tile_has_is_its_residue():
    y, x = np.mgrid[:SIZE, :SIZE]
    bowl = -1.5 * np.sqrt(2) * np.exp(-((x - 100) ** 2 + (y - 140) ** 2) / 2 / 40**2)
    found = pair(2, added=bowl)
    assert found.residue == pytest.approx(1.5, abs=0.35)


def test_block_ratios_hold_the_change_across_the_tile():
    """A beam error that grows along columns is seen in the blocks: 10 % from edge to edge."""
    rng = np.random.default_rng(8)
    common = sky(8, snr=(50, 500))
    slope = 1 + 0.1 * (np.arange(SIZE) / SIZE - 0.5)
    blocks = compare_pixels(
        tile(common * slope + noise(rng), 1.0, (40, 70)), tile(common + noise(rng), 1.0, (40, 70)), CHOSEN
    ).blocks
    column = blocks.column / CHOSEN.step - 70
    assert 0 < column.min() < column.max() < SIZE
    fit = np.polyfit(column, blocks.log_ratio, 1, w=1 / blocks.e_log_ratio)
    assert fit[0] * SIZE == pytest.approx(0.1, abs=0.025)


def test_too_little_in_common_says_nothing():
    rng = np.random.default_rng(1)
    image = noise(rng)
    assert compare_pixels(tile(image), tile(image, 1.0, (SIZE - 5, 0)), CHOSEN) is None or SIZE * 5 >= 1000
    assert compare_pixels(tile(image), tile(image, 1.0, (SIZE - 3, 0)), CHOSEN) is None
    assert compare_pixels(tile(image), tile(image, 1.0, (SIZE, 0)), CHOSEN) is None


@pytest.mark.parametrize("size", [60, 144])
def test_overlap_is_counted_in_boxes_of_20_beams(size):
    values = noise(np.random.default_rng(3))
    found = compare_pixels(tile(values), tile(values[:size, :size]), CHOSEN)
    assert found.boxes == pytest.approx((size / (20 * FWHM)) ** 2, rel=1e-3)  # all but noise beyond 5 sigma is faint


def test_an_empty_sky_has_widths_but_no_scale():
    found = pair(1, count=2, snr=(20, 40))
    assert not found.difference.measured
    assert found.width == pytest.approx(1, abs=0.03)
    assert len(found.blocks.row) <= 2
