"""`contimg reproduce`: refusals in one sentence, and the answer of the comparison with its exit code.

That a real mosaic is reproduced is tested on a whole night (tests/workflow).
"""

import numpy as np
import pytest

from contimg.operations import reproduce as reproducing
from tests.support import mosaics

ID = mosaics.MOSAIC


def test_an_unknown_mosaic_is_refused(program):
    done = program("reproduce", "mosaic_20990101T000000")
    assert done.code == 1
    assert done.sentence == (
        "no bundle of mosaic_20990101T000000 stands in the archive or on the stage: see 'contimg registry list'"
    )


def test_keep_needs_a_new_folder(program, publish, tmp_path):
    publish()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").touch()
    done = program("reproduce", ID, "--keep", tmp_path / "kept")
    assert (done.code, done.sentence) == (1, f"{tmp_path / 'kept'} is not empty: name a new folder with --keep")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["notes.txt"]


def test_keep_into_a_file_is_wrong_usage(program, publish, tmp_path):
    publish()
    (tmp_path / "kept").write_text("notes")
    done = program("reproduce", ID, "--keep", tmp_path / "kept")
    assert done.code == 2
    assert (tmp_path / "kept").read_text() == "notes"


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_the_correlators_files_must_be_those_of_then(program, sqlite_config, publish, damage):
    publish()
    file = min(sqlite_config.layout.incoming.glob("*.hdf5"))
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"other")
    done = program("reproduce", ID)
    assert done.code == 1
    *told, error = done.err.splitlines()
    assert told == ["reproducing: hashes of 8 files"]
    assert error.startswith(f"contimg: {file}") and error.endswith("to reproduce it")


def comparison_of(factor: float, tmp_path):
    """Return the comparison of an image with one that differs by a part of the rms (1 mJy/beam) in one pixel."""
    one = np.zeros((4, 4))
    other = one.copy()
    other[1, 2] = factor * 1e-3
    for name, data in (("a.fits", one), ("b.fits", other)):
        mosaics.write_fits(tmp_path / name, data)
    return reproducing._compare(ID, tmp_path / "a.fits", tmp_path / "b.fits", 1e-3)


@pytest.mark.parametrize(
    ("factor", "code", "word"), [(0.0, 0, "reproduced"), (5e-4, 0, "reproduced"), (2e-3, 3, "NOT reproduced")]
)
def test_the_exit_code_says_whether_the_pixels_are_the_same(
    program, publish, tmp_path, monkeypatch, factor, code, word
):
    publish()
    found = comparison_of(factor, tmp_path)
    # The pipeline that makes the mosaic again is tested elsewhere; here are the command's words and exit codes.
    monkeypatch.setattr(reproducing, "reproduce", lambda path, stage, tell: found)
    done = program("reproduce", ID)
    assert done.code == code
    assert done.out == (
        f"{ID}: {word}: of 16 pixels the largest difference is {factor:.2e} and the rms {factor / 4:.2e} "
        "of the mosaic's rms (1 mJy/beam), 0 are blank in one only\n"
    )
    done = program("reproduce", ID, "--json", "--keep", tmp_path / "new" / "folder")
    assert done.code == code
    assert (done.json["same"], done.json["kept"], done.json["n_pixels"]) == (code == 0, True, 16)
    assert done.json["max_difference"] == pytest.approx(factor, rel=1e-6)
    assert (tmp_path / "new" / "folder").is_dir()
