"""The expected error of a bandpass, against closed forms."""

import numpy as np
import pytest

from contimg.calibration.gain_error import expected_gain_error, field_model_error
from tests.calibration.test_field_model import catalogue


def test_field_model_error_is_the_sources_errors_in_quadrature():
    sources = catalogue(("a", 1, 2, 4.0), ("b", 1, 3, 3.0))
    error = field_model_error(sources, np.array([2.0, 1.5]), 10.0)
    assert error == pytest.approx(0.03 * np.hypot(2.0, 1.5) / 10)
    sources.flux_err_jy[:] = np.nan
    assert field_model_error(sources, np.array([2.0, 1.5]), 10.0) == pytest.approx(0.1 * 2.5 / 10)


def test_noise_averages_over_channels_and_polarisations():
    size = {"n_antennas": 24, "n_channels": 32, "n_subbands": 16}
    assert expected_gain_error(200.0, 0.0, **size) == pytest.approx(1 / 200 / 8)


def test_the_fields_error_averages_over_baselines_and_parts_of_the_band():
    size = {"n_antennas": 51, "n_channels": 768, "n_subbands": 16}
    assert expected_gain_error(1e9, 0.02, **size) == pytest.approx(0.02 / np.sqrt(2 * 50 * 32), rel=1e-6)
    few = size | {"n_channels": 16}
    assert expected_gain_error(1e9, 0.02, **few) == pytest.approx(0.02 / np.sqrt(2 * 50 * 16), rel=1e-6)


@pytest.mark.parametrize("changes", [{"n_antennas": 1}, {"n_channels": 0}])
def test_without_antennas_or_channels_there_is_none(changes):
    assert expected_gain_error(100.0, 0.0, **({"n_antennas": 9, "n_channels": 9, "n_subbands": 2} | changes)) is None
    assert expected_gain_error(0.0, 0.0, n_antennas=9, n_channels=9, n_subbands=2) is None
