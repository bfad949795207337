"""Receptors that are unlike the others are found and coloured; the others stay grey."""

import numpy as np
import pytest

from contimg.calibration.caltables import Solutions
from contimg.calibration.overview_plots import COLOURS, ODD_COLOURS, draw_delays, draw_overlay, odd_receptors, shapes
from tests.support.calibration_tables import FREQ, NAMES

N = 20


@pytest.fixture
def values():
    """Bandpasses of 20 antennas: amplitudes 0.05 to 0.1, any phase, ripples of 2 %."""
    dice = np.random.default_rng(4)
    level = dice.uniform(0.05, 0.1, (N, 1, 2)) * np.exp(1j * dice.uniform(-3, 3, (N, 1, 2)))
    return level * (1 + dice.normal(0, 0.02, (N, len(FREQ), 2)))


def solutions(values):
    flag = ~np.isfinite(values)
    names = [f"{number}" for number in range(1, N + 1)]
    return Solutions("B", np.zeros(1), np.nan_to_num(values)[None], flag[None], np.ones((1, *flag.shape)), FREQ, names)


def test_shapes_do_not_depend_on_level_and_phase(values):
    amplitude, phase_deg = shapes(values)
    other_amplitude, other_phase_deg = shapes(values * 3 * np.exp(1j * 2.0))
    assert np.allclose(amplitude, other_amplitude) and np.allclose(phase_deg, other_phase_deg)
    assert np.allclose(np.median(amplitude, axis=1), 1) and np.abs(phase_deg).max() < 10


def odd_of(values):
    """Return what the overlay colours, by the deviation that it uses."""
    from contimg.calibration import overview_plots

    amplitude, phase_deg = shapes(values)
    return odd_receptors(
        overview_plots._rms_from_median(amplitude) + overview_plots._rms_from_median(np.radians(phase_deg))
    )


def test_a_slope_of_amplitude_or_of_phase_is_odd(values):
    assert odd_of(values) == []
    slope = np.linspace(-1, 1, len(FREQ))
    values[5, :, 1] *= 1 + 0.5 * slope
    values[9, :, 0] *= np.exp(2j * slope)
    assert odd_of(values) == [(9, 0), (5, 1)]


def test_a_receptor_without_solutions_is_not_odd_but_absent(values):
    values[3, :, 0] = np.nan
    values[4] = np.nan
    values[:, 7] = np.nan
    assert odd_of(values) == []


@pytest.mark.parametrize(
    ("deviation", "expected"),
    [
        (np.array([[1.0, 1.1], [0.9, 1.0], [1.05, 9.0]]), [(2, 1)]),
        (np.array([[1.0, 1.1], [0.9, 1.0], [-9.0, 12.0]]), [(2, 1), (2, 0)]),
        (np.ones((3, 2)), []),
        (np.full((3, 2), np.nan), []),
        (np.array([[1.0, 100.0]]), []),
    ],
    ids=["one", "both signs, largest first", "all alike", "none", "too few to tell"],
)
def test_what_is_odd(deviation, expected):
    assert odd_receptors(deviation) == expected


def test_no_more_than_there_are_colours():
    deviation = np.concatenate([np.random.default_rng(1).normal(1, 0.01, 80), np.arange(10, 20)]).reshape(45, 2)
    assert len(odd_receptors(deviation)) == len(ODD_COLOURS)


@pytest.mark.parametrize("refant", ["3", "not there"])
@pytest.mark.parametrize("blank", [False, True], ids=["solved", "without solutions"])
def test_pictures_are_the_same_bytes_each_time(values, tmp_path, refant, blank):
    table = solutions(np.full_like(values, np.nan) if blank else values)
    flag = table.flag[:, :, :1]
    delays = Solutions(
        "K", np.zeros(1), np.real(table.values[:, :, :1]), flag, flag + 1.0, FREQ[:1], table.antenna_names
    )
    for name in ("one", "two"):
        draw_overlay(tmp_path / f"{name}.overlay", table, "cal_x", refant)
        draw_delays(tmp_path / f"{name}.delays", delays, "cal_x", refant)
    for kind in ("overlay", "delays"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def _seen(colour, matrix):
    """Return a colour as a dichromat sees it, in CIE Lab-like lightness and two axes (Vienot et al. 1999)."""
    linear = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]) ** 2.2
    return matrix @ linear


@pytest.mark.parametrize("kind", ["protanopia", "deuteranopia"])
def test_colours_can_be_told_apart_by_dichromats(kind):
    """Viewed through the matrices of Machado et al. 2009 (full severity), X and Y, and the odd ones, stay distinct."""
    matrix = {
        "protanopia": [
            [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
        ],
        "deuteranopia": [
            [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881],
        ],
    }[kind]  # fmt: skip
    for colours in (COLOURS, ODD_COLOURS):
        seen = [_seen(colour, np.array(matrix)) for colour in colours]
        distance = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[i + 1 :]]
        assert min(distance) > 0.08


def test_names_of_real_antennas_fit(values, tmp_path):
    table = solutions(values)
    long = Solutions(**{**vars(table), "antenna_names": [f"pad{name}" for name in (NAMES * 4)[:N]]})
    draw_overlay(tmp_path / "a.png", long, "cal_x", None)
    assert (tmp_path / "a.png").stat().st_size > 10_000
