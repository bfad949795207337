"""Separations and unit vectors on the sphere."""

import numpy as np
import pytest

from contimg.sky.spherical import separation, unit_vectors


@pytest.mark.parametrize("size_rad", [1e-9, 1e-6, 1e-3, 1.0, 3.0, np.pi - 1e-6])
def test_separation_along_a_meridian_and_the_equator_is_exact_at_all_sizes(size_rad):
    assert separation(0.3, -1.0, 0.3, -1.0 + min(size_rad, 2.5)) == pytest.approx(min(size_rad, 2.5), rel=1e-6)
    assert separation(6.2, 0.0, 6.2 + size_rad, 0.0) == pytest.approx(size_rad, rel=1e-6)


def test_separation_against_astropy():
    from astropy.coordinates import SkyCoord

    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(-7, 7, (2, 200)), np.arcsin(rng.uniform(-1, 1, (2, 200)))
    one, two = (SkyCoord(ra[i], dec[i], unit="rad") for i in (0, 1))
    assert separation(ra[0], dec[0], ra[1], dec[1]) == pytest.approx(one.separation(two).rad, abs=1e-12)
    assert separation(ra[0], dec[0], 0.1, 0.2).shape == (200,)


def test_unit_vectors_are_those_of_the_axes():
    axes = unit_vectors(np.array([[0.0, 0.0], [np.pi / 2, 0.0], [1.234, np.pi / 2]]))
    assert axes == pytest.approx(np.eye(3), abs=1e-15)
    rng = np.random.default_rng(2)
    radec = np.stack([rng.uniform(0, 7, 50), np.arcsin(rng.uniform(-1, 1, 50))], axis=-1)
    vectors = unit_vectors(radec)
    cosine = vectors @ vectors[0]
    assert np.arccos(np.clip(cosine, -1, 1))[1:] == pytest.approx(separation(*radec[1:].T, *radec[0]), abs=1e-7)
