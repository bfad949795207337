"""Causes are ranked by the noise and the fluxes that they explain, in closed forms."""

from __future__ import annotations

import math

import pytest

from contimg.products.twin import Twin
from contimg.report.effects import effects, effects_table

TILES = ("2026-02-11T00:26:49", "2026-02-11T00:31:58")
MOSAIC = {"group": TILES[0], "tiles": list(TILES), "tiles_used": list(TILES), "n_images": 2}


def twin(kind, name, qa, facts=None):
    return Twin(kind=kind, id=name, verdict="passed", qa=qa, facts=facts or {}, synthetic=True)


@pytest.fixture
def ranked():
    """Return a function that ranks the causes in tiles with given numbers."""

    def rank(*numbers, mosaic=None, comparison=None, facts=None):
        images = [twin("image", name, qa, facts) for name, qa in zip(TILES, numbers, strict=False)]
        top = twin("mosaic", "mosaic_20260211T002649", mosaic or {}, MOSAIC)
        return top, comparison, _Images(images)

    return rank


class _Images:
    """The images of a lineage."""

    def __init__(self, images):
        self._images = images

    def of_kind(self, kind):
        return [type("Node", (), {"twin": one}) for one in self._images] if kind == "image" else []


@pytest.mark.parametrize(
    ("qa", "factor"),
    [
        ({"system_noise": 2.5}, 2.5),
        ({"flagged_fraction": 0.75}, 2.0),
        ({"lost_integrations": 0.19}, 1 / 0.9),
        ({"lost_subbands": 12}, 2.0),
        ({"striping": math.sqrt(1.5)}, 2.0),  # a sinusoid of that amplitude has three quarters of the power
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_the_factor_on_the_noise_is_the_closed_form(ranked, qa, factor):
    (one,) = effects(*ranked(qa))
    assert one.noise == pytest.approx(factor, rel=1e-6) and one.flux == 0 and one.where == TILES[0]


def test_a_wrong_antenna_adds_artefacts_of_the_brightest_source(ranked):
    """10 Jy, 10 % on one of 100 antennas: sqrt(2) 0.1 / 100 of 10 Jy is 14.1 mJy beside 1 mJy of noise."""
    qa = {"antenna_gain": 1.1, "peak_mjy": 1e4, "expected_rms_mjy": 1.0}
    (one,) = effects(*ranked(qa, facts={"n_antennas": 100}))
    assert one.noise == pytest.approx(math.hypot(1, 14.142), rel=1e-3)


@pytest.mark.parametrize(
    ("qa", "change"),
    [
        ({"flux_scale": 0.87}, -0.13),
        ({"beam_width_error": 0.1}, -0.1386),  # d ln PB / d ln w = 2 ln 2 at half power: too narrow a divisor
        ({"subband_gain": 1.8}, 0.05),
        ({"time_gain": 1.24}, 0.01),
        ({"shift_beams": 0.5}, -0.5),  # half a beam off, a Gaussian is at half its peak
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_the_change_of_fluxes_is_the_closed_form(ranked, qa, change):
    (one,) = effects(*ranked(qa))
    assert one.flux == pytest.approx(change, abs=1e-3) and one.noise == 1


def test_the_largest_effect_comes_first_and_small_ones_not_at_all(ranked):
    found = effects(*ranked({"system_noise": 1.3, "flagged_fraction": 0.001}, {"flux_scale": 0.5, "system_noise": 1.2}))
    assert [one.size for one in found] == pytest.approx([0.5, 0.3])
    assert found[1].where == f"{TILES[0]} and 1 more"


def test_numbers_that_were_not_measured_have_no_effect(ranked):
    assert effects(*ranked({"system_noise": None, "flux_scale": float("nan")}, {})) == []


def test_the_comparison_and_the_mosaic_have_their_causes(ranked):
    top, _, tree = ranked({}, mosaic={"tile_scale_spread": 0.2})
    comparison = twin("crossmatch", top.id, {"flux_tilt_dec": -0.3, "peak_over_total": 0.8})
    assert [one.flux for one in effects(top, comparison, tree)] == pytest.approx([-0.3, 0.2, -0.2])


def test_the_table_says_what_noise_is_left_over(ranked):
    top, comparison, tree = ranked({"noise_ratio": 40.0, "system_noise": 4.0})
    markup = effects_table(top, comparison, tree)
    assert "× 4<" in markup and "× 10<" in markup and "that nothing above explains" in markup


def test_the_table_names_the_sun_of_the_day():
    sun = {"altitude_deg": 40.0, "separation_deg": 70.0, "daytime": True}
    image = twin("image", TILES[0], {"noise_ratio": 3.0}, {"sun": sun})
    facts = MOSAIC | {"sun": {"altitude_deg": [40.0, 40.0], "separation_deg": 70.0, "daytime": "day"}}
    markup = effects_table(twin("mosaic", "m", {}, facts), None, _Images([image]))
    assert "1 of 1 tiles are of the day, Sun up to 40° high and 70° or more away" in markup
