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
        f'<p class="soft">{safe(when)}{_where(mosaic)}  ·  flux anchor: {safe(facts.flux_anchor or "not recorded")}</p>'
        f"{next_action(mosaic.id, verdict, [reason for twin in twins for reason in twin.reasons], command_options)}"
        f'<div class="tiles">{boxes}</div>{links(mosaic, comparison)}</div>'
    )


def _where(mosaic: Twin) -> str:
    """Return the middle of a mosaic's field and its band as HTML; empty where it has no image."""
    if not has_image(mosaic):
        return ""
    facts = mosaic_image_facts(mosaic)
    band = f"{facts.freq_hz / 1e9:.4f} GHz, {facts.bandwidth_hz / 1e6:.0f} MHz wide"
    return f"<br />centre {safe(_sexagesimal(*facts.centre_deg))} (ICRS)  ·  {band}"


def _sexagesimal(ra_deg: float, dec_deg: float) -> str:
    """Return a direction to a second of time and of arc, as it is typed into other programs: 13:31:08 +30:30:33."""
    seconds, arcsec = round(ra_deg * 240) % 86400, round(abs(dec_deg) * 3600)
    sign = "-" if dec_deg < 0 else "+"
    return " ".join(
        f"{mark}{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
        for mark, whole in (("", seconds), (sign, arcsec))
    )


def next_action(mosaic_id: str, verdict: Verdict, reasons: Sequence[Reason], command_options: str) -> str:
    """Return what happened, and what a person types now, as HTML."""
    contimg = f"contimg {command_options}".strip()
    gone = (
        '<p class="withdrawn" hidden="hidden">It was withdrawn from the archive: '
        '<a href="../publication.json">who, when and why</a>.</p>'
    )
    if verdict == "passed":
        return (
            '<div class="action passed"><p class="undecided">Passed: it is published without a decision, and nothing '
            "has to be typed, unless <code>publish.auto</code> is off or it is poorer than the version before it: the "
            "page of held mosaics names it then.</p>"
            f'<p class="archive" hidden="hidden">Passed, and published.</p>{gone}</div>'
        )
    order = sorted(reasons, key=lambda reason: reason.severity != "failed")
    named = "".join(f"<li>{safe(one.message)}</li>" for one in order[:_NAMED])
    more = f'<p class="soft">and {len(order) - _NAMED} more, below.</p>' if len(order) > _NAMED else ""
    why = f"<ul>{named}</ul>{more}" if named else "<p>Its twin says no reason.</p>"
    look = f"{contimg} why {mosaic_id}"
    approve = f'{contimg} publish approve {mosaic_id} --reason "WHY IT IS GOOD ENOUGH"'
    reject = f'{contimg} publish reject {mosaic_id} --reason "WHAT IS WRONG"'
    return (
        f'<div class="action {verdict}">'
        f'<p class="undecided">Held: its verdict is {safe(verdict)}, so that a person decides.</p>'
        f'<p class="archive" hidden="hidden">Its verdict is {safe(verdict)}; a person approved it: '
        f'<a href="../publication.json">who, when and why</a>.</p>{gone}{why}'
        f'<p class="undecided">What led to it, publish it in spite of that, or reject it:</p>'
        f'<pre class="undecided">{safe(look)}\n{safe(approve)}\n{safe(reject)}</pre></div>'
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
