"""The options of `contimg simulate` by which the telescope differs from its headers reach the night."""

from __future__ import annotations

import json

import pytest

WORDS = """
--beam-offset 0.1,-0.2 --beam-width 1.1 --antenna-beam-offset 0.2 --antenna-beam-width 0.05
--swapped-antennas 1,50 --moved-antenna 80,2,-1 --local-positions
--clock-error -1.8 --conjugated --swapped-polarisations 1,50 --products YY,XX --packet-loss 80:0.2
--declination-grid --host-declination 3 --host-delays 4,5 --spectral-line-files
--sun 60,40 --ateam 1e-3 --satellite 4:starlink --satellite 5:iridium --satellite-strength 100 --ionosphere 2
"""


def test_every_option_is_in_the_truth(program, tmp_path):
    small = ("--tiles", 1, "--stations", "1,50,80", "--channels", 1, "--integrations", 2, "--sources", 0)
    done = program("simulate", tmp_path / "night", *small, *WORDS.split())
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "night" / "truth.json").read_text())["options"]["telescope"] == {
        "beam": {"offset_deg": [0.1, -0.2], "width": 1.1, "pattern": "airy",
                 "antenna_offset_deg": 0.2, "antenna_width": 0.05},
        "array": {"swapped_antennas": [[1, 50]], "moved_antennas": [[80, 2.0, -1.0]], "local_positions": True},
        "correlator": {"clock_error_s": -1.8, "conjugated": True, "swapped_polarisations": [1, 50],
                       "products": ["YY", "XX"], "packet_loss": [[80, 0.2]]},
        "header": {"declination_grid": True, "host_declination": [3], "host_delays": [4, 5],
                   "spectral_line_files": True},
        "sky": {"sun_jy": [60.0, 40.0], "ateam_response": 0.001, "satellites": [[4, "starlink"], [5, "iridium"]],
                "satellite_jy": 100.0, "ionosphere_arcsec": 2.0},
    }  # fmt: skip
    assert len(list((tmp_path / "night/incoming").glob("*_spl.hdf5"))) == 16


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--moved-antenna", "24,2.0"), "'24,2.0' is not of the form 24,2.0,0."),
        (("--sun", "60"), "'60' is not of the form 60,40."),
        (("--satellite", "four:starlink"), "'four:starlink' is not of the form 4:starlink."),
        (("--host-delays", "a"), "'a' is not a list such as 1,2,3."),
    ],
)
def test_an_option_that_cannot_be_read_is_wrong_usage(program, tmp_path, words, message):
    done = program("simulate", tmp_path / "night", *words)
    assert (done.code, done.out) == (2, "")
    assert message in " ".join(done.err.split())
