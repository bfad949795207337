"""Blocks of simulated samples, and both phases of flagging run on them."""

import numpy as np

from contimg.config import FlagOptions
from contimg.flagging.block_flagger import BlockFlagger
from contimg.flagging.findings import TileAxes
from contimg.flagging.flag_codes import FlagCode
from contimg.flagging.whole_tile import whole_tile_flags

CODES = {code.label: code for code in FlagCode}
N_TIMES, N_CHANNELS, N_ANTENNAS = 24, 128, 16
ONE, TWO = np.triu_indices(N_ANTENNAS, 1)


SHAPE = (N_TIMES, len(ONE), N_CHANNELS, 2)


def noise(seed=1, sigma=1.0, shape=SHAPE):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return (sigma * values).astype(np.complex64)


def flagger(*, received=None, **options):
    received = np.ones(N_CHANNELS, bool) if received is None else received
    subbands = [slice(first, first + 8) for first in range(0, N_CHANNELS, 8)]
    return BlockFlagger(FlagOptions(**options), TileAxes(received, N_TIMES, N_ANTENNAS, 2, subbands))


def run(data, *, code=None, step=50, **options):
    """Flag data block by block and then the whole; return the findings, codes and final flags."""
    tool = flagger(**options)
    code = np.zeros(data.shape, np.uint8) if code is None else code
    for first in range(0, data.shape[1], step):
        part = slice(first, first + step)
        values, codes = data[:, part].copy(), code[:, part].copy()
        tool.flag_block(values, codes, ONE[part], TWO[part])
        code[:, part] = codes
    findings = tool.findings()
    whole, flags = whole_tile_flags(findings, ONE, TWO), code != 0
    for time in range(N_TIMES):
        for _, found in whole.at(time):
            flags[time] |= found
    return findings, code, flags
