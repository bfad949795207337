"""A user's list of calibrators, and a calibration that is withdrawn after its mosaic was published."""

import json
import shlex

import pytest

from contimg import naming
from tests.workflow.conftest import simulate

pytestmark = pytest.mark.long

# Two calibrators, one transit in the second tile and one in the third; made up but for the first.
SKY = """name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index
SECOND,204.05,30.40,12.0,1.4e9,-0.7
F1,202.2,30.0,1.5,1.4e9,-0.7
F2,203.2,31.0,1.8,1.4e9,-0.7
F3,201.8,30.9,1.6,1.4e9,-0.7
F4,203.6,30.1,1.4,1.4e9,-0.7
F5,202.6,31.3,1.7,1.4e9,-0.7
"""
LIST = """name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index
MAIN,202.784533267,30.509155236,15.083848,1.4e9,-0.501
SECOND,204.05,30.40,12.0,1.4e9,-0.7
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A night of three tiles calibrated on a user's list and published."""
    place = tmp_path_factory.mktemp("withdrawal") / "night"
    (place.parent / "sky.csv").write_text(SKY)
    night = simulate(
        place, "--tiles", "3", "--antennas", "14", "--channels", "2", "--max-baseline", "400",
        "--sky", str(place.parent / "sky.csv"),
    )  # fmt: skip
    (place / "calibrators.csv").write_text(LIST)
    night.change_config(calibration={"calibrators": str(place / "calibrators.csv")})
    # Amplitudes, corrected in each tile, would make up for a calibrator that is farther away.
    night.change_config(image=night.overlay["image"] | {"selfcal": {"rounds": 3, "mode": "phase"}})
    night.first_run = night.snakemake("--quiet", "rules")
    return night


def calibrations(night):
    return {row["calibrator"]: row for row in json.loads(night.contimg("calibration", "list", "--json").stdout)}


def test_a_second_run_with_a_users_list_schedules_nothing(published):
    assert {name: row["certified"] for name, row in calibrations(published).items()} == {"MAIN": True, "SECOND": True}
    assert published.planned() == {}


def test_a_withdrawn_calibration_is_gone_round_and_the_mosaic_gets_a_new_version(published):
    found = calibrations(published)
    bad, other = found["MAIN"]["id"], found["SECOND"]["id"]
    tiles = sorted(published.plan()["choices"])
    version_1 = next((published.place / "products" / "mosaics").glob("*/mosaic_*"))
    before = {path.name: path.read_bytes() for path in version_1.iterdir() if path.is_file()}

    said = json.loads(published.contimg("calibration", "withdraw", bad, "--reason", "cable swap", "--json").stdout)
    assert said["used_by"]["calibrated"] == tiles[:2]  # nearest: the first two tiles
    assert [(v["version"], v["status"]) for v in said["used_by"]["versions"]] == [(1, "published")]
    assert said["reopened"] == []
    assert (said["by"], said["reason"]) != ("", "") and said["reason"] == "cable swap"

    published.change_config(nights=[])  # without a night asked for, what is settled stays settled
    assert published.planned() == {}
    said = published.contimg("calibration", "withdraw", bad, "--reason", "cable swap", "--reprocess").stdout
    assert "Settled groups opened again: 1" in said
    assert published.planned() == {
        "convert_tile": 2, "apply_calibration": 2, "image_tile": 2, "mosaic_group": 1, "crossmatch_mosaic": 1,
        "summarise_mosaic": 1, "register_mosaic": 1, "publish_mosaic": 1,
    }  # fmt: skip
    assert published.planned_files("apply_calibration") == [naming.stem(tile) for tile in tiles[:2]]
    choices = published.plan()["choices"]
    assert {choice["bandpass"] for choice in choices.values()} == {other}
    assert all(any(name == bad and "cable swap" in why for name, _, why in c["rejected"]) for c in choices.values())

    published.snakemake("--quiet", "rules")
    (state,) = json.loads(published.contimg("status", "--json").stdout)["groups"]
    assert (state["state"], state["version"]) == ("held", 2)  # farther from its calibrator, so noisier
    marker = json.loads(next(published.stage.glob("published/*/mosaic_*.json")).read_text())
    assert "poorer than version 1, which stays until a person decides (noise: " in marker["message"]
    published.contimg(*shlex.split(state["next"].replace("...", "the cable was swapped"))[1:])
    (state,) = json.loads(published.contimg("status", "--json").stdout)["groups"]
    assert (state["state"], state["version"]) == ("published", 2)
    assert {path.name: path.read_bytes() for path in version_1.iterdir() if path.is_file()} == before
    assert published.planned() == {}
    story = json.loads(published.contimg("why", tiles[0], "--json").stdout)
    rejected = next(s for s in story["sections"] if s["title"] == "Calibration: rejected candidates")
    assert any(row[0] == bad and "withdrawn by" in row[2] for row in rejected["rows"])
    assert "withdrawn by" in published.contimg("why", bad).stdout


def test_taking_the_withdrawal_back_leaves_what_is_published(published):
    bad = calibrations(published)["MAIN"]["id"]
    published.contimg("calibration", "certify", bad, "--reason", "the cable was right")
    assert calibrations(published)["MAIN"]["certified"] is True
    assert published.planned() == {}
    shown = json.loads(published.contimg("calibration", "show", bad, "--json").stdout)
    assert [d["decision"] for d in shown["decisions"]] == ["withdrawn", "certified"]


def test_the_report_shows_the_last_run_once_everything_is_settled(published):
    published.change_config(nights=[])
    assert published.planned() == {}
    page = published.place / "report.html"
    published.snakemake("--report", str(page), "--quiet")
    mosaic = naming.mosaic_id(sorted(tile.name for tile in (published.stage / "groups").iterdir())[0][:-5])
    assert mosaic in page.read_text()


def test_status_says_what_a_group_waits_for_where_snakemake_would_do_nothing(published):
    for row in calibrations(published).values():
        published.contimg("calibration", "withdraw", row["id"], "--reason", "correlator fault", "--reprocess")
    assert published.planned() == {}
    (state,) = json.loads(published.contimg("status", "--json").stdout)["groups"]
    assert state["next"].startswith("waits: no certified or planned bandpass within 24 h of ")
    assert "not certified (withdrawn by " in state["next"]
    assert state["next"].removeprefix("waits: ") in {w["message"] for w in published.plan()["waiting"]}
    published.change_config(nights=["2030-01-01"])
    (state,) = json.loads(published.contimg("status", "--json").stdout)["groups"]
    assert state["next"] == "snakemake, with its night in nights or none named there"
