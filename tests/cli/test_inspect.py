"""`contimg inspect` on subband files and on what is none."""

import json
import shutil
from pathlib import Path

import pytest

from contimg.simulate import GainErrors, NightOptions, simulate_night


@pytest.fixture(scope="module")
def subband_file(tmp_path_factory):
    """Sb05 of a tile of two integrations, without noise and interference."""
    options = NightOptions(
        tiles=1, antennas=4, channels=4, integrations=2, sources=0, calibrator="none", declination_deg=54.57,
        start="2026-02-11T06:00:00", noise=False, gains=GainErrors.none(),
    )  # fmt: skip
    record = simulate_night(tmp_path_factory.mktemp("tile") / "night", options)
    return record.files[5].path


def test_a_person_reads_kind_time_and_frequencies(program, subband_file):
    done = program("inspect", subband_file)
    assert done.code == 0
    first, *lines = done.out.splitlines()
    said = {line[:17].strip(): line[17:] for line in lines}
    assert first == str(subband_file)
    assert said["kind"] == "subband file, sb05"
    assert said["telescope"].endswith(", SYNTHETIC DATA")
    assert said["declination"] == "+54.5700 deg (apparent, of the pointing)"
    # The edges of sb05 are 1530 - (1024 + 384 sb) 250 / 8192 MHz, sb = 6 and 5, less half a raw channel.
    assert said["frequency"] == "1428.453 to 1440.172 MHz, 4 x 2929.688 kHz"
    assert said["baselines"].startswith("6, longest")
    assert "picture" not in said


def test_a_program_reads_json_with_the_pictures(program, subband_file, tmp_path):
    plots = tmp_path / "plots"
    plain = program("inspect", subband_file, "--json")
    assert (plain.code, plain.json["plots"]) == (0, [])
    pictures = program("inspect", subband_file, "--plots", plots, "--json").json["plots"]
    assert sorted(pictures) == sorted(str(path) for path in plots.iterdir())
    assert len(pictures) == 3 and all(Path(path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for path in pictures)
    done = program("inspect", subband_file, "--plots", plots)
    assert [line.split()[1] for line in done.out.splitlines() if line.startswith("picture ")] == pictures


def make_text(path):
    path.write_text("no HDF5")


def make_json(path):
    path.write_text(json.dumps({"Header": {}}))


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.touch(), make_text, make_json])
def test_what_is_no_data_is_refused_in_one_sentence(program, tmp_path, make):
    path = tmp_path / "2026-02-11T06:00:00_sb05.hdf5"
    make(path)
    done = program("inspect", path)
    assert done.code == 1
    assert str(path) in done.sentence


def test_half_a_file_is_refused_in_one_sentence(program, subband_file, tmp_path):
    path = tmp_path / subband_file.name
    shutil.copy(subband_file, path)
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    done = program("inspect", path)
    assert done.code == 1
    assert str(path) in done.sentence


def test_a_missing_file_is_named(program, tmp_path):
    done = program("inspect", tmp_path / "none.hdf5")
    assert done.code == 1
    assert str(tmp_path / "none.hdf5") in done.sentence


def test_plots_into_a_file_are_wrong_usage(program, subband_file, tmp_path):
    (tmp_path / "plots").touch()
    assert program("inspect", subband_file, "--plots", tmp_path / "plots").code == 2
