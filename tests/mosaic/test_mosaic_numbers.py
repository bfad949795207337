"""Confusion is a part of the expected noise of a mosaic, and none in simulated data unless it is asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from contimg.mosaic.noise import local_rms
from contimg.sky.confusion import confusion_rms_jy
from contimg.sky.restoring_beam import RestoringBeam
from tests.support.fake_tiles import Sky, TileMaker
from tests.support.mosaics_of_tiles import mosaic, plane


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


def test_without_bright_sources_depths_by_both_numbers_agree(tmp_path):
    """One noise, measured in boxes, for what the picture shows and for what is judged: the deepest pixel is one."""
    maker = TileMaker(tmp_path, rms_jy=1e-3)
    made, folder = mosaic(tmp_path, [maker.make(number, 127 + 1.29 * number) for number in range(2)])
    assert made.qa["lowest_sigma"] == pytest.approx(-made.qa["worst_negative"], abs=2e-3)
    image, rms = plane(folder)[0], plane(folder, ".rms")[0]
    local, _ = local_rms(image, rms, made.facts["beam"]["bmaj_arcsec"] / made.facts["cell_arcsec"])
    assert made.qa["lowest_sigma"] == pytest.approx(float(np.nanmin(image / local)), abs=2e-3)
    assert made.qa["negative_pixels"] == np.count_nonzero(image < -5 * local)


def test_the_peak_is_that_between_pixels(tmp_path):
    """A source of 2 Jy in the middle of four pixels, of which a beam of 4 holds the highest 8 % lower."""
    maker = TileMaker(tmp_path, rms_jy=1e-4)
    place = maker.wcs(127.0).all_pix2world([[149.5, 149.5]], 0)[0]
    sky = Sky(np.array([place[0]]), np.array([place[1]]), np.array([2.0]))
    made, folder = mosaic(tmp_path, [maker.make(0, 127.0, sky)])
    assert made.qa["peak_mjy"] == pytest.approx(2000, rel=0.005)
    assert made.qa["dynamic_range"] == pytest.approx(made.qa["peak_mjy"] / made.qa["rms_mjy"], rel=1e-4)
    assert float(np.nanmax(plane(folder)[0])) < 1.98
