"""The files and twins of a template's version, and of a mosaic's difference from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contimg.config import Config
from contimg.mosaic import noise
from contimg.products import gates
from contimg.products.draft import TwinDraft
from contimg.products.facts import mosaic_image_facts
from contimg.products.fits_header import ImageKeywords, add_keywords
from contimg.products.fits_planes import write_plane
from contimg.products.twin import Twin
from contimg.sky.confusion import confusion_rms_jy
from contimg.statistics import clipped_sigma
from contimg.template import stack as stacking
from contimg.template.changes import Change, find_changes, write_changes
from contimg.template.stack import Epoch, Stack
from contimg.template.versions import TemplateFacts, facts_of, next_version

LIBRARIES = ("numpy", "scipy", "astropy", "ducc0")


def confusion_jy(stack: Stack, freq_hz: float, config: Config) -> float:
    """Return the confusion noise at a template's beam (Jy/beam)."""
    given = config.template.confusion_ujy
    return confusion_rms_jy(stack.beam, freq_hz) if given is None else given * 1e-6


def write_difference(mosaic_twin: Path, before: Path, stack: Stack, epoch: Epoch, config: Config) -> Twin:
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
    facts = facts_of(before)
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


@dataclass(frozen=True)
class Version:
    """What a version is made of: the twin of an earlier version, if any, and those of further mosaics; and notes."""

    strip: str
    before: Path | None
    mosaics: Sequence[Path]
    notes: Sequence[str] = ()


def write_template(version: Version, stack: Stack, compared: Twin | None, config: Config) -> Twin:
    """Write the next version of a template with its twin."""
    draft = TwinDraft("template")
    mosaics = [draft.use(twin) for twin in version.mosaics]
    if version.before is not None:
        draft.use(version.before)
    number = next_version(config.layout, version.strip)
    facts = _template_facts(version, number, mosaics, stack, config)
    draft.id = f"{version.strip}.v{number}"
    draft.facts, draft.notes = facts.model_dump(), list(version.notes)
    draft.qa = _template_numbers(stack, facts, compared)
    draft.reasons = gates.judge("template", draft.qa, {"template": config.template})
    place = config.layout.templates(version.strip) / f"v{number}"
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
    version: Version, number: int, added: Sequence[Twin], stack: Stack, config: Config
) -> TemplateFacts:
    """Return the facts of a version: those of the one that it is made of, if there is one, with further mosaics."""
    known = None if version.before is None else facts_of(version.before)
    facts = [mosaic_image_facts(one) for one in added]
    held = len(known.epochs) if known else 0
    epochs = [*(known.epochs if known else []), *(one.id for one in added)]
    name = f"template_{version.strip}.v{number}"

    def mean(old: float | None, new: Sequence[float]) -> float:
        return round(((old or 0.0) * held + sum(new)) / len(epochs), 3)

    freq_hz = mean(known.freq_hz if known else None, [one.freq_hz for one in facts])
    starts = [*([known.start_mjd] if known else []), *(one.start_mjd for one in facts)]
    ends = [*([known.end_mjd] if known else []), *(one.end_mjd for one in facts)]
    return TemplateFacts(
        strip=version.strip,
        version=number,
        epochs=epochs,
        files={
            plane: f"{name}{suffix}.fits"
            for plane, suffix in (("image", ""), ("weights", ".weights"), ("rms", ".rms"), ("epochs", ".epochs"))
        },
        beam=stack.beam.facts(),
        freq_hz=freq_hz,
        bandwidth_hz=mean(known.bandwidth_hz if known else None, [one.bandwidth_hz for one in facts]),
        start_mjd=min(starts),
        end_mjd=max(ends),
        confusion_mjy=round(confusion_jy(stack, freq_hz, config) * 1e3, 9),
        telescope=facts[-1].telescope if facts else known.telescope if known else None,
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
