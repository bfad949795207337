"""Comparison of a mosaic with a catalogue: `crossmatch_mosaic`.

Its parts: `sources` (found by `source_finder`), `matching`, `comparison_numbers`, `match_table` and `plots`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from contimg.config import BeamOptions, CrossmatchOptions, QaOptions
from contimg.config.used_keys import used_options
from contimg.crossmatch.comparison_numbers import measure
from contimg.crossmatch.group_beam import measure_group_beam
from contimg.crossmatch.match_table import write_matches
from contimg.crossmatch.matching import COMPLETENESS_SNR, Match, MatchLimits, match
from contimg.crossmatch.mosaic_checks import Fault, faults_of
from contimg.crossmatch.reliability import AT_EDGE, NEAR_BRIGHT, with_doubts
from contimg.crossmatch.source_errors import with_systematic_errors
from contimg.crossmatch.source_finder import ISLAND_SIGMA, PEAK_SIGMA
from contimg.crossmatch.source_tables import write_tables
from contimg.crossmatch.sources import Source, find_sources, write_sources
from contimg.errors import InputError
from contimg.mosaic import noise
from contimg.products import gates
from contimg.products.draft import TwinDraft
from contimg.products.facts import CrossmatchFacts, CrossmatchFiles, MosaicImageFacts, has_image, mosaic_image_facts
from contimg.products.fits_images import read_image
from contimg.products.numbers import CrossmatchQa
from contimg.products.twin import Twin
from contimg.sky.catalogue import Catalogue, read_catalogue
from contimg.sky.restoring_beam import RestoringBeam

_LOG = logging.getLogger(__name__)

_DOUBTS = {
    NEAR_BRIGHT: "may be artefacts of brighter ones: they are hardly higher than spots near these are deep",
    AT_EDGE: "are cut off by the edge of the mosaic: peak and position may lie beyond it",
}

LIBRARIES = ("numpy", "scipy", "astropy", "matplotlib")


def crossmatch_mosaic(
    mosaic_twin: Path,
    output: Path,
    twin: Path,
    *,
    catalogue: Path,
    options: CrossmatchOptions,
    qa: QaOptions,
    beam: BeamOptions | None = None,
) -> Twin:
    """Find a mosaic's sources and compare them with a catalogue.

    Parameters
    ----------
    mosaic_twin : Path
        Twin of the mosaic, whose folder stands beside it.
    output, twin : Path
        Folder of sources, matches and plots, and its twin.
    catalogue : Path
        Catalogue of the strip (``sky.catalogue``).
    options : CrossmatchOptions
    qa : QaOptions
        Thresholds of the verdict.
    beam : BeamOptions, optional
        Dish and cube of the primary beam, whose axis and width are fitted to the fluxes in the tiles; None: not fitted.

    Returns
    -------
    Twin
        Of kind ``crossmatch``. Where too few sources can be compared, numbers are null and the verdict is warning;
        where the mosaic failed without an image, the verdict is failed and `output` an empty folder.

    Raises
    ------
    InputError
        If the catalogue or a file of the mosaic is missing or wrong.
    """
    draft = TwinDraft("crossmatch")
    mosaic = draft.use(Path(mosaic_twin))
    if mosaic.kind != "mosaic":
        raise InputError(f"{mosaic_twin} is the twin of a {mosaic.kind}, not of a mosaic: name a mosaic's twin")
    draft.id, catalogue = mosaic.id, Path(catalogue)
    draft.facts = {"mosaic": mosaic.id, "catalogue": catalogue.name}
    with draft.product(output) as folder:
        folder.mkdir()
        if has_image(mosaic):
            compared = _compare(Path(mosaic_twin), mosaic, read_catalogue(catalogue), options, qa.min_matches)
            if beam is not None:
                compared = _with_beam(compared, Path(mosaic_twin).with_suffix(""), beam, draft)
            _write(folder, compared, draft, qa)
            draft.use_file("catalogue", catalogue)
        else:
            draft.qa = CrossmatchQa().model_dump()
            draft.fail("no_mosaic", f"{mosaic.id} failed and holds no image to compare")
    parameters = {"crossmatch": used_options("crossmatch_mosaic", "crossmatch", options)}
    if beam is not None:
        parameters["beam"] = used_options("crossmatch_mosaic", "beam", beam)
    return draft.write(twin, parameters=parameters, libraries=LIBRARIES, judged_by={"qa": qa})


@dataclass(frozen=True)
class _Compared:
    """The result of a comparison: the mosaic, its sources, their matches with the catalogue and the numbers."""

    mosaic: Twin
    facts: MosaicImageFacts
    catalogue: Catalogue
    sources: list[Source]
    matched: Match
    measured: CrossmatchQa
    faults: list[Fault]


def _compare(
    mosaic_twin: Path, mosaic: Twin, catalogue: Catalogue, options: CrossmatchOptions, min_matches: int
) -> _Compared:
    """Find a mosaic's sources, match them with a catalogue and measure the differences."""
    facts = mosaic_image_facts(mosaic, mosaic_twin)
    place = mosaic_twin.with_suffix("")
    image, promised = read_image(place / facts.files.image), read_image(place / facts.files.rms)
    faults = list(faults_of(image, promised, facts))
    beam_deg = facts.beam.bmaj_arcsec / 3600
    local, factors = noise.local_rms(image.data, promised.data, beam_deg / abs(float(image.wcs.wcs.cdelt[0])))
    if not factors.size:  # too small to measure its noise in boxes: the rms from the weights is used
        local = promised.data.astype(np.float32)
    beam = RestoringBeam.from_degrees(beam_deg, facts.beam.bmin_arcsec / 3600, facts.beam.bpa_deg)
    sources = find_sources(image.data, local, image.wcs, beam)
    # In place: the image is not needed after it, and would double the memory.
    negatives = find_sources(np.negative(image.data, out=image.data), local, image.wcs, beam)
    sources = with_doubts(sources, negatives, beam_deg, local, image.wcs)
    doubtful = sum(not one.reliable for one in sources)
    _LOG.info("%d sources above %g sigma, %d of them in doubt", len(sources), PEAK_SIGMA, doubtful)
    limits = MatchLimits(options.radius_arcsec, options.min_snr)
    matched = match(sources, catalogue, local, image.wcs, freq_hz=facts.freq_hz, beam_deg=beam_deg, limits=limits)
    mean_beam_arcsec = (facts.beam.bmaj_arcsec * facts.beam.bmin_arcsec) ** 0.5
    _LOG.info("%d catalogue sources on the mosaic, %d matched", len(matched.source), (matched.source >= 0).sum())
    measured = measure(matched, len(sources), min_matches, mean_beam_arcsec).model_copy(
        update={"n_doubtful": doubtful, "n_negative": len(negatives)}
    )
    sources = with_systematic_errors(sources, matched, measured, mean_beam_arcsec)
    return _Compared(mosaic, facts, catalogue, sources, matched, measured, faults)


