"""What the plan chose must be there and be what was judged: every table of a set, in every way of being wrong."""

import shutil

import numpy as np
import pytest
from casacore import tables

from contimg.calibration.calibration_set import CalibrationSet, describe_tables
from contimg.calibration.caltables import FILES, read_solutions
from contimg.errors import InputError
from contimg.products.twin import Twin
from tests.support.calibration_tables import ANTENNAS, FREQ, NAMES, TIME_S, write_table

MJD = TIME_S / 86400
FACTS = {
    "type": "bandpass", "tile": "2026-02-10T00:00:00", "start_mjd": MJD - 150 / 86400, "end_mjd": MJD + 150 / 86400,
    "n_channels": len(FREQ), "band_hz": [float(FREQ[0]), float(FREQ[-1])],
}  # fmt: skip
SHAPES = {"K": (ANTENNAS, 1, 2), "B": (ANTENNAS, len(FREQ), 2), "G": (ANTENNAS, 1, 2)}
COLUMN = {"K": "FPARAM", "B": "CPARAM", "G": "CPARAM"}


def values(kind, seed=5):
    dice = np.random.default_rng(seed)
    return dice.uniform(0.8, 1.2, SHAPES[kind]) * np.exp(1j * dice.uniform(-1, 1, SHAPES[kind]))


@pytest.fixture
def judged(tmp_path):
    """A set of K, B and G whose twin describes them."""
    folder = tmp_path / "cal_20260210T000000"
    folder.mkdir()
    for kind, name in FILES.items():
        write_table(folder / name, kind, values(kind))
    found = describe_tables({kind: read_solutions(folder / name) for kind, name in FILES.items()})
    twin = Twin(kind="calibration", id=folder.name, verdict="passed", synthetic=True, facts=FACTS | found)
    return CalibrationSet.beside(twin, folder.with_suffix(".json"))


def gone(path, kind):
    shutil.rmtree(path)


def without_description(path, kind):
    (path / "table.dat").unlink()


def a_file(path, kind):
    shutil.rmtree(path)
    path.write_text("no table")


def empty(path, kind):
    shutil.rmtree(path)
    write_table(path, kind, values(kind), times_s=())


def truncated(path, kind):
    for file in path.glob("table.f*"):
        with open(file, "r+b") as opened:
            opened.truncate(file.stat().st_size // 2)


def without_half_of_the_rows(path, kind):
    with tables.table(str(path), readonly=False, ack=False) as table:
        table.removerows(list(range(ANTENNAS // 2)))


def of_another_kind(path, kind):
    other = {"K": "G", "B": "K", "G": "B"}[kind]
    shutil.rmtree(path)
    write_table(path, other, values(other))


def of_the_tile_before(path, kind):
    shutil.rmtree(path)
    write_table(path, kind, values(kind), times_s=(TIME_S - 330,))


def of_another_set_of_the_tile(path, kind):
    shutil.rmtree(path)
    write_table(path, kind, values(kind, seed=6))


def of_antennas_in_another_order(path, kind):
    shutil.rmtree(path)
    write_table(path, kind, values(kind), names=NAMES[::-1])


def at_other_frequencies(path, kind):
    shutil.rmtree(path)
    write_table(path, kind, values(kind), freq_hz=FREQ + 3e6)


def with_one_value_changed(path, kind):
    with tables.table(str(path), readonly=False, ack=False) as table:
        cell = table.getcell(COLUMN[kind], 3)
        cell[0, 1] *= 1.001
        table.putcell(COLUMN[kind], 3, cell)


def with_one_flag_changed(path, kind):
    with tables.table(str(path), readonly=False, ack=False) as table:
        cell = table.getcell("FLAG", 3)
        cell[0, 1] = True
        table.putcell("FLAG", 3, cell)


def with_nan(path, kind):
    with tables.table(str(path), readonly=False, ack=False) as table:
        cell = table.getcell(COLUMN[kind], 3)
        cell[0, 1] = np.nan
        table.putcell(COLUMN[kind], 3, cell)


FAULTS = {
    gone: "is missing",
    without_description: "is not a calibration table",
    a_file: "is missing",
    empty: "is empty",
    truncated: "is damaged",
    without_half_of_the_rows: "holds other solutions than those that were judged",
    of_another_kind: "holds a table of kind",
    of_the_tile_before: "has solutions 3.0 min outside tile 2026-02-10T00:00:00",
    of_another_set_of_the_tile: "holds other solutions than those that were judged",
    of_antennas_in_another_order: "holds other solutions than those that were judged",
    at_other_frequencies: "holds other solutions than those that were judged",
    with_one_value_changed: "holds other solutions than those that were judged",
    with_one_flag_changed: "holds other solutions than those that were judged",
    with_nan: "has solutions that are not finite",
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("spoil", FAULTS, ids=lambda fault: fault.__name__)
def test_a_table_that_is_not_the_one_judged_is_an_error_with_its_remedy(judged, spoil, kind):
    path = judged.folder / FILES[kind]
    spoil(path, kind)
    with pytest.raises(InputError) as caught:
        judged.solutions(kind)
    message = str(caught.value)
    assert message.startswith(f"{path} {FAULTS[spoil]}") and "\n" not in message
    folder = judged.folder
    assert message.endswith(f"solve the calibration again with: rm -r {folder} {folder}.json; then rerun snakemake")
    for other in set(FILES) - {kind}:
        assert judged.solutions(other).kind == other


@pytest.mark.parametrize("kind", FILES)
def test_tables_that_casacore_stores_differently_are_the_same_solutions(judged, tmp_path, kind):
    path = judged.folder / FILES[kind]
    expected = judged.solutions(kind)
    with tables.table(str(path), ack=False) as table:
        table.copy(str(tmp_path / "copy"), deep=True, valuecopy=True).close()
    shutil.rmtree(path)
    shutil.move(tmp_path / "copy", path)
    assert np.array_equal(judged.solutions(kind).values, expected.values)


def test_a_bandpass_of_another_spectral_window_is_named(judged):
    for freq, fault in ((FREQ[:-4], "has 60 channels and tile 2026-02-10T00:00:00 64"),
                        (FREQ + 400e6, "has no channel in the band of tile 2026-02-10T00:00:00")):  # fmt: skip
        shutil.rmtree(judged.folder / "B.cal")
        write_table(judged.folder / "B.cal", "B", values("B")[:, : len(freq)], freq_hz=freq)
        with pytest.raises(InputError, match=fault):
            judged.solutions("B")


def test_a_kind_that_the_twin_does_not_name_is_an_error(judged):
    gains_only = judged.twin.model_copy(update={"facts": judged.twin.facts | {"files": {"G": "G.cal"}}})
    one = CalibrationSet(gains_only, judged.folder)
    assert (one.holds("G"), one.holds("B")) == (True, False)
    with pytest.raises(InputError, match=r"holds no table B\.cal, which cal_20260210T000000 is chosen for"):
        one.solutions("B")


def test_a_twin_without_digests_cannot_vouch_for_its_tables(judged):
    facts = {key: value for key, value in judged.twin.facts.items() if key != "solutions_sha256"}
    one = CalibrationSet(judged.twin.model_copy(update={"facts": facts}), judged.folder)
    with pytest.raises(InputError, match=r"K\.cal cannot be checked, as the twin .* has no digest"):
        one.solutions("K")
