"""Solving leaves out short baselines where the check of the raw files found the Sun, and only there."""

import pytest

from contimg.calibration.solve_calibration import _without_sun
from contimg.config import CalibrationOptions
from contimg.products.draft import TwinDraft


@pytest.mark.parametrize(
    ("first_light", "options", "shortest"),
    [
        (None, {}, 0.0),
        ({"unchecked": "files are gone"}, {}, 0.0),
        ({"refuted": []}, {}, 0.0),
        ({"refuted": ["clock", "boards"]}, {}, 0.0),
        ({"refuted": ["sun"]}, {}, 0.3),
        ({"refuted": ["sun"]}, {"min_uv_klambda": 0.5}, 0.5),
        ({"refuted": ["sun"]}, {"sun_min_uv_klambda": 0.0}, 0.0),
    ],
)
def test_the_shortest_baseline_of_a_solve(first_light, options, shortest):
    draft = TwinDraft("calibration")
    used = _without_sun(CalibrationOptions(**options), first_light, draft)
    assert used.min_uv_klambda == shortest
    assert len(draft.notes) == (1 if shortest == 0.3 else 0)
