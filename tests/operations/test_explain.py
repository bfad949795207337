"""`contimg why`: every choice, rejected candidate, reason and number that twins and plan hold, and no traceback."""

import math

import pytest

from contimg import naming
from contimg.calibration import certification
from contimg.config import load
from contimg.errors import UnknownIdError
from contimg.operations.explain import explain
from contimg.operations.status import find_twin
from contimg.plan.model import Choice, Plan, PlannedCalibration
from contimg.products.twin import Input, Reason, Twin, read_twin, verdict_of, write_twin
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.storage.atomic import write_json
from tests.support import mosaics

CALIBRATION = naming.calibration_id(mosaics.GROUP)
FIRST, SECOND = mosaics.TILES


@pytest.fixture
def config(tmp_path):
    """A stage with a mosaic and its lineage, and a calibrator that stands where the tile looks."""
    config = mosaics.config_below(tmp_path)
    mosaics.make_mosaic(config, reasons=[mosaics.WARNING])
    return config


def table(story, title):
    (found,) = (section for section in story["sections"] if section["title"] == title)
    assert all(len(row) == len(found["columns"]) for row in found["rows"])
    return found["rows"]


def change(config, kind, name, **content):
    place = config.layout.twin(kind, name)
    write_twin(place, read_twin(place).model_copy(update=content))


@pytest.mark.parametrize(
    ("thing", "sentence"),
    [
        ("cal_20990101T000000", "no calibration cal_20990101T000000 has been solved or planned: see `contimg plan`"),
        ("mosaic_20990101T000000", "no mosaic mosaic_20990101T000000 has been made: see `contimg status`"),
        ("2099-01-01T00:00:00", "no tile 2099-01-01T00:00:00 has been made or planned: see `contimg plan`"),
        ("nonsense", "nonsense"),
    ],
)
def test_what_is_unknown_is_named(config, thing, sentence):
    with pytest.raises(UnknownIdError) as refused:
        explain(config, thing)
    assert sentence in str(refused.value)


def test_a_mosaic_names_its_tiles_with_their_calibrations(config):
    story = explain(config, mosaics.MOSAIC)
    assert (story["id"], story["verdict"]) == (mosaics.MOSAIC, "warning")
    assert story["headline"] == f"{mosaics.MOSAIC}: verdict warning, open"
    assert table(story, "Tiles") == [(tile, "passed", CALIBRATION, CALIBRATION, "") for tile in mosaics.TILES]
    assert table(story, "Reasons") == [("warning", "noise", mosaics.WARNING.message, 2.4, 2.0)]
    why = f"bandpass {CALIBRATION}: the nearest"
    assert table(story, "Calibration: why") == [(tile, why) for tile in mosaics.TILES]
    ids = {row[1]: row[0] for row in table(story, "Made from")}
    assert ids == dict.fromkeys(mosaics.TILES, "image")
    assert ("rms_mjy", 4.0) in table(story, "Measured (mosaic)")
    assert ("completeness", 1.0) in table(story, "Measured (crossmatch)")


def test_a_candidate_that_several_tiles_rejected_stands_once_with_all_of_them(config):
    (row,) = table(explain(config, mosaics.MOSAIC), "Calibration: rejected candidates")
    assert row == (
        "cal_20260210T002649", "gains", "23.9 h away: more than calibration.gain_validity_h", f"{FIRST}, {SECOND}",
    )  # fmt: skip


def test_a_mosaic_says_where_it_stands(config):
    register_mosaic(mosaics.MOSAIC, config)
    path = publish_mosaic(mosaics.MOSAIC, config, waits_s=()).path
    assert explain(config, mosaics.MOSAIC)["headline"] == f"{mosaics.MOSAIC}: verdict warning, held {path}"


def test_without_a_comparison_there_is_nothing_of_one(config):
    config.layout.twin("crossmatch", mosaics.MOSAIC).unlink()
    titles = [section["title"] for section in explain(config, mosaics.MOSAIC)["sections"]]
    assert not any("catalogue" in title or "crossmatch" in title for title in titles)


