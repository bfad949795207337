"""The table of gates: every one on both sides of its limit, nothing passes unmeasured, judged again from a twin."""

from __future__ import annotations

import pytest

from contimg.config import Config, QaOptions
from contimg.products import gates
from contimg.products.gates import Gate, judging
from contimg.products.twin import Reason, Twin, verdict_of

QA = {"qa": QaOptions()}
IMAGE = {
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
}
CATALOGUED = {"n_compared": 40, "median_flux_ratio": 1.01, "flux_outliers": 0.02, "median_offset_beams": 0.02}
OVERLAPPING = {
    "noise_ratio": 1.2, "tile_fraction": 1.0, "striping": 0.1, "difference_width": 0.97, "difference_residue": 0.2,
    "difference_stripe": 0.15, "pixel_outliers": 0, "pixel_outlier_sigma": 7.0,
}  # fmt: skip
# label -> (kind, numbers of a good product); counts are no gates' numbers themselves.
GOOD = {
    "image": ("image", IMAGE),
    "catalogued": ("image", IMAGE | CATALOGUED),
    "mosaic": ("mosaic", {"noise_ratio": 1.2, "tile_fraction": 1.0}),
    "overlapping": ("mosaic", OVERLAPPING),
    "crossmatch": (
        "crossmatch",
        {
            "n_compared": 40,
            "n_expected": 35,
            "median_flux_ratio": 1.01,
            "flux_outliers": 0.02,
            "median_offset_beams": 0.04,
            "completeness": 0.97,
        },
    ),
}
COUNTS = {"n_compared", "n_expected"}


def judge(label, change=None, options=QA):
    kind, numbers = GOOD[label]
    return gates.judge(kind, numbers | (change or {}), options)


@pytest.mark.parametrize("label", GOOD)
def test_good_numbers_give_no_reason(label):
    kind, numbers = GOOD[label]
    assert judge(label) == []
    assert set(gates.gates_of(kind, numbers)) == set(numbers) - COUNTS


@pytest.mark.parametrize(
    ("label", "key", "value", "code", "severity", "limit"),
    [
        ("mosaic", "noise_ratio", 3.001, "noise_ratio_high", "failed", 3.0),
        ("mosaic", "noise_ratio", 3.0, "noise_ratio_high", "warning", 2.0),
        ("mosaic", "noise_ratio", 2.001, "noise_ratio_high", "warning", 2.0),
        ("mosaic", "tile_fraction", 0.59, "tile_fraction_low", "warning", 0.6),
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
        ("catalogued", "median_flux_ratio", 0.69, "median_flux_ratio_low", "failed", 0.7),
        ("catalogued", "median_flux_ratio", 1.31, "median_flux_ratio_high", "failed", 1.3),
        ("catalogued", "flux_outliers", 0.26, "flux_outliers_high", "warning", 0.25),
        ("catalogued", "median_offset_beams", 0.21, "median_offset_beams_high", "failed", 0.2),
        ("overlapping", "striping", 0.31, "striping_high", "warning", 0.3),
        ("overlapping", "difference_width", 1.31, "difference_width_off", "warning", 1.3),
        ("overlapping", "difference_width", 0.76, "difference_width_off", "warning", 1.3),
        ("overlapping", "difference_residue", 1.01, "difference_residue_high", "warning", 1.0),
        ("overlapping", "difference_stripe", 0.41, "difference_stripe_high", "warning", 0.4),
        ("overlapping", "pixel_outliers", 5, "pixel_outliers_high", "warning", 4),
        ("overlapping", "pixel_outlier_sigma", 10.1, "pixel_outlier_sigma_high", "warning", 10.0),
        ("crossmatch", "median_flux_ratio", 0.79, "median_flux_ratio_low", "failed", 0.8),
        ("crossmatch", "median_flux_ratio", 1.21, "median_flux_ratio_high", "failed", 1.2),
        ("crossmatch", "flux_outliers", 0.26, "flux_outliers_high", "warning", 0.25),
        ("crossmatch", "median_offset_beams", 0.11, "median_offset_beams_high", "failed", 0.1),
        ("crossmatch", "completeness", 0.59, "completeness_low", "failed", 0.6),
    ],
)
def test_beyond_a_limit(label, key, value, code, severity, limit):
    reasons = judge(label, {key: value})
    assert [(r.code, r.severity, r.measured, r.threshold) for r in reasons] == [(code, severity, value, limit)]
    assert "qa." in reasons[0].message


@pytest.mark.parametrize(
    ("label", "key", "value"),
    [
        ("mosaic", "noise_ratio", 2.0),
        ("mosaic", "tile_fraction", 0.6),
        ("crossmatch", "median_flux_ratio", 0.8),
        ("crossmatch", "median_flux_ratio", 1.2),
        ("crossmatch", "median_offset_beams", 0.1),
        ("crossmatch", "completeness", 0.6),
    ],
)
def test_on_the_limit_is_within(label, key, value):
    assert judge(label, {key: value}) == []


