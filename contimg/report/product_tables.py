"""Tables of the products that went into a mosaic: verdicts, tiles and calibrations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contimg.products.facts import (
    calibrated_facts,
    calibration_facts,
    has_image,
    image_facts,
    is_converted,
    mosaic_facts,
    ms_facts,
    tile_facts,
)
from contimg.products.lineage import Lineage, Node
from contimg.products.numbers import calibration_qa, image_qa
from contimg.products.twin import Twin
from contimg.report.markup import Html, badge, code, picture, safe, table

_KINDS = ("mosaic", "crossmatch", "calibration", "image", "calibrated", "ms")
_THUMBNAIL_PX = 380


def verdicts_table(lineage: Lineage) -> str:
    """Return the table of verdicts: a row for each reason and note, and one for the products of a kind without any."""
    rows: list[Sequence[object]] = []
    for kind in _KINDS:
        nodes = lineage.of_kind(kind)
        silent = 0
        for node in nodes:
            twin = node.twin
            remarks = [(badge(r.severity), r.code, r.message) for r in twin.reasons]
            remarks += [(badge("note", "neutral"), "", note) for note in twin.notes]
            silent += not remarks
            rows += [(kind, code(twin.id), *line) for line in remarks]
        if silent:
            rows.append((kind, f"{silent} of {len(nodes)}", badge("passed"), "", "no reason, no note"))
    return table(("product", "id", "verdict", "code", "reason or note"), rows)


def tiles_table(mosaic: Twin, lineage: Lineage) -> str:
    """Return the table of tiles: verdict, whether it is in the mosaic, noise, beam, flags and calibration."""
    left_out = mosaic_facts(mosaic).left_out
    converted = {node.twin.id: node.twin for node in lineage.of_kind("ms")}
    gain_sets = {
        node.twin.id: calibrated_facts(node.twin).gain_sets
        for node in lineage.of_kind("calibrated")
        if is_converted(node.twin)
    }
    rows = []
    for node in lineage.of_kind("image"):
        twin = node.twin
        numbers, missing = image_qa(twin), _missing_subbands(twin, converted.get(twin.id))
        rows.append(
            (
                code(twin.id),
                badge(twin.verdict),
                Html(f"no: {safe(left_out[twin.id])}") if twin.id in left_out else "yes",
                numbers.rms_mjy,
                numbers.noise_ratio,
                _beam_size(twin),
                _percent(numbers.flagged_fraction),
                _sun(twin),
                "none" if missing == [] else missing,
                _calibration_ids(twin, gain_sets.get(twin.id, [])),
            )
        )
    columns = (
        "tile", "verdict", "used", "rms [mJy/beam]", "× expected", "beam [″]", "flagged", "Sun", "missing subbands",
        "calibration",
    )  # fmt: skip
    return table(columns, rows, numbers=("rms [mJy/beam]", "× expected", "beam [″]", "flagged"))


def _sun(image: Twin) -> str | None:
    """Return day or night, and by day the Sun's altitude and separation."""
    sun = tile_facts(image).sun
    if sun is None:
        return None
    return f"day: {sun.altitude_deg:.0f}° high, {sun.separation_deg:.0f}° away" if sun.daytime else "night"


def _missing_subbands(image: Twin, ms: Twin | None) -> list[int] | None:
    """Return the subbands that a tile lacks, as its Measurement Set says, or else its image; None: not known."""
    if ms is not None and is_converted(ms):
        return ms_facts(ms).missing_subbands
    return tile_facts(image).missing_subbands


def _beam_size(image: Twin) -> str | None:
    if not has_image(image):
        return None
    beam = image_facts(image).beam
    return f"{beam.bmaj_arcsec:.1f} × {beam.bmin_arcsec:.1f}"


def _calibration_ids(image: Twin, gain_sets: Sequence[str]) -> Html | str | None:
    facts = tile_facts(image)
    if facts.bandpass == facts.gains and len(gain_sets) <= 1:
        return facts.bandpass
    gains = "<br />and ".join(map(safe, gain_sets)) or safe(facts.gains)
    return Html(f"bandpass {safe(facts.bandpass)}<br />gains {gains}")


def thumbnails(lineage: Lineage) -> str:
    """Return the thumbnails of the tiles as HTML; an empty string where no tile has one."""
    figures = [figure for node in lineage.of_kind("image") if (figure := _thumbnail(node))]
    return f'<div class="thumbnails" style="margin-top: 14px">{"".join(figures)}</div>' if figures else ""


def _thumbnail(node: Node) -> str:
    name = image_facts(node.twin).files.get("thumbnail") if has_image(node.twin) else None
    path = Path(node.path).with_suffix("") / name if name else None
    if path is None or not path.is_file():
        return ""
    image = picture(path, _THUMBNAIL_PX, f"tile {node.twin.id}")
    return f'<figure class="card">{image}<figcaption>{safe(node.twin.id)}</figcaption></figure>'


def calibrations_table(lineage: Lineage) -> str:
    """Return the table of the calibrations that were applied to tiles of the mosaic."""
    rows = []
    for node in lineage.of_kind("calibration"):
        facts, numbers = calibration_facts(node.twin), calibration_qa(node.twin)
        rows.append(
            (
                code(node.twin.id),
                badge(node.twin.verdict),
                facts.type,
                facts.calibrator,
                facts.flux_anchor,
                facts.refant,
                numbers.snr_median,
                _percent(numbers.flagged_fraction),
            )
        )
    columns = (
        "calibration", "verdict", "type", "calibrator", "flux anchor", "reference antenna", "median S/N",
        "lost solutions",
    )  # fmt: skip
    return table(columns, rows, numbers=("median S/N", "lost solutions"))


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else f"{100 * fraction:.1f} %"
