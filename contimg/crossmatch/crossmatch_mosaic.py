"""Comparison of a mosaic with a catalogue: `crossmatch_mosaic`.

Its parts: `sources` (PyBDSF), `compare` (matching and numbers) and `plots`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from contimg.config import CrossmatchOptions, QaOptions
from contimg.crossmatch import compare
from contimg.errors import InputError
from contimg.mosaic import noise
from contimg.products import gates
from contimg.products.draft import TwinDraft
from contimg.products.fits_images import read_image
from contimg.products.twin import Reason, Twin

LIBRARIES = ("bdsf", "numpy", "scipy", "astropy", "matplotlib")


def crossmatch_mosaic(
    mosaic_twin: Path,
    output: Path,
    twin: Path,
    *,
    catalogue: Path,
    options: CrossmatchOptions,
    qa: QaOptions,
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
    draft.facts |= {"mosaic": mosaic.id, "catalogue": catalogue.name}
    with draft.product(output) as folder:
        folder.mkdir()
        if "files" in mosaic.facts:
            more, draft.qa, draft.reasons, draft.notes = _compare(
                folder, Path(mosaic_twin), mosaic, catalogue, options, qa
            )
            draft.facts |= more
            draft.use_file("catalogue", catalogue)
        else:
            draft.qa, draft.reasons = dict(compare.NOT_COMPARED), [_no_mosaic(mosaic.id)]
    return draft.write(
        twin,
        parameters={"crossmatch": options.model_dump(mode="json"), "qa": qa.model_dump(mode="json")},
        libraries=LIBRARIES,
    )


def _compare(
    folder: Path, mosaic_twin: Path, mosaic: Twin, catalogue_path: Path, options: CrossmatchOptions, qa: QaOptions
) -> tuple[dict[str, Any], dict[str, Any], list[Reason], list[str]]:
    """Write the files of a comparison; return its facts, qa, reasons and notes."""
    from contimg.crossmatch import plots
    from contimg.crossmatch.sources import ISLAND_SIGMA, PEAK_SIGMA, find_sources, write_sources
    from contimg.sky.catalogue import read_catalogue

    catalogue = read_catalogue(catalogue_path)
    place = mosaic_twin.with_suffix("")
    image = read_image(place / mosaic.facts["files"]["image"])
    promised = read_image(place / mosaic.facts["files"]["rms"])
    wcs = image.wcs
    beam_deg = mosaic.facts["beam"]["bmaj_arcsec"] / 3600
    freq_hz = mosaic.facts["freq_hz"]
    local, factors = noise.local_rms(image.data, promised.data, beam_deg / abs(float(wcs.wcs.cdelt[0])))
    if not factors.size:  # too small to measure its noise in boxes: the weights are all there is
        local = promised.data.astype(np.float32)
    sources = find_sources(place / mosaic.facts["files"]["image"], local, wcs, freq_hz)
    matched = compare.match(
        sources,
        catalogue,
        local,
        wcs,
        freq_hz=freq_hz,
        beam_deg=beam_deg,
        radius_arcsec=options.radius_arcsec,
        min_snr=options.min_snr,
    )
    measured = compare.measure(matched, len(sources), qa.min_matches, _mean_beam_arcsec(mosaic.facts["beam"]))
    names = {
        "sources": f"{mosaic.id}.sources.csv",
        "matches": f"{mosaic.id}.matches.csv",
        "flux": f"{mosaic.id}.flux.png",
        "astrometry": f"{mosaic.id}.astrometry.png",
    }
    write_sources(folder / names["sources"], sources)
    compare.write_matches(folder / names["matches"], matched, sources)
    title = f"{mosaic.id} against {catalogue_path.name}" + ("  –  SYNTHETIC DATA" if mosaic.synthetic else "")
    plots.draw_flux(folder / names["flux"], matched, measured, qa, title)
    plots.draw_astrometry(folder / names["astrometry"], matched, measured, mosaic.facts["beam"], qa, title)
    facts = {
        "files": names,
        "freq_hz": freq_hz,
        "search_sigma": [PEAK_SIGMA, ISLAND_SIGMA],
        "completeness_snr": compare.COMPLETENESS_SNR,
        "catalogue_assumed": list(catalogue.assumed),
    }
    notes = [
        f"the catalogue does not give {column} for every source: a default was assumed" for column in catalogue.assumed
    ]
    if measured["n_unmatched"]:
        notes.append(
            f"{measured['n_unmatched']} sources with S/N of at least {compare.COMPLETENESS_SNR:g} are not in the"
            " catalogue"
        )
    return facts, measured, gates.judge("crossmatch", measured, {"qa": qa}), notes


def _no_mosaic(mosaic_id: str) -> Reason:
    return Reason(code="no_mosaic", severity="failed", message=f"{mosaic_id} failed and holds no image to compare")


def _mean_beam_arcsec(beam: dict[str, float]) -> float:
    return (beam["bmaj_arcsec"] * beam["bmin_arcsec"]) ** 0.5
