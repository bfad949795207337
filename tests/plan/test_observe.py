"""What the plan reads from the stage."""

import pytest

from contimg import config as configuration
from contimg.plan import observe
from contimg.products.twin import Reason, Twin, write_twin


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
