"""A strip's template: compared with a new mosaic, and updated with it as a new version.

A version is a product with a twin: image and weights, of which the next version is made with one more mosaic and
without reading the earlier ones, the rms that is expected, and the number of mosaics at each pixel. Versions are never
changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contimg.config import Config
from contimg.errors import InputError
from contimg.mosaic import noise
from contimg.mosaic.grid import MosaicGrid
from contimg.naming import Layout
from contimg.products import gates
from contimg.products.draft import TwinDraft
from contimg.products.facts import MosaicImageFacts, has_image, mosaic_image_facts
from contimg.products.fits_header import ImageKeywords, add_keywords, write_plane
from contimg.products.fits_images import read_image
from contimg.products.judged import judged
from contimg.products.record import Record, read_record
from contimg.products.twin import Twin, read_twin
from contimg.sky.confusion import confusion_rms_jy
from contimg.sky.restoring_beam import RestoringBeam
from contimg.statistics import clipped_sigma
from contimg.storage import locks
from contimg.template import stack as stacking
from contimg.template.changes import Change, find_changes, write_changes
from contimg.template.stack import Epoch, MosaicPlanes, Stack

LOCK_FILE = "update.lock"
"""In the folder of all templates: one update at a time. A run of the workflow may go on beside it."""
LIBRARIES = ("numpy", "scipy", "astropy", "ducc0")


class TemplateFacts(Record):
    """Facts of a template: its mosaics, files, beam, and the lowest and highest time of its data."""

    strip: str
    version: int
    epochs: list[str]
    files: dict[str, str]
    beam: dict[str, float]
    freq_hz: float
    bandwidth_hz: float
    start_mjd: float
    end_mjd: float
    confusion_mjy: float
    telescope: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of an update.

    Attributes
    ----------
    difference : Twin or None
        Its comparison with the template; None where there was no template yet.
    template : Twin or None
        The new version; None where the mosaic stays out.
    why_not : str
        Why it stays out.
    """

    difference: Twin | None
    template: Twin | None
    why_not: str = ""


def strip_of(layout: Layout, dec_deg: float, max_difference_deg: float) -> str:
    """Return the name of the strip at a declination: of the nearest template within a difference, else a new one."""
    known = {}
    for folder in layout.templates("").glob("dec*"):
        known[folder.name] = abs(float(folder.name.removeprefix("dec")) - dec_deg)
    near = [name for name in sorted(known) if known[name] <= max_difference_deg]
    return min(near, key=lambda name: known[name]) if near else f"dec{dec_deg:+06.2f}"


def newest(layout: Layout, strip: str) -> Path | None:
    """Return the twin of the newest version of a strip's template; None without one."""
    versions = {int(path.stem[1:]): path for path in layout.templates(strip).glob("v*.json")}
    return versions[max(versions)] if versions else None


def update_template(mosaic_twin: Path, config: Config) -> Outcome:
    """Compare a mosaic with the newest template of its strip, and make the next version with it.

    Parameters
    ----------
    mosaic_twin : Path
    config : Config

    Returns
    -------
    Outcome
        The mosaic stays out of the template where it failed, is in it already, its beam is wider than the template's,
        or its differences are wider than ``template.max_width`` times their noise.

    Raises
    ------
    InputError
        If the mosaic is missing, or on a tangent plane (of an earlier version of contimg).
    ConfigError
        If the template would be larger than ``mosaic.max_size_px``.
    BusyError
        If another process updates templates on this stage.
    """
    mosaic = judged(read_twin(mosaic_twin), {"qa": config.qa})
    lock = locks.acquire(config.layout.templates("") / LOCK_FILE, key="paths.stage")
    try:
        return _update(mosaic, mosaic_twin, config)
    finally:
        lock.release()


