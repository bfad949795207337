"""What the plan reads from the stage."""

import pytest

from contimg import config as configuration
from contimg.plan import observe
from contimg.plan.model import PlannedTile
from contimg.products.twin import Reason, Twin, write_twin
from tests.support.surveys import write_test_strip


def write_calibration(layout, name, facts, reasons=()):
    verdict = reasons[0].severity if reasons else "passed"
    twin = Twin(kind="calibration", id=name, verdict=verdict, reasons=list(reasons), facts=facts, synthetic=True)
    write_twin(layout.twin("calibration", name), twin)


def test_only_passed_calibrations_are_certified_and_failed_ones_may_lack_their_facts(tmp_path):
    config = configuration.load({}, base=tmp_path)
    good = {"type": "bandpass", "mid_mjd": 61082.5, "dec_app_deg": 30.4, "calibrator": "3C286", "tile": "t"}
    write_calibration(config.layout, "cal_20260211T115645", good)
    doubt = Reason(code="flux_scale", severity="warning", message="30 % off the catalogue")
    write_calibration(config.layout, "cal_20260211T120154", good | {"type": "gains"}, [doubt])
    empty = Reason(code="tile_failed", severity="failed", message="too few subbands")
    write_calibration(config.layout, "cal_20260211T120000", {"type": "bandpass"}, [empty])
    records = {r.id: r for r in observe.calibration_records(config, ["2026-02-11"])}
    assert {name: r.certified for name, r in records.items()} == {
        "cal_20260211T115645": True,
        "cal_20260211T120000": False,
        "cal_20260211T120154": False,
    }
    assert records["cal_20260211T120000"].mid_mjd == 61082.5  # 2026-02-11T12:00:00, from its id
    assert records["cal_20260211T120000"].reason == "tile_failed: too few subbands"


@pytest.mark.parametrize("lacks", ["type", "tile", "mid_mjd", "dec_app_deg", None])
def test_a_damaged_twin_of_a_calibration_is_one_still_to_be_made(tmp_path, lacks):
    config = configuration.load({}, base=tmp_path)
    whole = {"type": "bandpass", "mid_mjd": 61082.5, "dec_app_deg": 30.4, "tile": "t"}
    write_calibration(config.layout, "cal_20260211T115645", whole)
    name = "cal_20260211T120154"
    if lacks is None:
        config.layout.twin("calibration", name).write_bytes(b"[" * 100_000)
    else:
        write_calibration(config.layout, name, {key: value for key, value in whole.items() if key != lacks})
    assert [r.id for r in observe.calibration_records(config, ["2026-02-11"])] == ["cal_20260211T115645"]


SITE_RAD = (-2.064427799136453, 0.6498455107238486)


def whole_day(dec_deg):
    """Return a tile of nearly a sidereal day, in which every calibrator of the strip transits."""
    return PlannedTile("t", "t", (), (), (), (), 61082.0, 61082.99, 12.9, dec_deg, *SITE_RAD, True)


def with_list(tmp_path, *rows, **sections):
    place = tmp_path / "mine.csv"
    place.write_text("\n".join(["name,ra_deg,dec_deg,flux_jy", *rows]) + "\n")
    return configuration.load({"calibration": {"calibrators": str(place)}, **sections}, base=tmp_path)


def test_the_steadiest_calibrator_of_a_tile_is_named_not_the_strongest(tmp_path):
    config = with_list(tmp_path, "3C454.3,343.4906,16.1482,12.7", "STEADY,80.3,16.6,5.0", "FAR,80.3,60.0,99.0")
    find = observe.calibrator_finder(config)
    assert find(whole_day(16.3)) == "STEADY"
    assert find(whole_day(59.9)) == "FAR"
    assert find(whole_day(-30.0)) is None


def test_one_that_dominates_its_field_in_the_catalogue_is_named(tmp_path):
    rows = ["A,100.0,30.0,9.0", "B,140.0,30.0,6.0"]
    crowd = ["C1,100.8,30.4,20.0", "C2,99.3,29.5,15.0"]
    (tmp_path / "sky.csv").write_text("\n".join(["name,ra_deg,dec_deg,flux_jy", *rows, *crowd]) + "\n")
    assert observe.calibrator_finder(with_list(tmp_path, *rows))(whole_day(30.0)) == "A"
    config = with_list(tmp_path, *rows, sky={"catalogue": str(tmp_path / "sky.csv")})
    assert observe.calibrator_finder(config)(whole_day(30.0)) == "B"


def test_fields_are_looked_up_where_that_is_fast(tmp_path, monkeypatch):
    strip = write_test_strip(tmp_path / "strips" / "a.fits", 30.0)
    (tmp_path / "sky.csv").write_text("name,ra_deg,dec_deg,flux_jy\n")

    def chosen(place, dec_deg=30.0):
        return observe.field_catalogue(configuration.load({"sky": {"catalogue": place}}, base=tmp_path), dec_deg)

    assert chosen(None) is None
    assert chosen(str(tmp_path / "nothing.csv")) is None
    assert chosen(str(strip)) == strip
    assert chosen(str(strip.parent)) == strip
    assert chosen(str(strip.parent), 71.6) is None
    assert chosen(str(tmp_path / "sky.csv")) == tmp_path / "sky.csv"
    monkeypatch.setattr(observe, "_LARGE_BYTES", 10)
    assert chosen(str(tmp_path / "sky.csv")) is None
    assert chosen(str(strip)) == strip
