"""Decisions about calibrations: who may certify what, what the plan makes of it, and what was made with a set."""

import json

import pytest
from click.testing import CliRunner

from contimg import naming
from contimg.calibration import certification
from contimg.cli import main
from contimg.config import Config, PathOptions
from contimg.errors import InputError, UnknownIdError
from contimg.operations.reprocess import products_of, reopen
from contimg.plan.observe import calibration_records
from contimg.products.twin import Input, Reason, Twin, verdict_of, write_twin

PASSED, WARNED, FAILED = "cal_20260211T010000", "cal_20260211T020000", "cal_20260211T030000"
SETUP = {"applied_delays_sha256": "d", "antenna_order_sha256": "a", "fs_table": "t"}
DATES = ("2026-02-11",)


@pytest.fixture
def config(tmp_path):
    """Three calibrations: passed, with a warning, and failed."""
    config = Config(paths=PathOptions(**{name: tmp_path / name for name in PathOptions.model_fields}))
    for number, (name, severity) in enumerate(((PASSED, None), (WARNED, "warning"), (FAILED, "failed"))):
        reasons = [Reason(code="bad", severity=severity, message="made up")] if severity else []
        facts = {"type": "bandpass", "tile": naming.iso(name), "mid_mjd": 61082.0 + number, "dec_app_deg": 30.4}
        twin = Twin(kind="calibration", id=name, verdict=verdict_of(reasons), reasons=reasons, synthetic=True,
                    facts=facts | SETUP)  # fmt: skip
        write_twin(config.layout.twin("calibration", name), twin)
    return config


def usable(config):
    return [record.id for record in calibration_records(config, DATES) if record.certified]


def test_what_is_passed_is_certified_and_what_is_withdrawn_is_not(config):
    assert usable(config) == [PASSED]
    made = certification.withdraw(config, PASSED, "cable swap")
    assert (made["decision"], made["reason"]) == ("withdrawn", "cable swap") and made["by"] and made["time"]
    assert usable(config) == []
    reason = next(r.reason for r in calibration_records(config, DATES) if r.id == PASSED)
    assert reason == f"withdrawn by {made['by']}: cable swap"
    assert certification.withdraw(config, PASSED, "said twice") == made
    assert len(certification.history(config.layout)) == 1


def test_a_withdrawal_can_be_taken_back_and_both_words_stay(config):
    certification.withdraw(config, PASSED, "cable swap")
    certification.certify(config, PASSED, "it was another cable")
    assert usable(config) == [PASSED]
    assert [item["decision"] for item in certification.history(config.layout)] == ["withdrawn", "certified"]


def test_a_person_can_overrule_a_warning_but_no_failure(config):
    certification.certify(config, WARNED, "the array was upgraded")
    assert usable(config) == [PASSED, WARNED]
    with pytest.raises(InputError, match="is failed \\(made up\\): it cannot be certified"):
        certification.certify(config, FAILED, "please")
    with pytest.raises(InputError, match="certified already"):
        certification.certify(config, PASSED, "again")
    # solved again, it came out failed: the word of before does not carry it
    failed = certification.find(config, WARNED).model_copy(
        update={"verdict": "failed", "reasons": [Reason(code="bad", severity="failed", message="made up")]}
    )
    write_twin(config.layout.twin("calibration", WARNED), failed)
    assert usable(config) == [PASSED]


def test_no_reason_unknown_ids_and_a_damaged_file_are_one_sentence(config):
    with pytest.raises(InputError, match="say why"):
        certification.withdraw(config, PASSED, "  ")
    for name in ("cal_20260101T000000", "mosaic_20260211T010000", "nonsense"):
        with pytest.raises(UnknownIdError, match="there is no calibration"):
            certification.withdraw(config, name, "x")
    certification.place(config.layout).write_text('[{"calibration": ')
    with pytest.raises(InputError, match=r"decisions\.json is damaged"):
        usable(config)


def _make(config, kind, any_id, *inputs):
    named = [Input(path="x", kind=one, id=name, sha256="0" * 64) for one, name in inputs]
    twin = Twin(kind=kind, id=any_id, verdict="passed", inputs=named, synthetic=True)
    write_twin(config.layout.twin(kind, any_id), twin)


def test_every_product_is_found_also_below_gains_that_rest_on_it(config):
    tiles = [f"2026-02-11T0{n}:30:00" for n in range(3)]
    _make(config, "calibration", "cal_20260211T040000", ("calibration", PASSED))
    for tile, used in zip(tiles, (PASSED, "cal_20260211T040000", WARNED), strict=True):
        _make(config, "calibrated", tile, ("calibration", used))
        _make(config, "image", tile, ("calibrated", tile))
    mosaics = [naming.mosaic_id(tile) for tile in tiles]
    for tile, mosaic in zip(tiles, mosaics, strict=True):
        _make(config, "mosaic", mosaic, ("image", tile))
        group = {"id": tile, "tiles": [{"id": tile, "name_time": tile, "files": []}]}
        for place, content in ((config.layout.group(tile), group), (config.layout.twin("published", tile), {})):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(content))
    found = products_of(config, PASSED)
    assert found == {
        "calibrations": ["cal_20260211T040000"], "calibrated": tiles[:2], "images": tiles[:2], "mosaics": mosaics[:2],
        "versions": [],
    }  # fmt: skip
    assert reopen(config, found) == mosaics[:2]
    assert [config.layout.twin("published", tile).exists() for tile in tiles] == [False, False, True]
    assert reopen(config, found) == []


def test_the_commands_list_and_show(config, tmp_path):
    overlay = tmp_path / "config.yaml"
    paths = "".join(f"  {name}: {tmp_path / name}\n" for name in PathOptions.model_fields)
    overlay.write_text(f"paths:\n{paths}")

    def run(*words):
        return CliRunner().invoke(main, ["-c", str(overlay), "calibration", *words])

    rows = json.loads(run("list", "--json").output)
    assert [(row["id"], row["certified"]) for row in rows] == [(PASSED, True), (WARNED, False), (FAILED, False)]
    assert json.loads(run("list", "--date", "2026-02-12", "--json").output) == []
    assert "bad: made up" in run("list").output
    assert run("withdraw", PASSED).exit_code == 2  # no reason
    done = run("withdraw", PASSED, "--reason", "cable swap")
    assert done.exit_code == 0 and "withdrawn by" in done.output
    shown = run("show", PASSED).output
    assert "no: withdrawn by" in shown and "cable swap" in shown
    assert run("certify", FAILED, "--reason", "please").exit_code == 1