def test_a_tile_that_could_not_be_calibrated_has_no_choice(config):
    """A twin of a tile with too few subbands holds no facts at all."""
    reason = Reason(code="too_few_subbands", severity="failed", message="2 subbands")
    change(config, "calibrated", SECOND, facts={}, qa={}, reasons=[reason], verdict="failed")
    story = explain(config, mosaics.MOSAIC)
    assert table(story, "Tiles")[1] == (SECOND, "passed", None, None, "")
    assert table(story, "Calibration: why")[1] == (SECOND, "")
    tile = explain(config, SECOND)
    assert table(tile, "Reasons of its calibrated") == [("failed", "too_few_subbands", "2 subbands", None, None)]
    config.layout.twin("calibrated", SECOND).unlink()
    assert table(explain(config, mosaics.MOSAIC), "Tiles")[1] == (SECOND, "passed", None, None, "")


def test_gains_between_two_sets_are_both_named(config):
    twin = read_twin(config.layout.twin("calibrated", FIRST))
    change(config, "calibrated", FIRST, facts=twin.facts | {"gain_sets": ["cal_a", "cal_b"], "gains": "cal_a"})
    assert table(explain(config, mosaics.MOSAIC), "Tiles")[0][3] == "cal_a and cal_b"


@pytest.mark.parametrize("text", [FIRST, "20260211T002649"])
def test_a_tile_tells_of_its_last_product_and_of_those_before(config, text):
    story = explain(config, text)
    assert (story["headline"], story["verdict"]) == (f"{FIRST}: image, verdict passed", "passed")
    assert table(story, "Calibration: why") == [(f"bandpass {CALIBRATION}: the nearest",)]
    assert table(story, "Calibration: rejected candidates")[0][:2] == ("cal_20260210T002649", "gains")
    assert table(story, "Measured (image)") == [("rms_mjy", 4.2)]
    assert [section["title"] for section in story["sections"] if section["title"].startswith("Reasons")] == [
        "Reasons", "Reasons of its calibrated", "Reasons of its ms",
    ]  # fmt: skip
    config.layout.twin("image", FIRST).unlink()
    assert explain(config, text)["headline"] == f"{FIRST}: calibrated, verdict passed"


def freeze(config, **content):
    write_json(config.layout.frozen_plan, Plan(**content).to_json())


def test_a_tile_that_is_only_planned_has_its_choice(config):
    tile = "2026-02-11T00:37:07"
    rejected = (("cal_x", "bandpass", "another declination strip, 5.00 deg away"),)
    freeze(config, choices={tile: Choice(CALIBRATION, None, ("the nearest",), rejected)})
    story = explain(config, tile)
    assert story["headline"] == f"{tile}: planned, nothing made yet" and "verdict" not in story
    assert table(story, "Calibration: why") == [("the nearest",)]
    assert table(story, "Calibration: rejected candidates") == list(rejected)
    with pytest.raises(UnknownIdError, match="no tile 2026-02-11T00:42:16 has been made or planned"):
        explain(config, "2026-02-11T00:42:16")


def test_a_calibration_that_is_only_planned_says_how_it_will_be_solved(config):
    planned = PlannedCalibration(
        "cal_20260211T060000", "gains", "2026-02-11T06:00:00", 61082.25, 37.1, None, CALIBRATION, previous=None
    )
    freeze(config, calibrations={planned.id: planned})
    story = explain(config, planned.id)
    assert story["headline"] == f"{planned.id}: gains on tile 2026-02-11T06:00:00, planned, not solved yet"
    assert table(story, "Plan") == [("calibrator", None), ("on top of", CALIBRATION), ("compared with", None)]
    with pytest.raises(UnknownIdError):
        explain(config, "cal_20260211T070000")


def test_a_calibration_names_its_users_and_the_decisions_about_it(config):
    story = explain(config, CALIBRATION)
    assert story["headline"] == f"{CALIBRATION}: bandpass on tile {FIRST}, verdict passed, certified"
    assert table(story, "Tiles that use it") == [(tile, "passed") for tile in mosaics.TILES]
    assert table(story, "Decisions") == []
    made = certification.withdraw(config, CALIBRATION, "wrong flux scale")
    story = explain(config, CALIBRATION)
    assert story["headline"].endswith("verdict passed, not used by any plan")
    said = f"withdrawn by {made['by']}: wrong flux scale"
    assert table(story, "Decisions") == [(made["time"], "withdrawn", said)]


