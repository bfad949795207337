"""The end of a conversion: flags that need the whole tile, counts of flags, facts and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.config import FlagOptions
from contimg.convert.subbands import TileFiles
from contimg.correlator import hdf5
from contimg.correlator.clock_epochs import clock_epoch
from contimg.correlator.integrations import TILE_S
from contimg.flagging.findings import BlockFindings
from contimg.flagging.flag_codes import NOTHING_MEASURED, REASONS, FlagCode, count
from contimg.flagging.whole_tile import WholeTileFlags, whole_tile_flags
from contimg.products.conditions import SunFacts
from contimg.products.twin import Reason
from contimg.sky.sun import sun_place

_WHOLE = 0.95
"""Fraction of a whole tile's time below which a tile gets a note."""
_ENOUGH = 0.1
"""Fraction of a whole tile's time below which a tile gets a warning: interference cannot be separated from the sky in
one or two integrations."""


@dataclass
class ConversionReport:
    """The content of a converted tile's twin: reasons of the verdict, notes, facts and measured numbers."""

    reasons: list[Reason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    qa: dict[str, Any] = field(default_factory=dict)

    def warn(self, code: str, message: str, measured: float | str, threshold: float | None = None) -> None:
        """Add a warning to the verdict."""
        self.reasons.append(
            Reason(code=code, severity="warning", message=message, measured=measured, threshold=threshold)
        )

    def fail(self, code: str, message: str, measured: float, threshold: float | None = None) -> None:
        """Add a failure to the verdict."""
        self.reasons.append(
            Reason(code=code, severity="failed", message=message, measured=measured, threshold=threshold)
        )


@dataclass(frozen=True)
class Pass:
    """The results of the pass over the data.

    Attributes
    ----------
    coordinates : Coordinates
    findings : BlockFindings
    weights : (2, nchan) float64
        The sum and the number of the weights.
    flags : (n_times, baselines of an integration, nbytes) uint8
        Flags of (nchan, n_pols), packed into bits.
    """

    coordinates: measurement_set.Coordinates
    findings: BlockFindings
    weights: NDArray[np.float64]
    flags: NDArray[np.uint8]


def report_rejected(report: ConversionReport, tile: TileFiles) -> None:
    """Add a warning for each file that was left out, with the reason, and for each whose header has other delays."""
    for key, message in sorted(tile.rejected.items(), key=lambda item: str(item[0])):
        label = key if isinstance(key, str) else _label(key)
        report.warn("subband_rejected", f"{label} left out: {message}", label)
    for subband in tile.other_delays():
        message = f"{_label(subband)} has other applied delays in its header than most: contimg check tells of its data"
        report.warn("delays_differ", message, _label(subband))


def finish(writer: measurement_set.Writer, tile: TileFiles, done: Pass, options: FlagOptions) -> ConversionReport:
    """Flag dead receptors and cells over the whole tile, write and count flags, and describe the product."""
    head, coordinates, findings = tile.header, done.coordinates, done.findings
    report = ConversionReport()
    report_rejected(report, tile)
    _report_times(report, tile, head)
    used = _report_empty(report, tile, findings)
    not_finite = _report_not_finite(report, used, findings)
    received = np.zeros(findings.axes.n_channels, bool)
    for subband in used:
        received[findings.axes.subbands[subband]] = True
    baselines = slice(len(coordinates.uvw_m) // head.n_times)
    whole = whole_tile_flags(findings, coordinates.antenna1[baselines], coordinates.antenna2[baselines])
    tally = _write_flags(writer, head, done, whole, used, received)
    n_received = int(findings.counts[used].sum())
    fraction = float(1 - tally.good_by_channel[received].sum() / n_received) if n_received else 1.0
    _judge(report, fraction, options, coordinates.synthetic)
    missing = [subband for subband in range(len(findings.axes.subbands)) if subband not in used]
    if missing:
        report.notes.append(f"subbands missing: {', '.join(map(_label, missing))}")
    _report_dead(report, head, whole.dead_receptors)
    report.facts = _facts(head, done, tally, received, missing)
    antennas = _correlated(head)
    by_subband = {
        _label(s): float(1 - tally.good_by_channel[findings.axes.subbands[s]].sum() / findings.counts[s].sum())
        for s in used
    }
    report.qa = {
        "flagged_fraction": fraction,
        "flagged_by_reason": {code.label: float(tally.by_code[code] / max(n_received, 1)) for code in REASONS},
        "flagged_by_antenna": {head.antenna_names[a]: float(tally.by_antenna[a]) for a in antennas},
        "flagged_by_subband": by_subband,
        "not_finite_by_subband": not_finite,
        "dead_antennas": [head.antenna_names[a] for a in np.flatnonzero(whole.dead_receptors.all(1))],
        "dead_receptors": int(whole.dead_receptors.sum()),
    }
    return report


def _label(subband: int) -> str:
    """Return the name of a subband: sb07."""
    return f"sb{subband:02d}"


def _correlated(head: hdf5.Header) -> list[int]:
    """Return the antennas that are in a baseline."""
    return sorted({*head.antenna1.tolist(), *head.antenna2.tolist()})


def _report_times(report: ConversionReport, tile: TileFiles, head: hdf5.Header) -> None:
    """Note which files lack integrations of the tile or have additional ones; note or warn of a short tile."""
    lacking: dict[int, list[str]] = {}
    surplus: dict[int, list[str]] = {}
    for subband, header in tile.headers.items():
        first = tile.first_integration(subband)
        shared = min(first + header.n_times, head.n_times) - max(first, 0)
        lacking.setdefault(head.n_times - shared, []).append(_label(subband))
        surplus.setdefault(header.n_times - shared, []).append(_label(subband))
    for number, labels in sorted(lacking.items()):
        if number:
            report.notes.append(f"{number} of {head.n_times} integrations are not in {', '.join(labels)}: flagged")
    for number, labels in sorted(surplus.items()):
        if number:
            report.notes.append(f"{number} integrations of {', '.join(labels)} are in few other files: left out")
    covered_s = head.n_times * head.integration_s
    if covered_s < _WHOLE * TILE_S:
        message = f"the tile covers {covered_s:.1f} s, {head.n_times} integrations; a whole one covers {TILE_S:.1f} s"
        report.notes.append(message)
        if covered_s < _ENOUGH * TILE_S:
            report.warn("short_tile", message, round(covered_s, 3), round(_ENOUGH * TILE_S, 3))


def _report_empty(report: ConversionReport, tile: TileFiles, findings: BlockFindings) -> list[int]:
    """Warn of subbands in which nothing was measured; return the others."""
    total = findings.counts.sum(1)
    empty = [s for s in tile.headers if findings.counts[s, list(NOTHING_MEASURED)].sum() == total[s]]
    for subband in empty:
        message = f"{_label(subband)} holds no data (zeros, not finite or flagged in its file)"
        report.warn("subband_empty", message, _label(subband))
    return [subband for subband in tile.headers if subband not in empty]


def _report_not_finite(report: ConversionReport, used: list[int], findings: BlockFindings) -> dict[str, float]:
    """Note, and return by subband, the fraction of samples that are not finite where there are any."""
    total = findings.counts.sum(1)
    shares = {_label(s): float(findings.counts[s, FlagCode.NOT_FINITE] / total[s]) for s in used}
    shares = {label: share for label, share in shares.items() if share}
    report.notes += [f"{share:.2%} of the samples of {label} are not finite" for label, share in shares.items()]
    return shares


def _report_dead(report: ConversionReport, head: hdf5.Header, dead: NDArray[np.bool_]) -> None:
    """Note the dead receptors (antenna, polarisation)."""
    if dead.any():
        names = [
            head.antenna_names[a] + "".join("XY"[p] for p in np.flatnonzero(dead[a]))
            for a in np.flatnonzero(dead.any(1))
        ]
        report.notes.append(f"dead receptors (no power in their autocorrelations): {', '.join(names)}")


def _facts(
    head: hdf5.Header, done: Pass, tally: _Tally, received: NDArray[np.bool_], missing: list[int]
) -> dict[str, Any]:
    """Return the facts of the tile: times, location, antennas, frequencies, setup of the correlator.

    ``freq_hz`` is the mean frequency weighted by the unflagged samples; ``start_mjd`` and ``end_mjd`` are the edges of
    the first and last integration.
    """
    coordinates, (total, number) = done.coordinates, done.weights
    mean_weight = np.divide(total, number, out=np.zeros_like(total), where=number > 0)
    kept = mean_weight * tally.good_by_channel
    antennas, width = _correlated(head), coordinates.channel_width_hz
    edges = coordinates.freq_hz[received] if received.any() else coordinates.freq_hz
    return {
        "dec_app_deg": float(np.degrees(head.dec_app_rad)),
        "phase_centre_deg": [float(x) for x in np.degrees(coordinates.phase_centre_rad)],
        "mid_mjd": (head.start_mjd + head.end_mjd) / 2,
        "start_mjd": head.start_mjd - head.integration_s / 2 / 86400,
        "end_mjd": head.end_mjd + head.integration_s / 2 / 86400,
        "n_times": head.n_times,
        "integration_s": head.integration_s,
        "n_antennas": len(antennas),
        "antennas": [head.antenna_names[a] for a in antennas],
        "n_subbands": len(done.findings.axes.subbands) - len(missing),
        "missing_subbands": missing,
        "n_channels": len(received),
        "freq_hz": float((kept * coordinates.freq_hz).sum() / kept.sum()) if kept.sum() else None,
        "bandwidth_hz": float(received.sum() * width),
        "band_hz": [float(edges[0] - width / 2), float(edges[-1] + width / 2)],
        "channel_width_hz": width,
        "polarisations": list(head.polarisations),
        "applied_delays_sha256": head.applied_delays_sha256,
        "antenna_order_sha256": head.antenna_order_sha256,
        "fs_table": head.fs_table,
        "telescope": head.telescope,
        "location": [head.latitude_deg, head.longitude_deg, head.altitude_m],
        "sun": _sun(head),
        "clock_epoch": clock_epoch(head.start_mjd).facts(),
    }


def _sun(head: hdf5.Header) -> dict[str, Any]:
    """Return where the Sun is in the middle of the tile."""
    place = sun_place((head.start_mjd + head.end_mjd) / 2, head.location, head.dec_app_rad)
    facts = SunFacts(
        altitude_deg=round(place.altitude_deg, 3), separation_deg=round(place.separation_deg, 3), daytime=place.daytime
    )
    return facts.model_dump()


@dataclass(frozen=True)
class _Tally:
    """Samples without a flag by channel, the flagged fraction by antenna, and samples by `FlagCode`."""

    good_by_channel: NDArray[np.int64]
    by_antenna: NDArray[np.float64]
    by_code: NDArray[np.int64]


def _write_flags(
    writer: measurement_set.Writer,
    head: hdf5.Header,
    done: Pass,
    whole: WholeTileFlags,
    used: list[int],
    received: NDArray[np.bool_],
) -> _Tally:
    """Write the flags of both phases, integration by integration, and count them in the subbands that are used."""
    coordinates = done.coordinates
    rows = len(coordinates.uvw_m) // head.n_times
    one, two = coordinates.antenna1[:rows], coordinates.antenna2[:rows]
    good_by_channel = np.zeros(len(received), np.int64)
    flagged_rows = np.zeros(rows, np.int64)
    by_code = done.findings.counts[used].sum(0)
    every = slice(None) if received.all() else received
    for time in range(head.n_times):
        flags = np.unpackbits(done.flags[time], axis=-1, count=len(received) * head.n_pols).view(bool)
        flags = flags.reshape(rows, len(received), head.n_pols)
        for code, found in whole.at(time):
            if found.any():
                new = found & ~flags
                by_code[code] += np.count_nonzero(new[:, every])
                flags |= new
        writer.put_flags(time * rows, flags)
        good_by_channel += (rows - count(flags, 0)).sum(-1)
        flagged_rows += np.count_nonzero(flags[:, every].reshape(rows, -1), axis=1)
    n_antennas = len(head.antenna_names)
    flagged = sum(np.bincount(side, flagged_rows, n_antennas) for side in (one, two))
    baselines = sum(np.bincount(side, minlength=n_antennas) for side in (one, two))
    samples = baselines * (head.n_times * received.sum() * head.n_pols)
    return _Tally(good_by_channel, flagged / np.maximum(samples, 1), by_code)


def _judge(report: ConversionReport, fraction: float, options: FlagOptions, synthetic: bool) -> None:
    """Judge the flagged fraction of the received data: too much, or none where real data always have some."""
    if fraction > options.max_flagged:
        message = f"{fraction:.1%} of the received data are flagged"
        report.fail("too_much_flagged", message, fraction, options.max_flagged)
    elif not options.interference:
        report.notes.append("not searched for interference (flag.interference)")
    elif fraction == 0 and options.aoflagger and synthetic:
        report.notes.append("nothing is flagged: simulated data without interference")
    elif fraction == 0 and options.aoflagger:
        # Some of a real tile's noise always exceeds AOFlagger's thresholds.
        message = "AOFlagger ran and nothing is flagged: these are no measured data, or flagging did not work"
        report.fail("nothing_flagged", message, 0.0)
