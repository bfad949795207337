"""The command ``contimg why``: the reasons behind a product's verdict, inputs and choice of calibrations."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from contimg import naming
from contimg.calibration import certification
from contimg.config import Config
from contimg.errors import InputError, UnknownIdError
from contimg.operations.status import find_marker, find_twin
from contimg.plan import observe
from contimg.plan.frozen import frozen_plan
from contimg.plan.suitability import bandpass_refusal
from contimg.products.facts import Choice, calibrated_facts, calibration_facts, is_converted, ms_facts
from contimg.products.twin import Twin
from contimg.sky import calibrator_lists, transits


def explain(config: Config, thing: str) -> dict[str, Any]:
    """Return choices, verdict and inputs behind a tile, calibration or mosaic, as a headline and tables.

    Parameters
    ----------
    config : Config
    thing : str
        Id of a tile (UTC of its first integration), calibration (``cal_...``) or mosaic (``mosaic_...``).

    Returns
    -------
    dict
        ``id``, ``headline`` and ``sections``: tables with ``title``, ``columns`` and ``rows``, those of measured
        numbers with the ``kind`` of their product; with ``verdict`` where the product has been made.

    Raises
    ------
    UnknownIdError
        If nothing with that id has been made or planned.
    """
    if thing.startswith("cal_"):
        return _calibration(config, thing)
    if thing.startswith("mosaic_"):
        return _mosaic(config, thing)
    try:
        tile_id = naming.iso(thing)
    except InputError as error:
        raise UnknownIdError(str(error)) from None
    return _tile(config, tile_id)


def _calibration(config: Config, calibration_id: str) -> dict[str, Any]:
    """Return the decisions on a calibration, the candidates it was chosen among, and the tiles that use it."""
    twin = find_twin(config.layout.twin("calibration", calibration_id), config)
    if twin is None:
        return _planned_calibration(config, calibration_id)
    users = []
    for place in sorted((config.layout.stage / "calibrated").glob("*/*.json")):
        other = find_twin(place, config)
        if other is not None and any(item.id == calibration_id for item in other.inputs):
            users.append((other.id, other.verdict))
    facts = calibration_facts(twin)
    decided = [item for item in certification.history(config.layout) if item["calibration"] == twin.id]
    decision = decided[-1] if decided else None
    usable = certification.is_certified(twin, decision, commissioning=config.qa.commissioning)
    headline = (
        f"{twin.id}: {facts.type} on tile {facts.tile}, verdict {twin.verdict}, "
        f"{'certified' if usable else 'not used by any plan'}"
    )
    rows = [
        (item["time"], item["decision"], f"{item['decision']} by {item['by']}: {item['reason']}") for item in decided
    ]
    sections = [_table("Decisions", ("time", "decision", "who and why"), rows)]
    if facts.flux_scale is not None:
        scale = [("rests on", facts.flux_scale), ("anchor", facts.flux_anchor)]
        sections.append(_table("Flux scale", ("what", "value"), scale))
    if facts.primary_beam:
        sections.append(_table("Primary beam measured with it", ("what", "value"), [*facts.primary_beam.items()]))
    sections.append(_calibrators_of(config, twin) if facts.type == "bandpass" else _bandpasses_of(config, twin))
    return _story(twin, headline, [*sections, _table("Tiles that use it", ("tile", "verdict"), users)])


def _planned_calibration(config: Config, calibration_id: str) -> dict[str, Any]:
    """Return how a calibration will be solved that has not been solved yet, from the frozen plan."""
    planned = frozen_plan(config).calibrations.get(calibration_id) if config.layout.frozen_plan.exists() else None
    if planned is None:
        raise UnknownIdError(f"no calibration {calibration_id} has been solved or planned: see `contimg plan`")
    rows = [("calibrator", planned.calibrator), ("on top of", planned.bandpass), ("compared with", planned.previous)]
    headline = f"{calibration_id}: {planned.type} on tile {planned.tile}, planned, not solved yet"
    return {"id": calibration_id, "headline": headline, "sections": [_table("Plan", ("what", "id"), rows)]}


def _calibrators_of(config: Config, twin: Twin) -> dict[str, Any]:
    """Return the calibrators that cross the beam in a tile: the one solved on, and why not the others."""
    columns = ("calibrator", "beam", "apparent [Jy]", "chosen, or why not")
    tile = find_twin(config.layout.twin("ms", twin.id), config)
    if tile is None or not is_converted(tile):
        return _table("Calibrators in the tile", columns, [])
    facts, solved_on = ms_facts(tile), calibration_facts(twin).calibrator
    latitude_deg, longitude_deg, _ = facts.location
    known = calibrator_lists.load(config.calibration.calibrators)
    scan = transits.DriftScan(
        math.radians(facts.dec_app_deg),
        facts.start_mjd,
        facts.end_mjd,
        math.radians(longitude_deg),
        math.radians(latitude_deg),
    )
    found = transits.passages(known, scan, config.beam, config.calibration)
    field = observe.field_catalogue(config, facts.dec_app_deg)
    usable = transits.transits(known, scan, config.beam, config.calibration, catalogue=field)
    expected = {one.name: f"expected error {100 * (one.expected_error or 0):.1f} %" for one in usable}
    rows = []
    for one in sorted(found, key=lambda c: (-(c.apparent_flux_jy or 0.0), c.name)):
        why = one.reason or expected[one.name]
        chosen = f"chosen: {why}" if one.name == solved_on else why
        rows.append(
            (one.name, round(one.beam_response, 3), one.apparent_flux_jy and round(one.apparent_flux_jy, 2), chosen)
        )
    return _table("Calibrators in the tile", columns, rows)


def _bandpasses_of(config: Config, twin: Twin) -> dict[str, Any]:
    """Return the bandpasses that gains could rest on: the one that they were solved on, and why not the others.

    None where the gains failed before anything was known of their tile.
    """
    title, columns = "Bandpasses to rest on", ("candidate", "chosen, or why not")
    facts = calibration_facts(twin)
    if None in (facts.start_mjd, facts.end_mjd, facts.dec_app_deg):
        return _table(title, columns, [])
    day = datetime.fromisoformat(naming.date(twin.id))
    reach = math.ceil(config.calibration.bandpass_validity_h / 24) + 1
    dates = {(day + timedelta(days=step)).date().isoformat() for step in range(-reach, reach + 1)}
    rows = []
    for record in observe.calibration_records(config, dates):
        if record.type == "bandpass":
            reason = bandpass_refusal(twin.facts, record, config.calibration)
            chosen = "chosen: the nearest when it was solved" if record.id == facts.bandpass else "not the nearest"
            rows.append((record.id, reason or chosen))
    return _table(title, columns, rows)


def _mosaic(config: Config, mosaic_id: str) -> dict[str, Any]:
    """Return the tiles of a mosaic with their calibrations, the rejected candidates, and the measured numbers."""
    layout = config.layout
    twin = find_twin(layout.twin("mosaic", mosaic_id), config)
    if twin is None:
        raise UnknownIdError(f"no mosaic {mosaic_id} has been made: see `contimg status`")
    marker = find_marker(layout.twin("published", mosaic_id)) or {"status": "open", "path": "", "message": ""}
    tiles: list[tuple[Any, ...]] = []
    chosen: list[tuple[Any, ...]] = []
    rejected: dict[tuple[Any, ...], list[str]] = {}
    for item in twin.inputs:
        image = find_twin(layout.twin("image", item.id), config) if item.kind == "image" else None
        if image is not None:
            calibrated = find_twin(layout.twin("calibrated", item.id), config)
            bandpass, gains, choice = _chosen(calibrated)
            tiles.append((item.id, image.verdict, bandpass, gains, "; ".join(r.message for r in image.reasons)))
            chosen.append((item.id, "; ".join(choice.why)))
            for candidate in choice.rejected:
                rejected.setdefault(candidate, []).append(item.id)
    sections = [
        _table("Tiles", ("tile", "verdict", "bandpass", "gains", "reasons"), tiles),
        _table("Calibration: why", ("tile", "reason"), chosen),
        _table(
            "Calibration: rejected candidates",
            ("candidate", "for", "rejected because", "tiles"),
            [(*key, ", ".join(users)) for key, users in sorted(rejected.items())],
        ),
    ]
    crossmatch = find_twin(layout.twin("crossmatch", mosaic_id), config)
    if crossmatch is not None:
        sections += [
            _reasons(crossmatch, "Reasons of the comparison with the catalogue"),
            _numbers(crossmatch),
        ]
    headline = f"{mosaic_id}: verdict {twin.verdict}, {marker['status']} {marker['path'] or ''}".rstrip()
    return _story(twin, headline, sections)


def _chosen(calibrated: Twin | None) -> tuple[str | None, str | None, Choice]:
    """Return bandpass and gains that a tile was calibrated with, and why; nothing where it was not calibrated."""
    if calibrated is None or not is_converted(calibrated):
        return None, None, Choice()
    facts = calibrated_facts(calibrated)
    return facts.bandpass, " and ".join(facts.gain_sets) or facts.gains, facts.choice


def _tile(config: Config, tile_id: str) -> dict[str, Any]:
    """Return the choice of a tile's calibrations, and the reasons and numbers of its products."""
    layout = config.layout
    twins = {kind: find_twin(layout.twin(kind, tile_id), config) for kind in ("image", "calibrated", "ms")}
    last = next((twin for twin in twins.values() if twin is not None), None)
    choice = _chosen(twins["calibrated"])[2] if twins["calibrated"] else _planned_choice(config, tile_id)
    if last is None and choice is None:
        raise UnknownIdError(f"no tile {tile_id} has been made or planned: see `contimg plan`")
    sections = []
    if choice:
        sections.append(_table("Calibration: why", ("reason",), [(line,) for line in choice.why]))
        columns = ("candidate", "for", "rejected because")
        sections.append(_table("Calibration: rejected candidates", columns, [*choice.rejected]))
    if last is None:
        return {"id": tile_id, "headline": f"{tile_id}: planned, nothing made yet", "sections": sections}
    for twin in twins.values():
        if twin is not None and twin is not last:
            sections.append(_reasons(twin, f"Reasons of its {twin.kind}"))
    return _story(last, f"{tile_id}: {last.kind}, verdict {last.verdict}", sections)


