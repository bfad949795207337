"""The common beam encloses every beam, and is sampled by the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.mosaic.common_beam import MIN_BEAM_PX, common_beam, sampled, turned
from tests.support.beams import ARCSEC, beam


def test_of_equal_beams_is_that_beam():
    assert common_beam([beam(40, 30, 20)] * 5) == beam(40, 30, 20)


def test_of_two_crossed_beams():
    # 40 x 30 to the north and 40 x 30 to the east: nothing narrower than 40 x 40 holds both.
    got = common_beam([beam(40, 30, 0), beam(40, 30, 90)])
    assert got.bmaj_deg * 3600 == pytest.approx(40, rel=0.01)
    assert got.bmin_deg * 3600 == pytest.approx(40, rel=0.01)


@pytest.mark.parametrize("scatter", [1e-9, 1e-6, 1e-4, 1e-2, 0.1])
def test_holds_every_beam_and_is_small(scatter):
    # 1e-6: where radio-beam alone gives up with 'could not increase epsilon to find common beam'.
    rng = np.random.default_rng(4)
    for _ in range(10):
        beams = [
            beam(60 * (1 + scatter * a), 30 * (1 + scatter * b), 30 + 100 * scatter * c)
            for a, b, c in rng.normal(size=(10, 3))
        ]
        got = common_beam(beams)
        for one in beams:
            least = np.linalg.eigvalsh(got.covariance() - one.covariance())[0]
            assert least >= -1e-9 * one.covariance().max()
        assert got.bmaj_deg <= 1.15 * max(one.bmaj_deg for one in beams)


def test_a_beam_is_at_least_2_7_pixels_wide():
    assert sampled(beam(12, 11, 30), 4 * ARCSEC) == beam(12, 11, 30)
    wider = sampled(beam(12, 8, 30), 4 * ARCSEC)
    assert wider.bmin_deg * 3600 == pytest.approx(4 * MIN_BEAM_PX) and wider.bmaj_deg * 3600 == pytest.approx(12)
    assert wider.bpa_deg == pytest.approx(30)
    both = sampled(beam(8, 6, 30), 4 * ARCSEC)
    assert both.bmaj_deg == both.bmin_deg == pytest.approx(4 * MIN_BEAM_PX * ARCSEC)


def test_a_beam_is_turned_from_north_to_east():
    assert turned(beam(12, 10, 170), 20).bpa_deg == pytest.approx(10)
    assert turned(beam(12, 10, 10), -20).bpa_deg == pytest.approx(170)
