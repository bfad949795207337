"""Random numbers that depend on the seed and on what they are for, never on the order of the work."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return an independent generator for one purpose (and, for example, one tile and subband)."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *indices])