def _with_beam(compared: _Compared, mosaic: Path, beam: BeamOptions, draft: TwinDraft) -> _Compared:
    """Return a comparison with the primary beam measured, where the mosaic has the fluxes in its tiles."""
    table = compared.facts.files.tile_fluxes
    if table is None:
        return compared
    found = measure_group_beam(mosaic / table, compared.catalogue, beam)
    draft.use_file("beam_cube", beam.cube)
    draft.notes.append(found.sentence)
    return replace(compared, measured=compared.measured.model_copy(update=found.numbers))


def _about(compared: _Compared, catalogue: str) -> dict[str, tuple[Any, str]]:
    """Return keywords of the tables: which mosaic and catalogue they are of."""
    return {
        "OBJECT": (compared.mosaic.id, "mosaic"),
        "CATALOG": (catalogue, "compared with"),
        "FREQ": (compared.facts.freq_hz, "[Hz] of the flux densities"),
        "SYNTHET": (compared.mosaic.synthetic, "T: simulated data, not the sky"),
    }


def _write(folder: Path, compared: _Compared, draft: TwinDraft, qa: QaOptions) -> None:
    """Write the tables and plots of a comparison, and what its twin says."""
    from contimg.crossmatch import plots

    mosaic, matched, measured = compared.mosaic, compared.matched, compared.measured
    files = CrossmatchFiles(
        sources=f"{mosaic.id}.sources.csv",
        matches=f"{mosaic.id}.matches.csv",
        flux=f"{mosaic.id}.flux.png",
        astrometry=f"{mosaic.id}.astrometry.png",
        sources_votable=f"{mosaic.id}.sources.vot",
        sources_fits=f"{mosaic.id}.sources.fits",
        matches_votable=f"{mosaic.id}.matches.vot",
        matches_fits=f"{mosaic.id}.matches.fits",
    )
    write_sources(folder / files.sources, compared.sources)
    write_matches(folder / files.matches, matched, compared.sources)
    write_tables(folder, files, matched, compared.sources, _about(compared, draft.facts["catalogue"]))
    title = f"{mosaic.id} against {draft.facts['catalogue']}" + ("  –  SYNTHETIC DATA" if mosaic.synthetic else "")
    plots.draw_flux(folder / files.flux, matched, measured, qa, title)
    plots.draw_astrometry(folder / files.astrometry, matched, measured, compared.facts.beam, qa, title)
    draft.facts = CrossmatchFacts(
        mosaic=mosaic.id,
        catalogue=draft.facts["catalogue"],
        files=files,
        freq_hz=compared.facts.freq_hz,
        search_sigma=(PEAK_SIGMA, ISLAND_SIGMA),
        completeness_snr=COMPLETENESS_SNR,
        catalogue_assumed=list(compared.catalogue.assumed),
    ).model_dump(mode="json")
    draft.qa = measured.model_dump()
    for fault in compared.faults:
        draft.fail(fault.code, fault.message, fault.measured, fault.threshold)
    draft.reasons += gates.judge("crossmatch", draft.qa, {"qa": qa})
    draft.notes += [
        f"the catalogue does not give {column} for every source: a default was assumed"
        for column in compared.catalogue.assumed
    ]
    draft.notes += compared.catalogue.notes
    for doubt, why in _DOUBTS.items():
        number = sum(one.doubt == doubt for one in compared.sources)
        if number:
            draft.notes.append(f"{number} of {len(compared.sources)} sources {why} (doubt in the table of sources)")
    if measured.n_unmatched:
        draft.notes.append(
            f"{measured.n_unmatched} sources with S/N of at least {COMPLETENESS_SNR:g} are not in the catalogue"
        )
