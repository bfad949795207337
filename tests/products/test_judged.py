"""Verdicts by the thresholds of now: they follow from a twin's numbers, not from the day it was made."""

import pytest

from contimg.config import CalibrationOptions, QaOptions
from contimg.errors import InputError
from contimg.products.judged import judged, options_of, read_judged, thresholds, verdict_of_image
from contimg.products.twin import Reason, Twin, twin_digest, write_twin
from tests.support import mosaics

TILE = "2026-02-11T00:26:49"
GOOD = {"noise_ratio": 1.2, "tile_fraction": 1.0}


def twin(**change):
    content = {"kind": "mosaic", "id": "m", "verdict": "passed", "qa": GOOD, "synthetic": True}
    return Twin(**(content | change))


def qa(**change):
    return {"qa": QaOptions(**change)}


def test_a_stricter_threshold_fails_what_passed_and_back():
    strict = judged(twin(), qa(max_noise_ratio=1.1, warn_noise_ratio=1.05))
    assert (strict.verdict, [one.code for one in strict.reasons]) == ("failed", ["noise_ratio_high"])
    assert strict.reasons[0].measured == 1.2 and strict.reasons[0].threshold == 1.1
    assert strict.judged_with["qa"]["max_noise_ratio"] == 1.1
    again = judged(strict, qa())
    assert (again.verdict, again.reasons) == ("passed", [])
    assert twin_digest(again) == twin_digest(strict) == twin_digest(twin())  # a verdict is no part of what it is


def test_a_twin_of_before_version_0_2_keeps_its_verdict():
    old = twin(schema_version=1, verdict="warning")
    assert judged(old, qa(max_noise_ratio=1.1, warn_noise_ratio=1.05)) == old


def test_a_kind_without_thresholds_keeps_its_verdict():
    reason = Reason(code="empty", severity="failed", message="no data")
    ms = twin(kind="ms", verdict="failed", reasons=[reason])
    assert judged(ms, {}) == ms
    assert thresholds("ms", {}) == {}


def test_a_section_that_is_missing_is_an_error():
    with pytest.raises(KeyError, match="qa"):
        judged(twin(), {})


def test_thresholds_are_those_of_the_kind():
    found = thresholds("mosaic", qa(max_noise_ratio=2.5))
    keys = (
        "version", "warn_noise_ratio", "min_tile_fraction", "significance", "max_noise_spread", "max_warned_weight",
        "max_scale_spread", "max_beam_width_error", "max_negative_outliers", "max_shift_spread_beams",
        "max_negative_sigma", "max_band_tilt", "max_striping", "max_pixel_scale_spread", "max_pixel_shift_spread_beams",
        "max_difference_width", "max_difference_residue", "max_difference_stripe", "max_pixel_outliers",
        "max_pixel_outlier_sigma", "max_beam_ratio_error", "commissioning",
    )  # fmt: skip
    assert found == {"qa": {"max_noise_ratio": 2.5} | {key: getattr(QaOptions(), key) for key in keys}}
    assert thresholds("mosaic", {"qa": QaOptions(max_noise_ratio=2.5).model_dump()}) == found


def test_a_twin_is_read_and_judged(tmp_path):
    write_twin(tmp_path / "m.json", twin(qa=GOOD | {"tile_fraction": 0.4}))
    assert read_judged(tmp_path / "m.json", qa()).verdict == "warning"
    assert read_judged(tmp_path / "m.json", qa(min_tile_fraction=0.3)).verdict == "passed"
    with pytest.raises(InputError, match="does not exist"):
        read_judged(tmp_path / "nothing.json", qa())


def test_the_verdict_of_a_tiles_image(tmp_path):
    config = mosaics.config_below(tmp_path)
    assert verdict_of_image(config, TILE) is None
    place = config.layout.twin("image", TILE)
    place.parent.mkdir(parents=True)
    numbers = {"noise_ratio": 6.0, "striping": 0.9, "psf_misfit": 0.1}
    write_twin(place, twin(kind="image", id=TILE, qa=numbers))
    assert verdict_of_image(config, TILE) == "failed noise_ratio_high striping_high"
    write_twin(place, twin(kind="image", id=TILE, qa=numbers | {"noise_ratio": 1.0, "striping": 0.0}))
    assert verdict_of_image(config, TILE) == "passed"
    loose = mosaics.config_below(tmp_path, qa={"warn_tile_noise_ratio": 0.5})
    assert verdict_of_image(loose, TILE) == "warning noise_ratio_high"
    assert set(options_of(config)) == {"qa", "calibration"}
    place.write_text("{")  # an image with a damaged twin is still to be made
    assert verdict_of_image(config, TILE) is None


BAD = {"noise_ratio": 40.0, "tile_fraction": 0.2}


@pytest.mark.parametrize(("numbers", "codes"), [
    (GOOD, ["commissioning"]),
    (BAD, ["noise_ratio_high", "tile_fraction_low", "commissioning"]),
], ids=["good", "bad"])  # fmt: skip
def test_a_mosaic_in_commissioning_is_a_warning_whatever_its_numbers(numbers, codes):
    seen = judged(twin(qa=numbers), qa(commissioning=True))
    assert (seen.verdict, [one.code for one in seen.reasons]) == ("warning", codes)
    assert seen.judged_with["qa"]["commissioning"] is True
    if numbers is BAD:
        first = seen.reasons[0]
        assert first.measured == 40.0 and first.message.endswith(
            "(qa.max_noise_ratio); failed, but for qa.commissioning"
        )
    again = judged(seen, qa())  # switched off, nothing of it is left
    assert again.reasons == judged(twin(qa=numbers), qa()).reasons
    assert judged(judged(seen, qa(commissioning=True)), qa(commissioning=True)).reasons == seen.reasons


def test_a_tile_of_forty_times_the_radiometer_is_a_warning_in_commissioning():
    image = twin(kind="image", qa={"noise_ratio": 40.0})
    assert judged(image, qa()).verdict == "failed"
    assert judged(image, qa(commissioning=True)).verdict == "warning"


def test_what_no_gate_measures_stays_failed_in_commissioning():
    reason = Reason(code="no_data", severity="failed", message="no data")
    assert judged(twin(kind="image", qa={}, reasons=[reason]), qa(commissioning=True)).verdict == "failed"


def test_a_calibration_that_failed_its_gates_is_a_warning_in_commissioning():
    numbers = {"snr_median": 3.0}
    options = {"calibration": CalibrationOptions()}
    solved = twin(kind="calibration", qa=numbers)
    assert judged(solved, options | qa()).verdict == "failed"
    seen = judged(solved, options | qa(commissioning=True))
    assert [(one.code, one.severity) for one in seen.reasons] == [("low_snr", "warning")]


def test_a_section_of_before_the_key_has_commissioning_off():
    old = QaOptions().model_dump()
    del old["commissioning"]
    assert judged(twin(qa=BAD), {"qa": old}).verdict == "failed"
    assert thresholds("mosaic", {"qa": old})["qa"]["commissioning"] is False
