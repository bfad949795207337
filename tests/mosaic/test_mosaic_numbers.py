"""Confusion is a part of the expected noise of a mosaic, and none in simulated data unless it is asked for."""

from __future__ import annotations

import math

import pytest

from contimg.sky.confusion import confusion_rms_jy
from contimg.sky.restoring_beam import RestoringBeam
from tests.support.fake_tiles import TileMaker
from tests.support.mosaics_of_tiles import mosaic


def made_of(folder, *, synthetic, **options):
    """Return the twin of a mosaic of two tiles with 1 mJy of expected and of true noise."""
    maker = TileMaker(folder, expected_rms_jy=1e-3, synthetic=synthetic)
    return mosaic(folder, [maker.make(number, 127 + 1.29 * number, rms_jy=1e-3) for number in range(2)], **options)[0]


def test_simulated_data_have_none(tmp_path):
    qa = made_of(tmp_path, synthetic=True).qa
    assert qa["confusion_mjy"] == 0 and qa["noise_ratio"] == pytest.approx(1, rel=0.07)


def test_it_adds_in_quadrature_to_the_noise_of_the_receivers(tmp_path):
    without = made_of(tmp_path / "a", synthetic=True).qa["expected_rms_mjy"]
    qa = made_of(tmp_path / "b", synthetic=True, confusion_ujy=750.0).qa
    assert qa["confusion_mjy"] == 0.75
    assert qa["expected_rms_mjy"] == pytest.approx(math.hypot(without, 0.75), rel=1e-5)


def test_real_data_have_that_of_their_beam(tmp_path):
    made = made_of(tmp_path, synthetic=False)
    beam = made.facts["beam"]
    of_beam = RestoringBeam.from_degrees(beam["bmaj_arcsec"] / 3600, beam["bmin_arcsec"] / 3600, beam["bpa_deg"])
    assert made.qa["confusion_mjy"] == pytest.approx(confusion_rms_jy(of_beam, made.facts["freq_hz"]) * 1e3, rel=1e-4)
