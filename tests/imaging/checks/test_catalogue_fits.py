"""Flux scale, shift and beam width of a tile from its catalogued sources: known errors come out within their errors."""

from __future__ import annotations

import numpy as np
import pytest

from contimg.config import QaOptions
from contimg.imaging.checks.catalogue import FITTED, CatalogueComparison
from contimg.products import gates

WIDTH = 70.0


def compared(seed: int, n: int = 30, *, scale=1.0, width=1.0, shift=(0.0, 0.0)) -> CatalogueComparison:
    """Return a tile's comparison: a catalogue good to 3 % and 1 arcsec; the beam is wider than assumed by `width`."""
    rng = np.random.default_rng(seed)
    beam = rng.uniform(0.2, 1, n)
    ratio = scale * beam ** (width**-2 - 1) * np.exp(0.03 * rng.normal(size=n))
    east, north = (offset + rng.normal(size=n) for offset in shift)
    return CatalogueComparison(beam, np.ones(n), ratio, east, north, np.full(n, 0.03), WIDTH)


def codes(numbers: dict) -> list[str]:
    fits = {key: numbers[key] for key in FITTED}
    reasons = gates.judge("image", GOOD | fits, {"qa": QaOptions()})
    return [reason.code for reason in reasons]


GOOD = {
    "noise_ratio": 1.0, "dynamic_range": 1000.0, "artefact_ratio": 1.0, "negative_bowl": 0.1, "striping": 0.1,
    "psf_misfit": 0.01, "flagged_fraction": 0.0, "pb_error": 0.0, "pb_peak_offset_px": 0.0, "pb_asymmetry": 0.0,
    "centre_offset_arcsec": 0.0, "uvw_error_m": 0.0,
}  # fmt: skip


def test_right_tiles_give_no_reason():
    normalised = []
    for seed in range(300):
        found = compared(seed).numbers(3)
        assert codes(found) == []
        normalised.append([(found["flux_scale"] - 1) / found["e_flux_scale"]])
        normalised[-1].append(found["beam_width_error"] / found["e_beam_width_error"])
    assert (np.abs(np.std(normalised, axis=0) - 0.93) < 0.15).all()  # errors rather too large than too small


@pytest.mark.parametrize("scale", [0.9, 1.1, 1.15])
def test_a_flux_scale(scale):
    found = compared(1, scale=scale).numbers(3)
    assert found["flux_scale"] == pytest.approx(scale, abs=4 * found["e_flux_scale"])
    assert codes(found) == ["flux_scale_off"]
    assert found["diagnosis"].startswith(f"a flux scale of {scale:.1f}"[:-1])


@pytest.mark.parametrize("width", [0.9, 1.1])
def test_a_primary_beam_of_another_width(width):
    found = compared(2, width=width).numbers(3)
    assert found["beam_width_error"] == pytest.approx((1 - width**-2) / 2, abs=4 * found["e_beam_width_error"])
    assert "beam_width_error_off" in codes(found)
    assert found["diagnosis"].startswith("a primary beam wider by")


def test_a_shift():
    found = compared(3, shift=(6.0, 3.0)).numbers(3)
    assert found["shift_beams"] == pytest.approx(np.hypot(6, 3) / WIDTH, abs=0.01)
    assert codes(found) == ["shift_beams_high"]


def test_few_sources_are_not_fitted():
    found = compared(4, n=9).numbers(3)
    assert found["median_flux_ratio"] is not None
    assert {found[key] for key in FITTED} == {None}
    assert codes(found) == []
