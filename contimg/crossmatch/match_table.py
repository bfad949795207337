"""The table of a mosaic's matches with a catalogue."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from contimg.crossmatch.matching import Match
from contimg.crossmatch.sources import Source, rounded

MATCH_COLUMNS = (
    "name", "ra_deg", "dec_deg", "catalogue_flux_jy", "local_rms_jy_beam", "expected_snr", "isolated", "source",
    "separation_arcsec", "dra_arcsec", "ddec_arcsec", "flux_jy", "e_flux_jy", "flux_ratio", "peak_ratio", "compared",
)  # fmt: skip


def write_matches(path: Path, matched: Match, sources: Sequence[Source]) -> None:
    """Write one line for each covered catalogue source as CSV; empty fields where nothing was found."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(MATCH_COLUMNS)
        for row in match_rows(matched, sources):
            writer.writerow([_yes_no(value) if isinstance(value, bool) else rounded(value) for value in row])


def match_rows(matched: Match, sources: Sequence[Source]) -> Iterator[list[Any]]:
    """Yield the values of `MATCH_COLUMNS` for each covered catalogue source; empty texts where nothing was found."""
    for i in range(len(matched.catalogue)):
        yield [*_catalogue_cells(matched, i), *_found_cells(matched, sources, i), bool(matched.compared[i])]


def _catalogue_cells(matched: Match, i: int) -> list[Any]:
    """Return the cells of a row that describe the catalogue source."""
    return [
        str(matched.catalogue.name[i]),
        float(matched.catalogue.ra_deg[i]),
        float(matched.catalogue.dec_deg[i]),
        float(matched.flux_jy[i]),
        float(matched.local_rms_jy[i]),
        float(matched.expected_snr[i]),
        bool(matched.isolated[i]),
    ]


def _found_cells(matched: Match, sources: Sequence[Source], i: int) -> list[Any]:
    """Return the cells of a row that describe the source found for it; empty without one."""
    if matched.source[i] < 0:
        return [""] * 8
    source = sources[matched.source[i]]
    return [
        source.source,
        float(matched.separation_arcsec[i]),
        float(matched.dra_arcsec[i]),
        float(matched.ddec_arcsec[i]),
        source.total_flux_jy,
        source.e_total_flux_jy,
        float(matched.flux_ratio[i]),
        float(matched.peak_ratio[i]),
    ]


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
