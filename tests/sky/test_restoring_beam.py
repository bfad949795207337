"""The restoring beam: areas and covariances known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from contimg.sky.restoring_beam import RestoringBeam


def test_area_of_a_round_beam_of_a_degree():
    # pi / (4 ln 2) deg^2
    beam = RestoringBeam.from_degrees(1.0, 1.0, 0.0)
    assert math.degrees(math.degrees(beam.area_rad2)) == pytest.approx(1.1330900354567985, rel=1e-12)
    assert beam.area_px(math.radians(0.1)) == pytest.approx(113.30900354567985, rel=1e-12)


def test_covariance_of_a_beam_elongated_to_the_north_east():
    # sigma^2 = fwhm^2 / 5.545; at 45 deg both axes share it and east and north vary together.
    got = RestoringBeam(2.0, 1.0, math.radians(45)).covariance() * 8 * np.log(2)
    assert got == pytest.approx(np.array([[2.5, 1.5], [1.5, 2.5]]))


def test_covariance_and_back():
    one = RestoringBeam.from_degrees(64.1 / 3600, 35.4 / 3600, 127.0)
    back = RestoringBeam.from_covariance(one.covariance())
    assert (back.bmaj_deg, back.bmin_deg, back.bpa_deg) == pytest.approx((one.bmaj_deg, one.bmin_deg, 127.0))


def test_half_maximum_lies_half_a_width_from_the_middle():
    beam = RestoringBeam.from_degrees(0.02, 0.01, 30.0)
    a, b, c = beam.exponents()
    # Along the major axis: (east, north) = (sin, cos) of the position angle.
    for width, angle in ((beam.bmaj_rad, beam.bpa_rad), (beam.bmin_rad, beam.bpa_rad + math.pi / 2)):
        east, north = width / 2 * math.sin(angle), width / 2 * math.cos(angle)
        assert math.exp(-(a * east**2 + 2 * b * east * north + c * north**2)) == pytest.approx(0.5)


def test_facts_are_rounded_as_twins_hold_them():
    facts = RestoringBeam.from_degrees(0.0123456789, 0.01, 30.0).facts()
    assert facts == {"bmaj_arcsec": 44.444444, "bmin_arcsec": 36.0, "bpa_deg": 30.0}
