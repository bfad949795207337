"""The model of a calibrator's field: its sources are on the scale of the list of calibrators where that has them."""

import numpy as np
import pytest

from contimg.calibration.field_model import on_scale_of
from contimg.sky.calibrators import Calibrator, builtin
from contimg.sky.catalogue import Catalogue

FREQ_HZ = np.linspace(1.28e9, 1.53e9, 5)


def catalogue(*rows) -> Catalogue:
    """Return a catalogue of rows (name, ra_deg, dec_deg, flux_jy) with an index of -0.7 and errors of 3 %."""
    name, ra, dec, flux = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    return Catalogue(
        name, ra.astype(float), dec.astype(float), flux.astype(float), 0.03 * flux.astype(float), np.full(n, 1.4e9),
        np.full(n, -0.7),
    )  # fmt: skip


def listed(**changes) -> Calibrator:
    given = {"name": "A", "ra_deg": 200.0, "dec_deg": 30.0, "coefficients": (1.0, -0.5), "range_hz": None}
    return Calibrator(**(given | {"anchor": "list"} | changes))


SURVEY = catalogue(("far", 201.0, 30.0, 2.0), ("here", 200.002, 30.001, 9.2), ("part", 200.0, 30.004, 0.5))


def test_a_source_of_the_list_has_the_lists_place_and_flux_at_every_frequency():
    found = on_scale_of([listed()], SURVEY, FREQ_HZ)
    assert list(found.name) == ["far", "here"]  # the component beside it is part of the calibrator's flux
    assert (found.ra_deg[1], found.dec_deg[1]) == (200.0, 30.0)
    assert found.flux_at(FREQ_HZ)[1] == pytest.approx(10 * (FREQ_HZ / 1e9) ** -0.5, rel=1e-9)
    assert found.flux_at(FREQ_HZ)[0] == pytest.approx(SURVEY.flux_at(FREQ_HZ)[0])
    assert found.flux_err_jy[1] == pytest.approx(0.05 * found.flux_jy[1])
    assert SURVEY.flux_jy[1] == 9.2  # the catalogue itself stays


def test_a_curved_spectrum_is_right_to_a_thousandth_over_the_band():
    standard = next(one for one in builtin() if one.name == "3C286")
    survey = catalogue(("3C286", standard.ra_deg, standard.dec_deg, 16.1))
    found = on_scale_of(builtin(), survey, FREQ_HZ)
    assert found.flux_at(FREQ_HZ)[0] == pytest.approx(standard.flux_jy(FREQ_HZ), rel=2e-3)


@pytest.mark.parametrize(
    "calibrator",
    [
        listed(coefficients=None),
        listed(flux_error=0.5),
        listed(range_hz=(0.2e9, 0.5e9)),
        listed(dec_deg=31.0),
    ],
    ids=["without a flux", "a blazar", "not in this band", "elsewhere"],
)
def test_what_the_list_does_not_know_better_stays(calibrator):
    found = on_scale_of([calibrator], SURVEY, FREQ_HZ)
    assert found.flux_jy == pytest.approx(SURVEY.flux_jy)
    assert list(found.name) == list(SURVEY.name)
