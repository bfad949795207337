"""First phase: what a block shows by itself."""

import numpy as np
import pytest

from tests.support.flagging_blocks import CODES, N_CHANNELS, N_TIMES, ONE, TWO, flagger, noise, run


def test_without_a_search_only_what_is_no_data_is_flagged():
    data = noise(seed=2)
    data[3, 7, 11, 1] = 60  # the clip would have it, see below
    data[5, 9, 13, 0], data[6, 9, 13, 0] = 0, np.nan
    findings, code, flags = run(data, interference=False)
    assert code[5, 9, 13, 0] == CODES["zero"] and code[6, 9, 13, 0] == CODES["not_finite"]
    assert np.count_nonzero(flags) == 2 and findings.counts.sum() == data.size


def test_clip_alone():
    data = noise(seed=2)
    data[3, 7, 11, 1] = 60
    _, code, _ = run(data, aoflagger=False)
    assert code[3, 7, 11, 1] == CODES["clip"]
    assert (code != 0).sum() == 1


def test_clip_level():
    # 1.1774 is the median and 0.6721 the sigma (by its quartiles) of a Rayleigh amplitude.
    data = noise(seed=9)
    for row, excess in ((0, 0.95), (1, 1.05)):
        data[0, row, 5, 0] = excess * (1.1774 + 7 * 0.6721)
    _, code, _ = run(data, aoflagger=False)
    assert code[0, 0, 5, 0] == 0
    assert code[0, 1, 5, 0] == CODES["clip"]


def test_edge_channels():
    findings, code, _ = run(noise(), edge_channels=2)
    edge = (np.arange(N_CHANNELS) % 8 < 2) | (np.arange(N_CHANNELS) % 8 >= 6)
    assert (code[:, :, edge] == CODES["edge"]).all()
    assert (code[:, :, ~edge] != 0).mean() < 2e-3
    assert findings.counts[3, CODES["edge"]] == N_TIMES * len(ONE) * 4 * 2


def test_no_data_has_its_reasons():
    data = noise()
    data[2, 3] = np.nan
    data[4, 5] = 0
    data[:, 6] = 1 + 1j
    code = np.zeros(data.shape, np.uint8)
    code[:, :, :8] = CODES["not_received"]
    code[6, 7, 8:] = CODES["correlator"]
    received = np.arange(N_CHANNELS) >= 8
    findings, code, flags = run(data, code=code, received=received)
    assert (code[2, 3, 8:] == CODES["not_finite"]).all()
    assert (code[4, 5, 8:] == CODES["zero"]).all()
    assert (code[:, 6, 8:] == CODES["constant"]).all()
    assert (code[6, 7, 8:] == CODES["correlator"]).all()
    assert (code[:, :, :8] == CODES["not_received"]).all()
    samples = 2 * (N_CHANNELS - 8)
    assert findings.counts[0, CODES["not_received"]] == N_TIMES * len(ONE) * 8 * 2
    for name, planes in (("not_finite", 1), ("zero", 1), ("constant", N_TIMES), ("correlator", 1)):
        assert findings.counts[:, CODES[name]].sum() == planes * samples
    good = np.delete(flags, [3, 5, 6, 7], axis=1)[:, :, 8:]
    assert good.mean() < 1e-3


def test_not_finite_values_become_zero():
    data = noise(shape=(N_TIMES, 2, N_CHANNELS, 2))
    data[0, 0, 0, 0] = np.inf
    flagger(aoflagger=False).flag_block(data, np.zeros(data.shape, np.uint8), ONE[:2], TWO[:2])
    assert data[0, 0, 0, 0] == 0


@pytest.mark.parametrize("value", [1e18, 1.4e19, 1e38, complex(0, -3e38)])
def test_values_whose_square_is_no_number_are_not_finite(value):
    """Bytes of something else than visibilities: their sums would make a whole subband, or image, infinite."""
    data = noise(shape=(N_TIMES, 2, N_CHANNELS, 2))
    data[0, 0, 0, 0], data[1, 1, 1, 1] = value, 1e17
    code = np.zeros(data.shape, np.uint8)
    flagger(aoflagger=False).flag_block(data, code, ONE[:2], TWO[:2])
    assert data[0, 0, 0, 0] == 0 and code[0, 0, 0, 0] == CODES["not_finite"]
    assert code[1, 1, 1, 1] != CODES["not_finite"]


def test_no_block_is_flagged_after_the_first_phase_has_ended():
    """The second phase takes the result of the first, which a later block would not be in."""
    tool, data = flagger(aoflagger=False), noise(shape=(N_TIMES, 2, N_CHANNELS, 2))
    tool.flag_block(data, np.zeros(data.shape, np.uint8), ONE[:2], TWO[:2])
    findings = tool.findings()
    assert findings.n_baselines == 2 and findings.counts.sum() == data.size
    with pytest.raises(RuntimeError, match="before findings"):
        tool.flag_block(data, np.zeros(data.shape, np.uint8), ONE[2:4], TWO[2:4])
    with pytest.raises(RuntimeError, match="before findings"):
        tool.add_autocorrelations(np.arange(2), data)
    with pytest.raises(AttributeError, match="cannot assign"):
        findings.n_baselines = 3
