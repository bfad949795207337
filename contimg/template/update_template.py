"""A strip's template: compared with a new mosaic, and updated with it as a new version.

A version is a product with a twin: image and weights, of which the next version is made with one more mosaic and
without reading the earlier ones, the rms that is expected, and the number of mosaics at each pixel. Versions are never
changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from contimg.config import Config
from contimg.errors import InputError
from contimg.products.facts import has_image, mosaic_image_facts
from contimg.products.judged import judged
from contimg.products.twin import Twin, read_twin
from contimg.storage import locks
from contimg.template import stack as stacking
from contimg.template.stack import Stack
from contimg.template.template_files import Version, confusion_jy, write_difference, write_template
from contimg.template.versions import (
    facts_of,
    newest,
    newest_without,
    read_mosaic,
    read_template,
    strip_of,
    withdrawn,
)

LOCK_FILE = "update.lock"
"""In the folder of all templates: one update at a time. A run of the workflow may go on beside it."""


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
    remade : Twin or None
        The version that was made first, without mosaics that were withdrawn or rejected since.
    """

    difference: Twin | None
    template: Twin | None
    why_not: str = ""
    remade: Twin | None = None


def update_template(mosaic_twin: Path, config: Config) -> Outcome:
    """Compare a mosaic with the newest template of its strip, and make the next version with it.

    Parameters
    ----------
    mosaic_twin : Path
    config : Config

    Returns
    -------
    Outcome
        The mosaic stays out of the template where it failed, was withdrawn or rejected, is in it already, its beam is
        wider than the template's, or its differences are wider than ``template.max_width`` times their noise. Where
        the template holds mosaics that were withdrawn since, a version without them is made first.

    Raises
    ------
    InputError
        If the mosaic is missing, or on a tangent plane (of an earlier version of contimg), or one that a version
        without withdrawn mosaics is made of is missing.
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
    strip = strip_of(config.layout, facts.centre_deg[1], config.group.max_dec_difference_deg)
    before, remade = _without_withdrawn(strip, config)
    if withdrawn(config, [mosaic.id]):
        return Outcome(None, None, f"{mosaic.id} was withdrawn or rejected", remade)
    return replace(_add(strip, before, mosaic_twin, config), remade=remade)


def _without_withdrawn(strip: str, config: Config) -> tuple[Path | None, Twin | None]:
    """Return the newest version of a strip's template that holds no mosaic that was withdrawn since; make it if needed.

    It is made of the newest version from before these mosaics, and of the others that came after.

    Returns
    -------
    Path or None
        Its twin; None where there is no template, or none but withdrawn mosaics in it.
    Twin or None
        The same, where it was made now.
    """
    layout = config.layout
    before = newest(layout, strip)
    if before is None:
        return None, None
    known = facts_of(before)
    gone = withdrawn(config, known.epochs)
    if not gone:
        return before, None
    base = newest_without(layout, strip, gone)
    held = [] if base is None else facts_of(base).epochs
    twins = [layout.twin("mosaic", one) for one in known.epochs if one not in (*gone, *held)]
    for twin in twins:
        if not twin.exists():
            raise InputError(
                f"the template {strip} holds {gone[0]}, which was withdrawn, and without it takes {twin.stem}, whose"
                f" files are gone from the stage: make that mosaic again, or move {layout.templates(strip)} away"
            )
    if base is None and not twins:
        return None, None
    # Without an earlier version, at least the pixels and the beam of this one stay.
    stack = stacking.emptied(read_template(before, known)) if base is None else read_template(base, facts_of(base))
    for twin in twins:
        stack = _with_epoch(stack, twin, config)
    note = f"made without {', '.join(gone)}, withdrawn or rejected since {before.stem}, which holds it"
    made = write_template(Version(strip, base, twins, [note]), stack, None, config)
    return newest(layout, strip), made


def _with_epoch(stack: Stack | None, mosaic_twin: Path, config: Config) -> Stack:
    """Return a template, a new one where there is none, with one more mosaic."""
    facts = mosaic_image_facts(read_twin(mosaic_twin), mosaic_twin)
    planes = read_mosaic(mosaic_twin, facts)
    stack = stacking.empty_stack(planes, config.template.beam_margin) if stack is None else stack
    stack = stacking.grown(stack, planes, config.mosaic.max_size_px)
    return stacking.add(stack, stacking.bring(stack, planes, confusion_jy(stack, facts.freq_hz, config)))


def _add(strip: str, before: Path | None, mosaic_twin: Path, config: Config) -> Outcome:
    """Compare a mosaic with a version of the template of its strip, and make the next version with it."""
    if before is None:
        first = _with_epoch(None, mosaic_twin, config)
        return Outcome(None, write_template(Version(strip, None, [mosaic_twin]), first, None, config))
    known, mosaic = facts_of(before), read_twin(mosaic_twin)
    if mosaic.id in known.epochs:
        return Outcome(None, None, f"{mosaic.id} is in {before.stem} of the template {strip} already")
    facts = mosaic_image_facts(mosaic, mosaic_twin)
    planes = read_mosaic(mosaic_twin, facts)
    stack = read_template(before, known)
    if not stacking.holds(stack, planes):
        return Outcome(None, None, f"the beam of {mosaic.id} is wider than that of the template {strip}")
    stack = stacking.grown(stack, planes, config.mosaic.max_size_px)
    epoch = stacking.bring(stack, planes, confusion_jy(stack, facts.freq_hz, config))
    compared = write_difference(mosaic_twin, before, stack, epoch, config)
    width = compared.qa["difference_width"]
    if width is None or not width <= config.template.max_width:
        width_text = (
            "not measured" if width is None else f"{width:.2f} (template.max_width {config.template.max_width:g})"
        )
        return Outcome(compared, None, f"the width of the differences of {mosaic.id} over their noise is {width_text}")
    version = Version(strip, before, [mosaic_twin])
    return Outcome(compared, write_template(version, stacking.add(stack, epoch), compared, config))
