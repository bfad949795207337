"""The report of one mosaic: a single HTML page that needs no network, the same bytes for the same twins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contimg.errors import InputError
from contimg.naming import Layout
from contimg.products.gates import gates_of
from contimg.products.lineage import Lineage, collect
from contimg.products.twin import Twin, read_twin, verdict_of, worst
from contimg.report.flags import flag_picture
from contimg.report.health import antenna_health
from contimg.report.markup import Html, badge, code, page, picture, safe, table
from contimg.storage.atomic import atomic_path
from contimg.times import span_from_mjd

# key of a twin's qa -> (what a person calls it, unit), in the order of the page.
LABELS = {
    "rms_mjy": ("noise, median", "mJy/beam"),
    "rms_min_mjy": ("noise, lowest", "mJy/beam"),
    "expected_rms_mjy": ("noise expected from the radiometer", "mJy/beam"),
    "rms_from_weights_mjy": ("noise promised by the weights", "mJy/beam"),
    "rms_over_weights": ("noise over that promised by the weights", ""),
    "noise_ratio": ("noise over the radiometer's", ""),
    "peak_mjy": ("peak", "mJy/beam"),
    "dynamic_range": ("dynamic range", ""),
    "area_deg2": ("area", "deg²"),
    "coverage": ("covered part of the picture", ""),
    "tiles_per_pixel": ("tiles per covered pixel", ""),
    "beam_spread": ("largest deviation of a tile's beam", ""),
    "flagged_fraction": ("flagged fraction, mean of the tiles", ""),
    "n_images": ("tiles used", ""),
    "tile_fraction": ("tiles used of the group", ""),
    "n_sources": ("sources found", ""),
    "n_catalogue": ("catalogue sources on the mosaic", ""),
    "n_matched": ("catalogue sources matched", ""),
    "n_compared": ("sources compared (isolated, bright enough)", ""),
    "n_expected": ("catalogue sources expected (S/N ≥ 10)", ""),
    "n_expected_found": ("of these, found", ""),
    "n_unmatched": ("found (S/N ≥ 10), not in the catalogue", ""),
    "median_flux_ratio": ("median flux over catalogue", ""),
    "flux_ratio_mad": ("scatter of the flux ratio", ""),
    "flux_ratio_p05": ("flux ratio, 5th percentile", ""),
    "flux_ratio_p95": ("flux ratio, 95th percentile", ""),
    "median_peak_ratio": ("median peak over catalogue", ""),
    "flux_outliers": ("fluxes off the median by more than 30 %", ""),
    "median_dra_arcsec": ("median ΔRA cos δ", "arcsec"),
    "median_ddec_arcsec": ("median ΔDec", "arcsec"),
    "median_offset_arcsec": ("median offset", "arcsec"),
    "median_offset_beams": ("median offset", "beams"),
    "systematic_offset_arcsec": ("offset of the medians", "arcsec"),
    "scatter_ra_arcsec": ("scatter in RA", "arcsec"),
    "scatter_dec_arcsec": ("scatter in Dec", "arcsec"),
    "offset_p95_arcsec": ("offset, 95th percentile", "arcsec"),
    "completeness": ("detectable sources found", ""),
}


def summarise_mosaic(mosaic_twin: Path, crossmatch_twin: Path | None, output: Path, *, layout: Layout) -> None:
    """Write the page of a mosaic.

    Verdicts, measured numbers beside their thresholds, the tiles and calibrations that went in, and where
    it all came from, found by walking the twins. No wall clock enters: the page is part of the published
    bundle.

    Parameters
    ----------
    mosaic_twin : Path
        Its folder stands beside it.
    crossmatch_twin : Path or None
        None where `crossmatch.enabled` is false.
    output : Path
        The HTML file.
    layout : Layout
        Roots, which paths on the page are shown relative to.

    Raises
    ------
    InputError
        If a twin is missing or of the wrong kind.
    """
    mosaic = _read(mosaic_twin, "mosaic")
    comparison = None if crossmatch_twin is None else _read(crossmatch_twin, "crossmatch")
    lineage = collect([Path(path) for path in (mosaic_twin, crossmatch_twin) if path is not None])
    parts = [
        _head(mosaic, comparison),
        _mosaic_picture(mosaic, Path(mosaic_twin).with_suffix("")),
        "<h2>Verdicts</h2>",
        _verdicts(lineage),
        "<h2>Mosaic: measured numbers</h2>",
        _numbers(mosaic),
    ]
    if comparison is not None:
        parts += [
            "<h2>Comparison with the catalogue</h2>",
            _numbers(comparison),
            _plots(comparison, Path(crossmatch_twin).with_suffix("")),
        ]
    parts += [
        "<h2>Tiles</h2>",
        _tiles(mosaic, lineage),
        _thumbnails(lineage),
        flag_picture(sorted((node.twin for node in lineage.of_kind("ms")), key=lambda twin: twin.id)),
        "<h2>Calibrations</h2>",
        _calibrations(lineage),
        _health(lineage),
        "<h2>Provenance</h2>",
        _provenance(mosaic, lineage, layout),
    ]
    with atomic_path(output) as part:
        part.write_text(page(mosaic.id, "\n".join(parts)), encoding="utf-8")


def _read(path: Path, kind: str) -> Twin:
    twin = read_twin(Path(path))
    if twin.kind != kind:
        raise InputError(f"{path} is the twin of a {twin.kind}, not of a {kind}: name the right twin")
    return twin


def _head(mosaic: Twin, comparison: Twin | None) -> str:
    twins = [mosaic] + ([comparison] if comparison else [])
    verdict = worst([worst([twin.verdict, verdict_of(twin.reasons)]) for twin in twins])
    stamp = badge("SYNTHETIC DATA", "synthetic").text if any(twin.synthetic for twin in twins) else ""
    facts, qa = mosaic.facts, mosaic.qa
    when = "no usable tile"
    if facts.get("start_mjd") is not None:
        when = span_from_mjd(facts["start_mjd"], facts["end_mjd"])
    anchor = facts.get("flux_anchor") or "not recorded"
    beam = facts.get("beam")
    size = f"{beam['bmaj_arcsec']:.1f}″ × {beam['bmin_arcsec']:.1f}″" if beam else None
    found = comparison.qa if comparison else {}
    boxes = [
        (qa.get("rms_mjy"), "mJy/beam noise"),
        (qa.get("noise_ratio"), "× radiometer"),
        (size, "beam"),
        (qa.get("area_deg2"), "deg²"),
        (f"{len(facts['tiles_used'])} of {len(facts['tiles'])}", "tiles used"),
    ]
    if comparison:
        boxes += [
            (found["median_flux_ratio"], "flux over catalogue"),
            (found["median_offset_arcsec"], "arcsec offset"),
            (found["completeness"], "completeness"),
        ]
    return (
        f'<div class="card"><div class="head"><h1>{safe(mosaic.id)}</h1>{badge(verdict).text}{stamp}</div>'
        f'<p class="soft">{safe(when)}  ·  flux anchor: {safe(anchor)}</p>'
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{safe(value)}</b><span>{safe(label)}</span></div>' for value, label in boxes)
        + "</div></div>"
    )


def _mosaic_picture(mosaic: Twin, folder: Path) -> str:
    if "files" not in mosaic.facts:
        return ""
    name = mosaic.facts["files"]["picture"]
    return f'<h2>Picture</h2><div class="card">{picture(folder / name, 1400, f"mosaic {mosaic.id}")}</div>'


def _plots(comparison: Twin, folder: Path) -> str:
    if "files" not in comparison.facts:
        return ""
    cards = "".join(
        f'<div class="card">{picture(folder / comparison.facts["files"][key], 1000, words)}</div>'
        for key, words in (("flux", "flux over catalogue"), ("astrometry", "offsets from the catalogue"))
    )
    return f'<div class="pair" style="margin-top: 14px">{cards}</div>'


def _verdicts(lineage: Lineage) -> str:
    """Return one line for each reason and note, and one for each kind of product that has none."""
    rows = []
    for kind in ("mosaic", "crossmatch", "calibration", "image", "calibrated", "ms"):
        nodes = lineage.of_kind(kind)
        clean = 0
        for node in nodes:
            twin = node.twin
            said = [(badge(r.severity), r.code, r.message) for r in twin.reasons]
            said += [(badge("note", "neutral"), "", note) for note in twin.notes]
            clean += not said
            rows += [(kind, code(twin.id), *line) for line in said]
        if clean:
            words = "no reason against it, no note" if clean == 1 else "no reason against them, no note"
            rows.append((kind, f"{clean} of {len(nodes)}", badge("passed"), "", words))
    return table(("product", "id", "verdict", "code", "what"), rows)


def _numbers(twin: Twin) -> str:
    """Return measured numbers, those with thresholds first."""
    gates = gates_of(twin.kind, twin.qa)
    rows = []
    for key in [*gates, *(key for key in LABELS if key in twin.qa and key not in gates)]:
        label, unit = LABELS[key]
        value = twin.qa.get(key)
        limits, state = [], Html("")
        if key in gates:
            crossed = [] if value is None else [gate for gate in gates[key] if gate.crossed(value, twin.parameters)]
            for gate in gates[key]:
                limits.append(f"{gate.shown_threshold(twin.parameters)} (else {gate.severity})")
            verdict = worst([gate.severity for gate in crossed])
            state = badge("not measured", "warning") if value is None else badge(verdict)
        rows.append((label, value, unit, "; ".join(limits), state))
    versions = f'<p class="soft small">Thresholds: version {twin.parameters["qa"]["version"]} (qa.version).</p>'
    return table(("number", "measured", "unit", "threshold", "verdict"), rows, numbers=("measured",)) + versions


def _tiles(mosaic: Twin, lineage: Lineage) -> str:
    left_out = mosaic.facts["left_out"]
    sets = {node.twin.id: node.twin for node in lineage.of_kind("ms")}
    rows = []
    gains = {node.twin.id: node.twin.facts.get("gain_sets", []) for node in lineage.of_kind("calibrated")}
    for node in lineage.of_kind("image"):
        twin = node.twin
        beam = twin.facts.get("beam")
        missing = sets.get(twin.id, twin).facts.get("missing_subbands")
        rows.append(
            (
                code(twin.id),
                badge(twin.verdict),
                Html(f"no: {safe(left_out[twin.id])}") if twin.id in left_out else "yes",
                twin.qa.get("rms_mjy"),
                twin.qa.get("noise_ratio"),
                f"{beam['bmaj_arcsec']:.1f} × {beam['bmin_arcsec']:.1f}" if beam else None,
                _percent(twin.qa.get("flagged_fraction")),
                "none" if missing == [] else missing,
                _calibration_ids(twin, gains.get(twin.id, [])),
            )
        )
    columns = (
        "tile", "verdict", "used", "rms [mJy]", "× radiometer", "beam [″]", "flagged", "missing subbands",
        "calibration",
    )  # fmt: skip
    return table(columns, rows, numbers=("rms [mJy]", "× radiometer", "beam [″]", "flagged"))


def _calibration_ids(twin: Twin, gain_sets: Sequence[str]) -> Any:
    bandpass, gains = (twin.facts.get(key) for key in ("bandpass", "gains"))
    if bandpass == gains and len(gain_sets) <= 1:
        return bandpass
    return Html(f"bandpass {safe(bandpass)}<br />gains {'<br />and '.join(map(safe, gain_sets)) or safe(gains)}")


def _thumbnails(lineage: Lineage) -> str:
    figures = []
    for node in lineage.of_kind("image"):
        name = node.twin.facts.get("files", {}).get("thumbnail")
        path = Path(node.path).with_suffix("") / name if name else None
        if path is not None and path.is_file():
            image = picture(path, 380, f"tile {node.twin.id}")
            figures.append(f'<figure class="card">{image}<figcaption>{safe(node.twin.id)}</figcaption></figure>')
    return f'<div class="thumbnails" style="margin-top: 14px">{"".join(figures)}</div>' if figures else ""


def _calibrations(lineage: Lineage) -> str:
    rows = []
    for node in lineage.of_kind("calibration"):
        facts, qa = node.twin.facts, node.twin.qa
        rows.append(
            (
                code(node.twin.id),
                badge(node.twin.verdict),
                facts.get("type"),
                facts.get("calibrator"),
                facts.get("flux_anchor"),
                facts.get("refant"),
                qa.get("snr_median"),
                _percent(qa.get("flagged_fraction")),
            )
        )
    columns = (
        "calibration", "verdict", "type", "calibrator", "flux anchor", "reference antenna", "median S/N",
        "lost solutions",
    )  # fmt: skip
    return table(columns, rows, numbers=("median S/N", "lost solutions"))


def _health(lineage: Lineage) -> str:
    drawn = antenna_health(lineage)
    if drawn is None:
        return ""
    words = "flagged data and lost solutions by antenna and tile"
    return f'<h2>Antenna health</h2><div class="card">{picture(drawn, 1200, words)}</div>'


def _provenance(mosaic: Twin, lineage: Lineage, layout: Layout) -> str:
    counts = {kind: len(lineage.of_kind(kind)) for kind in ("ms", "calibration", "calibrated", "image")}
    files: dict[str, int] = {}
    for item in lineage.files.values():
        files[item.kind] = files.get(item.kind, 0) + 1
    versions: dict[str, set[str]] = {}
    for node in lineage.nodes.values():
        for name, version in node.twin.libraries.items():
            versions.setdefault(name, set()).add(version)
    software = sorted({f"contimg {node.twin.code_version}" for node in lineage.nodes.values()})
    software += [f"{name} {', '.join(sorted(found))}" for name, found in sorted(versions.items())]
    rows: list[tuple[str, Any]] = [
        ("subband files", files.pop("subband_file", 0)),
        *((f"files: {kind}", count) for kind, count in sorted(files.items())),
        ("products", ", ".join(f"{count} {kind}" for kind, count in counts.items())),
        ("mosaic parameters", code(_parameters(mosaic.parameters))),
        ("calibrators", mosaic.facts["calibrators"]),
        ("software", ", ".join(software)),
    ]
    digests = [
        (node.twin.kind, code(node.twin.id), code(_relative(Path(node.path), layout)), code(node.sha256[:16]))
        for kind in ("mosaic", "crossmatch", "image", "calibration")
        for node in lineage.of_kind(kind)
    ]
    return (
        table(("what", "value"), rows)
        + '<p class="soft small" style="margin-top: 14px">Twins, and the first 16 digits of their SHA-256. Each'
        " names its own inputs, down to the hash of every subband file.</p>"
        + table(("product", "id", "twin", "sha256"), digests)
    )


def _parameters(parameters: Mapping[str, Any]) -> str:
    words = []
    for section, content in sorted(parameters.items()):
        if section == "qa":
            continue  # the thresholds stand beside the numbers
        pairs = content.items() if isinstance(content, Mapping) else [("", content)]
        words += [f"{section}{'.' if key else ''}{key}={value}" for key, value in pairs]
    return "  ".join(words)


def _relative(path: Path, layout: Layout) -> str:
    for name in ("stage", "products"):
        root = getattr(layout, name)
        if path.is_relative_to(root):
            return f"{name}/{path.relative_to(root)}"
    return str(path)


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else f"{100 * fraction:.1f} %"
