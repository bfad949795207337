"""Random numbers that depend on the seed and their purpose, not on the order in which they are drawn."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return an independent generator for one purpose (and, for example, one tile and subband)."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *indices])
