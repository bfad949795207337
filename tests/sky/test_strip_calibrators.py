"""What is said of a strip that no calibrator of the list crosses."""

from dataclasses import replace

import numpy as np
import pytest

from contimg.config import BeamOptions, CalibrationOptions
from contimg.sky import calibrators
from contimg.sky.strip_calibrators import strip_advice
from contimg.sky.transits import DriftScan

BEAM, OPTIONS = BeamOptions(), CalibrationOptions()


def advice(dec_deg, listed=None, options=OPTIONS):
    scan = DriftScan(np.radians(dec_deg), 61082.3, 61082.31, -2.064427799136453, 0.6498455107238486)
    return strip_advice(calibrators.builtin() if listed is None else listed, scan, BEAM, options)


@pytest.mark.parametrize("dec_deg", [16.3, 33.15, 30.5, 50.5, 52.2])
def test_nothing_is_said_where_a_standard_crosses_at_any_time_of_the_day(dec_deg):
    assert advice(dec_deg) is None


# Counted by hand in the telescope's copy of the list, for its strips.
@pytest.mark.parametrize(("dec_deg", "count"), [(54.57, 6), (65.7, 6), (71.6, 4)])
def test_the_strips_of_the_telescope_without_a_standard(dec_deg, count):
    assert advice(dec_deg) == (
        f"no source of the built-in list crosses {dec_deg:+.1f} with 1 Jy through the beam; "
        f"the VLA calibrator list has {count}: name it (.txt) in calibration.calibrators"
    )


def test_where_that_list_has_none_either_the_limit_is_named():
    assert advice(80.0).endswith("nor of the VLA calibrator list: lower calibration.min_calibrator_jy")


def test_with_the_vla_list_a_table_of_ones_own_is_named():
    options = OPTIONS.model_copy(update={"calibrators": "/lists/vla.txt"})
    said = advice(80.0, options=options)
    assert said.startswith("no source of the vla.txt crosses +80.0 with 1 Jy")
    assert "name a table with one in calibration.calibrators" in said


def test_a_source_that_is_too_faint_does_not_count():
    faint = calibrators.Calibrator("A", 10.0, 71.6, (np.log10(0.9),), None, "test")
    assert advice(71.6, (faint,)) is not None
    assert advice(71.6, (replace(faint, coefficients=(0.1,)),)) is None
    assert advice(71.6, (faint,), OPTIONS.model_copy(update={"min_calibrator_jy": 0.5})) is None
