"""Sources read from a CSV: what is accepted with which defaults, and what is refused in one sentence."""

import numpy as np
import pytest
from click.testing import CliRunner

from contimg.cli.simulate import simulate
from contimg.simulate import SimulationError
from contimg.simulate.sky import read_sources

HEAD = "name,ra_deg,dec_deg,flux_jy"


def test_the_last_three_columns_are_optional(tmp_path):
    path = tmp_path / "sky.csv"
    path.write_text(f"{HEAD},spectral_index\nA,12.5,37.1,2.0,\nB,13.5,36.1,0.5,-0.8\n")
    a, b = read_sources(path)
    assert (a.name, a.ra_deg, a.dec_deg) == ("A", 12.5, 37.1)
    assert a.flux_jy(np.array([1.3e9, 1.5e9])) == pytest.approx([2.0, 2.0])
    # S = 0.5 Jy (f / 1.4 GHz)^-0.8
    assert b.flux_jy(np.array([1.4e9, 2.8e9])) == pytest.approx([0.5, 0.5 * 2**-0.8])


def test_a_sky_without_sources_is_empty(tmp_path):
    (tmp_path / "sky.csv").write_text(f"{HEAD}\n")
    assert read_sources(tmp_path / "sky.csv") == ()


BAD = [
    (b"", "has no column name"),
    (b"name,ra_deg,dec_deg\nA,12.5,37.1\n", "has no column flux_jy"),
    (b"name;ra_deg;dec_deg;flux_jy\nA;12.5;37.1;1\n", "has no column name"),
    (b"name,ra_deg,dec_deg,flux_jy\nA,12.5,37.1\n", "line 2 is not a source (flux_jy is missing)"),
    (b"name,ra_deg,dec_deg,flux_jy\nA,1,2,3\nB,12.5,37.1,\n", "line 3 is not a source (flux_jy is missing)"),
    (b"name,ra_deg,dec_deg,flux_jy\nA,12.5,37.1,bright\n", "line 2 is not a source"),
    (b"name,ra_deg,dec_deg,flux_jy\nA,12.5,37.1,-1\n", "line 2 is not a source (flux_jy is -1)"),
    (b"name,ra_deg,dec_deg,flux_jy\nA,12.5,37.1,0\n", "line 2 is not a source (flux_jy is 0)"),
    (b"name,ra_deg,dec_deg,flux_jy\nA,nan,37.1,1\n", "line 2 is not a source (ra_deg is nan)"),
    (b"name,ra_deg,dec_deg,flux_jy\nA,12.5,inf,1\n", "line 2 is not a source (dec_deg is inf)"),
    (b"name,ra_deg,dec_deg,flux_jy\nA,12.5,97.1,1\n", "line 2 is not a source (dec_deg is 97.1)"),
    (b"name,ra_deg,dec_deg,flux_jy,ref_freq_hz\nA,1,2,3,0\n", "line 2 is not a source (ref_freq_hz is 0)"),
    (b"name,ra_deg,dec_deg,flux_jy,spectral_index\nA,1,2,3,nan\n", "line 2 is not a source (spectral_index is nan)"),
    (b"ra_deg,dec_deg,flux_jy,name\n1,2,3\n", "line 2 is not a source (name is missing)"),
    (b"\x89HDF\r\n\x1a\n", "is not a CSV"),
]


@pytest.mark.parametrize(("content", "words"), BAD, ids=[words for _, words in BAD])
def test_what_is_no_list_of_sources_is_refused(tmp_path, content, words):
    path = tmp_path / "sky.csv"
    path.write_bytes(content)
    with pytest.raises(SimulationError) as caught:
        read_sources(path)
    said = str(caught.value)
    assert said.startswith(f"--sky {path} {words}") and said.count("\n") == 0
    assert said.endswith("give a CSV with name, ra_deg, dec_deg and flux_jy, the last three numbers, flux_jy positive.")


def test_the_command_refuses_it_and_writes_nothing(tmp_path):
    path = tmp_path / "sky.csv"
    path.write_bytes(b"\xff\xfe")
    done = CliRunner().invoke(simulate, [str(tmp_path / "night"), "--sky", str(path)])
    assert done.exit_code == 1
    assert f"Error: --sky {path} is not a CSV" in done.output
    assert not (tmp_path / "night").exists()
