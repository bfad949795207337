"""Confusion noise against the published formula at beams and frequencies worked out by hand."""

from __future__ import annotations

import pytest

from contimg.sky.confusion import confusion_rms_jy
from contimg.sky.restoring_beam import RestoringBeam


@pytest.mark.parametrize(
    ("theta_arcsec", "hz", "ujy"),
    [
        (8.0, 3.02e9, 1.2),  # Condon et al. (2012)
        (8.0, 1.51e9, 1.95),
        (10.2, 1e9, 5.9),  # both laws, to 4 percent
        (45.0, 1.4e9, 88.9),  # the NVSS has about 0.08 mJy/beam (Condon et al. 1998, AJ 115, 1693)
        (60.0, 1e9, 200.0),
        (120.0, 1e9, 800.0),
    ],
)
def test_confusion_of_published_formulas(theta_arcsec, hz, ujy):
    beam = RestoringBeam.from_degrees(1.25 * theta_arcsec / 3600, 0.8 * theta_arcsec / 3600, 40)
    assert confusion_rms_jy(beam, hz) * 1e6 == pytest.approx(ujy, rel=0.025)