def _planned_choice(config: Config, tile_id: str) -> Choice | None:
    """Return the choice of calibrations of a tile in the frozen plan, or None."""
    if not config.layout.frozen_plan.exists():
        return None
    choice = frozen_plan(config).choices.get(tile_id)
    return Choice(why=list(choice.why), rejected=list(choice.rejected)) if choice else None


def _story(twin: Twin, headline: str, sections: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer about a product: its reasons and notes, the given tables, its numbers and its inputs."""
    own = [_reasons(twin, "Reasons"), _table("Notes", ("note",), [(note,) for note in twin.notes]), *sections]
    own.append(_numbers(twin))
    inputs = [(item.kind, item.id, item.sha256[:12], item.path) for item in twin.inputs]
    own.append(_table("Made from", ("kind", "id", "sha256", "path"), inputs))
    return {"id": twin.id, "headline": headline, "verdict": twin.verdict, "sections": own}


def _reasons(twin: Twin, title: str) -> dict[str, Any]:
    """Return the table of the reasons of a product's verdict."""
    rows = [(r.severity, r.code, r.message, r.measured, r.threshold) for r in twin.reasons]
    return _table(title, ("severity", "code", "reason", "measured", "threshold"), rows)


def _numbers(twin: Twin) -> dict[str, Any]:
    """Return the table of a product's measured numbers; None is one that could not be measured."""
    rows = [(name, value) for name, value in twin.qa.items() if not isinstance(value, dict | list)]
    return _table(f"Measured ({twin.kind})", ("number", "value"), rows) | {"kind": twin.kind}


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    return {"title": title, "columns": columns, "rows": rows}
