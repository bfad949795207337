"""Facts of a calibration's twin as a person reads them: in words, with units, and times as UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contimg.cli.common import in_words
from contimg.plotting.words import digits
from contimg.times import span_from_mjd, utc_from_mjd

Facts = Mapping[str, Any]

_APART = ("sefd_jy", "refant_list", "files", "solutions_sha256", "first_light")
"""Facts that `contimg calibration show` has elsewhere, or that are for programs."""


def facts_in_words(facts: Facts) -> list[tuple[str, str]]:
    """Return rows of what a fact is and its value; a fact without words stands under its key."""
    rows = []
    left = {key: value for key, value in facts.items() if key not in _APART}
    for words, keys, text in _ROWS:
        if keys[0] in left:
            known = {key: left.pop(key, None) for key in keys}
            rows.append((words, text(known) if known[keys[0]] not in (None, []) else "none"))
    return [*rows, *((key, in_words(value)) for key, value in left.items())]


def _value(facts: Facts) -> str:
    return in_words(next(iter(facts.values())))


def _calibrator(facts: Facts) -> str:
    place = facts["calibrator_deg"]
    return facts["calibrator"] + (f" at {place[0]:.4f}°, {place[1]:+.4f}° (ICRS)" if place else "")


def _flux(facts: Facts) -> str:
    whole, apparent = facts["flux_jy"], facts["apparent_flux_jy"]
    seen = "" if apparent is None else f", {digits(apparent, 4)} Jy through the beam"
    return f"{digits(whole, 4)} Jy{seen}"


def _band(facts: Facts) -> str:
    low, high = (edge / 1e6 for edge in facts["band_hz"])
    channels = "" if facts["n_channels"] is None else f", {facts['n_channels']} channels"
    return f"{low:.1f} to {high:.1f} MHz{channels}"


def _sun(facts: Facts) -> str:
    sun = facts["sun"]
    side = "above" if sun["altitude_deg"] >= 0 else "below"
    return f"{abs(sun['altitude_deg']):.0f}° {side} the horizon, {sun['separation_deg']:.0f}° from the phase centre"


def _clock(facts: Facts) -> str:
    epoch = facts["clock_epoch"]
    offset = epoch.get("offset_s")
    behind = "" if offset is None else f", header minus true time {offset:+g} s"
    return f"{epoch['clock']}{behind} ({epoch['source']})"


def _beam(facts: Facts) -> str:
    beam = facts["primary_beam"]
    if "problem" in beam:
        return f"not measured: {beam['problem']}"
    (east, north), (e_east, e_north) = beam["offset_deg"], beam["e_offset_deg"]
    return (
        f"{east:+.3f} ± {e_east:.3f}° east and {north:+.3f} ± {e_north:.3f}° north of the pointing, "
        f"{beam['fwhm_scale']:.3f} ± {beam['e_fwhm_scale']:.3f} times as wide, from {beam['sources']} sources"
    )


def _compared(facts: Facts) -> str:
    return str(facts["compared_with"]["id"])


_ROWS: tuple[tuple[str, tuple[str, ...], Callable[[Facts], str]], ...] = (
    ("type", ("type",), _value),
    ("tile", ("tile",), _value),
    ("observed", ("start_mjd", "end_mjd", "mid_mjd"), lambda one: span_from_mjd(one["start_mjd"], one["end_mjd"])),
    ("outcome", ("outcome",), _value),
    ("calibrator", ("calibrator", "calibrator_deg"), _calibrator),
    ("transit", ("transit_mjd",), lambda one: f"{utc_from_mjd(one['transit_mjd'], 0).replace('T', ' ')} UTC"),
    ("flux density", ("flux_jy", "apparent_flux_jy"), _flux),
    ("flux of the sources, through the beam", ("apparent_flux_jy",), lambda one: f"{one['apparent_flux_jy']:.2f} Jy"),
    ("flux scale rests on", ("flux_scale",), _value),
    ("flux anchor", ("flux_anchor",), _value),
    ("bandpass under it", ("bandpass",), _value),
    ("other sources in the model", ("field_sources",), _value),
    ("primary beam", ("primary_beam",), _beam),
    ("compared with", ("compared_with",), _compared),
    ("reference antenna", ("refant", "refant_reason"), lambda one: ": ".join(filter(None, one.values()))),
    ("pointing declination, of date", ("dec_app_deg",), lambda one: f"{one['dec_app_deg']:.4f}°"),
    ("band", ("band_hz", "n_channels"), _band),
    ("missing subbands", ("missing_subbands",), lambda one: ", ".join(f"sb{i:02d}" for i in one["missing_subbands"])),
    ("samples behind the noise of a visibility", ("nsamples",), lambda one: digits(one["nsamples"])),
    ("Sun", ("sun",), _sun),
    ("clock of the correlator", ("clock_epoch",), _clock),
    ("telescope in the header", ("telescope",), _value),
    ("fringe-stopping table", ("fs_table",), _value),
    ("SHA-256 of the applied delays", ("applied_delays_sha256",), lambda one: one["applied_delays_sha256"][:16]),
    ("SHA-256 of the antennas' order", ("antenna_order_sha256",), lambda one: one["antenna_order_sha256"][:16]),
)
"""Rows of the table: what it is, the keys that it is made of, of which the first must be there, and its text."""
