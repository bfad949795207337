"""The codes that say why a sample is flagged, used while a tile is converted.

Each sample of a block (integration, baseline, channel, polarisation) has one byte: `FlagCode.GOOD`, or the first
reason for which it was flagged. A Measurement Set keeps only whether a sample is flagged; how many samples each code
has is counted and stands in the twin (``flagged_by_reason``, by `FlagCode.label`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class FlagCode(IntEnum):
    """Why a sample is flagged. A smaller code takes precedence: a flagged sample keeps its code.

    Numpy converts an array of bytes to 64-bit integers to compare it with a member of an `IntEnum`, which takes
    twenty times as long: compare blocks with ``code.value``.
    """

    GOOD = 0
    NOT_RECEIVED = 1
    """No file has this channel: not a flagged sample, and not counted as one."""
    CORRELATOR = 2
    """Flagged in the file, or no samples were averaged (``nsamples`` is 0)."""
    NOT_FINITE = 3
    """NaN, infinite, or beyond `LARGEST_AMPLITUDE`."""
    ZERO = 4
    CONSTANT = 5
    """The baseline has one and the same value at all times and channels."""
    DEAD_ANTENNA = 6
    AOFLAGGER = 7
    CLIP = 8
    """Above the cut in amplitude of its baseline and polarisation."""
    CELL = 9
    """Its cell (integration, channel) is flagged on all baselines."""
    ANTENNA = 10
    """Its cell is flagged on all baselines of one of its antennas."""
    EDGE = 11
    """A channel at the edge of a subband (``flag.edge_channels``)."""

    @property
    def label(self) -> str:
        """The name in the twin: ``dead_antenna``."""
        return self.name.lower()


LARGEST_AMPLITUDE = 1e18
"""Above it squares of visibilities (correlator units or Jy) and their sums are no single-precision numbers: such values
are bytes of something else."""

N_CODES = len(FlagCode)
"""Codes are 0 to ``N_CODES - 1``: the length of an array of counts by code."""

REASONS = tuple(code for code in FlagCode if code > FlagCode.NOT_RECEIVED)
"""The codes of what was received and flagged, in order of precedence."""

NOTHING_MEASURED = tuple(code for code in FlagCode if FlagCode.GOOD < code <= FlagCode.CONSTANT)
"""The codes of samples that hold no measurement of the sky: their weights become 0."""


def nothing_measured(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which samples hold no measurement, from an array of codes of any shape."""
    return (codes != FlagCode.GOOD.value) & (codes <= FlagCode.CONSTANT.value)


def count(found: NDArray[np.bool_], axis: int) -> NDArray[np.int64]:
    """Return how often `found` is true along an axis; many times faster than ``found.sum(axis)``."""
    total = np.zeros((*found.shape[:axis], *found.shape[axis + 1 :]), np.int64)
    for first in range(0, found.shape[axis], 255):  # as many as one byte can count
        part: NDArray[Any] = found[(slice(None),) * axis + (slice(first, first + 255),)]
        total += part.view(np.uint8).sum(axis, dtype=np.uint8)
    return total
