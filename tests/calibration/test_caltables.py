"""Tables read, rewritten and normalised, on tables made by hand."""

import shutil

import numpy as np
import pytest
from casacore import tables

from contimg.calibration.caltables import (
    make_reproducible,
    normalise_amplitudes,
    read_solutions,
    solve_again,
    subtract_mean_phase,
)  # fmt: skip
from contimg.errors import InputError
from tests.support.calibration_tables import ANTENNAS, FREQ, NAMES, TIME_S, write_table


def gains(seed=1, shape=(ANTENNAS, 1, 2)):
    dice = np.random.default_rng(seed)
    return dice.uniform(0.5, 2.0, shape) * np.exp(1j * dice.uniform(-3, 3, shape))


@pytest.mark.parametrize(
    ("kind", "shape"), [("K", (ANTENNAS, 1, 2)), ("B", (ANTENNAS, 64, 2)), ("G", (ANTENNAS, 1, 2))]
)
def test_what_was_written_is_read(tmp_path, kind, shape):
    values, flag = gains(shape=shape), np.zeros(shape, bool)
    flag[3] = True
    write_table(tmp_path / "t.cal", kind, values, flag, snr=7.0, times_s=(TIME_S, TIME_S + 60))
    found = read_solutions(tmp_path / "t.cal")
    assert (found.kind, found.antenna_names) == (kind, NAMES)
    assert found.time_mjd_s.tolist() == [TIME_S, TIME_S + 60]
    expected = values.real if kind == "K" else values
    assert np.array_equal(found.values, np.stack([expected, expected]))
    assert np.array_equal(found.flag, np.stack([flag, flag])) and (found.snr == 7).all()
    assert np.array_equal(found.freq_hz, FREQ if kind == "B" else FREQ[:1])


def test_antennas_without_a_row_have_no_solution(tmp_path):
    write_table(tmp_path / "G.cal", "G", gains())
    with tables.table(str(tmp_path / "G.cal"), readonly=False, ack=False) as table:
        table.removerows([2, 5])
    found = read_solutions(tmp_path / "G.cal")
    assert np.flatnonzero(found.flag.all((0, 2, 3))).tolist() == [2, 5]


@pytest.mark.parametrize(("spoil", "fault"), [
    (lambda t: t.putcol("SPECTRAL_WINDOW_ID", np.arange(ANTENNAS, dtype=np.int32)), "spectral windows, not one"),
    (lambda t: t.putcol("ANTENNA1", np.arange(ANTENNAS, dtype=np.int32) + 5), "has solutions for antenna 14 of 10"),
    (lambda t: t.putinfo({"type": "Calibration", "subType": "D Jones", "readme": ""}), "is no table of delays"),
])  # fmt: skip
def test_other_tables_are_errors(tmp_path, spoil, fault):
    write_table(tmp_path / "G.cal", "G", gains())
    with tables.table(str(tmp_path / "G.cal"), readonly=False, ack=False) as table:
        spoil(table)
    with pytest.raises(InputError, match=fault) as caught:
        read_solutions(tmp_path / "G.cal")
    assert str(caught.value).endswith(solve_again(tmp_path))


def test_digests_tell_any_change_apart_and_nothing_else(tmp_path):
    write_table(tmp_path / "G.cal", "G", gains())
    first = read_solutions(tmp_path / "G.cal").sha256
    assert read_solutions(tmp_path / "G.cal").sha256 == first
    digests = {first}
    for number, other in enumerate((
        {"kind": "B", "values": gains(shape=(ANTENNAS, 64, 2))}, {"values": gains(2)}, {"snr": 2.0},
        {"names": NAMES[::-1]}, {"times_s": (TIME_S + 1,)}, {"freq_hz": FREQ + 1e6},
        {"flag": np.arange(ANTENNAS * 2).reshape(ANTENNAS, 1, 2) == 7},
    )):  # fmt: skip
        path = tmp_path / f"{number}.cal"
        write_table(path, **({"kind": "G", "values": gains()} | other))
        digests.add(read_solutions(path).sha256)
    assert len(digests) == 8


def test_mean_phases_become_zero_and_their_changes_and_amplitudes_stay(tmp_path):
    drift = np.exp(1j * np.array([-0.2, 0.0, 0.2]))
    base, flag = gains(), np.zeros((ANTENNAS, 1, 2), bool)
    flag[4] = True
    write_table(tmp_path / "P.cal", "G", base, flag, times_s=TIME_S + 60.0 * np.arange(3))
    with tables.table(str(tmp_path / "P.cal"), readonly=False, ack=False) as table:
        table.putcol("CPARAM", np.concatenate([base * turn for turn in drift]))
    subtract_mean_phase(tmp_path / "P.cal")
    found = read_solutions(tmp_path / "P.cal")
    solved = np.delete(found.values, 4, axis=1)
    assert np.allclose(np.angle(solved.sum(0)), 0, atol=1e-7)
    assert np.allclose(np.angle(solved), np.angle(drift)[:, None, None, None], atol=1e-7)
    assert np.allclose(np.abs(found.values), np.abs(base)[None])


def test_amplitudes_are_divided_by_the_mean_of_those_solved(tmp_path):
    values, flag = gains(), np.zeros((ANTENNAS, 1, 2), bool)
    flag[:3] = True
    values[:3] = 1e3
    write_table(tmp_path / "G.cal", "G", values, flag)
    mean = normalise_amplitudes(tmp_path / "G.cal")
    assert mean == pytest.approx(np.abs(values[3:]).mean())
    found = read_solutions(tmp_path / "G.cal")
    assert np.abs(found.values[0, 3:]).mean() == pytest.approx(1)
    assert np.allclose(np.angle(found.values[0, 3:]), np.angle(values[3:]))
    assert (found.values[0, :3] == 1e3).all()


def test_rewritten_tables_have_equal_bytes_and_the_same_content(tmp_path):
    """CASA leaves gaps with whatever was in memory; two tables of equal content must not differ by them."""
    for name in ("one.cal", "two.cal"):
        write_table(tmp_path / name, "B", gains(shape=(ANTENNAS, 64, 2)), times_s=(TIME_S, TIME_S + 60))
        before = read_solutions(tmp_path / name)
        make_reproducible(tmp_path / name)
        after = read_solutions(tmp_path / name)
        assert after.sha256 == before.sha256
        assert not (tmp_path / f"{name}.casa").exists()
    names = sorted(p.relative_to(tmp_path / "one.cal") for p in (tmp_path / "one.cal").rglob("*") if p.is_file())
    compared = [name for name in names if name.name != "table.lock"]
    assert len(compared) > 6
    for name in compared:
        assert (tmp_path / "one.cal" / name).read_bytes() == (tmp_path / "two.cal" / name).read_bytes(), name


def test_a_rewritten_table_is_a_whole_table_of_its_own(tmp_path):
    """Its subtables are in its own folder, not in the one it was made from."""
    write_table(tmp_path / "B.cal", "B", gains(shape=(ANTENNAS, 64, 2)))
    make_reproducible(tmp_path / "B.cal")
    shutil.move(tmp_path / "B.cal", tmp_path / "moved.cal")
    assert read_solutions(tmp_path / "moved.cal").antenna_names == NAMES