def test_a_calibration_says_what_its_flux_scale_rests_on_and_which_beam_it_measured(config):
    twin = find_twin(config.layout.twin("calibration", CALIBRATION), config)
    beam = {"offset_deg": [0.05, 0.12], "e_offset_deg": [0.01, 0.01], "fwhm_scale": 1.1, "e_fwhm_scale": 0.002}
    anchor = "ensemble of 34 catalogued sources, known to 0.9% (catalogue sky)"
    said = {"flux_scale": "ensemble", "flux_anchor": anchor, "primary_beam": beam}
    change(config, "calibration", CALIBRATION, facts=twin.facts | said)
    story = explain(config, CALIBRATION)
    assert table(story, "Flux scale") == [("rests on", "ensemble"), ("anchor", anchor)]
    assert table(story, "Primary beam measured with it") == list(beam.items())


def with_calibrators(config, *sources):
    """Return the configuration with a list of calibrators of its own."""
    place = config.paths.state / "calibrators.csv"
    place.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{name},{ra},{dec},{flux}" for name, ra, dec, flux in sources]
    place.write_text("\n".join(["name,ra_deg,dec_deg,flux_jy", *lines, ""]))
    options = config.calibration.model_copy(update={"calibrators": str(place)})
    return config.model_copy(update={"calibration": options})


def sidereal_deg(mjd, longitude_deg):
    """Return the local mean sidereal time: GMST of the IAU 1982 formula to its linear term, and the longitude."""
    return (280.46061837 + 360.98564736629 * (mjd - 51544.5) + longitude_deg) % 360


def test_calibrators_of_the_tile_are_listed_the_strongest_first(config):
    """One source transits in the tile, one of half its flux beside it, one is on the other side of the sky."""
    facts = read_twin(config.layout.twin("ms", FIRST)).facts
    ra_deg = sidereal_deg(facts["mid_mjd"], facts["location"][1])
    # Equinox of date -> J2000, to a tenth of a degree: 26 years of precession, 46.1" and 20.0" a year.
    years, dec = (facts["mid_mjd"] - 51544.5) / 365.25, math.radians(37.1)
    precession = (46.12 + 20.04 * math.sin(math.radians(ra_deg)) * math.tan(dec)) / 3600 * years
    ra_deg -= precession
    dec_deg = 37.1 - 20.04 * math.cos(math.radians(ra_deg)) / 3600 * years
    config = with_calibrators(
        config, ("strong", ra_deg, dec_deg, 20.0), ("weak", ra_deg + 0.2, dec_deg, 10.0), ("far", ra_deg + 180, 0.0, 99)
    )
    change(config, "calibration", CALIBRATION, facts=read_twin(
        config.layout.twin("calibration", CALIBRATION)).facts | {"calibrator": "strong"})  # fmt: skip
    rows = table(explain(config, CALIBRATION), "Calibrators in the tile")
    # A list of one's own is off by 5 %, and 0.05 Jy of noise beside 10 Jy is nothing to that.
    said = "expected error 5.0 %"
    assert [(row[0], row[3]) for row in rows[:2]] == [("strong", f"chosen: {said}"), ("weak", said)]
    assert rows[0][1] == pytest.approx(1.0, abs=0.02) and rows[0][2] == pytest.approx(20.0, rel=0.02)
    assert rows[1][2] == pytest.approx(10.0, rel=0.05) and not rows[1][3].startswith("chosen")
    assert "far" not in {row[0] for row in rows}


@pytest.mark.parametrize("how", ["no twin", "not converted"])
def test_without_the_converted_tile_no_calibrators_are_listed(config, how):
    if how == "no twin":
        config.layout.twin("ms", FIRST).unlink()
    else:
        change(config, "ms", FIRST, facts={}, verdict="failed")
    assert table(explain(config, CALIBRATION), "Calibrators in the tile") == []


GAINS = "cal_20260211T030000"


