"""`contimg calibration`: what its four commands print, to people and to programs."""

import json

import pytest
from click.testing import CliRunner

from contimg import naming
from contimg.cli import main
from contimg.config import Config, PathOptions
from contimg.products.twin import Input, Reason, Twin, verdict_of, write_twin

BANDPASS, GAINS, FAILED = "cal_20260211T010000", "cal_20260211T020000", "cal_20260212T030000"


@pytest.fixture
def stage(tmp_path):
    """A passed bandpass, gains on top of it with a warning, a failed bandpass of the next day, and their users."""
    config = Config(paths=PathOptions(**{name: tmp_path / name for name in PathOptions.model_fields}))
    overlay = tmp_path / "config.yaml"
    overlay.write_text("paths:\n" + "".join(f"  {name}: {tmp_path / name}\n" for name in PathOptions.model_fields))

    def calibration(name, *, facts, qa=None, reasons=(), notes=(), inputs=()):
        twin = Twin(
            kind="calibration", id=name, verdict=verdict_of(reasons), reasons=list(reasons), notes=list(notes),
            facts={"tile": naming.iso(name), "dec_app_deg": 30.456} | facts, qa=qa or {}, synthetic=True,
            inputs=[Input(path="x", kind="calibration", id=one, sha256="0" * 64) for one in inputs],
        )  # fmt: skip
        write_twin(config.layout.twin("calibration", name), twin)

    calibration(
        BANDPASS,
        facts={"type": "bandpass", "calibrator": "3C286", "flux_anchor": "Perley & Butler 2017", "refant_list": ["24"],
               "solutions_sha256": {"K": "deadbeef"}, "missing_subbands": []},
        qa={"snr_median": 151.7, "flagged_fraction": 0.0123, "lost_by_antenna": {"24": 0.0, "31": 1.0},
            "changed_antennas": []},
        notes=["antennas with data but without a solution: 31"],
    )  # fmt: skip
    weak = Reason(code="low_snr", severity="warning", message="made up", measured=8.0, threshold=10.0)
    calibration(
        GAINS, facts={"type": "gains", "bandpass": BANDPASS, "calibrator": None}, reasons=[weak], inputs=[BANDPASS]
    )
    bad = Reason(code="no_data", severity="failed", message="every visibility is flagged")
    calibration(FAILED, facts={"type": "bandpass", "calibrator": "3C48"}, reasons=[bad])
    used = [Input(path="x", kind="calibration", id=BANDPASS, sha256="0" * 64)]
    tile = Twin(kind="calibrated", id="2026-02-11T01:05:09", verdict="passed", inputs=used, synthetic=True)
    write_twin(config.layout.twin("calibrated", tile.id), tile)

    def run(*words, code=0):
        result = CliRunner().invoke(main, ["-c", str(overlay), "calibration", *words])
        assert result.exit_code == code, result.output
        return result.output.replace(f"contimg -c {overlay} ", "contimg ")

    return run


def test_list_says_of_what_how_good_and_whether_usable(stage):
    rows = json.loads(stage("list", "--json"))
    assert [row["id"] for row in rows] == [BANDPASS, GAINS, FAILED]
    first, second, third = rows
    assert (first["type"], first["calibrator"], first["standing"]) == ("bandpass", "3C286", "yes")
    assert (first["snr_median"], first["flagged_fraction"], first["reasons"]) == (151.7, 0.0123, [])
    assert (second["bandpass"], second["standing"], second["certified"]) == (BANDPASS, "no: warning", False)
    assert second["reasons"] == ["low_snr: made up"]
    assert (third["standing"], third["verdict"]) == ("no: failed", "failed")


def test_list_of_some_dates(stage):
    for dates, expected in (
        (["2026-02-11"], [BANDPASS, GAINS]),
        (["2026-02-12"], [FAILED]),
        (["2026-02-12", "2026-02-11"], [FAILED, BANDPASS, GAINS]),
        (["2026-02-13"], []),
    ):
        words = [word for date in dates for word in ("--date", date)]
        assert [row["id"] for row in json.loads(stage("list", "--json", *words))] == expected


def test_list_prints_a_table(stage, monkeypatch):
    monkeypatch.setenv("COLUMNS", "220")
    said = stage("list")
    line = next(line for line in said.splitlines() if BANDPASS in line)
    for cell in ("3C286", "30.46", "passed", "152", "1.2%"):
        assert cell in line
    assert "catalogue sky" in next(line for line in said.splitlines() if GAINS in line)


