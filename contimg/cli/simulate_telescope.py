"""The options of `contimg simulate` by which the telescope and its sky differ from the ideal."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from contimg.cli.common import Number
from contimg.simulate import (
    ArrayErrors,
    BeamErrors,
    CorrelatorErrors,
    HeaderErrors,
    HostileSky,
    TelescopeErrors,
)
from contimg.simulate.telescope import BEAM_PATTERNS, SATELLITE_KINDS


class Fields(click.ParamType[tuple[Any, ...]]):
    """Read values with a separator between them, such as 24,2.0,0; each has its own type."""

    def __init__(self, example: str, *types: type, separator: str = ",") -> None:
        self.example, self.types, self.separator = example, types, separator
        self.name = "fields"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if not isinstance(value, str):
            return value
        parts = value.split(self.separator)
        try:
            found = tuple(kind(part) for kind, part in zip(self.types, parts, strict=True))
        except ValueError:
            self.fail(f"{value!r} is not of the form {self.example}.")
        if not all(math.isfinite(one) for one in found if isinstance(one, float)):
            self.fail(f"{value!r} holds what is no finite number.")
        return found


class _List(click.ParamType[tuple[Any, ...]]):
    """Read a list such as 1,2,3 or YY,XX."""

    name = "list"

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if not isinstance(value, str):
            return value
        try:
            return tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list such as 1,2,3.")


_STATIONS = _List(int)
_PAIR = Fields("24,36", int, int)
# Option, the group and field of TelescopeErrors that it sets, and click's settings.
_OPTIONS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("--beam-offset", "beam", "offset_deg", {
        "type": Fields("0.1,-0.05", float, float), "metavar": "EAST,NORTH",
        "help": "Beam axis minus true pointing, deg on the sky."}),
    ("--beam-width", "beam", "width", {"type": Number(), "help": "Width of the beam relative to the nominal."}),
    ("--beam-pattern", "beam", "pattern", {"type": str, "help": f"Pattern of the beam: {', '.join(BEAM_PATTERNS)}."}),
    ("--antenna-beam-offset", "beam", "antenna_offset_deg", {
        "type": Number(), "help": "Rms scatter of the antennas' beam axes, deg."}),
    ("--antenna-beam-width", "beam", "antenna_width", {
        "type": Number(), "help": "Rms scatter of the antennas' beam widths, fraction."}),
    ("--swapped-antennas", "array", "swapped_antennas", {
        "type": _PAIR, "multiple": True, "metavar": "A,B", "help": "Stations at each other's inputs."}),
    ("--moved-antenna", "array", "moved_antennas", {
        "type": Fields("24,2.0,0", int, float, float), "multiple": True, "metavar": "N,EAST,NORTH",
        "help": "Station that stands off its header position, m."}),
    ("--local-positions", "array", "local_positions", {
        "is_flag": True, "help": "Header positions are east, north, up instead of geocentric."}),
    ("--clock-error", "correlator", "clock_error_s", {"type": Number(), "help": "Header time minus true time, s."}),
    ("--conjugated", "correlator", "conjugated", {"is_flag": True, "help": "Write conjugate visibilities."}),
    ("--swapped-polarisations", "correlator", "swapped_polarisations", {
        "type": _STATIONS, "metavar": "N,N,...", "help": "Stations whose X and Y receptors are exchanged."}),
    ("--products", "correlator", "products", {
        "type": _List(str), "metavar": "P,P,...", "help": "Polarisation products in their order, such as YY,XX."}),
    ("--packet-loss", "correlator", "packet_loss", {
        "type": Fields("24:0.2", int, float, separator=":"), "multiple": True, "metavar": "N:FRACTION",
        "help": "Mean fraction of a station's samples that is lost."}),
    ("--declination-grid", "header", "declination_grid", {
        "is_flag": True, "help": "Header and fringe stopping have the declination rounded to 0.25 deg."}),
    ("--host-declination", "header", "host_declination", {
        "type": _STATIONS, "metavar": "SB,...", "help": "Subbands whose header declination is 1e-10 rad off."}),
    ("--host-delays", "header", "host_delays", {
        "type": _STATIONS, "metavar": "SB,...", "help": "Subbands whose header lacks the delays of one board."}),
    ("--spectral-line-files", "header", "spectral_line_files", {
        "is_flag": True, "help": "Write a twin *_spl.hdf5 beside each file."}),
    ("--sun", "sky", "sun_jy", {
        "type": Fields("60,40", float, float), "metavar": "XX,YY",
        "help": "Apparent flux density of the Sun in the far sidelobes, Jy, while it is up."}),
    ("--ateam", "sky", "ateam_response", {
        "type": Number(), "help": "Far sidelobes' response to Cas A, Cyg A, Tau A and Vir A, such as 1e-3."}),
    ("--satellite", "sky", "satellites", {
        "type": Fields("4:starlink", int, str, separator=":"), "multiple": True, "metavar": "SB:KIND",
        "help": f"Bursts of a satellite in a subband: {', '.join(SATELLITE_KINDS)}."}),
    ("--satellite-strength", "sky", "satellite_jy", {"type": Number(), "help": "Strength of these bursts, Jy."}),
    ("--ionosphere", "sky", "ionosphere_arcsec", {
        "type": Number(), "help": "Amplitude of a slow common shift of the sky at 1.4 GHz, arcsec."}),
)  # fmt: skip
_GROUPS: dict[str, type] = {
    "beam": BeamErrors,
    "array": ArrayErrors,
    "correlator": CorrelatorErrors,
    "header": HeaderErrors,
    "sky": HostileSky,
}


def telescope_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command; their values arrive under the names that `telescope_errors` takes out."""
    for name, _, field, settings in reversed(_OPTIONS):
        if settings.get("is_flag"):
            settings = settings | {"default": None}
        command = click.option(name, field, **settings)(command)
    return command


def telescope_errors(given: dict[str, Any]) -> TelescopeErrors:
    """Take the values of these options out of a command's arguments."""
    chosen: dict[str, dict[str, Any]] = {group: {} for group in _GROUPS}
    for _, group, field, _ in _OPTIONS:
        value = given.pop(field)
        if value is not None and value != ():
            chosen[group][field] = value
    return TelescopeErrors(**{group: kind(**chosen[group]) for group, kind in _GROUPS.items()})