def _update(mosaic: Twin, mosaic_twin: Path, config: Config) -> Outcome:
    """Update the template, which no other process changes meanwhile."""
    if mosaic.verdict == "failed" or not has_image(mosaic):
        return Outcome(None, None, f"{mosaic.id} failed")
    facts = mosaic_image_facts(mosaic, mosaic_twin)
    planes = _read_mosaic(mosaic_twin, facts)
    strip = strip_of(config.layout, facts.centre_deg[1], config.group.max_dec_difference_deg)
    before = newest(config.layout, strip)
    if before is None:
        stack = stacking.empty_stack(planes, config.template.beam_margin)
        epoch = stacking.bring(stack, planes, _confusion_jy(stack, facts.freq_hz, config))
        return Outcome(None, _write_template(strip, None, mosaic_twin, stacking.add(stack, epoch), None, config))
    known = _facts(before)
    if mosaic.id in known.epochs:
        return Outcome(None, None, f"{mosaic.id} is in {before.stem} of the template {strip} already")
    stack = _read_template(before, known)
    if not stacking.holds(stack, planes):
        return Outcome(None, None, f"the beam of {mosaic.id} is wider than that of the template {strip}")
    stack = stacking.grown(stack, planes, config.mosaic.max_size_px)
    epoch = stacking.bring(stack, planes, _confusion_jy(stack, facts.freq_hz, config))
    compared = _write_difference(mosaic_twin, before, stack, epoch, config)
    width = compared.qa["difference_width"]
    if width is None or not width <= config.template.max_width:
        width_text = (
            "not measured" if width is None else f"{width:.2f} (template.max_width {config.template.max_width:g})"
        )
        return Outcome(compared, None, f"the width of the differences of {mosaic.id} over their noise is {width_text}")
    made = _write_template(strip, before, mosaic_twin, stacking.add(stack, epoch), compared, config)
    return Outcome(compared, made)


def _facts(twin: Path) -> TemplateFacts:
    """Return the facts of a version."""
    version = read_twin(twin)
    return read_record(TemplateFacts, version.facts, version, twin)


def _read_mosaic(twin: Path, facts: MosaicImageFacts) -> MosaicPlanes:
    """Read an epoch's image and rms."""
    folder = twin.with_suffix("")
    image, rms = read_image(folder / facts.files.image), read_image(folder / facts.files.rms)
    if not str(image.wcs.wcs.ctype[0]).endswith(("COE", "CEA")):
        raise InputError(f"{image.path} is on a tangent plane: make the mosaic again with this version of contimg")
    beam = facts.beam
    restoring = RestoringBeam.from_degrees(beam.bmaj_arcsec / 3600, beam.bmin_arcsec / 3600, beam.bpa_deg)
    return MosaicPlanes(image.data, rms.data, image.wcs, facts.centre_deg, restoring)


def _read_template(twin: Path, facts: TemplateFacts) -> Stack:
    """Read a version."""
    folder = twin.with_suffix("")
    image, weights, epochs = (read_image(folder / facts.files[name]) for name in ("image", "weights", "epochs"))
    header = image.header
    ny, nx = image.data.shape
    grid = MosaicGrid(
        (float(header["CENTRA"]), float(header["CENTDEC"])),
        float(header["CDELT2"]),
        (round(header["CRPIX1"]), round(header["CRPIX2"])),
        (ny, nx),
    )
    beam = RestoringBeam.from_degrees(*(float(header[key]) for key in ("BMAJ", "BMIN", "BPA")))
    planes = image.data.astype(np.float32), weights.data.astype(np.float32), epochs.data.astype(np.int16)
    return Stack(grid, beam, *planes)


def _confusion_jy(stack: Stack, freq_hz: float, config: Config) -> float:
    """Return the confusion noise at a template's beam (Jy/beam)."""
    given = config.template.confusion_ujy
    return confusion_rms_jy(stack.beam, freq_hz) if given is None else given * 1e-6


