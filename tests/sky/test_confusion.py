"""Confusion noise against the published formula at beams and frequencies worked out by hand."""

from __future__ import annotations

import pytest

from contimg.sky.confusion import confusion_rms_jy
from contimg.sky.restoring_beam import RestoringBeam


@pytest.mark.parametrize(
    ("theta_arcsec", "hz", "ujy"), [(8.0, 3.02e9, 1.2), (16.0, 3.02e9, 12.095), (8.0, 1.51e9, 1.949)]
)
def test_confusion_of_condon_and_others(theta_arcsec, hz, ujy):
    beam = RestoringBeam.from_degrees(1.25 * theta_arcsec / 3600, 0.8 * theta_arcsec / 3600, 40)
    assert confusion_rms_jy(beam, hz) * 1e6 == pytest.approx(ujy, rel=1e-3)