# The numbers of overlapping tiles are judged where there was something to measure.
MEASURED = [
    (label, key) for label, (_, some) in GOOD.items() for key in some if label != "overlapping" and key not in COUNTS
]


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf")])
@pytest.mark.parametrize(("label", "key"), MEASURED)
def test_not_measured_is_never_a_pass(label, key, nothing):
    reasons = judge(label, {key: nothing})
    assert [(r.code, r.severity, r.measured) for r in reasons] == [(f"{key}_not_measured", "warning", None)]
    assert reasons[0].message.endswith("not measured")
    assert verdict_of(reasons) == "warning"


@pytest.mark.parametrize("count", [2, 0, None])
def test_a_number_from_too_small_a_sample_is_not_measured(count):
    # A median far off: with two sources it is neither a failure nor a pass.
    reasons = judge("crossmatch", {"n_compared": count, "median_flux_ratio": 0.1})
    keys = ("median_flux_ratio", "flux_outliers", "median_offset_beams")
    assert [(r.code, r.severity) for r in reasons] == [(f"{key}_not_measured", "warning") for key in keys]
    words = f"not measured: {count or 0} isolated sources to compare, at least 3 are needed (qa.min_matches)"
    assert reasons[0].message == f"median flux over catalogue: {words}"
    three = judge("crossmatch", {"n_compared": 3, "median_flux_ratio": 0.1})
    assert [r.code for r in three] == ["median_flux_ratio_low"]


def test_a_number_that_is_not_named_is_an_error():
    with pytest.raises(KeyError, match="tile_fraction"):
        gates.judge("mosaic", {"noise_ratio": 1.0}, QA)


def test_a_section_that_is_not_given_is_an_error():
    with pytest.raises(KeyError, match="qa"):
        gates.judge("mosaic", GOOD["mosaic"][1], {})


def test_limits_are_those_of_the_config():
    strict = QaOptions(max_noise_ratio=1.1, warn_noise_ratio=1.05)
    assert judge("mosaic", options={"qa": strict})[0].severity == "failed"
    # As a twin holds them.
    assert judge("mosaic", options={"qa": strict.model_dump()}) == judge("mosaic", options={"qa": strict})


@pytest.mark.parametrize(
    ("bound", "value", "beyond"),
    [
        ("max", 0.5, False), ("max", 0.51, True), ("max", -9, False),
        ("min", 0.5, False), ("min", 0.49, True), ("min", 9, False),
        # Within a factor of 1.5: from 2/3 to 3/2.
        ("factor", 1.5, False), ("factor", 0.667, False), ("factor", 1.51, True), ("factor", 0.66, True),
        ("factor", -1.0, True),
    ],
)  # fmt: skip
def test_bounds(bound, value, beyond):
    gate = Gate("mosaic", "x", "a ratio", "", bound, 0.5, "warning")
    assert gate.crossed(value, {}) is beyond
    assert gate.reason(value, {}).threshold == (1.5 if bound == "factor" else 0.5)


class TestNumbersWithErrors:
    """A value counts as off only beyond its limit and beyond `qa.significance` (4) of its errors."""

    FIT = {
        "flux_scale": 1.0, "e_flux_scale": 0.004, "flux_bow_dec": 0.01, "e_flux_bow_dec": 0.01,
        "shift_beams": 0.01, "e_shift_beams": 0.002, "unmatched_fraction": 0.0,
    }  # fmt: skip

    def reasons(self, **change):
        return judge("crossmatch", self.FIT | change)

    def test_good_numbers_give_no_reason(self):
        assert self.reasons() == []

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"flux_scale": 1.1}, "flux_scale_off"),
            ({"flux_scale": 0.96}, "flux_scale_off"),  # 4 %, ten errors
            ({"flux_bow_dec": -0.2}, "flux_bow_dec_off"),
            ({"shift_beams": 0.05}, "shift_beams_high"),
            ({"unmatched_fraction": 0.2}, "unmatched_fraction_high"),
        ],
    )
    def test_off_by_more_than_limit_and_error(self, change, code):
        assert [(r.code, r.severity) for r in self.reasons(**change)] == [(code, "warning")]

    @pytest.mark.parametrize(
        "change",
        [
            {"flux_scale": 1.02},  # five errors, within 3 %
            {"flux_scale": 1.1, "e_flux_scale": 0.03},  # 10 %, of which 12 % are four errors
            {"flux_bow_dec": -0.2, "e_flux_bow_dec": 0.06},
            {"shift_beams": 0.05, "e_shift_beams": 0.02},
        ],
    )
    def test_within_the_limit_or_the_error(self, change):
        assert self.reasons(**change) == []

    def test_the_error_and_the_diagnosis_stand_in_the_message(self):
        (first, second) = self.reasons(flux_scale=1.1, shift_beams=0.05, diagnosis="a flux scale of 1.100 ± 0.004")
        assert first.message.startswith("flux scale against the catalogue is 1.1 ± 0.004, off 1 by more than a factor")
        assert first.message.endswith("; best explained by a flux scale of 1.100 ± 0.004")
        assert "explained" not in second.message

    def test_a_number_of_a_part_names_it_and_needs_no_diagnosis(self):
        numbers = {"subband_gain": 1.3, "e_subband_gain": 0.01, "subband_gain_of": "sb05", "diagnosis": "a flux scale"}
        (reason,) = judge("image", numbers)
        assert reason.message == (
            "gain of one subband over the others' is 1.3 ± 0.01, off 1 by more than a factor of 1.05"
            " (qa.max_tile_subband_gain): sb05"
        )
        both = judge("image", numbers | {"flux_scale": 1.2, "e_flux_scale": 0.01})
        assert [reason.message.endswith("best explained by a flux scale") for reason in both] == [True, False]

    def test_a_number_without_its_error_is_not_measured(self):
        gate = Gate("mosaic", "x", "a ratio", "", "factor", 0.5, "warning", error="e_x")
        assert gate.crossed(2.0, {}) is True
        assert self.reasons(flux_scale=1.5, e_flux_scale=None) == []  # too few sources: the median says so


