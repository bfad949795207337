"""The order and the parameters of CASA's solvers: what the verdicts and the flux scale rest on."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from contimg.calibration.caltables import read_solutions
from contimg.calibration.casa_solver import MIN_BASELINES, Solver
from contimg.config import CalibrationOptions
from tests.support.calibration_tables import ANTENNAS, FREQ, TIME_S, write_table


class Tasks:
    """Notes each call, and writes the table that it asks for unless that is among the failing ones."""

    def __init__(self, failing=()):
        self.calls, self.failing = [], failing

    def _write(self, name, kind, channels, given):
        self.calls.append((name, given))
        stem = given["caltable"].rpartition("/")[2].removesuffix(".cal")
        if stem not in self.failing:
            phases = np.linspace(-1, 1, ANTENNAS * channels * 2).reshape(ANTENNAS, channels, 2)
            shutil.rmtree(given["caltable"], ignore_errors=True)

            write_table(Path(given["caltable"]), kind, np.exp(1j * phases), times_s=(TIME_S, TIME_S + 60))

    def gaincal(self, **given):
        self._write("gaincal", given["gaintype"], 1, given)

    def bandpass(self, **given):
        self._write("bandpass", given["bandtype"], len(FREQ), given)


@pytest.fixture
def solve(tmp_path):
    """Return what solves with recorded tasks: calls by table."""
    output = tmp_path / "out"
    output.mkdir()
    (tmp_path / "scratch").mkdir()

    def run(failing=(), klambda=(0.0, np.inf), **options):
        tasks = Tasks(failing)
        solver = Solver(tasks, tmp_path / "scratch" / "solve.ms", ("24", "25"), CalibrationOptions(**options), klambda)
        solver.solve_bandpass(output)
        calls = {given["caltable"].rpartition("/")[2]: (name, given) for name, given in tasks.calls}
        return SimpleNamespace(calls=calls, output=output, solver=solver, scratch=tmp_path / "scratch", tasks=tasks)

    return run


def test_delays_then_phases_then_the_bandpass_then_gains(solve):
    done = solve()
    assert list(done.calls) == ["K.cal", "P.cal", "B.cal", "G.cal"]
    applied = {
        table: [path.rpartition("/")[2] for path in given.get("gaintable", [])]
        for table, (_, given) in done.calls.items()
    }
    assert applied == {"K.cal": [], "P.cal": ["K.cal"], "B.cal": ["K.cal", "P.cal"], "G.cal": ["K.cal", "B.cal"]}
    assert sorted(path.name for path in done.output.iterdir()) == ["B.cal", "G.cal", "K.cal"]
    assert (done.scratch / "P.cal").exists()


def test_the_bandpass_keeps_its_amplitudes_and_delays_are_solved_on_the_whole_tile(solve):
    """With ``solnorm`` the flux scale would be lost; with a shorter interval, delays would not be one a tile."""
    calls = solve().calls
    name, bandpass = calls["B.cal"]
    assert (name, bandpass["solnorm"], bandpass["solint"], bandpass["combine"]) == ("bandpass", False, "inf", "scan")
    _, delays = calls["K.cal"]
    assert (delays["gaintype"], delays["solint"], delays["combine"]) == ("K", "inf", "scan")
    assert (calls["P.cal"][1]["calmode"], calls["G.cal"][1]["calmode"]) == ("p", "ap")


def test_interpolation_follows_the_kind_of_the_table(solve):
    calls = solve().calls
    assert calls["B.cal"][1]["interp"] == ["nearest", "linear"]
    assert calls["G.cal"][1]["interp"] == ["nearest", "nearest,nearestflag"]


def test_options_reach_every_solver(solve):
    done = solve(gain_interval_s=90.0, min_snr=4.0, min_uv_klambda=0.5)
    for _, given in done.calls.values():
        assert (given["minsnr"], given["minblperant"], given["uvrange"]) == (4.0, MIN_BASELINES, ">0.5klambda")
        assert (given["refant"], given["append"]) == ("24,25", False)
        assert given["vis"].endswith("/scratch/solve.ms")
    assert [done.calls[table][1]["solint"] for table in ("K.cal", "P.cal", "B.cal", "G.cal")] == [
        "inf", "90s", "inf", "90s",
    ]  # fmt: skip
    assert solve().calls["G.cal"][1]["uvrange"] == ""


@pytest.mark.parametrize(("limits", "shortest", "selected"), [
    ((0.0, np.inf), 0.0, ""), ((0.0, 7.0), 0.0, "<7klambda"), ((6.0, np.inf), 0.5, ">6klambda"),
    ((0.2, 7.0), 0.5, "0.5~7klambda"), ((2.0, 7.0), 0.5, "2~7klambda"),
])  # fmt: skip
def test_the_limits_of_a_calibrator_select_the_baselines(solve, limits, shortest, selected):
    done = solve(klambda=limits, min_uv_klambda=shortest)
    assert {given["uvrange"] for _, given in done.calls.values()} == {selected}


def test_the_phases_before_the_bandpass_have_no_mean(solve):
    """So that the bandpass contains the mean phase, and is complete without them."""
    phases = read_solutions(solve().scratch / "P.cal")
    assert np.abs(np.angle(phases.values.sum(0))).max() < 1e-6


@pytest.mark.parametrize(("failing", "left"), [
    ("K", []), ("P", ["K.cal"]), ("B", ["K.cal"]), ("G", ["B.cal", "K.cal"]),
])  # fmt: skip
def test_what_cannot_be_solved_ends_the_chain(solve, failing, left):
    done = solve(failing=(failing,))
    assert sorted(path.name for path in done.output.iterdir()) == left
    order = ["K.cal", "P.cal", "B.cal", "G.cal"]
    assert list(done.calls) == order[: order.index(f"{failing}.cal") + 1]


@pytest.mark.parametrize(("mode", "interval_s", "solint"), [
    ("ap", 60.0, "60s"), ("ap", None, "inf"), ("p", None, "inf"),
])  # fmt: skip
def test_gains_on_top_of_another_calibration(solve, tmp_path, mode, interval_s, solint):
    done = solve()
    applied = {"K": tmp_path / "cal" / "K.cal", "B": tmp_path / "cal" / "B.cal"}
    done.solver.solve_gains(done.output / "G.cal", applied, mode, interval_s)
    name, given = done.tasks.calls[-1]
    assert (name, given["calmode"], given["solint"]) == ("gaincal", mode, solint)
    assert given["gaintable"] == [str(path) for path in applied.values()]
