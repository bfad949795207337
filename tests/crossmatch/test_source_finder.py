"""Sources put into noise of known correlation: what is found, and whether errors are as large as differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmarks import find
from contimg.crossmatch.gaussian_fit import Pixels, fit, total_flux
from contimg.crossmatch.islands import SkyImage, find_islands, noise_correlation
from contimg.crossmatch.source_finder import find_components

FWHM = (4.8, 3.6)  # along y and x
SIGMA = tuple(width / 2.3548200450309493 for width in FWHM)
BEAM = np.diag([SIGMA[1] ** 2, SIGMA[0] ** 2])
SIZE, APART = 1100, 40


def noise(seed, shape=(SIZE, SIZE), sigma=SIGMA):
    """Return white noise convolved with the beam, of rms 1."""
    white = np.random.default_rng(seed).normal(size=shape)
    return gaussian_filter(white, sigma, mode="wrap") * 2 * np.sqrt(np.pi * sigma[0] * sigma[1])


def add(image, x, y, flux, sigma=SIGMA):
    rows, columns = (slice(max(0, int(v) - 25), int(v) + 26) for v in (y, x))
    yy, xx = np.mgrid[rows, columns]
    inside = (yy < image.shape[0]) & (xx < image.shape[1])
    shape = np.exp(-0.5 * (((xx - x) / sigma[1]) ** 2 + ((yy - y) / sigma[0]) ** 2))
    image[yy[inside], xx[inside]] += flux * shape[inside]


def field(seed, snr):
    """Return an image whose noise rises fivefold to a round edge, its rms, and its sources: x, y and flux."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    radius = np.hypot(x, y) / (SIZE / 2)
    rms = 5.0 ** (radius**2)
    image = noise(seed) * rms
    rng = np.random.default_rng(seed + 100)
    places = np.stack(np.meshgrid(np.arange(20, SIZE - 20, APART), np.arange(20, SIZE - 20, APART)), -1).reshape(-1, 2)
    places = places + rng.uniform(-5, 5, places.shape)
    places = places[np.hypot(*(places - SIZE / 2).T) < SIZE / 2 - 4]  # down to a beam from the edge
    flux = rng.uniform(*snr, len(places)) * 5.0 ** ((np.hypot(*(places - SIZE / 2).T) / (SIZE / 2)) ** 2)
    for (px, py), one in zip(places, flux, strict=True):
        add(image, px, py, one)
    outside = radius > 1
    image[outside] = rms[outside] = np.nan
    return image, rms, np.column_stack([places, flux])


def compare(seeds, snr):
    """Return (n, 5): differences over errors of total flux, peak, x and y, and radius; sources; false sources."""
    pulls, number, false = [], 0, 0
    for seed in seeds:
        image, rms, truth = field(seed, snr)
        found = find_components(SkyImage(image, rms, BEAM, 2 * BEAM))
        places = np.array([(one.x, one.y) for one in found])
        number += len(truth)
        matched = 0
        for x, y, flux in truth:
            distance = np.hypot(*(places - (x, y)).T)
            one = found[int(distance.argmin())]
            if distance.min() > 4:
                continue
            matched += 1
            e_x, e_y = np.sqrt(np.diag(one.place_covariance))
            radius = np.hypot(x - SIZE / 2, y - SIZE / 2) / (SIZE / 2)
            differences = (one.total_jy - flux) / one.e_total_jy, (one.peak_jy - flux) / one.e_peak_jy
            pulls.append((*differences, (one.x - x) / e_x, (one.y - y) / e_y, radius))
        false += len(found) - matched
    return np.array(pulls), number, false


@pytest.fixture(scope="module")
def faint():
    return compare((1, 2), (7.0, 7.0))


@pytest.fixture(scope="module")
def strong():
    return compare((3, 4), (10.0, 100.0))


def test_of_sources_of_seven_sigma_98_in_100_are_found(faint):
    pulls, number, false = faint
    assert number > 1000
    assert len(pulls) >= 0.98 * number
    assert false <= 2


def test_every_source_of_ten_sigma_is_found(strong):
    pulls, number, false = strong
    assert len(pulls) == number and false <= 2


@pytest.mark.parametrize("edge", [False, True])
def test_errors_of_flux_and_place_are_those_of_the_differences(strong, edge):
    pulls = strong[0][(strong[0][:, 4] > 0.8) == edge][:, :4]
    assert len(pulls) > 300
    assert np.std(pulls, axis=0) == pytest.approx(np.ones(4), abs=0.1)
    assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(len(pulls))


def test_errors_at_seven_sigma(faint):
    # Of sources near the threshold, those that noise made fainter are lost: the mean rises by a tenth of the error.
    pulls = faint[0][:, :4]
    assert np.std(pulls, axis=0) == pytest.approx(np.ones(4), abs=0.1)
    assert np.abs(pulls.mean(axis=0)).max() < 0.2


def test_noise_alone_has_no_sources_but_for_chance():
    # 1100^2 / 19.6 beams of 1.1 pixels: 5 sigma is exceeded in fewer than one of 100 such images of independent beams.
    assert len(find_components(SkyImage(noise(9), np.ones((SIZE, SIZE)), BEAM, 2 * BEAM))) <= 1


def test_a_resolved_source_has_its_flux_and_shape():
    # A Gaussian of twice the beam's area: peak 100, total 200.
    image = noise(5, (120, 120))
    wide = (SIGMA[0] * 2**0.5, SIGMA[1] * 2**0.5)
    add(image, 60.3, 59.8, 100.0, wide)
    (found,) = find_components(SkyImage(image, np.ones(image.shape), BEAM, 2 * BEAM))
    assert found.resolved
    assert abs(found.total_jy - 200) < 4 * found.e_total_jy and 1 < found.e_total_jy < 6
    assert np.sqrt(np.diag(found.shape)) == pytest.approx([wide[1], wide[0]], rel=0.06)