def _write_difference(mosaic_twin: Path, before: Path, stack: Stack, epoch: Epoch, config: Config) -> Twin:
    """Write the difference of a mosaic from a template in units of its noise, and the sources that changed."""
    draft = TwinDraft("difference")
    mosaic = draft.use(mosaic_twin)
    template = draft.use(before)
    draft.id = mosaic.id
    place = config.layout.difference(mosaic.id)
    difference, sigma = stacking.difference(stack, epoch)
    options = config.template
    changes = find_changes(stack, difference, sigma, flux_error=options.flux_error, least=options.change_sigma)
    draft.qa = _difference_numbers(difference / sigma, stack, changes)
    files = {"difference": f"{mosaic.id}.difference.fits", "changes": f"{mosaic.id}.changes.csv"}
    facts = _facts(before)
    with draft.product(place) as folder:
        folder.mkdir()
        head = _header(stack, facts, mosaic.id, draft.synthetic)
        write_plane(folder / files["difference"], difference / sigma, head, "mosaic minus template over its noise", "")
        write_changes(folder / files["changes"], changes)
    draft.facts = {"mosaic": mosaic.id, "template": template.id, "files": files}
    draft.reasons = gates.judge("difference", draft.qa, {"template": options})
    draft.notes = [
        f"{change.kind}: {change.difference_jy * 1e3:+.2f} mJy at {change.ra_deg:.5f} {change.dec_deg:+.5f}"
        f" ({change.snr:.1f} sigma)"
        for change in changes[:20]
    ]
    twin = place.with_name(f"{place.name}.json")
    return draft.write(twin, parameters=_parameters(config), libraries=LIBRARIES, judged_by={"template": options})


def _difference_numbers(scaled: np.ndarray, stack: Stack, changes: Sequence[Change]) -> dict[str, Any]:
    """Return the numbers of a comparison: width of the differences over their noise, and numbers of changes."""
    thin = max(1, int(stack.beam.bmin_deg / stack.grid.cell_deg / 2))
    width = clipped_sigma(scaled[::thin, ::thin])
    kinds = [change.kind for change in changes]
    return {
        "difference_width": None if width is None else round(width, 4),
        "n_new": kinds.count("new"),
        "n_brighter": kinds.count("brighter"),
        "n_fainter": kinds.count("fainter"),
        "compared_fraction": round(float(np.isfinite(scaled).mean()), 5),
    }


def _write_template(
    strip: str, before: Path | None, mosaic_twin: Path, stack: Stack, compared: Twin | None, config: Config
) -> Twin:
    """Write the next version of a template with its twin."""
    draft = TwinDraft("template")
    mosaic = draft.use(mosaic_twin)
    if before is not None:
        draft.use(before)
    known = None if before is None else _facts(before)
    facts = _template_facts(strip, known, mosaic, stack, config)
    draft.id = f"{strip}.v{facts.version}"
    draft.facts = facts.model_dump()
    draft.qa = _template_numbers(stack, facts, compared)
    draft.reasons = gates.judge("template", draft.qa, {"template": config.template})
    place = config.layout.templates(strip) / f"v{facts.version}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with draft.product(place) as folder:
        folder.mkdir()
        head = _header(stack, facts, draft.id, draft.synthetic)
        expected = stack.expected_rms(facts.confusion_mjy / 1e3)
        for name, data, unit, kind in (
            ("image", stack.image, "Jy/beam", "intensity, weighted mean of mosaics"),
            ("weights", stack.weights, "1/Jy^2", "weight without confusion: 1/(Jy/beam)^2"),
            ("rms", expected, "Jy/beam", "noise expected of weights and confusion"),
            ("epochs", stack.epochs, "", "number of mosaics"),
        ):
            write_plane(folder / facts.files[name], data, head, kind, unit)
    twin = place.with_name(f"{place.name}.json")
    return draft.write(
        twin, parameters=_parameters(config), libraries=LIBRARIES, judged_by={"template": config.template}
    )


