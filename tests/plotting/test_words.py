"""Numbers as people say them."""

import pytest

from contimg.plotting.words import angle_words, digits, flux_words, ticks_125


@pytest.mark.parametrize(
    ("mjy", "words"),
    [
        (13960.0, "13.96 Jy"), (14042.57, "14.04 Jy"), (1848.2, "1.848 Jy"), (999.6, "0.9996 Jy"), (999.4, "999 mJy"),
        (131.4, "131 mJy"), (0.5176, "0.518 mJy"), (0.0, "0 mJy"), (-11.63, "-11.6 mJy"), (123456.0, "123.5 Jy"),
        (1.23456e6, "1235 Jy"), (-1500.0, "-1.500 Jy"),
    ],
)  # fmt: skip
def test_fluxes(mjy, words):
    assert flux_words(mjy) == words


@pytest.mark.parametrize(
    ("value", "least", "text"),
    [(50.8117, 3, "50.8"), (0.00012345, 3, "0.000123"), (123456.0, 3, "123456"), (-0.0, 3, "0"), (2.0, 2, "2.0")],
)
def test_digits_and_no_exponent(value, least, text):
    assert digits(value, least) == text


@pytest.mark.parametrize(
    ("degrees", "words"),
    [(2.0, "2°"), (1.0, "1°"), (0.5, "30′"), (1 / 60, "1′"), (30 / 3600, "30″"), (0.5 / 3600, "0.5″")],
)
def test_angles(degrees, words):
    assert angle_words(degrees) == words


@pytest.mark.parametrize(
    ("rms", "expected"),
    [
        (0.518, [-1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]),
        (1.0, [-2.0, 0.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]),
        (0.03, [-0.05, 0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]),
        (25.0, [-50.0, 0.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]),
    ],
)
def test_ticks_are_one_two_and_five(rms, expected):
    """From -3 to 120 times the noise, none within 1.5 times it but 0."""
    assert ticks_125(rms, -3 * rms, 120 * rms) == expected
