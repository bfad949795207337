"""The axes of a tile that is flagged: edges of subbands, sums of no baseline, and when a search makes sense."""

import numpy as np
import pytest

from contimg.flagging.findings import BlockFindings, CellSums, TileAxes
from contimg.flagging.flag_codes import N_CODES


def axes(subbands=(slice(0, 8), slice(8, 16))):
    return TileAxes(np.ones(16, bool), n_times=3, n_antennas=4, n_pols=2, subbands=subbands)


@pytest.mark.parametrize(
    ("width", "expected"),
    [(0, []), (1, [0, 7, 8, 15]), (2, [0, 1, 6, 7, 8, 9, 14, 15]), (4, range(16)), (5, range(16)), (9, range(16))],
)
def test_edges_of_subbands(width, expected):
    assert np.flatnonzero(axes().edge_channels(width)).tolist() == list(expected)


def test_channels_of_no_subband_have_no_edges():
    assert np.flatnonzero(axes((slice(4, 8),)).edge_channels(1)).tolist() == [4, 7]
    assert not axes(()).edge_channels(3).any()


def test_sums_of_no_baseline():
    sums = CellSums.zeros(axes())
    for name, dtype in (("amplitude", np.float64), ("good", np.int64), ("valid", np.int64), ("found", np.int64)):
        values = getattr(sums, name)
        assert values.shape == (3, 16, 2) and values.dtype == dtype and not values.any()
    sums.good += 1
    assert not sums.valid.any() and not sums.found.any()  # each has memory of its own


@pytest.mark.parametrize(("noisy", "searched", "enough"), [(5, 10, True), (4, 10, False), (0, 0, True), (3, 5, True)])
def test_half_of_the_baselines_must_carry_noise(noisy, searched, enough):
    findings = BlockFindings(
        axes(), np.zeros((2, N_CODES), np.int64), np.zeros((4, 2)), searched, noisy, CellSums.zeros(axes()), None, ()
    )
    assert findings.enough_noise is enough
