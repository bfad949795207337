"""The facts of a mosaic: its tiles and their common properties."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from contimg.mosaic.common_beam import MIN_BEAM_PX
from contimg.mosaic.fourier_image import sampling_loss
from contimg.mosaic.group_image import GroupImage
from contimg.mosaic.tile_images import GroupTile, used
from contimg.products.conditions import SunFacts, SunRange
from contimg.products.facts import (
    BeamFacts,
    ImageFacts,
    MosaicFacts,
    MosaicFiles,
    MosaicImageFacts,
)
from contimg.products.lineage import collect


def group_facts(tiles: Sequence[GroupTile]) -> MosaicFacts:
    """Return the facts that a mosaic has even where no tile of the group is usable.

    Raises
    ------
    RegistryError
        If an input of a tile was made again after the tile.
    """
    chosen = used(tiles)
    facts = [image.facts for _, image in chosen]
    calibrations = collect([tile.path for tile, _ in chosen]).of_kind("calibration")
    return MosaicFacts(
        group=tiles[0].id if tiles else None,
        tiles=[tile.id for tile in tiles],
        tiles_used=[tile.id for tile, _ in chosen],
        left_out={tile.id: tile.left_out for tile in tiles if tile.left_out},
        n_images=len(chosen),
        start_mjd=min((one.start_mjd for one in facts), default=None),
        end_mjd=max((one.end_mjd for one in facts), default=None),
        telescope="; ".join(_distinct(facts, lambda one: one.telescope)) or None,
        bandpass=_distinct(facts, lambda one: one.bandpass),
        gains=_distinct(facts, lambda one: one.gains),
        calibrators=sorted({name for node in calibrations if (name := node.twin.facts.get("calibrator"))}),
        flux_anchor="; ".join(_distinct(facts, lambda one: one.flux_anchor)) or None,
        sun=_sun([one.sun for one in facts if one.sun is not None]),
        clock_epochs=list({one.clock_epoch.since: one.clock_epoch for one in facts if one.clock_epoch}.values()),
    )


def _sun(places: Sequence[SunFacts]) -> SunRange | None:
    """Return where the Sun is during some tiles; None where no tile says so."""
    if not places:
        return None
    altitudes = [one.altitude_deg for one in places]
    times = sorted({"day" if one.daytime else "night" for one in places})
    return SunRange(
        altitude_deg=(min(altitudes), max(altitudes)),
        separation_deg=min(one.separation_deg for one in places),
        daytime=" and ".join(times),
    )


def mosaic_facts(mosaic: GroupImage, mosaic_id: str, area_deg2: float) -> MosaicImageFacts:
    """Return the facts of a mosaic with an image.

    Parameters
    ----------
    mosaic : GroupImage
    mosaic_id : str
    area_deg2 : float
        Solid angle of the footprint.
    """
    grid = mosaic.grid
    return MosaicImageFacts(
        **group_facts(mosaic.tiles).model_dump(),
        files=MosaicFiles(
            image=f"{mosaic_id}.fits",
            weights=f"{mosaic_id}.weights.fits",
            rms=f"{mosaic_id}.rms.fits",
            picture=f"{mosaic_id}.png",
            tiles=f"{mosaic_id}.tiles.csv",
            coverage=f"{mosaic_id}.coverage.fits",
            frequency=f"{mosaic_id}.frequency.fits",
            spectral_index=None if mosaic.spectral_index is None else f"{mosaic_id}.alpha.fits",
            tile_fluxes=f"{mosaic_id}.tile_fluxes.csv",
            picture_narrow=f"{mosaic_id}.narrow.png",
        ),
        beam=BeamFacts(**mosaic.beam.facts()),
        freq_hz=_weighted_mean(mosaic, lambda one: one.freq_hz),
        bandwidth_hz=_weighted_mean(mosaic, lambda one: one.bandwidth_hz),
        centre_deg=grid.centre_deg,
        size_px=(grid.shape[1], grid.shape[0]),
        cell_arcsec=round(grid.cell_deg * 3600, 9),
        area_deg2=area_deg2,
    )


def notes_on(tiles: Sequence[GroupTile]) -> list[str]:
    """Return notes on the tiles that are left out, and on those that were used with a warning."""
    notes = [f"tile {tile.id} left out: {tile.left_out}" for tile in tiles if tile.left_out]
    for tile in tiles:
        if tile.left_out is None and tile.twin.verdict == "warning":
            codes = ", ".join(reason.code for reason in tile.twin.reasons)
            notes.append(f"tile {tile.id} used with a warning ({codes})")
    return notes


def notes_on_image(mosaic: GroupImage) -> list[str]:
    """Return notes on the pixels of tiles that were rejected, and on a beam made wider than the tiles' common one."""
    notes = [
        f"{count} pixels of tile {tile} were left out, as they differ from the other tiles (mosaic.reject_sigma)"
        for tile, count in sorted(mosaic.rejected.items())
    ]
    images = [image for _, image in used(mosaic.tiles)]
    native_px = min(image.beam.bmin_deg * 3600 / image.facts.cell_arcsec for image in images)
    if native_px < MIN_BEAM_PX:
        notes.append(
            f"tiles have only {native_px:.2f} pixels a beam, with which a point source between pixels may lose"
            f" {2 * sampling_loss(native_px):.1%}: the mosaic's beam is at least {MIN_BEAM_PX:g} pixels; lower"
            " image.cell_arcsec for a sharper one"
        )
    return notes


def _distinct(facts: Sequence[ImageFacts], value: Callable[[ImageFacts], str | None]) -> list[str]:
    """Return the distinct values of a fact of the tiles, sorted."""
    return sorted({known for one in facts if (known := value(one)) is not None})


def _weighted_mean(mosaic: GroupImage, value: Callable[[ImageFacts], float]) -> float:
    """Return the mean of a fact of the tiles, each weighted by the inverse variance of its noise.

    The variances rather than the sums of the tiles' weights: the pixels that many tiles see decide the frequency.
    """
    chosen = used(mosaic.tiles)
    shares = np.array([tile.rms_common_mjy for tile, _ in chosen], dtype=np.float64) ** -2.0
    return round(float(np.average([value(image.facts) for _, image in chosen], weights=shares)), 3)