def test_compactness_shows_what_smearing_takes_in_the_mean_of_many_sources():
    # Smeared by 4 % in area: too little to see in one source of 40 sigma.
    image, shapes = noise(10), []
    for x, y in np.stack(np.meshgrid(np.arange(20, SIZE - 20, APART), np.arange(20, SIZE - 20, APART)), -1).reshape(
        -1, 2
    ):
        add(image, x + 0.3, y - 0.2, 40.0, (SIGMA[0] * 1.04, SIGMA[1]))
    found = find_components(SkyImage(image, np.ones(image.shape), BEAM, 2 * BEAM))
    shapes = [one.compactness for one in found if one.peak_jy > 30]
    assert np.mean([one.resolved for one in found]) < 0.2
    assert np.median(shapes) == pytest.approx(1 / 1.04, abs=0.008)


def test_two_sources_in_one_island_are_told_apart():
    image = noise(6, (120, 120))
    add(image, 60.0, 60.0, 50.0)
    add(image, 66.0, 61.0, 40.0)
    found = sorted(find_components(SkyImage(image, np.ones(image.shape), BEAM, 2 * BEAM)), key=lambda one: one.x)
    assert len(found) == 2 and not any(one.alone or one.resolved for one in found)
    for one, (x, y, flux) in zip(found, ((60, 60, 50), (66, 61, 40)), strict=True):
        assert abs(one.total_jy - flux) < 4 * one.e_total_jy
        assert np.hypot(one.x - x, one.y - y) < 0.3


def test_a_source_cut_by_the_edge_is_still_one_source():
    image = noise(7, (120, 120))
    add(image, 60.0, 59.5, 60.0)
    image[:59] = np.nan
    (found,) = find_components(SkyImage(image, np.where(np.isnan(image), np.nan, 1.0), BEAM, 2 * BEAM))
    assert abs(found.total_jy - 60) < 4 * found.e_total_jy
    # One pixel in the corner: nothing can be fitted, and the error says so.
    corner = np.full((50, 50), np.nan)
    corner[:2, :1] = 20.0
    (one,) = find_components(SkyImage(corner, np.ones((50, 50)), BEAM, 2 * BEAM))
    assert (one.peak_jy, one.e_peak_jy) == (20.0, 1.0)
    assert np.sqrt(np.diag(one.place_covariance)) == pytest.approx([SIGMA[1], SIGMA[0]])


def test_memory_is_bounded_by_the_number_of_pixels():
    """Beyond the image and its rms: a mask, and rows of work. `benchmarks/find.py` shows time and larger sizes."""
    used = [find.measure(size) for size in (600, 1200)]
    assert all(one["complete"] == 1.0 for one in used)
    assert all(one["bytes"] < 12 for one in used)
    assert used[1]["bytes"] < 1.1 * used[0]["bytes"]


def test_islands_and_their_maxima():
    image = np.zeros((40, 60))
    image[5:9, 5:20] = 3.5
    image[6, 7], image[7, 15], image[30, 50], image[20, 20] = 9.0, 12.0, 6.0, 3.9
    image[30, 40:42] = 8.0  # two equal pixels are one maximum
    found = find_islands(SkyImage(image, np.ones(image.shape), BEAM, 2 * BEAM), 4.0, 3.0)
    assert [island.peaks.tolist() for island in found.found] == [[[7, 15], [6, 7]], [[30, 40]], [[30, 50]]]


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 1.0), (0.8, 0.64), (1.15, 1.3225)])
def test_the_noises_correlation_is_measured(scale, expected):
    image = noise(8, (700, 700), (SIGMA[0] * scale, SIGMA[1] * scale))
    for x, y in np.random.default_rng(1).uniform(20, 680, (100, 2)):
        add(image, x, y, 50.0)
    got = noise_correlation(image, np.ones(image.shape), BEAM)
    assert np.diag(got) / np.diag(2 * BEAM) == pytest.approx(np.full(2, expected), rel=0.05)
    assert abs(got[0, 1]) < 0.05 * got[0, 0]


def test_where_no_correlation_can_be_measured_it_is_the_beams():
    assert np.array_equal(noise_correlation(np.zeros((9, 9)), np.ones((9, 9)), BEAM), 2 * BEAM)
    narrow = noise(2, (300, 300), (1.0, 0.8))
    assert noise_correlation(narrow, np.ones(narrow.shape), BEAM) == pytest.approx(BEAM)  # not narrower than half


def test_a_fit_of_exact_data_is_exact():
    y, x = (axis.ravel().astype(float) for axis in np.mgrid[:15, :15])
    shape = np.array([[5.0, 1.0], [1.0, 4.0]])
    offset = np.stack([x - 7.2, y - 6.9])
    value = 3 * np.exp(-0.5 * np.einsum("in,ij,jn->n", offset, np.linalg.inv(shape), offset))
    pixels = Pixels(x, y, value, np.full(x.shape, 0.1), BEAM, 2 * BEAM)
    made = fit(pixels, np.array([[2.5, 7.0, 7.0, *BEAM[0], BEAM[1, 1]]]))
    assert made.parameters[0] == pytest.approx([3, 7.2, 6.9, 5, 1, 4], rel=1e-4)
    flux, error, excess = total_flux(made.parameters[0], made.errors(0), BEAM)
    assert flux == pytest.approx(3 * np.sqrt(19 / np.linalg.det(BEAM)), rel=1e-4)
    assert 0 < excess < error
    assert fit(Pixels(x[:5], y[:5], value[:5], value[:5], BEAM, BEAM), np.array([[2.5, 7, 7, 3, 0, 3]])) is None
