"""`contimg check`: exit codes, JSON, the page, and one sentence for bad input."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import h5py
import pytest

from contimg.simulate import NightOptions, simulate_night


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A transit of 3C286 with one dead antenna, in four subbands."""
    options = NightOptions(
        tiles=1, stations=(1, 12, 20, 28, 44, 51, 76, 92, 103, 109), channels=2, integrations=8, sources=0, dead=(20,),
        missing=tuple((0, subband) for subband in range(16) if subband % 5),
    )  # fmt: skip
    return simulate_night(tmp_path_factory.mktemp("check") / "night", options).out


def test_refuted_finding_is_exit_code_3_with_json_and_no_page(program, night, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = program("check", night, "--json")
    assert done.code == 3
    found = done.json
    assert found["refuted"] == ["boards"] and found["calibrator"] == "3C286" and found["page"] is None
    assert found["synthetic"] is True and found["subbands"] == [0, 5, 10, 15]
    by_key = {one["key"]: one for one in found["findings"]}
    assert by_key["sign"]["verdict"] == "confirmed" and by_key["boards"]["named"] == ["20"]
    assert list(tmp_path.glob("*.html")) == []


def test_accepted_finding_is_exit_code_0_and_the_page_stands(program, night, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = program("check", night, "--accept", "boards")
    assert done.code == 0, done.err
    assert "First light 2026-02-11T" in done.out and "(SIMULATED): 3C286, " in done.out
    (page,) = tmp_path.glob("check_20260211T*.html")
    text = page.read_text()
    ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    assert text.count("<figure") == 6 and "http" not in text.replace("http-equiv", "")
    for words in ("all receptors are alive", "SYNTHETIC", "1 refuted", "apparent declination"):
        assert words in text


def test_files_may_be_named_one_by_one(program, night, tmp_path):
    files = sorted((night / "incoming").glob("*.hdf5"))[:3]
    done = program("check", *files, "--json", "--page", tmp_path / "page.html")
    assert len(done.json["subbands"]) == 3 and (tmp_path / "page.html").exists()


def test_a_date_stands_for_the_files_of_the_inbox(program, night, sqlite_config):
    inbox = sqlite_config.paths.incoming
    inbox.mkdir(parents=True, exist_ok=True)
    for path in (night / "incoming").glob("*.hdf5"):
        (inbox / path.name).symlink_to(path)
    assert program("check", "2026-02-11", "--json").json["subbands"] == [0, 5, 10, 15]
    assert program("check", "--json").json["subbands"] == [0, 5, 10, 15]
    assert "holds no files named" in program("check", "2026-02-12").sentence


def test_bad_input_is_one_sentence(program, tmp_path):
    assert program("check", tmp_path / "none").sentence.endswith(
        "is no file, folder or date such as 2026-02-11: correct it"
    )
    (tmp_path / "2026-02-11T00:00:00_sb00.hdf5").write_bytes(b"no HDF5")
    assert "it is not a whole HDF5 file" in program("check", tmp_path).sentence
    done = program("check", tmp_path, "--accept", "weather")
    assert done.code == 2 and "'weather' is no finding" in done.err


def test_a_damaged_file_is_a_finding_and_the_others_are_checked(program, night, tmp_path):
    for path in (night / "incoming").glob("*.hdf5"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    broken = min(tmp_path.glob("*_sb05.hdf5"))
    with h5py.File(broken, "r+") as file:
        file["Header/phase_center_app_dec"][...] = 7.0
    found = program("check", tmp_path, "--json").json
    assert found["subbands"] == [0, 10, 15]
    files = found["findings"][0]
    assert files["verdict"] == "refuted" and broken.name in files["text"] and "phase_center_app_dec" in files["text"]


def test_a_fingerprint_is_written_and_checked(program, night, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = program("fingerprint", night, "transit.fingerprint", "--antenna", "44", "--json")
    assert done.code == 0, done.err
    made = done.json
    assert made["subbands"] == [0, 5, 10, 15] and made["baselines"] == 30 and "44" in made["antennas"]
    assert made["bytes"] == (tmp_path / "transit.fingerprint").stat().st_size < 2_000_000
    checked = program("check", "transit.fingerprint", "--json")
    assert checked.code == 3 and checked.json["refuted"] == ["boards"] and checked.json["tile"] == made["tile"]
    again = program("fingerprint", night, "transit.fingerprint")
    assert again.code == 1 and "transit.fingerprint exists: remove it" in again.err


def test_a_fingerprint_says_what_it_holds_in_one_line(program, night, tmp_path):
    done = program("fingerprint", night / "incoming", tmp_path / "out")
    assert done.code == 0 and " MB, tile 2026-02-11T" in done.out and "30 baselines of antennas " in done.out
    assert len(done.out.splitlines()) == 1
    for given, words in (([night], "Missing argument"), ([tmp_path / "none", tmp_path / "o"], "is no file, folder")):
        refused = program("fingerprint", *given)
        assert refused.code in (1, 2) and words in refused.err
