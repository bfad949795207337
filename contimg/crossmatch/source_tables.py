"""The sources of a mosaic, and their matches with a catalogue, as VOTable and FITS: units and UCDs of every column.

The same rows as the CSV tables, which `contimg.crossmatch.sources` and `match_table` write.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contimg.crossmatch.match_table import MATCH_COLUMNS, match_rows
from contimg.crossmatch.matching import Match
from contimg.crossmatch.sources import Source
from contimg.products.facts import CrossmatchFiles
from contimg.products.table_files import Column, TableText, write_fits_table, write_votable

_FLUX = "phot.flux.density"
_BAND = "em.radio.750-1500MHz"
SOURCE_COLUMNS = {
    "source": Column(int, None, "meta.id;meta.main", "number, 1 for the brightest peak"),
    "ra_deg": Column(float, "deg", "pos.eq.ra;meta.main", "right ascension (ICRS)"),
    "dec_deg": Column(float, "deg", "pos.eq.dec;meta.main", "declination (ICRS)"),
    "e_ra_arcsec": Column(float, "arcsec", "stat.error;pos.eq.ra", "error of right ascension, on the sky"),
    "e_dec_arcsec": Column(float, "arcsec", "stat.error;pos.eq.dec", "error of declination"),
    "total_flux_jy": Column(float, "Jy", f"{_FLUX};{_BAND}", "integrated flux density"),
    "e_total_flux_jy": Column(float, "Jy", f"stat.error;{_FLUX};{_BAND}", "its error"),
    "peak_flux_jy_beam": Column(float, "Jy/beam", f"{_FLUX};stat.max;{_BAND}", "peak brightness"),
    "e_peak_flux_jy_beam": Column(float, "Jy/beam", f"stat.error;{_FLUX};{_BAND}", "its error"),
    "bmaj_arcsec": Column(float, "arcsec", "phys.angSize.smajAxis", "fitted major axis (FWHM), not deconvolved"),
    "bmin_arcsec": Column(float, "arcsec", "phys.angSize.sminAxis", "fitted minor axis (FWHM), not deconvolved"),
    "bpa_deg": Column(float, "deg", "pos.posAng", "position angle of the major axis, from north to east"),
    "local_rms_jy_beam": Column(float, "Jy/beam", f"stat.stdev;{_FLUX};{_BAND}", "local noise"),
    "snr": Column(float, None, "stat.snr", "peak over local noise"),
    "code": Column(str, None, "meta.code", "S: the only source of its island of bright pixels; C: one of several"),
    "gaussians": Column(int, None, "meta.number", "Gaussians in the source"),
    "compactness": Column(float, None, f"{_FLUX};arith.ratio", "peak over total flux of a fit with a free shape"),
    "e_flux_scale_jy": Column(float, "Jy", f"stat.error.sys;{_FLUX};{_BAND}", "error of the flux scale"),
    "e_flux_beam_jy": Column(float, "Jy", f"stat.error.sys;{_FLUX};{_BAND}", "error of beam and gains there"),
    "e_flux_position_jy": Column(
        float, "Jy", f"stat.error.sys;{_FLUX};{_BAND}", "error by tiles shifted against each other"
    ),
    "e_place_arcsec": Column(float, "arcsec", "stat.error.sys;pos.eq", "systematic error of the place"),
    "doubt": Column(str, None, "meta.code.qual", "why it may be none: near a bright source, at the edge; else empty"),
}
_MATCH_TEXTS = {
    "name": Column(str, None, "meta.id;meta.main", "source of the catalogue"),
    "ra_deg": Column(float, "deg", "pos.eq.ra;meta.main", "right ascension in the catalogue (ICRS)"),
    "dec_deg": Column(float, "deg", "pos.eq.dec;meta.main", "declination in the catalogue (ICRS)"),
    "catalogue_flux_jy": Column(float, "Jy", f"{_FLUX};{_BAND}", "flux density of the catalogue at this frequency"),
    "local_rms_jy_beam": Column(float, "Jy/beam", f"stat.stdev;{_FLUX};{_BAND}", "local noise"),
    "expected_snr": Column(float, None, "stat.snr", "flux density of the catalogue over local noise"),
    "isolated": Column(bool, None, "meta.code", "no other source near enough to be confused with it"),
    "source": Column(int, None, "meta.id.cross", "number in the table of sources"),
    "separation_arcsec": Column(float, "arcsec", "pos.angDistance", "distance of the source found"),
    "dra_arcsec": Column(float, "arcsec", "pos.eq.ra;arith.diff", "found minus catalogue, on the sky"),
    "ddec_arcsec": Column(float, "arcsec", "pos.eq.dec;arith.diff", "found minus catalogue"),
    "flux_jy": Column(float, "Jy", f"{_FLUX};{_BAND}", "integrated flux density found"),
    "e_flux_jy": Column(float, "Jy", f"stat.error;{_FLUX};{_BAND}", "its error"),
    "flux_ratio": Column(float, None, f"{_FLUX};arith.ratio", "integrated flux density found over the catalogue's"),
    "peak_ratio": Column(float, None, f"{_FLUX};arith.ratio", "the same of peaks, which falls with smearing and size"),
    "compared": Column(bool, None, "meta.code", "enters the comparison: matched, isolated, bright enough"),
}


def write_tables(
    folder: Path,
    files: CrossmatchFiles,
    matched: Match,
    sources: Sequence[Source],
    facts: dict[str, tuple[Any, str]],
) -> None:
    """Write sources and matches of a mosaic in both formats.

    Parameters
    ----------
    folder : Path
    files : CrossmatchFiles
        With the names of all four files.
    matched : Match
    sources : sequence of Source
    facts : dict
        Keyword -> (value, comment): what mosaic and catalogue it is.
    """
    found = TableText("sources", "Sources of a continuum mosaic of the DSA-110", SOURCE_COLUMNS, facts)
    source_rows = [{key: _known(value) for key, value in asdict(source).items()} for source in sources]
    columns = {name: _MATCH_TEXTS[name] for name in MATCH_COLUMNS}
    compared = TableText("matches", "Sources of a catalogue, and what a mosaic of the DSA-110 shows", columns, facts)
    rows = [
        {key: _known(value) for key, value in zip(MATCH_COLUMNS, row, strict=True)}
        for row in match_rows(matched, sources)
    ]
    for text, content, votable, table in (
        (found, source_rows, files.sources_votable, files.sources_fits),
        (compared, rows, files.matches_votable, files.matches_fits),
    ):
        if votable is not None and table is not None:
            write_votable(folder / votable, text, content)
            write_fits_table(folder / table, text, content)


def _known(value: Any) -> Any:
    """Return a value, None where nothing was measured."""
    return None if value == "" or (isinstance(value, float) and math.isnan(value)) else value
