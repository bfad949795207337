"""Making the catalogue of a strip from surveys: reading, merging and writing; see ``contimg catalogue make``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contimg.errors import InputError
from contimg.sky.catalogue import DEFAULT_SPECTRAL_INDEX, Catalogue
from contimg.sky.strip_files import write_strip
from contimg.sky.survey_merging import merge_surveys
from contimg.sky.survey_sources import read_survey
from contimg.sky.surveys import SURVEYS


def make_catalogue(files: Sequence[tuple[Path, str]], strip_deg: tuple[float, float], out: Path) -> Catalogue:
    """Write the catalogue of a strip from the files of surveys.

    Parameters
    ----------
    files : sequence of (Path, str)
        Each file with the key of its survey (`SURVEYS`).
    strip_deg : (float, float)
        Lowest and highest declination [deg, ICRS].
    out : Path
        FITS file; an existing one is replaced.

    Returns
    -------
    Catalogue
        As written; its notes tell what was skipped, and what each survey gave.

    Raises
    ------
    InputError
        If a file cannot be read or lacks a column, or no source of any lies in the strip.
    """
    surveys = [read_survey(path, key, strip_deg) for path, key in files]
    merged = merge_surveys(surveys)
    if not len(merged):
        why = next((note for survey in surveys for note in survey.notes), "")
        raise InputError(
            f"{', '.join(path.name for path, _ in files)}: no source from {strip_deg[0]:+.1f} to "
            f"{strip_deg[1]:+.1f} deg{f' ({why})' if why else ''}: correct --dec and --width"
        )
    # Without an index a source was carried to 1.4 GHz with the one that readers assume.
    unknown = int(np.count_nonzero(np.isnan(merged.spectral_index)))
    if unknown:
        merged = _noted(
            merged,
            f"{unknown} of {len(merged)} sources have one frequency only: index {DEFAULT_SPECTRAL_INDEX} is assumed",
        )
    write_strip(out, merged, strip_deg, ", ".join(dict.fromkeys(SURVEYS[key].title for _, key in files)))
    return merged


def _noted(catalogue: Catalogue, note: str) -> Catalogue:
    """Return a catalogue with one note more."""
    from dataclasses import replace

    return replace(catalogue, notes=(*catalogue.notes, note))
