"""The head of a mosaic's page: verdict, what happened, what to type, and the numbers that people ask for first."""

from __future__ import annotations

from collections.abc import Sequence

from contimg.plotting.words import digits, flux_words
from contimg.products.facts import has_image, mosaic_facts, mosaic_image_facts
from contimg.products.numbers import crossmatch_qa, mosaic_qa
from contimg.products.twin import Reason, Twin, Verdict, verdict_of, worst
from contimg.report.links import links
from contimg.report.markup import badge, safe
from contimg.times import span_from_mjd

_NAMED = 4
"""Reasons that the head names; the others stand below."""


def head(mosaic: Twin, comparison: Twin | None, command_options: str) -> str:
    """Return the head of the page as HTML.

    Parameters
    ----------
    mosaic : Twin
    comparison : Twin or None
    command_options : str
        What commands have after ``contimg``: ``-c`` and the configuration.
    """
    twins = [mosaic] + ([comparison] if comparison else [])
    verdict = worst([worst([twin.verdict, verdict_of(twin.reasons)]) for twin in twins])
    stamp = badge("SYNTHETIC DATA", "synthetic").text if any(twin.synthetic for twin in twins) else ""
    facts = mosaic_facts(mosaic)
    when = "no usable tile"
    if facts.start_mjd is not None and facts.end_mjd is not None:
        when = span_from_mjd(facts.start_mjd, facts.end_mjd)
    if facts.sun is not None:
        when += f"  ·  {facts.sun.daytime}: Sun {facts.sun.separation_deg:.0f}° away or more"
    boxes = "".join(
        f'<div class="tile"><b>{safe(value)}</b><span>{safe(label)}</span></div>'
        for value, label in headline_numbers(mosaic, comparison)
    )
    return (
        f'<div class="card"><div class="head"><h1>{safe(mosaic.id)}</h1>{badge(verdict).text}{stamp}</div>'
        f'<p class="soft">{safe(when)}  ·  flux anchor: {safe(facts.flux_anchor or "not recorded")}</p>'
        f"{next_action(mosaic.id, verdict, [reason for twin in twins for reason in twin.reasons], command_options)}"
        f'<div class="tiles">{boxes}</div>{links(mosaic, comparison)}</div>'
    )


def next_action(mosaic_id: str, verdict: Verdict, reasons: Sequence[Reason], command_options: str) -> str:
    """Return what happened, and what a person types now, as HTML."""
    contimg = f"contimg {command_options}".strip()
    if verdict == "passed":
        return (
            '<div class="action passed"><p>Passed: it is published without a decision, unless '
            "<code>publish.auto</code> is off. Nothing has to be typed.</p></div>"
        )
    order = sorted(reasons, key=lambda reason: reason.severity != "failed")
    named = "".join(f"<li>{safe(one.message)}</li>" for one in order[:_NAMED])
    more = f'<p class="soft">and {len(order) - _NAMED} more, below.</p>' if len(order) > _NAMED else ""
    why = f"<ul>{named}</ul>{more}" if named else "<p>Its twin says no reason.</p>"
    look = f"{contimg} why {mosaic_id}"
    approve = f'{contimg} publish approve {mosaic_id} --reason "WHY IT IS GOOD ENOUGH"'
    reject = f'{contimg} publish reject {mosaic_id} --reason "WHAT IS WRONG"'
    return (
        f'<div class="action {verdict}"><p>Held: its verdict is {safe(verdict)}, so that a person decides.</p>{why}'
        f"<p>What led to it, publish it in spite of that, or reject it:</p>"
        f"<pre>{safe(look)}\n{safe(approve)}\n{safe(reject)}</pre>"
        '<p class="soft">In a bundle, <code>publication.json</code> beside <code>data/</code> says what was decided.'
        "</p></div>"
    )


def headline_numbers(mosaic: Twin, comparison: Twin | None) -> list[tuple[object, str]]:
    """Return the numbers at the head of the page with their labels; None where one was not measured."""
    facts, numbers = mosaic_facts(mosaic), mosaic_qa(mosaic)
    beam = mosaic_image_facts(mosaic).beam if has_image(mosaic) else None
    boxes: list[tuple[object, str]] = [
        (_three(numbers.rms_mjy), "mJy/beam noise where well covered"),
        (_three(numbers.noise_ratio), "× expected noise"),
        (None if numbers.peak_mjy is None else flux_words(numbers.peak_mjy), "peak, per beam"),
        (f"{beam.bmaj_arcsec:.0f}″ × {beam.bmin_arcsec:.0f}″" if beam else None, "beam"),
        (None if numbers.area_deg2 is None else f"{digits(numbers.area_deg2)} deg²", "area"),
        (f"{len(facts.tiles_used)} of {len(facts.tiles)}", "tiles used"),
    ]
    if numbers.negative_pixels is not None and numbers.lowest_sigma is not None:
        lowest = f"{numbers.lowest_sigma:.1f} σ".replace("-", "−")
        boxes.append((f"{numbers.negative_pixels}", f"pixels below −5 σ of the local noise, lowest {lowest}"))
    if comparison is not None:
        found = crossmatch_qa(comparison)
        doubtful = None if found.n_doubtful is None else f"{found.n_doubtful} of {found.n_sources}"
        offset = None if found.median_offset_arcsec is None else f"{digits(found.median_offset_arcsec, 2)}″"
        complete = None if found.completeness is None else f"{100 * found.completeness:.0f} %"
        boxes += [
            (_three(found.median_flux_ratio), "flux over catalogue"),
            (offset, "median offset"),
            (complete, "of the expected sources found"),
            (doubtful, "sources found in doubt: near brighter ones or at the edge"),
        ]
    return boxes


def _three(value: float | None) -> str | None:
    return None if value is None else digits(value)
