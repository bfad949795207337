"""Windows, subtraction, curvature and coupling with a PSF of known shape."""

import numpy as np
import pytest

from contimg.imaging.clean.psf import curvature, psf_matrix, subtract_psf, window, without_border


def gaussian(size, x, y, a, b, c):
    dy, dx = np.mgrid[:size, :size] - np.array([y, x])[:, None, None]
    return np.exp(-(a * dx**2 + 2 * b * dx * dy + c * dy**2)).astype(np.float32)


def test_windows_are_views_cut_at_the_edges():
    array = np.zeros((6, 8))
    window(array, 3, 2, 1)[:] = 1
    assert array.sum() == 9
    assert array[1:4, 2:5].all()
    window(array, 0, 5, 1)[:] = 2
    assert (array == 2).sum() == 4
    assert window(array, -4, 3, 2).size == 0


def test_the_border_is_left_out():
    kept = without_border(np.ones((20, 30), bool))
    assert kept.sum() == 10 * 20
    assert kept[5:15, 5:25].all()


@pytest.mark.parametrize("size", [64, 65])
@pytest.mark.parametrize(("x", "y"), [(32, 32), (3, 60), (0, 0), (63, 10)])
def test_a_psf_is_subtracted_wherever_its_centre_is(size, x, y):
    psf = gaussian(size, size // 2, size // 2, 0.05, 0.01, 0.08)
    image = 2.5 * gaussian(size, x, y, 0.05, 0.01, 0.08)
    subtract_psf(image, psf, x, y, 2.5)
    assert np.abs(image).max() < 1e-6


def test_curvature_is_that_of_the_gaussian():
    # exp(-(a x^2 + 2 b x y + c y^2)) has the second derivatives -2a, -2b, -2c at its peak.
    found = curvature(gaussian(65, 32, 32, 0.05, 0.01, 0.08))
    assert found == pytest.approx(np.array([[-0.1, -0.02], [-0.02, -0.16]]), rel=0.01)


def test_coupling_is_the_psf_at_the_distance_and_0_outside():
    psf = gaussian(65, 32, 32, 0.05, 0.0, 0.08)
    matrix = psf_matrix(psf, np.array([10.0, 13.0, 60.0]), np.array([20.0, 22.0, 20.0]))
    assert np.diag(matrix).tolist() == [1.0] * 3
    assert matrix[0, 1] == pytest.approx(np.exp(-(0.05 * 9 + 0.08 * 4)), rel=1e-5)
    assert matrix == pytest.approx(matrix.T)
    assert matrix[0, 2] == 0
