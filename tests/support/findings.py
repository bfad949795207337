"""Inputs of findings, as small as they can be, and what a finding says."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from contimg.commissioning.findings import STATEMENTS, Finding
from contimg.commissioning.fringes import Baselines
from contimg.correlator.band import subband_frequencies

NAMES = ("24", "31", "50", "103", "104")


def said(finding: Finding) -> tuple[str, str, tuple[str, ...]]:
    assert finding.statement == STATEMENTS[finding.key]
    return finding.verdict, finding.text, finding.named


def pairs(count: int) -> Baselines:
    two, one = np.tril_indices(count, -1)
    return Baselines(one, two)


def residual(subband=0, *, slopes=None, fraction=None, autos=None, struck=0.0, channels=8):
    """Return the part of `Residuals` that findings read."""
    header = SimpleNamespace(freq_hz=subband_frequencies(subband, 48)[:channels], subband=subband)
    course = None if autos is None else autos / np.maximum(np.median(autos, axis=2, keepdims=True), 1e-300)
    return SimpleNamespace(
        header=header, slopes=slopes, struck=struck, autos=autos, course=course,
        fraction=np.full((2, 10), 0.5) if fraction is None else fraction,
    )  # fmt: skip
