"""Options of `contimg simulate` that are no text or number: what they become, and how they are refused."""

import json

import pytest

WRONG = [
    (("--missing", "3"), "'3' is not TILE:SB, for example 3:7."),
    (("--missing", "0:7:nan"), "'0:7:nan' is not TILE:SB, for example 3:7."),
    (("--late", "0:-1"), "'0:-1' is not TILE:SB, for example 3:7."),
    (("--corrupt", "0:7"), "'0:7' is not TILE:SB:KIND, for example 3:7:nan."),
    (("--corrupt", "0:7:burnt"), "kind 'burnt' is unknown: use one of truncated, zero_byte,"),
    (("--rfi", "radar"), "'radar' is not SB or SB:KIND with a kind of line, burst, broad."),
    (("--rfi", "3:radar"), "'3:radar' is not SB or SB:KIND with a kind of line, burst, broad."),
    (("--gap", "5"), "'5' is not TILE:SECONDS, for example 5:400."),
    (("--gap", "x:400"), "'x:400' is not TILE:SECONDS, for example 5:400."),
    (("--stations", "1,two"), "'1,two' is not a list of numbers such as 1,2,3."),
    (("--dead", "1;2"), "'1;2' is not a list of numbers such as 1,2,3."),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_an_option_that_cannot_be_read_is_wrong_usage(program, tmp_path, words, message):
    done = program("simulate", tmp_path / "night", *words)
    assert (done.code, done.out) == (2, "")
    assert message in " ".join(done.err.split())
    assert not (tmp_path / "night").exists()


def test_options_reach_the_night(program, tmp_path):
    done = program(
        "simulate", tmp_path / "night", "--tiles", 2, "--antennas", 4, "--channels", 2, "--integrations", 2,
        "--sources", 0, "--no-gain-errors", "--gain-delay", 2, "--gap", "1:400", "--rfi", 3, "--rfi", "5:broad",
        "--missing", "0:7", "--late", "1:2", "--corrupt", "1:4:nan",
    )  # fmt: skip
    assert done.code == 0, done.err
    options = json.loads((tmp_path / "night" / "truth.json").read_text())["options"]
    assert options["gaps"] == [[1, 400.0]]
    assert options["rfi"] == [[3, "line"], [3, "burst"], [3, "broad"], [5, "broad"]]
    assert (options["missing"], options["late"], options["corrupt"]) == ([[0, 7]], [[1, 2]], [[1, 4, "nan"]])
    assert options["gains"] == {
        "amplitude": 0.0, "random_phase": False, "delay_ns": 2.0, "bandpass": 0.0, "drift_phase_deg": 0.0,
        "drift_amplitude": 0.0,
    }  # fmt: skip
    assert "31 subband files of 2 tiles" in done.out and "3 deliberate faults" in done.out
