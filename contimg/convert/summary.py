"""After the pass: flags that need the whole tile, counts, facts and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg import measurement_set
from contimg.config import FlagOptions
from contimg.convert.subbands import Tile
from contimg.correlator import hdf5
from contimg.flagging.findings import BlockFindings
from contimg.flagging.flag_codes import NOTHING_MEASURED, REASONS, FlagCode, count
from contimg.flagging.whole_tile import WholeTileFlags, whole_tile_flags
from contimg.products.twin import Reason


@dataclass
class Outcome:
    """What a twin says of a conversion."""

    reasons: list[Reason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    qa: dict[str, Any] = field(default_factory=dict)


def report_rejected(outcome: Outcome, tile: Tile) -> None:
    """Say in the verdict which files were left out, and why."""
    for key, message in sorted(tile.rejected.items(), key=lambda item: str(item[0])):
        label = key if isinstance(key, str) else f"sb{key:02d}"
        outcome.reasons.append(
            Reason(code="subband_rejected", severity="warning", message=f"{label} left out: {message}", measured=label)
        )


def finish(
    writer: measurement_set.Writer,
    tile: Tile,
    coordinates: measurement_set.Coordinates,
    findings: BlockFindings,
    places: dict[int, slice],
    weights: NDArray[np.float64],
    flags: NDArray[np.uint8],
    options: FlagOptions,
) -> Outcome:
    """Flag dead receptors and cells over the whole tile, write and count flags, and describe the product.

    ``flags`` (n_times, baselines of an integration, bytes) are packed bits of (nchan, n_pols); ``weights``
    (2, nchan) the sum and the number of weights.
    """
    head = tile.header
    outcome = Outcome()
    report_rejected(outcome, tile)
    total = findings.counts.sum(1)
    empty = [s for s in tile.headers if findings.counts[s, list(NOTHING_MEASURED)].sum() == total[s]]
    received = findings.axes.received.copy()
    for subband in empty:
        received[places[subband]] = False
        message = f"sb{subband:02d} holds no data (zeros, not finite or flagged in its file)"
        reason = Reason(code="subband_empty", severity="warning", message=message, measured=f"sb{subband:02d}")
        outcome.reasons.append(reason)
    used = [subband for subband in tile.headers if subband not in empty]
    not_finite = {f"sb{s:02d}": float(findings.counts[s, FlagCode.NOT_FINITE] / total[s]) for s in used}
    not_finite = {label: share for label, share in not_finite.items() if share}
    outcome.notes += [f"{share:.2%} of the samples of {label} are not finite" for label, share in not_finite.items()]
    counts = findings.counts[used].sum(0) if used else np.zeros(findings.counts.shape[1], np.int64)
    baselines = slice(len(coordinates.uvw_m) // head.n_times)
    whole = whole_tile_flags(findings, coordinates.antenna1[baselines], coordinates.antenna2[baselines])
    tally = _flag_whole(writer, head, coordinates, whole, received, counts, flags)
    dead = whole.dead_receptors
    n_received = int(counts.sum())
    fraction = 1 - tally.good_by_channel[received].sum() / n_received if n_received else 1.0
    _judge(outcome, float(fraction), options, coordinates.synthetic)
    missing = [subband for subband in places if subband not in used]
    if missing:
        outcome.notes.append(f"subbands missing: {', '.join(f'sb{subband:02d}' for subband in missing)}")
    if dead.any():
        names = [
            head.antenna_names[a] + "".join("XY"[p] for p in np.flatnonzero(dead[a]))
            for a in np.flatnonzero(dead.any(1))
        ]
        outcome.notes.append(f"dead receptors (no power in their autocorrelations): {', '.join(names)}")
    mean_weight = np.divide(weights[0], weights[1], out=np.zeros_like(weights[0]), where=weights[1] > 0)
    kept = mean_weight * tally.good_by_channel
    antennas = sorted({*head.antenna1.tolist(), *head.antenna2.tolist()})
    width = coordinates.channel_width_hz
    edges = coordinates.freq_hz[received] if received.any() else coordinates.freq_hz
    outcome.facts = {
        "dec_app_deg": float(np.degrees(head.dec_app_rad)),
        "phase_centre_deg": [float(x) for x in np.degrees(coordinates.phase_centre_rad)],
        "mid_mjd": (head.start_mjd + head.end_mjd) / 2,
        "start_mjd": head.start_mjd - head.integration_s / 2 / 86400,
        "end_mjd": head.end_mjd + head.integration_s / 2 / 86400,
        "n_times": head.n_times,
        "integration_s": head.integration_s,
        "n_antennas": len(antennas),
        "antennas": [head.antenna_names[a] for a in antennas],
        "n_subbands": len(used),
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
    }
    outcome.qa = {
        "flagged_fraction": float(fraction),
        "flagged_by_reason": {c.label: float(tally.by_code[c] / max(n_received, 1)) for c in REASONS},
        "flagged_by_antenna": {head.antenna_names[a]: float(tally.by_antenna[a]) for a in antennas},
        "flagged_by_subband": {
            f"sb{s:02d}": float(1 - tally.good_by_channel[places[s]].sum() / total[s]) for s in used
        },
        "not_finite_by_subband": not_finite,
        "dead_antennas": [head.antenna_names[a] for a in np.flatnonzero(dead.all(1))],
        "dead_receptors": int(dead.sum()),
    }
    return outcome


@dataclass
class _Tally:
    good_by_channel: NDArray[np.int64]
    by_antenna: NDArray[np.float64]
    by_code: NDArray[np.int64]


def _flag_whole(
    writer: measurement_set.Writer,
    head: hdf5.Header,
    coordinates: measurement_set.Coordinates,
    whole: WholeTileFlags,
    received: NDArray[np.bool_],
    counts: NDArray[np.int64],
    packed: NDArray[np.uint8],
) -> _Tally:
    rows = len(coordinates.uvw_m) // head.n_times
    one, two = coordinates.antenna1[:rows], coordinates.antenna2[:rows]
    good_by_channel = np.zeros(len(received), np.int64)
    flagged_rows = np.zeros(rows, np.int64)
    by_code = counts.copy()
    every = slice(None) if received.all() else received
    for time in range(head.n_times):
        flags = np.unpackbits(packed[time], axis=-1, count=len(received) * head.n_pols).view(bool)
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


def _judge(outcome: Outcome, fraction: float, options: FlagOptions, synthetic: bool) -> None:
    if fraction > options.max_flagged:
        message = f"{fraction:.1%} of the received data are flagged"
        outcome.reasons.append(
            Reason(
                code="too_much_flagged", severity="failed", message=message, measured=fraction,
                threshold=options.max_flagged,
            )
        )  # fmt: skip
    elif not options.interference:
        outcome.notes.append("not searched for interference (flag.interference)")
    elif fraction == 0 and options.aoflagger and synthetic:
        outcome.notes.append("nothing is flagged: simulated data without interference")
    elif fraction == 0 and options.aoflagger:
        # Some of a real tile's noise always exceeds AOFlagger's thresholds (science-traps F1).
        message = "AOFlagger ran and nothing is flagged: these are no measured data, or flagging did not work"
        outcome.reasons.append(Reason(code="nothing_flagged", severity="failed", message=message, measured=0.0))
