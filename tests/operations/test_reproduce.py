"""Products are made again with the options that they were made with, and judged by the thresholds of then."""

from contimg.config import BeamOptions, CalibrationOptions, QaOptions
from contimg.config.used_keys import used_options
from contimg.operations.reproduce import mosaic_thresholds, solving_options
from contimg.products.judged import thresholds
from contimg.products.twin import Twin


def test_a_calibration_is_judged_by_its_own_thresholds():
    """A set of S/N 7 passed with min_median_snr 5; with the default of 10 it would fail, and not be applied."""
    then = CalibrationOptions(min_median_snr=5.0, max_flagged=0.6, refant="pad7", gain_interval_s=30.0)
    twin = Twin(
        kind="calibration", id="cal_20260211T002649", verdict="passed", synthetic=True,
        parameters={
            "calibrator": "3C286",
            "calibration": used_options("solve_calibration", "calibration", then),
            "beam": used_options("solve_calibration", "beam", BeamOptions()),
        },
        judged_with=thresholds("calibration", {"calibration": then}),
    )  # fmt: skip
    again = solving_options(twin)
    assert (again.min_median_snr, again.max_flagged) == (5.0, 0.6)
    assert (again.refant, again.gain_interval_s) == ("pad7", 30.0)


def test_a_mosaics_tiles_are_judged_by_their_own_thresholds():
    """Tiles of noise ratio 7 are in a mosaic made with max_tile_noise_ratio 9; with the default of 5 none would be."""
    then = QaOptions(max_tile_noise_ratio=9.0, max_noise_ratio=8.0, version=3)
    image, mosaic = (
        Twin(kind=kind, id=kind, verdict="passed", synthetic=True, judged_with=thresholds(kind, {"qa": then}))
        for kind in ("image", "mosaic")
    )
    again = mosaic_thresholds(mosaic, [image, image])
    assert (again.max_tile_noise_ratio, again.max_noise_ratio, again.version) == (9.0, 8.0, 3)
    assert mosaic_thresholds(mosaic, []).max_noise_ratio == 8.0
