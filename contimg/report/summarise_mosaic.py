"""The report of one mosaic: a single HTML page that needs no network, the same bytes for the same twins.

From top to bottom: `head` (verdict and what to do), the picture, four plots, the numbers beyond a threshold; then,
folded, all numbers (`numbers_table`), tiles and calibrations (`product_tables`), provenance (`provenance_tables`) and
notes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from contimg.errors import InputError
from contimg.naming import Layout
from contimg.products.facts import crossmatch_facts, has_image, mosaic_image_facts
from contimg.products.gates import Options, commissioning
from contimg.products.judged import judged
from contimg.products.lineage import Lineage, collect
from contimg.products.twin import Twin, read_twin
from contimg.report.effects import effects_table
from contimg.report.flags import flag_picture
from contimg.report.head import head
from contimg.report.health import antenna_health
from contimg.report.links import SCRIPT
from contimg.report.markup import fold, page, picture
from contimg.report.numbers_table import failed_numbers, numbers_table
from contimg.report.product_tables import (
    calibration_pictures,
    calibrations_table,
    tile_pictures,
    tiles_table,
    verdicts_table,
)
from contimg.report.provenance_tables import provenance_tables
from contimg.storage.atomic import atomic_path

_LOG = logging.getLogger(__name__)


def summarise_mosaic(  # one parameter for each input, output and parameter of the rule
    mosaic_twin: Path,
    crossmatch_twin: Path | None,
    output: Path,
    *,
    layout: Layout,
    judged_by: Options,
    command_options: str | None = None,
) -> None:
    """Write the report of a mosaic as one HTML page.

    It has verdicts, measured numbers beside their thresholds, the tiles and calibrations behind the mosaic, and its
    provenance, all read from twins. It does not say when it was made: the page is part of the published bundle, and
    equal twins must give equal bytes.

    Parameters
    ----------
    mosaic_twin : Path
        Its folder stands beside it.
    crossmatch_twin : Path or None
        None where `crossmatch.enabled` is false.
    output : Path
        The HTML file.
    layout : Layout
        Paths on the page are shown relative to its roots.
    judged_by : mapping of str to Section
        The sections of the configuration that hold the thresholds, ``qa`` and ``calibration``.
    command_options : str, optional
        What the commands have after ``contimg`` that the page of a mosaic that is not passed names.

    Raises
    ------
    InputError
        If a twin is missing or of the wrong kind.
    """
    mosaic = judged(_read(mosaic_twin, "mosaic"), judged_by)
    comparison = None if crossmatch_twin is None else judged(_read(crossmatch_twin, "crossmatch"), judged_by)
    twins = [Path(path) for path in (mosaic_twin, crossmatch_twin) if path is not None]
    shown = _Shown(mosaic, comparison, collect(twins).judged(judged_by), *twins)
    parts = [
        head(mosaic, comparison, "-c CONFIG.yaml" if command_options is None else command_options),
        _picture(shown),
        _plots(shown),
        "<h2>Numbers beyond a threshold</h2>",
        failed_numbers([one for one in (mosaic, comparison) if one is not None]),
        *_ranking(shown, judged_by),
        *_folded(shown, layout),
        SCRIPT,
    ]
    with atomic_path(output) as part:
        part.write_text(page(mosaic.id, "\n".join(parts)), encoding="utf-8")
    _LOG.info("wrote %s: %d products behind %s", output, len(shown.lineage.nodes), mosaic.id)


@dataclass(frozen=True)
class _Shown:
    """What the page is about: mosaic, comparison, what they were made from, and where their twins stand."""

    mosaic: Twin
    comparison: Twin | None
    lineage: Lineage
    mosaic_twin: Path
    crossmatch_twin: Path | None = None


def _folded(shown: _Shown, layout: Layout) -> list[str]:
    """Return the parts of the page that are opened by a click; notes of the routine are the last."""
    parts = [fold("All numbers of the mosaic", numbers_table(shown.mosaic))]
    if shown.comparison is not None:
        parts.append(fold("All numbers of the comparison with the catalogue", numbers_table(shown.comparison)))
    tiles, calibrations = tiles_table(shown.mosaic, shown.lineage), calibrations_table(shown.lineage)
    return [
        *parts,
        fold("Tiles and their quality", tiles + tile_pictures(shown.lineage), "tiles"),
        fold("Calibrations", calibrations + calibration_pictures(shown.lineage), "calibrations"),
        fold("Provenance", provenance_tables(shown.mosaic, shown.lineage, layout)),
        fold("Verdicts and notes of every product", verdicts_table(shown.lineage)),
    ]


def _ranking(shown: _Shown, judged_by: Options) -> list[str]:
    """Return the ranking of what is wrong while ``qa.commissioning`` is on."""
    if not commissioning(judged_by):
        return []
    ranking = effects_table(shown.mosaic, shown.comparison, shown.lineage)
    return ["<h2>What is wrong, by what it explains</h2>", ranking]


def _read(path: Path, kind: str) -> Twin:
    """Read a twin of a kind."""
    twin = read_twin(Path(path))
    if twin.kind != kind:
        raise InputError(f"{path} is the twin of a {twin.kind}, not of a {kind}: name the right twin")
    return twin


def _picture(shown: _Shown) -> str:
    if not has_image(shown.mosaic):
        return ""
    folder, files = shown.mosaic_twin.with_suffix(""), mosaic_image_facts(shown.mosaic).files
    narrow = None if files.picture_narrow is None else folder / files.picture_narrow
    drawn = picture(folder / files.picture, 1400, f"mosaic {shown.mosaic.id}", narrow)
    return f'<div class="card" style="margin-top: 14px">{drawn}</div>'


def _plots(shown: _Shown) -> str:
    """Return the four plots: fluxes and positions against the catalogue, flags, and the health of antennas."""
    cards = []
    if shown.comparison is not None and shown.crossmatch_twin is not None:
        files, folder = crossmatch_facts(shown.comparison).files, shown.crossmatch_twin.with_suffix("")
        if files is not None:
            drawn = ((files.flux, "flux over catalogue"), (files.astrometry, "offsets from the catalogue"))
            cards += [picture(folder / name, 1000, words) for name, words in drawn]
    flags = flag_picture(sorted((node.twin for node in shown.lineage.of_kind("ms")), key=lambda twin: twin.id))
    cards += [flags] if flags else []
    health = antenna_health(shown.lineage)
    if health is not None:
        cards.append(picture(health, 1200, "flagged data and lost solutions by antenna and tile"))
    if not cards:
        return ""
    cells = "".join(f'<div class="card">{card}</div>' for card in cards)
    return f'<div class="pair" style="margin-top: 14px">{cells}</div>'
