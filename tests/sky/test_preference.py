"""The choice between calibrators: steadiness, apparent flux density and dominance of the field."""

from dataclasses import replace

import numpy as np
import pytest

from contimg.config import BeamOptions, CalibrationOptions
from contimg.sky import calibrators
from contimg.sky.airy_beam import airy_power
from contimg.sky.preference import dominance, expected_error
from contimg.sky.transits import BAND_CENTRE_HZ, DriftScan, transits
from contimg.sky.vla_calibrators import FLUX_ERROR

BEAM = BeamOptions()
SCAN = DriftScan(np.radians(30.0), 61082.0, 61082.997, -2.064427799136453, 0.6498455107238486)


def source(name, flux, *, ra=100.0, dec=30.0, **changes):
    return replace(calibrators.Calibrator(name, ra, dec, (np.log10(flux),), None, "test"), **changes)


def order(*listed, catalogue=None):
    found = transits(listed, SCAN, BEAM, CalibrationOptions(), catalogue=catalogue)
    return [one.name for one in found]


def test_the_three_errors_add_in_quadrature():
    one = source("A", 1.0, flux_error=0.03)
    assert expected_error(one, 1.25, 1.0) == pytest.approx(np.hypot(0.03, 0.05 / 1.25))
    assert expected_error(one, 1.25, 0.2) == pytest.approx(np.sqrt(0.03**2 + 0.04**2 + (0.1 * 0.8 / 0.2) ** 2))
    assert expected_error(one, 1.25, None) == expected_error(one, 1.25, 1.0)
    assert expected_error(one, 0.0, None) == np.inf
    assert expected_error(replace(one, min_klambda=6.0), 1.25, 1.0) == pytest.approx(np.hypot(0.03, 0.15 / 1.25))


def test_a_standard_is_preferred_to_stronger_entries_of_a_list_and_these_to_a_blazar():
    standard = source("standard", 3.0, ra=100.0, flux_error=0.03)
    good, fair, poor = (source(q, 9.0, ra=101.0, flux_error=FLUX_ERROR[q]) for q in "PSW")
    blazar = source("blazar", 12.0, ra=102.0, flux_error=0.3)
    assert order(blazar, poor, fair, good, standard) == ["standard", "P", "S", "W", "blazar"]


def test_of_equally_steady_ones_the_stronger_is_preferred():
    assert order(source("weak", 2.0), source("strong", 9.0, ra=101.0)) == ["strong", "weak"]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Return a catalogue in which source A is one of three of its field, and B is alone."""
    place = tmp_path_factory.mktemp("field") / "c.csv"
    rows = ["A,100.0,30.0,9.0", "A2,100.8,30.4,20.0", "A3,99.3,29.5,15.0", "B,140.0,30.0,6.0", "B2,141.0,30.0,0.2"]
    place.write_text("\n".join(["name,ra_deg,dec_deg,flux_jy", *rows]) + "\n")
    return place


def test_one_that_dominates_its_field_is_preferred_to_a_stronger_one_that_does_not(crowded):
    a, b = source("A", 9.0), source("B", 6.0, ra=140.0)
    assert order(a, b) == ["A", "B"]
    assert order(a, b, catalogue=crowded) == ["B", "A"]


def test_dominance_is_the_share_of_the_apparent_flux(crowded):
    a = source("A", 9.0)
    others = 0.0
    for ra, dec, flux in ((100.8, 30.4, 20.0), (99.3, 29.5, 15.0)):
        x, y = np.radians([100.0, 29.7]), np.radians([ra, dec])
        cosine = np.sin(x[1]) * np.sin(y[1]) + np.cos(x[1]) * np.cos(y[1]) * np.cos(x[0] - y[0])
        power = float(airy_power(np.arccos(cosine), BAND_CENTRE_HZ, BEAM.dish_diameter_m, BEAM.blockage_diameter_m))
        others += power * flux * (BAND_CENTRE_HZ / 1.4e9) ** -0.7
    found = dominance(a, 8.0, 0.3, crowded, BEAM, BAND_CENTRE_HZ)
    assert found == pytest.approx(8.0 / (8.0 + others), rel=1e-9)


def test_alone_in_the_catalogue_it_is_all_of_the_field(crowded):
    assert dominance(source("C", 5.0, ra=250.0), 5.0, 0.0, crowded, BEAM, BAND_CENTRE_HZ) == 1.0


def test_the_strip_of_16_deg_is_calibrated_on_3c138_not_on_the_stronger_blazar():
    """List fluxes 10 Jy (3C454.3) and 8.4 Jy: the strongest is not the steadiest."""
    listed = [*calibrators.builtin(), source("2253+161", 10.0, ra=343.4906, dec=16.1482, flux_error=0.3)]
    scan = replace(SCAN, dec_app_rad=np.radians(16.3))
    assert [one.name for one in transits(listed, scan, BEAM, CalibrationOptions())] == ["3C138", "2253+161"]
