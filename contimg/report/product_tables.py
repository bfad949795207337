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
from contimg.report.markup import Html, badge, fold, ident, picture, safe, table

_KINDS = ("mosaic", "crossmatch", "calibration", "image", "calibrated", "ms")
_PICTURE_PX = 560
_BROAD = ("gains", "losses")
"""Plots of calibrations with a panel or a line for each antenna: they need the width of the page to be read."""
_BROAD_PX = 1260


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
            rows += [(kind, ident(twin.id), *line) for line in remarks]
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
                Html(f'<a class="id" href="#{safe(anchor(twin.id))}">{safe(twin.id)}</a>'),
                badge(twin.verdict),
                Html(f"no: {safe(left_out[twin.id])}") if twin.id in left_out else "yes",
                numbers.rms_mjy,
                numbers.noise_ratio,
                _beam_size(twin),
                _percent(numbers.flagged_fraction),
                _sun(twin),
                "none" if missing == [] else _subbands(missing),
                _calibration_ids(twin, gain_sets.get(twin.id, [])),
            )
        )
    columns = (
        "tile", "verdict", "used", "rms [mJy/beam]", "× expected", "beam [″]", "flagged", "Sun", "missing subbands",
        "calibration",
    )  # fmt: skip
    return table(columns, rows, numbers=("rms [mJy/beam]", "× expected", "beam [″]", "flagged"), compact=True)


def _sun(image: Twin) -> str | None:
    """Return day or night, and by day the Sun's altitude and separation."""
    sun = tile_facts(image).sun
    if sun is None:
        return None
    return f"day: {sun.altitude_deg:.0f}° high, {sun.separation_deg:.0f}° away" if sun.daytime else "night"


def _subbands(numbers: list[int] | None) -> str | None:
    """Return subbands as their files are named: sb07."""
    return None if numbers is None else ", ".join(f"sb{number:02d}" for number in numbers)


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
        return None if facts.bandpass is None else Html(f'<span class="id">{safe(facts.bandpass)}</span>')
    gains = "<br />and ".join(map(safe, gain_sets)) or safe(facts.gains)
    return Html(f'<span class="id">bandpass {safe(facts.bandpass)}<br />gains {gains}</span>')


def anchor(name: str) -> str:
    """Return the name of the place on the page where the pictures of a tile or a calibration are."""
    return f"pictures-{name}".replace(":", "")


def tile_pictures(lineage: Lineage) -> str:
    """Return a folded part for each tile, with its image and its quality plot as far as they are there."""
    return "".join(
        _pictures(node, [image_facts(node.twin).files.get(name) for name in ("thumbnail", "quality")])
        if has_image(node.twin)
        else fold(node.twin.id, '<p class="soft">No image was made.</p>', anchor(node.twin.id))
        for node in lineage.of_kind("image")
    )


def calibration_pictures(lineage: Lineage) -> str:
    """Return a folded part for each calibration, with its plots as far as they are there."""
    kinds = ("delays", "overlay", "gains", "losses")
    return "".join(
        _pictures(node, [f"{node.twin.id}.{kind}.png" for kind in kinds]) for node in lineage.of_kind("calibration")
    )


def _pictures(node: Node, names: Sequence[str | None]) -> str:
    """Return the pictures of a product in a folded part of the page; those that are gone are left out."""
    places = [Path(node.path).with_suffix("") / name for name in names if name]
    cards = "".join(_card(path) for path in places if path.is_file())
    body = f'<div class="pair">{cards}</div>' if cards else '<p class="soft">Its pictures are not kept.</p>'
    return fold(node.twin.id, body, anchor(node.twin.id))


def _card(path: Path) -> str:
    """Return a picture in half of the page's width, or in all of it; narrow screens scroll the latter."""
    broad = path.stem.rpartition(".")[2] in _BROAD
    shown = picture(path, _BROAD_PX if broad else _PICTURE_PX, path.stem.replace(".", " "))
    return f'<div class="card{" broad" if broad else ""}">{shown}</div>'


def calibrations_table(lineage: Lineage) -> str:
    """Return the table of the calibrations that were applied to tiles of the mosaic."""
    rows = []
    for node in lineage.of_kind("calibration"):
        facts, numbers = calibration_facts(node.twin), calibration_qa(node.twin)
        rows.append(
            (
                Html(f'<a class="id" href="#{safe(anchor(node.twin.id))}">{safe(node.twin.id)}</a>'),
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
    return table(columns, rows, numbers=("median S/N", "lost solutions"), compact=True)


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else f"{100 * fraction:.1f} %"