def test_a_constant_limit_names_no_key():
    gate = Gate("bundle", "n_infinite", "infinite pixels", "", "max", 0, "failed", code="infinite_pixels")
    assert gate.reason(3, {}) == Reason(
        code="infinite_pixels", severity="failed", message="infinite pixels is 3, above 0", measured=3, threshold=0
    )


class TestUnmeasured:
    @pytest.fixture
    def table(self, monkeypatch):
        def put(unmeasured):
            gate = Gate("calibration", "snr", "S/N", "", "min", 10.0, "failed", unmeasured=unmeasured)
            monkeypatch.setattr(judging, "GATES", (gate,))

        return put

    @pytest.mark.parametrize("severity", ["warning", "failed"])
    def test_severity(self, table, severity):
        table(severity)
        assert [r.severity for r in gates.judge("calibration", {"snr": None}, {})] == [severity]

    def test_no_reason(self, table):
        table(None)
        assert gates.judge("calibration", {"snr": None}, {}) == []


class TestJudgedAgain:
    def twin(self, numbers, reasons=()):
        return Twin(
            kind="mosaic", id="mosaic_20260211T000000", verdict=verdict_of(reasons), reasons=list(reasons),
            qa=numbers, parameters={"qa": QaOptions().model_dump()}, synthetic=True,
        )  # fmt: skip

    def test_with_its_own_options_nothing_changes(self):
        numbers = {"noise_ratio": 2.5, "tile_fraction": 0.4}
        twin = self.twin(numbers, gates.judge("mosaic", numbers, QA))
        assert len(twin.reasons) == 2
        assert gates.judge_again(twin, twin.parameters) == twin.reasons

    def test_another_threshold_changes_its_reason_alone(self):
        numbers = {"noise_ratio": 2.5, "tile_fraction": 0.4}
        twin = self.twin(numbers, gates.judge("mosaic", numbers, QA))
        loose = gates.judge_again(twin, {"qa": QaOptions(warn_noise_ratio=2.6)})
        assert [r.code for r in loose] == ["tile_fraction_low"]
        strict = gates.judge_again(twin, {"qa": QaOptions(max_noise_ratio=2.4)})
        assert [(r.code, r.severity) for r in strict] == [
            ("noise_ratio_high", "failed"), ("tile_fraction_low", "warning"),
        ]  # fmt: skip

    def test_reasons_of_no_gate_stay(self):
        nothing = Reason(code="no_usable_tile", severity="failed", message="none")
        twin = self.twin({"tile_fraction": 0.0}, [nothing])
        assert gates.judge_again(twin, QA)[0] == nothing
        # What was measured before it failed is judged, what was not is no reason of its own.
        assert [r.code for r in gates.judge_again(twin, QA)] == ["no_usable_tile", "tile_fraction_low"]

    def test_a_warning_of_no_gate_stays_beside_what_is_judged(self):
        note = Reason(code="tiles_left_out", severity="warning", message="one")
        twin = self.twin({"noise_ratio": 9.0, "tile_fraction": 1.0}, [note])
        assert [r.code for r in gates.judge_again(twin, QA)] == ["tiles_left_out", "noise_ratio_high"]


def test_every_threshold_of_the_section_qa_is_in_the_table():
    used = {gate.limit for gate in gates.GATES} | {gate.sample.option for gate in gates.GATES if gate.sample}
    used |= {"qa.significance" for gate in gates.GATES if gate.error}
    assert {f"qa.{key}" for key in QaOptions.model_fields} - used == {"qa.version", "qa.commissioning"}


def test_every_limit_is_a_key_of_the_configuration():
    config = Config()
    for gate in gates.GATES:
        if isinstance(gate.limit, str):
            section, key = gate.limit.split(".")
            assert key in type(getattr(config, section)).model_fields, gate
            assert gate.threshold({section: getattr(config, section)}) > 0


def test_every_limit_is_named_once_with_one_severity():
    limits = [gate.limit for gate in gates.GATES if isinstance(gate.limit, str)]
    assert len(limits) == len(set(limits))


def test_gates_of_one_number_agree_on_what_is_not_measured():
    for kind in {gate.kind for gate in gates.GATES}:
        for some in gates.gates_of(kind).values():
            assert len({(gate.label, gate.unmeasured, gate.sample, gate.when) for gate in some}) == 1