def test_show_says_what_is_known(stage, monkeypatch):
    monkeypatch.setenv("COLUMNS", "220")
    said = stage("show", BANDPASS)
    assert said.startswith(f"{BANDPASS}: verdict passed; usable: yes (")
    for words in ("Perley & Butler 2017", "snr_median", "note: antennas with data but without a solution: 31"):
        assert words in said
    lost = said[said.index("Solutions lost") : said.index("note:")]
    assert "100.0%" in lost and "31" in lost and "0.0%" not in lost.replace("100.0%", "")
    assert "deadbeef" not in said  # long facts stay in the JSON
    assert "gains on top of it" in said and GAINS in said and "2026-02-11T01:05:09" in said


def test_show_for_programs_has_all_of_it(stage):
    record = json.loads(stage("show", BANDPASS, "--json"))
    assert record["facts"]["solutions_sha256"] == {"K": "deadbeef"}
    assert record["used_by"]["calibrations"] == [GAINS] and record["used_by"]["calibrated"] == ["2026-02-11T01:05:09"]
    assert record["decisions"] == [] and record["folder"].endswith(BANDPASS)


def test_show_gives_reasons_and_decisions(stage, monkeypatch):
    monkeypatch.setenv("COLUMNS", "220")
    stage("certify", GAINS, "--reason", "a new amplifier")
    said = stage("show", GAINS)
    reason = next(line for line in said.splitlines() if "low_snr" in line)
    assert "8" in reason and "10" in reason and "warning" in reason
    assert "yes: certified by" in said and "a new amplifier" in said


def test_certify_and_withdraw_are_recorded_and_answered(stage):
    said = stage("certify", GAINS, "--reason", "a new amplifier")
    assert said.startswith(f"{GAINS}: certified by ") and said.endswith(": a new amplifier\n")
    made = json.loads(stage("withdraw", GAINS, "--reason", "no, it was not", "--json"))
    assert (made["decision"], made["reason"], made["reopened"]) == ("withdrawn", "no, it was not", [])
    assert json.loads(stage("list", "--json"))[1]["standing"].startswith("no: withdrawn by ")
    again = json.loads(stage("certify", GAINS, "--reason", "it was", "--json"))
    assert (again["decision"], again["reason"]) == ("certified", "it was")


def test_a_reason_may_have_a_thousand_characters_and_a_name_two_hundred(stage, monkeypatch):
    monkeypatch.setenv("LOGNAME", "x" * 201)
    assert "set LOGNAME to one of 200 at most" in stage("withdraw", BANDPASS, "--reason", "x", code=1)
    monkeypatch.setenv("LOGNAME", "ada")
    stage("withdraw", BANDPASS, "--reason", "x" * 1000)


def test_withdraw_lists_what_was_made_with_it_and_what_happens_to_it(stage):
    said = stage("withdraw", BANDPASS, "--reason", "cable swap")
    assert "withdrawn by" in said and "calibrated tiles" in said and "2026-02-11T01:05:09" in said
    reopened = stage("withdraw", BANDPASS, "--reason", "cable swap", "--reprocess")
    assert "Settled groups opened again: 0; 'contimg plan' shows what will be made anew" in reopened


@pytest.mark.parametrize(("words", "code", "said"), [
    (("show", "cal_20260301T000000"), 1, "there is no calibration cal_20260301T000000: see 'contimg calibration list'"),
    (("certify", FAILED, "--reason", "please"), 1, "is failed (every visibility is flagged): it cannot be certified"),
    (("certify", BANDPASS, "--reason", "again"), 1, "certified already: nothing is to be done"),
    (("withdraw", BANDPASS, "--reason", " "), 1, "no reason given: say why with --reason '...'"),
    (("withdraw", BANDPASS, "--reason", "x" * 1001), 1, "the reason has 1001 characters: write it in 1000 at most"),
    (("certify", GAINS, "--reason", "x" * 1001), 1, "the reason has 1001 characters: write it in 1000 at most"),
    (("certify", GAINS, "--reason", "fine\nFORGED"), 1, r"character (fine\nFORGED): write it in one line"),
    (("withdraw", BANDPASS, "--reason", "\x1b[2Jfine"), 1, r"character (\x1b[2Jfine): write it in one line"),
    (("withdraw", BANDPASS), 2, "Missing option '--reason'"),
])  # fmt: skip
def test_what_cannot_be_done_is_one_sentence(stage, words, code, said):
    assert said in " ".join(stage(*words, code=code).split())
    assert json.loads(stage("show", BANDPASS, "--json"))["decisions"] == []
