"""Samples of tiles: the mosaic's own pixels at every few rows and columns, where the beam is above 0.3."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic.coadd import Contribution
from contimg.mosaic.grid import Footprint, MosaicGrid
from contimg.mosaic.tile_samples import Sampling, TileSamples
from contimg.sky.restoring_beam import RestoringBeam

GRID = MosaicGrid((127.0, 54.57), 1 / 60, (61, 51), (100, 120))


def sampling(bmin_px=6.0, bmaj_px=6.0):
    return Sampling.of(GRID, RestoringBeam.from_degrees(bmaj_px / 60, bmin_px / 60, 0.0))


@pytest.mark.parametrize(("bmin_px", "step"), [(2.7, 1), (3.9, 1), (4.0, 2), (5.9, 2), (6.0, 3), (13.0, 6)])
def test_two_samples_or_more_in_the_minor_axis(bmin_px, step):
    found = sampling(bmin_px, 1.5 * bmin_px)
    assert found.step == step
    assert found.beam == pytest.approx(1.5**0.5 * bmin_px / step)
    assert found.cell_arcsec == pytest.approx(60 * step)


def test_correlated_samples_are_a_beam_of_sigma_squared():
    # FWHM of 2.3548 samples is a sigma of 1: 2 pi samples
    assert Sampling(1, 2.3548200450309493, 1.0).correlated == pytest.approx(2 * np.pi)


def footprint(rows, columns):
    """Return a footprint whose box in the grid is given by first and last pixels."""
    corners = [(x, y) for x in columns for y in rows]
    ra_dec = np.column_stack(GRID.wcs().all_pix2world(*np.array(corners).T, 0))
    return Footprint((127.0, 54.57), ra_dec)


@pytest.mark.parametrize("step_px", [4.0, 6.0, 10.0])
def test_samples_are_the_pixels_of_the_mosaic(step_px):
    """Contributions in blocks of rows give the value and noise at rows and columns that are multiples of the step."""
    chosen = sampling(step_px)
    place = footprint((7, 88), (11, 101))
    rows, columns = GRID.box(place)
    samples = TileSamples.empty(GRID, place, chosen)
    y, x = np.mgrid[rows, columns]
    value, weight = (1000.0 * y + x).astype(np.float32), (1.0 + y + 0.5 * x).astype(np.float32)
    beam = np.where(x > 90, 0.2, 0.8).astype(np.float32)
    inside = (x + y) % 7 != 0  # holes
    for start in range(0, len(y), 33):
        block = slice(start, min(start + 33, len(y)))
        here = inside[block]
        part = Contribution(
            slice(rows.start + block.start, rows.start + block.stop), columns, here,
            (value * weight)[block][here], weight[block][here], beam[block][here],
        )  # fmt: skip
        samples.put(part, chosen)
    whole = np.full(GRID.shape, np.nan)
    whole[rows, columns] = np.where(inside & (beam > 0.3), value, np.nan)
    want = whole[:: chosen.step, :: chosen.step]
    top, left = samples.first
    got = np.full(want.shape, np.nan)
    got[top : top + samples.value.shape[0], left : left + samples.value.shape[1]] = samples.value
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert np.isfinite(got).sum() > 50
    known = np.isfinite(samples.value)
    ys, xs = np.nonzero(known)
    expected = (1.0 + (ys + top) * chosen.step + 0.5 * (xs + left) * chosen.step) ** -0.5
    np.testing.assert_allclose(samples.noise[known], expected, rtol=1e-6)
    assert np.isnan(samples.noise[~known]).all()


def numbered(first, shape):
    """Return samples whose value is their place in the mosaic."""
    y, x = np.mgrid[first[0] : first[0] + shape[0], first[1] : first[1] + shape[1]]
    return TileSamples(first, (100 * y + x).astype(np.float32), np.ones(shape, np.float32))


def test_the_overlap_holds_the_same_places_of_both():
    one, other = numbered((0, 5), (20, 30)), numbered((4, 0), (30, 12))
    mine, theirs, first = one.overlap(other)
    assert first == (4, 5)
    np.testing.assert_array_equal(one.value[mine], other.value[theirs])
    assert one.value[mine].shape == (16, 7)


def test_tiles_apart_do_not_overlap():
    assert numbered((0, 0), (10, 10)).overlap(numbered((0, 10), (10, 10))) is None
    assert numbered((0, 0), (10, 10)).overlap(numbered((30, 0), (10, 10))) is None


def test_what_is_kept_holds_each_overlap_with_later_boxes():
    one = numbered((3, 10), (20, 30))
    kept = one.within([(slice(0, 9), slice(30, 60)), (slice(5, 12), slice(35, 90)), (slice(23, 30), slice(0, 50))])
    assert kept.first == (3, 30)
    assert kept.value.shape == (9, 10)
    np.testing.assert_array_equal(kept.value, one.value[:9, 20:])
    later = numbered((5, 35), (7, 55))
    whole, part = (samples.value[samples.overlap(later)[0]] for samples in (one, kept))
    np.testing.assert_array_equal(part, whole)
    assert kept.value.base is None  # a copy: the rest takes no memory
    assert one.within([(slice(0, 3), slice(0, 60))]) is None
    assert one.within([]) is None
