"""Systematic errors of single sources follow from the numbers of the comparison, at the source's place."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from contimg.crossmatch.source_errors import with_systematic_errors
from contimg.crossmatch.sources import write_sources
from contimg.crossmatch.systematics import FieldFrame
from contimg.products.numbers import CrossmatchQa
from tests.crossmatch.test_matching import found, matched

BEAM_ARCSEC = 40.0
# Five sources on the equator: the field is 0.4 deg wide and 0.2 deg high, its middle at (130, 0).
ROWS = [
    ("w", 129.8, 0.0, 0.1),
    ("m", 130.0, 0.0, 0.2),
    ("e", 130.2, 0.0, 0.3),
    ("n", 130.0, 0.1, 0.4),
    ("s", 130.0, -0.1, 0.5),
]
NUMBERS = CrossmatchQa(
    flux_scale=1.03, e_flux_scale=0.04, peak_over_total=0.97, e_peak_over_total=0.04, flux_tilt_ra=0.0,
    e_flux_tilt_ra=0.01, flux_tilt_dec=-0.03, e_flux_tilt_dec=0.04, flux_bow_dec=0.12, e_flux_bow_dec=0.0,
    shift_beams=0.03, e_shift_beams=0.04, distortion_beams=0.0, e_distortion_beams=0.12,
)  # fmt: skip


@pytest.fixture
def sources():
    return [found(ra, dec, flux) for _, ra, dec, flux in ROWS]


def judged(tmp_path, sources, numbers=NUMBERS):
    return with_systematic_errors(sources, matched(tmp_path, sources, ROWS), numbers, BEAM_ARCSEC)


def test_scale_and_shape_are_the_same_fraction_of_every_flux(tmp_path, sources):
    for one in judged(tmp_path, sources):
        assert one.e_flux_scale_jy == pytest.approx(0.05 * one.total_flux_jy)
        assert one.e_flux_position_jy == pytest.approx(0.05 * one.total_flux_jy)


def test_the_beams_error_grows_from_the_middle_to_the_edges(tmp_path, sources):
    west, middle, east, north, south = (one.e_flux_beam_jy / one.total_flux_jy for one in judged(tmp_path, sources))
    assert (west, middle, east) == pytest.approx((0.01, 0.0, 0.01), abs=1e-9)
    assert (north, south) == pytest.approx((0.13, 0.13))  # hypot(0.05, 0.12)


def test_places(tmp_path, sources):
    west, middle, east, north, south = (one.e_place_arcsec for one in judged(tmp_path, sources))
    assert middle == pytest.approx(0.05 * BEAM_ARCSEC)
    assert (west, east, north, south) == pytest.approx((0.13 * BEAM_ARCSEC,) * 4)


def test_what_was_not_measured_is_not_a_number(tmp_path, sources):
    few = judged(tmp_path, sources, CrossmatchQa(flux_scale=1.0, e_flux_scale=0.01))
    assert all(one.e_flux_scale_jy == pytest.approx(0.01 * one.total_flux_jy) for one in few)
    assert all(math.isnan(value) for one in few for value in (one.e_flux_beam_jy, one.e_place_arcsec))


def test_without_a_match_there_are_none(tmp_path, sources):
    nothing = matched(tmp_path, sources, [("far", 129.9, 0.05, 0.3)])
    assert with_systematic_errors(sources, nothing, NUMBERS, BEAM_ARCSEC) == sources
    assert with_systematic_errors([], nothing, NUMBERS, BEAM_ARCSEC) == []


def test_the_table_has_a_column_for_each(tmp_path, sources):
    write_sources(tmp_path / "s.csv", judged(tmp_path, sources))
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert float(rows[3]["e_flux_beam_jy"]) == pytest.approx(0.4 * 0.13)
    assert {"e_flux_scale_jy", "e_flux_position_jy", "e_place_arcsec", "e_total_flux_jy"} <= set(rows[0])


def test_places_in_the_field_run_from_edge_to_edge_also_across_ra_0(tmp_path):
    rows = [("w", 359.9, 0.0, 0.1), ("e", 0.2, 0.1, 0.2)]
    got = matched(tmp_path, [found(ra, dec, flux) for _, ra, dec, flux in rows], rows, ra=0.0)
    frame = FieldFrame.of(got, np.array([True, True]))
    x, y = frame.places(np.array([359.9, 0.05, 0.2]), np.array([0.0, 0.05, 0.1]))
    assert x == pytest.approx([-1, 0, 1], abs=1e-5) and y == pytest.approx([-1, 0, 1])
    assert frame.half_deg == pytest.approx((0.15, 0.05), rel=1e-4)
