"""What a bundle's metadata copy from twins by name are fields of the twins' models, and are copied as they stand."""

import json
from typing import Any

from contimg.bundle import metadata
from contimg.products.facts import CalibrationFacts, MosaicFacts, MosaicImageFacts
from contimg.products.lineage import Lineage, Node
from contimg.products.numbers import MosaicQa
from contimg.products.twin import Reason, Twin

FACTS: dict[str, Any] = {
    "group": "2026-02-11T00:00:00", "tiles": ["a", "b"], "tiles_used": ["a"], "n_images": 1, "start_mjd": 61082,
    "end_mjd": 61082.25, "calibrators": ["3C286"], "flux_anchor": None, "freq_hz": 1400000000,
    "centre_deg": [127, 30.4],
    "key_of_a_later_version": {"deep": [1, 2.0]},
}  # fmt: skip


def test_every_name_is_a_field_of_a_model():
    assert set(metadata.REQUIRED_FACTS) <= set(MosaicImageFacts.model_fields)
    assert {"tiles", "tiles_used"} <= set(MosaicFacts.model_fields)
    assert set(metadata.CALIBRATION_FACTS) <= set(CalibrationFacts.model_fields)
    assert set(metadata.REQUIRED_QA) <= set(MosaicQa.model_fields)


def node(twin: Twin) -> Node:
    return Node(f"{twin.id}.json", twin.id, twin)


def described(mosaic: Twin, *others: Twin) -> dict[str, Any]:
    nodes = [node(twin) for twin in (mosaic, *others)]
    return metadata.describe("mosaic_1", nodes[0], None, Lineage({one.sha256: one for one in nodes}, {}))


def test_values_are_copied_to_the_byte_whatever_their_type():
    mosaic = Twin(kind="mosaic", id="mosaic_1", verdict="passed", facts=FACTS, qa={"rms_mjy": 1}, synthetic=True)
    made = described(mosaic)
    for key in set(metadata.REQUIRED_FACTS) & set(FACTS):
        assert json.dumps(made[key]) == json.dumps(FACTS[key])
    assert json.dumps(made["facts"]) == json.dumps(FACTS) and json.dumps(made["rms_mjy"]) == "1"
    assert (made["start_utc"], made["end_utc"]) == ("2026-02-11T00:00:00.000Z", "2026-02-11T06:00:00.000Z")
    assert made["tiles_used"] == ["a"] and "lineage" not in metadata.summary(made)


def test_what_a_twin_does_not_state_is_null():
    made = described(Twin(kind="mosaic", id="mosaic_1", verdict="failed", synthetic=True))
    for key in (*metadata.REQUIRED_FACTS, *metadata.REQUIRED_QA, "start_utc", "end_utc", "tiles"):
        assert made[key] is None


def test_calibrations_versions_and_verdict():
    facts = {"type": "bandpass", "calibrator": "3C286", "flux_anchor": "PB17", "mid_mjd": 61082.5, "tile": "t"}
    one = Twin(
        kind="calibration", id="cal_1", verdict="passed", facts=facts, synthetic=True, code_version="2",
        libraries={"numpy": "2.0"},
    )  # fmt: skip
    reason = Reason(code="noise_ratio_high", severity="warning", message="the noise is high", measured=3.0, threshold=2)
    mosaic = Twin(
        kind="mosaic", id="mosaic_1", verdict="passed", synthetic=False, code_version="1", libraries={"numpy": "1.26"},
        reasons=[reason], notes=["one"],
    )  # fmt: skip
    made = described(mosaic, one)
    assert made["calibrations"] == [
        {
            "id": "cal_1",
            "verdict": "passed",
            "type": "bandpass",
            "calibrator": "3C286",
            "flux_anchor": "PB17",
            "mid_mjd": 61082.5,
        }
    ]
    assert made["synthetic"] is True
    assert made["versions"] == {"contimg": ["1", "2"], "libraries": {"numpy": ["1.26", "2.0"]}}
    assert made["verdict"]["verdict"] == "warning" and made["verdict"]["notes"] == [
        {"product": "mosaic", "note": "one"}
    ]
    assert [row["code"] for row in made["verdict"]["reasons"]] == ["noise_ratio_high"]
