"""Reading Measurement Sets: ranges of rows, directions, and what is damaged or foreign."""

import shutil

import numpy as np
import pytest
from casacore import tables

from contimg import measurement_set
from contimg.errors import InputError
from tests.support.small_tiles import complex_noise, small_tile


@pytest.fixture(scope="module")
def tile():
    made = small_tile(antennas=4, times=3)
    rng = np.random.default_rng(4)
    made.data = complex_noise(made.shape).astype(np.complex64)
    made.flag = rng.random(made.shape) < 0.2
    made.weight = rng.uniform(1, 9, made.shape).astype(np.float32)
    return made


@pytest.fixture(scope="module")
def kept(tile, tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "tile.ms"
    measurement_set.write(path, tile)
    return path


@pytest.fixture
def ms(kept, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(kept, tmp_path / "tile.ms")


def subtable(ms, name):
    return tables.table(f"{ms}/{name}", readonly=False, ack=False)


def test_rows(kept):
    assert measurement_set.count_rows(kept) == 3 * 6  # three integrations of the six pairs of four antennas


@pytest.mark.parametrize(
    ("count", "every", "expected"),
    [
        (100, None, [(0, 18)]),
        (18, None, [(0, 18)]),
        (7, None, [(0, 7), (7, 14), (14, 18)]),
        (100, 6, [(0, 6), (6, 12), (12, 18)]),
        (4, 6, [(0, 4), (4, 6), (6, 10), (10, 12), (12, 16), (16, 18)]),
        (1, 18, [(row, row + 1) for row in range(18)]),
        (5, 7, [(0, 5), (5, 7), (7, 12), (12, 14), (14, 18)]),
    ],
)
def test_blocks_of_rows(kept, tile, count, every, expected):
    found = []
    for rows, data, flag, weight in measurement_set.blocks(kept, count, every=every):
        found.append((rows.start, rows.stop))
        assert np.array_equal(data, tile.data[rows])
        assert np.array_equal(flag, tile.flag[rows])
        assert np.array_equal(weight, tile.weight[rows])
        data[:], flag[:], weight[:] = 0, True, -1  # they are the caller's until the next block
    assert found == expected


def test_another_column(ms, tile):
    with tables.table(str(ms), readonly=False, ack=False) as table:
        table.addcols(tables.maketabdesc(tables.makearrcoldesc("MODEL_DATA", 0j, ndim=2, valuetype="complex")))
        table.putcol("MODEL_DATA", 2 * tile.data)
    assert np.array_equal(measurement_set.read(ms, column="MODEL_DATA").data, 2 * tile.data)
    with pytest.raises(InputError, match="no column CORRECTED_DATA: name one of DATA, MODEL_DATA"):
        measurement_set.read(ms, column="CORRECTED_DATA")


def test_history_of_others_is_not_ours(ms, tile):
    with subtable(ms, "HISTORY") as history:
        rows = history.nrows()
        history.addrows(1)
        history.putcell("MESSAGE", rows, "synthetic data: made by a simulator, not by the telescope")
        history.putcell("APPLICATION", rows, "somebody else's")
    back = measurement_set.read_coordinates(ms)
    assert back.history == tile.history and back.synthetic == tile.synthetic


def test_one_antennas_pointing_is_read(ms, tile):
    with subtable(ms, "POINTING") as pointing:
        pointing.putcol("DIRECTION", np.full((3, 1, 2), 9.0), 1, 3)  # the other antennas of the first integration
    back = measurement_set.read_coordinates(ms)
    assert back.pointing_rad == pytest.approx(tile.pointing_rad, abs=1e-12)
    assert np.array_equal(back.times_mjd_s, tile.times_mjd_s)


def remove_rows(ms, name):
    with subtable(ms, name) as table:
        table.removerows(range(table.nrows()))


def second_row(ms, name):
    with subtable(ms, name) as table:
        table.copyrows(table)


def circular(ms):
    with subtable(ms, "POLARIZATION") as table:
        table.putcell("CORR_TYPE", 0, np.array([5, 8]))  # RR and LL


def forget(ms):
    with tables.table(str(ms), readonly=False, ack=False) as table:
        table.removekeyword("POINTING")


def drop_column(ms):
    with tables.table(str(ms), readonly=False, ack=False) as table:
        table.removecols("WEIGHT_SPECTRUM")


def spoil(ms):
    (ms / "table.dat").write_bytes(b"nothing that casacore wrote")


def two_directions(ms):
    """Make the phase centre a polynomial in time: two terms a row."""
    centre = np.zeros((1, 2, 2))
    with subtable(ms, "FIELD") as field:
        described = field.getcoldesc("PHASE_DIR") | {"shape": np.array([2, 2]), "ndim": 2}
        keywords = field.getcolkeywords("PHASE_DIR")
        field.removecols("PHASE_DIR")
        field.addcols(tables.makecoldesc("PHASE_DIR", described))
        field.putcol("PHASE_DIR", centre)
        field.putcolkeywords("PHASE_DIR", keywords)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(spoil, "is damaged .*: delete it and rerun snakemake", id="no table"),
        pytest.param(lambda ms: (ms / "table.dat").unlink(), "is not a Measurement Set: rerun", id="no table.dat"),
        pytest.param(forget, r"is a table, but not a Measurement Set \(no POINTING\)", id="no POINTING"),
        pytest.param(lambda ms: shutil.rmtree(ms / "FIELD"), "is damaged", id="FIELD deleted"),
        pytest.param(lambda ms: remove_rows(ms, "POINTING"), "is damaged", id="empty POINTING"),
        pytest.param(lambda ms: remove_rows(ms, "FIELD"), "is damaged", id="no field"),
        pytest.param(lambda ms: second_row(ms, "FIELD"), "2 fields and 1 spectral windows", id="two fields"),
        pytest.param(lambda ms: second_row(ms, "SPECTRAL_WINDOW"), "1 fields and 2 spectral", id="two windows"),
        pytest.param(lambda ms: remove_rows(ms, "ANTENNA"), r"is damaged \(ANTENNA has no rows", id="no antennas"),
        pytest.param(
            lambda ms: remove_rows(ms, "POLARIZATION"), r"is damaged \(POLARIZATION has", id="no polarisation"
        ),
        pytest.param(lambda ms: remove_rows(ms, "OBSERVATION"), "is damaged", id="no observation"),
        pytest.param(circular, "has correlations of type 5, not linear ones: convert again", id="circular"),
        pytest.param(drop_column, "is damaged", id="no weights"),
        pytest.param(two_directions, r"has a direction column of shape \(1, 2, 2\)", id="moving field"),
    ],
)
def test_what_is_no_measurement_set_of_ours_is_one_sentence(ms, change, message):
    change(ms)
    with pytest.raises(InputError, match=message) as raised:
        measurement_set.read(ms)
    assert str(ms) in str(raised.value) and "\n" not in str(raised.value)
