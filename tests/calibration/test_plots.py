"""Plots say what twins and lists say: one definition of what is lost."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from contimg.calibration import plots
from contimg.calibration.caltables import Solutions
from contimg.calibration.plots import About, loss_map, loss_title, plot_solutions
from contimg.calibration.quality import SolvedTable, measure
from contimg.cli import main
from contimg.config import CalibrationOptions, Config, PathOptions
from contimg.products.twin import Twin, write_twin
from tests.support.calibration_tables import FREQ, NAMES

SHAPE = (1, 6, len(FREQ), 2)


@pytest.fixture
def bandpass():
    """One receptor dead, a subband without data, an antenna absent, 20 solutions lost of 9 receptors with 60 each."""
    flag, expected = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    expected[:, :, :4] = False  # a subband was not received
    expected[:, 5] = False  # an absent antenna
    flag[~expected] = True
    flag[0, 0, :, 1] = True  # a dead receptor
    flag[0, 1, 10:30, 0] = True
    dice = np.random.default_rng(2)
    values = np.exp(1j * dice.normal(0, 0.1, SHAPE))
    return SolvedTable(Solutions("B", np.zeros(1), values, flag, np.full(SHAPE, 50.0), FREQ, NAMES[:6]), expected)


def gains(times=4):
    shape = (times, 6, 1, 2)
    flag = np.zeros(shape, bool)
    flag[1:3, 2, 0, :] = True
    flag[0, 3, 0, 1] = True
    values = np.ones(shape, complex)
    solutions = Solutions("G", 60.0 * np.arange(times), values, flag, np.full(shape, 50.0), FREQ[:1], NAMES[:6])
    return SolvedTable(solutions, np.ones(shape, bool))


def test_the_plot_of_losses_gives_the_fraction_of_the_twin_and_of_the_list(bandpass, tmp_path):
    """All cells of the present antennas, dead receptor and subband without data included, would be 18.75 % lost."""
    qa, _ = measure([bandpass], CalibrationOptions())
    assert qa["flagged_fraction_B"] == round(20 / (9 * 60), 6) == qa["flagged_fraction"]
    assert loss_title(bandpass) == "B: 3.7% of the working receptors' solutions lost; 1 receptors dead"
    assert bandpass.solutions.flag[:, :5].mean() == 120 / 640
    config = Config(paths=PathOptions(**{name: tmp_path / name for name in PathOptions.model_fields}))
    facts = {"type": "bandpass", "tile": "2026-02-11T01:00:00", "dec_app_deg": 30.0}
    twin = Twin(kind="calibration", id="cal_20260211T010000", verdict="passed", facts=facts, qa=qa, synthetic=True)
    write_twin(config.layout.twin("calibration", twin.id), twin)
    overlay = tmp_path / "config.yaml"
    overlay.write_text("paths:\n" + "".join(f"  {name}: {tmp_path / name}\n" for name in PathOptions.model_fields))
    shown = CliRunner().invoke(main, ["-c", str(overlay), "calibration", "list", "--json"])
    fraction = json.loads(shown.output)[0]["flagged_fraction"]
    assert f"{fraction:.1%}" in loss_title(bandpass)


def test_the_map_tells_lost_dead_and_missing_apart(bandpass):
    shown = loss_map(bandpass)
    assert shown.shape == (6, 64)
    assert (shown[:, :4] == 4).all() and (shown[5] == 4).all()
    assert (shown[0, 4:] == 2).all() and (shown[1, 10:30] == 1).all()
    assert np.count_nonzero(shown[2:5, 4:]) == 0
    over_time = loss_map(gains())
    assert over_time.tolist() == [[0] * 4, [0] * 4, [0, 3, 3, 0], [2, 0, 0, 0], [0] * 4, [0] * 4]


def test_one_receptor_only():
    table = gains()
    one = Solutions(**{**vars(table.solutions), "flag": table.solutions.flag[..., :1]})
    assert loss_map(SolvedTable(one, table.expected[..., :1]))[2].tolist() == [0, 1, 1, 0]


def test_pictures_are_made_of_the_tables_that_there_are(bandpass, tmp_path):
    made = plot_solutions([bandpass, gains()], tmp_path, About("cal_x", synthetic=True))
    assert [path.name for path in made] == [f"cal_x.{name}.png" for name in ("overlay", "bandpass", "gains", "losses")]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)
    assert [path.name for path in plot_solutions([gains(1)], tmp_path, About("cal_y"))] == [
        "cal_y.gains.png", "cal_y.losses.png",
    ]  # fmt: skip
    assert plot_solutions([], tmp_path, About("cal_z")) == []


def test_a_set_without_any_solution_can_be_plotted(tmp_path):
    table = gains()
    nothing = SolvedTable(Solutions(**{**vars(table.solutions), "flag": np.ones((4, 6, 1, 2), bool)}), table.expected)
    assert loss_title(nothing) == "G: 100.0% of the working receptors' solutions lost; 12 receptors dead"
    assert len(plot_solutions([nothing], tmp_path, About("cal_x", synthetic=True))) == 2


def test_gains_are_drawn_in_utc_with_the_set_before_at_the_same_place():
    """Times are seconds of MJD 61082 (2026-02-11); the set before is of a sidereal day earlier."""
    new, old = (gains().solutions for _ in range(2))
    midnight_s = 61082 * 86400.0
    new = dataclasses.replace(new, time_mjd_s=midnight_s + 43020 + 60.0 * np.arange(4))
    old = dataclasses.replace(old, time_mjd_s=new.time_mjd_s - 86164, values=2 * old.values)
    panels = plots._gain_panels(new, plots.Before("cal_20260210T115700", old))
    assert [plots._clock(hour) for hour in panels.axis] == ["11:57", "11:58", "11:59", "12:00"]
    assert np.allclose(panels.axis, panels.before_axis)
    assert np.nanmax(np.abs(panels.before[NAMES[0]])) == 2.0
    expected = "UTC on 2026-02-11; grey: cal_20260210T115700, of 2026-02-10T12:02, at the same place"
    assert panels.label == expected


@pytest.mark.parametrize(("hours", "text"), [(0, "00:00"), (23.9999, "00:00"), (25.5, "01:30"), (11.95, "11:57")])
def test_hours_of_a_clock(hours, text):
    assert plots._clock(hours) == text


def test_every_picture_of_a_whole_set(bandpass, tmp_path):
    shape = (1, 6, 1, 2)
    delays = Solutions(
        "K", np.zeros(1), np.arange(12.0).reshape(shape), np.zeros(shape, bool), np.ones(shape), FREQ[:1], NAMES[:6]
    )
    tables = [SolvedTable(delays, np.ones(shape, bool)), bandpass, gains()]
    about = About("cal_x", NAMES[1], plots.Before("cal_w", gains().solutions), synthetic=True)
    made = plot_solutions(tables, tmp_path, about)
    assert [path.name for path in made] == [
        f"cal_x.{name}.png" for name in ("delays", "overlay", "bandpass", "gains", "losses")
    ]
    plain = plot_solutions(tables, tmp_path / "..", About("cal_x"))
    assert all(one.read_bytes() != other.read_bytes() for one, other in zip(made[:4], plain[:4], strict=True))