def _template_facts(
    strip: str, known: TemplateFacts | None, added: Twin, stack: Stack, config: Config
) -> TemplateFacts:
    """Return the facts of a version: those of the one before, if there is one, with one more mosaic."""
    mosaic = mosaic_image_facts(added)
    version = known.version + 1 if known else 1
    epochs = [*(known.epochs if known else []), added.id]
    number = len(epochs)
    name = f"template_{strip}.v{version}"

    def mean(old: float | None, new: float) -> float:
        return new if old is None else round((old * (number - 1) + new) / number, 3)

    return TemplateFacts(
        strip=strip,
        version=version,
        epochs=epochs,
        files={
            plane: f"{name}{suffix}.fits"
            for plane, suffix in (("image", ""), ("weights", ".weights"), ("rms", ".rms"), ("epochs", ".epochs"))
        },
        beam=stack.beam.facts(),
        freq_hz=mean(known.freq_hz if known else None, mosaic.freq_hz),
        bandwidth_hz=mean(known.bandwidth_hz if known else None, mosaic.bandwidth_hz),
        start_mjd=min(known.start_mjd if known else mosaic.start_mjd, mosaic.start_mjd),
        end_mjd=max(known.end_mjd if known else mosaic.end_mjd, mosaic.end_mjd),
        confusion_mjy=round(_confusion_jy(stack, mosaic.freq_hz, config) * 1e3, 9),
        telescope=mosaic.telescope,
    )


def _template_numbers(stack: Stack, facts: TemplateFacts, compared: Twin | None) -> dict[str, Any]:
    """Return the measured numbers of a version: noise, expected noise, and the difference of its last mosaic."""
    expected = stack.expected_rms(facts.confusion_mjy / 1e3)
    local, factors = noise.local_rms(stack.image, expected, stack.beam.bmaj_deg / stack.grid.cell_deg)
    inside = stack.weights > 0
    deep = inside & (stack.weights >= 0.5 * np.percentile(stack.weights[inside], 95))
    return {
        "n_epochs": len(facts.epochs),
        "rms_mjy": round(float(np.median(local[deep])) * 1e3, 6) if factors.size else None,
        "expected_rms_mjy": round(float(np.median(expected[deep])) * 1e3, 6),
        "noise_ratio": round(float(np.median(factors)), 4) if factors.size else None,
        "area_deg2": round(int(np.count_nonzero(inside)) * stack.grid.cell_deg**2, 6),
        "difference_width": None if compared is None else compared.qa["difference_width"],
    }


def _header(stack: Stack, facts: TemplateFacts, name: str, synthetic: bool) -> Any:
    """Return the header of a template's files and of differences from it."""
    from astropy.io import fits

    head = fits.Header()
    for card in stack.grid.wcs().to_header().cards:
        if card.keyword not in ("DATE-OBS", "MJD-OBS", "MJDREF"):
            head.append(card)
    ra, dec = stack.grid.centre_deg
    add_keywords(
        head,
        ImageKeywords(
            kind="mosaic",
            name=name,
            telescope=facts.telescope,
            beam_deg=(stack.beam.bmaj_deg, stack.beam.bmin_deg, stack.beam.bpa_deg),
            freq_hz=facts.freq_hz,
            bandwidth_hz=facts.bandwidth_hz,
            start_mjd=facts.start_mjd,
            end_mjd=facts.end_mjd,
            synthetic=synthetic,
            extra={
                "CENTRA": (ra, "[deg] centre of the projection"),
                "CENTDEC": (dec, "[deg] its standard parallel"),
                "NEPOCHS": (len(facts.epochs), "mosaics in the template"),
            },
        ),
    )
    return head


def _parameters(config: Config) -> dict[str, Any]:
    """Return the options that a template is made with."""
    keys = {"beam_margin", "confusion_ujy", "flux_error", "change_sigma"}
    return {"template": config.template.model_dump(mode="json", include=keys)}
