"""Writing the products of a tile image: FITS planes, thumbnail and quality plot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contimg.imaging import fits_output
from contimg.imaging.checks.catalogue import CatalogueComparison
from contimg.imaging.clean.channel_groups import spectral_index
from contimg.imaging.imager_result import ImagerResult
from contimg.imaging.prepare import ImagingJob, PreparedTile
from contimg.plotting.sky_picture import NARROW_IN, draw
from contimg.products.draft import TwinDraft
from contimg.products.fits_header import ImageKeywords
from contimg.products.fits_planes import write_plane
from contimg.products.twin import twin_digest


@dataclass(frozen=True)
class FinishedTile:
    """A tile that has been imaged.

    Attributes
    ----------
    job : ImagingJob
    tile : PreparedTile
    imaged : ImagerResult
    pb : (size, size) float32
        Effective primary beam, times what smearing leaves if that is corrected.
    compared : CatalogueComparison or None
    """

    job: ImagingJob
    tile: PreparedTile
    imaged: ImagerResult
    pb: NDArray[np.float32]
    compared: CatalogueComparison | None


def write_products(folder: Path, finished: FinishedTile, draft: TwinDraft) -> None:
    """Write the FITS files and the pictures that the facts of a tile name.

    Parameters
    ----------
    folder : Path
    finished : FinishedTile
    draft : TwinDraft
        With the facts and numbers of the tile.
    """
    files, imaged = draft.facts["files"], finished.imaged
    shared = fits_output.header(finished.tile.grid, _keywords(finished, draft))
    for name, data in _planes(imaged, finished.pb, finished.job.options.pb_limit).items():
        write_plane(folder / files[name], data, shared, *fits_output.KINDS[name])
    for number, group in enumerate(imaged.groups):
        own = fits_output.of_group(shared, group.freq_hz, group.bandwidth_hz)
        for name, data in (("image", group.image), ("pb", group.pb)):
            write_plane(folder / files[f"group{number}.{name}"], data, own, *fits_output.KINDS[name])
    _draw(folder, finished, draft)


def _planes(imaged: ImagerResult, pb: NDArray[np.float32], pb_limit: float) -> dict[str, NDArray[np.floating]]:
    """Return the planes (size, size) by name."""
    with np.errstate(divide="ignore", invalid="ignore"):
        pbcor = np.where(pb >= pb_limit, imaged.image / pb, np.nan)
    planes: dict[str, NDArray[np.floating]] = {
        "image": imaged.image, "pb": pb, "pbcor": pbcor,
        "residual": imaged.residual, "model": imaged.model, "psf": imaged.psf,
    }  # fmt: skip
    if imaged.groups:
        planes["alpha"] = spectral_index(imaged.groups, pb_limit)
    return planes


def _draw(folder: Path, finished: FinishedTile, draft: TwinDraft) -> None:
    """Draw the picture and the quality plot, and put what stands out in the picture into the numbers of the tile."""
    from contimg.imaging import thumbnail
    from contimg.imaging.checks import plot

    files, imaged, grid = draft.facts["files"], finished.imaged, finished.tile.grid
    name, synthetic = finished.job.tile_id, draft.synthetic
    facts = draft.facts | {"id": name, "synthetic": synthetic}
    shown = thumbnail.sky_picture(imaged, finished.pb, grid, facts, draft.qa["rms_mjy"])
    found = draw(folder / files["thumbnail"], shown, NARROW_IN)
    draft.qa["negative_pixels"] = found.below
    draft.qa["lowest_sigma"] = None if found.lowest is None else round(found.lowest.value, 3)
    plot.draw(
        folder / files["quality"],
        plot.QualityPlot(imaged.residual, imaged.psf, imaged.beam, grid, finished.compared, draft.qa, name, synthetic),
    )


def _keywords(finished: FinishedTile, draft: TwinDraft) -> ImageKeywords:
    """Return the keywords of the headers."""
    facts, job, beam = draft.facts, finished.job, finished.imaged.beam
    return ImageKeywords(
        kind="tile",
        name=job.tile_id,
        telescope=finished.tile.coordinates.telescope,
        beam_deg=(beam.bmaj_deg, beam.bmin_deg, beam.bpa_deg),
        freq_hz=facts["freq_hz"],
        bandwidth_hz=facts["bandwidth_hz"],
        start_mjd=facts["start_mjd"],
        end_mjd=facts["end_mjd"],
        synthetic=draft.synthetic,
        position_m=_place(finished),
        extra={
            "ROBUST": (job.options.robust, "Briggs robustness"),
            "PBLIMIT": (job.options.pb_limit, "pbcor is blank where the beam is lower"),
        },
        history=_history(job),
    )


def _place(finished: FinishedTile) -> tuple[float, float, float] | None:
    """Return the array's place (ITRF, m), as the correlator's files give it."""
    place = finished.tile.coordinates.array_position_m
    return None if place is None else (float(place[0]), float(place[1]), float(place[2]))


def _history(job: ImagingJob) -> list[str]:
    """Return where the tile's calibration is from, and how it was imaged."""
    source, options = job.source, job.options
    lines = [f"calibrated tile {source.id} twin sha256 {twin_digest(source)[:32]}"]
    for key in ("bandpass", "gains", "flux_anchor"):
        lines.append(f"{key.replace('_', ' ')}: {source.facts.get(key) or 'not recorded'}")
    lines.append(f"imager: {options.backend}, Briggs {options.robust:g}, Stokes I, effective beam of the drift")
    return lines
