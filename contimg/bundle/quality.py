"""How much data a mosaic was made from, and how good, to tell whether a new version may replace an older one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contimg import naming
from contimg.products.lineage import Lineage, Node
from contimg.products.numbers import mosaic_qa, ms_qa
from contimg.products.record import Record, read_record
from contimg.products.twin import Reason

# Two estimates of the same noise scatter by a few per cent, with other calibrations or another version of contimg.
NOISE_TOLERANCE = 0.05  # relative
FLAGGED_TOLERANCE = 0.02  # of all visibilities


@dataclass(frozen=True)
class DataQuality:
    """The data behind a mosaic; None where its lineage does not state a number.

    Attributes
    ----------
    tiles : frozenset of str
        Ids of the tiles that went into it.
    subbands, integrations : int or None
        Sums over those tiles.
    flagged_fraction : float or None
        Mean over those tiles of the flagged fraction of their visibilities.
    rms_mjy : float or None
        Noise of the mosaic [mJy/beam].
    """

    tiles: frozenset[str]
    subbands: int | None
    integrations: int | None
    flagged_fraction: float | None
    rms_mjy: float | None


class _MosaicTiles(Record):
    """The tiles of a mosaic, where its twin states them."""

    tiles_used: list[str] | None = None


class _MsCounts(Record):
    """The amount of data of a tile, where its twin states it."""

    n_subbands: int | None = None
    n_times: int | None = None


def measure(lineage: Lineage, mosaic: Node) -> DataQuality:
    """Return the data behind a mosaic, from the twins in its lineage."""
    stated = read_record(_MosaicTiles, mosaic.twin.facts, mosaic.twin, mosaic.path)
    used = frozenset(naming.iso(tile) for tile in stated.tiles_used or [])
    chains = [
        (calibrated, ms)
        for image in _below(lineage, mosaic, "image")
        if naming.iso(image.twin.id) in used
        for calibrated in _below(lineage, image, "calibrated")
        for ms in _below(lineage, calibrated, "ms")
    ]
    flagged = [_flagged(calibrated, ms) for calibrated, ms in chains]
    counts = [read_record(_MsCounts, ms.twin.facts, ms.twin, ms.path) for _, ms in chains]
    known = [fraction for fraction in flagged if fraction is not None]
    return DataQuality(
        tiles=used,
        subbands=_total([one.n_subbands for one in counts]),
        integrations=_total([one.n_times for one in counts]),
        flagged_fraction=sum(known) / len(known) if known and len(known) == len(flagged) else None,
        rms_mjy=mosaic_qa(mosaic.twin, mosaic.path).rms_mjy,
    )


def poorer(new: DataQuality, old: DataQuality, version: int, remedy: str) -> list[Reason]:
    """Return one reason for each quantity in which a new version has poorer data than an older one.

    Parameters
    ----------
    new, old : DataQuality
    version : int
        The older version, for messages.
    remedy : str
        The command that publishes the new version all the same.

    Returns
    -------
    list of Reason
        Warnings with both values; empty when the data are equal or better within the tolerances of this module.
    """
    found: list[tuple[str, str, float, float]] = []
    lost = sorted(old.tiles - new.tiles)
    if lost:
        what = f"tiles: {len(new.tiles)}, of the {len(old.tiles)} of version {version} {', '.join(lost)} lacking"
        found.append(("tiles", what, len(new.tiles), len(old.tiles)))
    for name, after, before in (
        ("subbands", new.subbands, old.subbands),
        ("integrations", new.integrations, old.integrations),
    ):
        if after is not None and before is not None and after < before:
            found.append((name, f"{name}: {after} against {before} of version {version}", after, before))
    flagged, earlier = new.flagged_fraction, old.flagged_fraction
    if flagged is not None and earlier is not None and flagged > earlier + FLAGGED_TOLERANCE:
        what = f"flagged: {flagged:.1%} against {earlier:.1%} of version {version}"
        found.append(("flagged_fraction", what, flagged, earlier))
    noise, quieter = new.rms_mjy, old.rms_mjy
    if noise is not None and quieter is not None and noise > quieter * (1 + NOISE_TOLERANCE):
        what = f"noise: {noise:.4g} mJy/beam against {quieter:.4g} of version {version}"
        found.append(("noise", what, noise, quieter))
    return [
        Reason(
            code=f"poorer_{code}",
            severity="warning",
            message=f"poorer than version {version}, which stays until a person decides ({what}): {remedy}",
            measured=measured,
            threshold=threshold,
        )
        for code, what, measured, threshold in found
    ]


def _below(lineage: Lineage, node: Node, kind: str) -> Iterator[Node]:
    """Give the products of a kind that are direct inputs of a product."""
    for item in node.twin.inputs:
        if item.kind == kind and item.sha256 in lineage.nodes:
            yield lineage.nodes[item.sha256]


def _flagged(calibrated: Node, ms: Node) -> float | None:
    """Return the flagged fraction of a tile after calibration; of the MS where that is not stated."""
    fraction = ms_qa(calibrated.twin, calibrated.path).flagged_fraction
    return ms_qa(ms.twin, ms.path).flagged_fraction if fraction is None else fraction


def _total(counts: list[int | None]) -> int | None:
    """Return the sum of counts; None when one is not known, or there is none."""
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None
