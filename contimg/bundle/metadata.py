"""The content of a bundle's ``metadata.json``: description, verdict, parameters, versions and lineage of a mosaic."""

from __future__ import annotations

from typing import Any

from contimg.products.lineage import Lineage, Node
from contimg.products.twin import Twin, Verdict, verdict_of, worst
from contimg.times import utc_from_mjd

# Facts of a mosaic that its bundle must state; `finalize` holds a mosaic that lacks one.
REQUIRED_FACTS = (
    "group",
    "n_images",
    "start_mjd",
    "end_mjd",
    "calibrators",
    "flux_anchor",
    "freq_hz",
    "bandwidth_hz",
    "beam",
    "centre_deg",
)
REQUIRED_QA = ("rms_mjy",)
# Facts that the bundle states of each calibration.
CALIBRATION_FACTS = ("type", "calibrator", "flux_anchor", "mid_mjd")


def verdict(twins: list[Twin]) -> Verdict:
    """Return the worst verdict of some twins; of each the worse of its verdict and its reasons counts."""
    return worst([worst([twin.verdict, verdict_of(twin.reasons)]) for twin in twins])


def describe(data_id: str, mosaic: Node, crossmatch: Node | None, lineage: Lineage) -> dict[str, Any]:
    """Return the metadata of a mosaic: a pure function of its twins, null where a twin states nothing.

    Facts and numbers are copied as they stand in the twins, those that no model of `contimg.products.facts` names too:
    the bundle's identity follows from these bytes, which a typed model would write otherwise (1400000000 as
    1400000000.0). The names above are fields of those models.
    """
    twins = [mosaic.twin] + ([crossmatch.twin] if crossmatch is not None else [])
    facts, qa = mosaic.twin.facts, mosaic.twin.qa
    return {
        "schema_version": 1,
        "data_type": "mosaic",
        "data_id": data_id,
        "synthetic": any(node.twin.synthetic for node in lineage.nodes.values()),
        "verdict": {
            "verdict": verdict(twins),
            "reasons": [{"product": t.kind} | reason.model_dump(mode="json") for t in twins for reason in t.reasons],
            "notes": [{"product": t.kind, "note": note} for t in twins for note in t.notes],
        },
        **{key: facts.get(key) for key in REQUIRED_FACTS},
        "start_utc": _utc(facts.get("start_mjd")),
        "end_utc": _utc(facts.get("end_mjd")),
        "tiles": facts.get("tiles"),
        "tiles_used": facts.get("tiles_used"),
        "calibrations": [_calibration(node) for node in lineage.of_kind("calibration")],
        **{key: qa.get(key) for key in REQUIRED_QA},
        "facts": facts,
        "qa": {t.kind: t.qa for t in twins},
        "parameters": {t.kind: t.parameters for t in twins},
        "versions": {
            "contimg": sorted({node.twin.code_version for node in lineage.nodes.values()}),
            "libraries": _libraries(lineage),
        },
        "lineage": lineage.to_json(),
    }


def summary(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata without the lineage, which the registry keeps as rows."""
    return {key: value for key, value in metadata.items() if key != "lineage"}


def _calibration(node: Node) -> dict[str, Any]:
    twin = node.twin
    return {"id": twin.id, "verdict": twin.verdict, **{key: twin.facts.get(key) for key in CALIBRATION_FACTS}}


def _libraries(lineage: Lineage) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for node in lineage.nodes.values():
        for name, version in node.twin.libraries.items():
            found.setdefault(name, set()).add(version)
    return {name: sorted(found[name]) for name in sorted(found)}


def _utc(mjd: float | None) -> str | None:
    return None if mjd is None else utc_from_mjd(mjd) + "Z"