def gains(config, facts, reasons=()):
    twin = Twin(
        kind="calibration", id=GAINS, verdict=verdict_of(reasons), reasons=list(reasons), synthetic=True, facts=facts,
        inputs=[Input(path="x", kind="calibration", id=CALIBRATION, sha256="0" * 64)],
    )  # fmt: skip
    write_twin(config.layout.twin("calibration", GAINS), twin)


def test_gains_name_the_bandpass_that_they_rest_on_and_why_not_the_others(config):
    mjd = read_twin(config.layout.twin("calibration", CALIBRATION)).facts["mid_mjd"]
    base = {"type": "bandpass", "calibrator": "3C48", "dec_app_deg": 37.1}
    for name, facts, reasons in (
        ("cal_20260211T010000", base | {"tile": "2026-02-11T01:00:00", "mid_mjd": mjd + 0.02}, []),
        ("cal_20260211T020000", base | {"tile": "2026-02-11T02:00:00", "mid_mjd": mjd + 0.06, "dec_app_deg": 54.6}, []),
        ("cal_20260211T023000", base | {"tile": "2026-02-11T02:30:00", "mid_mjd": mjd + 0.08}, [mosaics.FAILED]),
    ):
        twin = Twin(kind="calibration", id=name, verdict=verdict_of(reasons), reasons=reasons, facts=facts,
                    synthetic=True)  # fmt: skip
        write_twin(config.layout.twin("calibration", name), twin)
    tile = {"start_mjd": mjd + 0.1, "end_mjd": mjd + 0.1035, "mid_mjd": mjd + 0.10175, "dec_app_deg": 37.1}
    gains(config, tile | {"type": "gains", "tile": "2026-02-11T03:00:00", "bandpass": CALIBRATION})
    story = explain(config, GAINS)
    assert story["headline"] == f"{GAINS}: gains on tile 2026-02-11T03:00:00, verdict passed, certified"
    rows = dict(table(story, "Bandpasses to rest on"))
    assert rows[CALIBRATION] == "chosen: the nearest when it was solved"
    assert rows["cal_20260211T010000"] == "not the nearest"
    assert rows["cal_20260211T020000"] == "another declination strip, 17.50 deg away"
    assert rows["cal_20260211T023000"] == f"noise: {mosaics.FAILED.message}"
    assert GAINS not in rows


def test_gains_that_failed_before_anything_was_known_are_explained_all_the_same(config):
    bad = Reason(code="no_data", severity="failed", message="every visibility is flagged")
    gains(config, {"type": "gains", "tile": "2026-02-11T03:00:00"}, [bad])
    story = explain(config, GAINS)
    assert story["headline"] == (f"{GAINS}: gains on tile 2026-02-11T03:00:00, verdict failed, not used by any plan")
    assert table(story, "Bandpasses to rest on") == []
    assert table(story, "Reasons") == [("failed", "no_data", "every visibility is flagged", None, None)]


def test_numbers_are_whole_and_lists_are_left_out(config):
    qa = {"rms_mjy": 1 / 3, "n_images": 2, "noise_ratio": None, "lost": {"24": 0.1}, "list": [1, 2]}
    change(config, "mosaic", mosaics.MOSAIC, qa=qa)
    assert table(explain(config, mosaics.MOSAIC), "Measured (mosaic)") == [
        ("rms_mjy", 1 / 3), ("n_images", 2), ("noise_ratio", None),
    ]  # fmt: skip


def test_verdicts_are_by_the_thresholds_of_now(config):
    """A mosaic of rms over expected noise 1.1 passed; it does not with a limit of 1.05."""
    sections = {"qa": {"warn_noise_ratio": 1.05, "max_noise_ratio": 1.08}}
    stricter = config.model_copy(update={"qa": load(sections | {"crossmatch": {"enabled": False}}).qa})
    change(config, "mosaic", mosaics.MOSAIC, reasons=[], verdict="passed", qa={"rms_mjy": 4.0, "noise_ratio": 1.1})
    assert explain(config, mosaics.MOSAIC)["verdict"] == "passed"
    story = explain(stricter, mosaics.MOSAIC)
    assert story["verdict"] == "failed"
    assert [row[3:] for row in table(story, "Reasons")] == [(1.1, 1.08)]
