"""The table of thresholds: every gate, on both sides of its limit, and nothing passes unmeasured."""

from __future__ import annotations

import pytest

from contimg.config import QaOptions
from contimg.products import gates
from contimg.products.twin import verdict_of

QA = QaOptions()
GOOD = {
    "image": {
        "noise_ratio": 1.03,
        "dynamic_range": 4000.0,
        "artefact_ratio": 1.1,
        "negative_bowl": 0.2,
        "striping": 0.05,
        "psf_misfit": 0.03,
        "flagged_fraction": 0.05,
        "pb_error": 1e-6,
        "pb_peak_offset_px": 0.02,
        "pb_asymmetry": 0.002,
        "centre_offset_arcsec": 0.1,
        "uvw_error_m": 1e-4,
    },
    "image_catalogue": {"median_flux_ratio": 1.01, "flux_outliers": 0.02, "median_offset_beams": 0.02},
    "mosaic": {"noise_ratio": 1.2, "tile_fraction": 1.0},
    "crossmatch": {
        "median_flux_ratio": 1.01,
        "flux_outliers": 0.02,
        "median_offset_beams": 0.04,
        "completeness": 0.97,
    },
}


@pytest.mark.parametrize("kind", GOOD)
def test_good_numbers_give_no_reason(kind):
    assert gates.judge(kind, GOOD[kind], QA) == []
    assert set(gates.gates_of(kind)) == set(GOOD[kind])


@pytest.mark.parametrize(
    ("kind", "key", "value", "code", "severity", "limit"),
    [
        ("mosaic", "noise_ratio", 3.001, "noise_ratio_high", "failed", 3.0),
        ("mosaic", "noise_ratio", 3.0, "noise_ratio_high", "warning", 2.0),
        ("mosaic", "noise_ratio", 2.001, "noise_ratio_high", "warning", 2.0),
        ("mosaic", "tile_fraction", 0.49, "tile_fraction_low", "warning", 0.5),
        ("image", "noise_ratio", 5.01, "noise_ratio_high", "failed", 5.0),
        ("image", "noise_ratio", 2.01, "noise_ratio_high", "warning", 2.0),
        ("image", "dynamic_range", 4.9, "dynamic_range_low", "warning", 5.0),
        ("image", "artefact_ratio", 2.1, "artefact_ratio_high", "warning", 2.0),
        ("image", "negative_bowl", 1.1, "negative_bowl_high", "warning", 1.0),
        ("image", "striping", 0.51, "striping_high", "warning", 0.5),
        ("image", "psf_misfit", 0.51, "psf_misfit_high", "warning", 0.5),
        ("image", "flagged_fraction", 0.51, "flagged_fraction_high", "warning", 0.5),
        ("image", "pb_error", 0.0011, "pb_error_high", "failed", 0.001),
        ("image", "pb_peak_offset_px", 1.1, "pb_peak_offset_px_high", "failed", 1.0),
        ("image", "pb_asymmetry", 0.06, "pb_asymmetry_high", "warning", 0.05),
        ("image", "centre_offset_arcsec", 10.1, "centre_offset_arcsec_high", "failed", 10.0),
        ("image", "uvw_error_m", 0.06, "uvw_error_m_high", "failed", 0.05),
        ("image_catalogue", "median_flux_ratio", 0.69, "median_flux_ratio_low", "failed", 0.7),
        ("image_catalogue", "median_flux_ratio", 1.31, "median_flux_ratio_high", "failed", 1.3),
        ("image_catalogue", "flux_outliers", 0.26, "flux_outliers_high", "warning", 0.25),
        ("image_catalogue", "median_offset_beams", 0.21, "median_offset_beams_high", "failed", 0.2),
        ("crossmatch", "median_flux_ratio", 0.79, "median_flux_ratio_low", "failed", 0.8),
        ("crossmatch", "median_flux_ratio", 1.21, "median_flux_ratio_high", "failed", 1.2),
        ("crossmatch", "flux_outliers", 0.26, "flux_outliers_high", "warning", 0.25),
        ("crossmatch", "median_offset_beams", 0.11, "median_offset_beams_high", "failed", 0.1),
        ("crossmatch", "completeness", 0.59, "completeness_low", "failed", 0.6),
    ],
)
def test_beyond_a_limit(kind, key, value, code, severity, limit):
    reasons = gates.judge(kind, GOOD[kind] | {key: value}, QA)
    assert [(r.code, r.severity, r.measured, r.threshold) for r in reasons] == [(code, severity, value, limit)]
    assert "qa." in reasons[0].message


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("mosaic", "noise_ratio", 2.0),
        ("mosaic", "tile_fraction", 0.5),
        ("crossmatch", "median_flux_ratio", 0.8),
        ("crossmatch", "median_flux_ratio", 1.2),
        ("crossmatch", "median_offset_beams", 0.1),
        ("crossmatch", "completeness", 0.6),
    ],
)
def test_on_the_limit_is_within(kind, key, value):
    assert gates.judge(kind, GOOD[kind] | {key: value}, QA) == []


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf")])
@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, numbers in GOOD.items() for key in numbers])
def test_not_measured_is_never_a_pass(kind, key, nothing):
    reasons = gates.judge(kind, GOOD[kind] | {key: nothing}, QA, {key: "too few sources"})
    assert [(r.code, r.severity, r.measured) for r in reasons] == [(f"{key}_not_measured", "warning", None)]
    assert "not measured: too few sources" in reasons[0].message
    assert verdict_of(reasons) == "warning"


def test_a_number_that_is_not_named_is_an_error():
    with pytest.raises(KeyError, match="tile_fraction"):
        gates.judge("mosaic", {"noise_ratio": 1.0}, QA)


def test_limits_are_those_of_the_config():
    strict = QaOptions(max_noise_ratio=1.1, warn_noise_ratio=1.05)
    assert gates.judge("mosaic", GOOD["mosaic"], strict)[0].severity == "failed"


def test_every_threshold_of_the_config_is_in_the_table():
    used = {gate.option for gate in gates.GATES}
    assert used == set(QaOptions.model_fields) - {"version", "min_matches"}


def test_every_option_of_a_gate_is_named_once_with_one_severity():
    options = [gate.option for gate in gates.GATES]
    assert len(options) == len(set(options))
