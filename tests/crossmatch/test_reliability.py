"""Sources in doubt: those that are no higher than spots beside the same bright source are deep, and those cut off."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from contimg.crossmatch.reliability import AT_EDGE, FAR_BEAMS, NEAR_BRIGHT, REACH_BEAMS, with_doubts
from contimg.crossmatch.sources import find_sources
from contimg.mosaic.grid import MosaicGrid
from contimg.sky.restoring_beam import RestoringBeam
from tests.crossmatch.test_source_tables import source

BEAM_DEG = 0.02
RMS_JY = 1e-3
GRID = MosaicGrid((130.0, 0.0), BEAM_DEG / 4, (400, 400), (800, 800))
RMS = np.full((800, 800), RMS_JY)


def at(beams, snr, up=0.0):
    """Return a source so many beams to the east and north of the field's centre."""
    return source(0, 130.0 + beams * BEAM_DEG, snr * RMS_JY, dec_deg=up * BEAM_DEG)


def doubts(sources, negatives, rms=RMS):
    return [one.doubt for one in with_doubts(sources, negatives, BEAM_DEG, rms, GRID.wcs())]


@pytest.mark.parametrize(
    ("away", "snr", "doubt"),
    [
        (10, 8.9, NEAR_BRIGHT),  # 1.5 times the spot of 6 sigma is 9
        (10, 9.1, ""),
        (14, 8.9, NEAR_BRIGHT),  # the spot at 10 beams counts up to 10 / 0.7
        (14.5, 8.9, ""),  # beyond it, the finder's limit of 5 sigma
        (14.5, 7.4, NEAR_BRIGHT),
        (REACH_BEAMS - 0.5, 7.4, NEAR_BRIGHT),
        (REACH_BEAMS + 0.5, 5.1, ""),
        (-10, 8.9, NEAR_BRIGHT),
        (60, 5.1, ""),
    ],
)
def test_a_source_must_be_higher_than_spots_are_deep(away, snr, doubt):
    bright, spot = at(0, 2000), at(0, 6.0, up=10)
    assert doubts([bright, at(away, snr)], [spot]) == ["", doubt]


def test_without_spots_nothing_is_in_doubt():
    assert doubts([at(0, 30_000), at(2, 5.1)], []) == ["", ""]
    assert doubts([], [at(0, 6.0)]) == []


def test_beside_a_faint_source_a_spot_says_nothing():
    assert doubts([at(0, 450), at(3, 5.1)], [at(2, 9.0)]) == ["", ""]


def test_spots_belong_to_one_bright_source_each():
    """What one source leaves says little of another whose gains are better: it has no spot above 5 sigma."""
    sources = [at(0, 2000), at(80, 30_000), at(77, 7.6), at(77, 7.4), at(3, 29.0), at(3, 31.0)]
    spots = [at(-3, 20.0), at(0, 19.0, up=3)]
    assert doubts(sources, spots) == ["", "", "", NEAR_BRIGHT, NEAR_BRIGHT, ""]


def test_artefacts_grow_with_the_source():
    """Spots of 1/400: a source of 600 sigma leaves 1.5 sigma, and nothing beside it is in doubt."""
    assert doubts([at(0, 2400), at(80, 600), at(83, 5.1)], [at(3, 6.0)]) == ["", "", ""]


def test_a_spot_far_from_all_bright_sources_is_noise():
    assert doubts([at(0, 2000), at(FAR_BEAMS, 5.1)], [at(FAR_BEAMS + 1, 5.2)]) == ["", ""]


def test_a_source_at_the_edge_is_cut_off():
    rms = RMS.copy()
    rms[:, :399] = np.nan
    (found,) = with_doubts([at(0, 100)], [], BEAM_DEG, rms, GRID.wcs())
    assert found.doubt == AT_EDGE and not found.reliable
    assert doubts([at(-1, 100)], [], rms) == [""]


@pytest.mark.parametrize("seed", range(5))
def test_spots_of_gain_errors_are_in_doubt_and_faint_sources_are_not(seed):
    """Sources of 3 Jy with antisymmetric spots, as phase errors leave, in noise of 1 mJy."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:800, :800]
    beam = RestoringBeam.from_degrees(BEAM_DEG, BEAM_DEG, 0.0)
    sigma = 4 / 2.3548

    def spot(column, row, peak):
        return peak * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))

    image = gaussian_filter(rng.normal(size=(800, 800)), sigma, mode="wrap") * 2 * np.sqrt(np.pi) * sigma * RMS_JY
    bright = [(200, 200), (600, 200), (200, 600)]
    for column, row in bright:
        image += spot(column, row, 3.0)
        for _ in range(12):
            away, angle = 4 * rng.uniform(3, 12), rng.uniform(0, 2 * np.pi)
            dx, dy, peak = away * np.cos(angle), away * np.sin(angle), rng.normal(0, 0.01 / 1.5)
            image += spot(column + dx, row + dy, peak) - spot(column - dx, row - dy, peak)
    true = [(450 + 40 * i, 450 + 40 * j) for i in range(8) for j in range(8)]
    for column, row in true:
        image += spot(column, row, 0.008)
    found, below = (find_sources(sign * image, RMS, GRID.wcs(), beam) for sign in (1, -1))
    judged = with_doubts(found, below, BEAM_DEG, RMS, GRID.wcs())
    wcs = GRID.wcs()
    places = np.array([wcs.all_world2pix(one.ra_deg, one.dec_deg, 0) for one in judged])
    known = np.array(bright + true)
    real = np.hypot(*(places[:, None] - known[None]).transpose(2, 0, 1)).min(axis=1) < 2
    reliable = np.array([one.reliable for one in judged])
    assert (~real).sum() >= 8  # 5 % to 20 % of the list are false
    assert (reliable & ~real).sum() <= 1
    assert (reliable & real).sum() >= 0.95 * real.sum()
