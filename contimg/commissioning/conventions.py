"""Conventions of the whole array (sign, frame, station order, clock), chosen by the coherence of the fringes.

Under the right assumptions nearly all of the calibrator's power adds up coherently over the transit; under a wrong one
the fringes of most baselines turn by many cycles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contimg.commissioning.findings import CONFIRMED, REFUTED, Finding, not_measurable
from contimg.commissioning.fringes import FringeModel, Sample, coherence, model_coherence, signal_to_noise, stopped
from contimg.commissioning.transit import Inputs
from contimg.correlator.hdf5 import Header
from contimg.sky import geometry

GOOD = 0.75
"""Coherence from which assumptions count as right; right ones reach 0.9 to 1, wrong ones 0.02 to 0.6."""
DETECTED = 3.0
"""Signal-to-noise ratio from which fringes count as detected; noise alone has 1."""
CLOCK_SEARCH_S = tuple(float(step) for step in range(-900, 901, 15))
STRETCH_SEARCH = tuple(step * 5e-4 for step in range(-60, 61) if step)
_PARTLY, _TYPICAL = 0.4, 0.9
"""Least coherence of all baselines together, and of the median baseline, of assumptions that are right except for some
antennas."""
_DOUBTFUL, _BETTER = 0.97, 0.01
"""Coherence below which other integration times are tried, and the increase from which one is accepted."""
_RECOVERED = 0.3
"""Least fraction of the missing coherence (1 minus the coherence) that another integration time must recover."""

FRAMES = {
    "ITRF": "geocentric (ITRF)",
    "ENU": "east, north, up of the site",
    "site": "geocentric, already turned by the longitude",
}
ORDERS = {
    "header": "as the header says",
    "plus one": "one station further than the header says",
    "minus one": "one station before that which the header says",
    "sorted": "in ascending order of the stations, not in the header's",
}


@dataclass(frozen=True)
class Convention:
    """Assumptions about the array as a whole, and the coherence that they reach."""

    conjugated: bool
    frame: str
    order: str
    clock_s: float
    model: FringeModel
    coherence: float


@dataclass(frozen=True)
class Transit:
    """What the tests of conventions need.

    Attributes
    ----------
    header : Header
        Of one file; positions may be in any frame.
    inputs : Inputs
    samples : list of Sample
    calibrator_rad : (2,) float64
        ICRS.
    """

    header: Header
    inputs: Inputs
    samples: list[Sample]
    calibrator_rad: NDArray[np.float64]

    def coherence(self, model: FringeModel) -> float:
        return model_coherence(self.samples, model, self.header.times_mjd, self.inputs.baselines)

    def typical_coherence(self, model: FringeModel) -> float:
        """Return the coherence of the median baseline under a model."""
        paths = model.paths_m(self.header.times_mjd)
        sums = [coherence(stopped(one.vis, paths, one.freq_hz, self.inputs.baselines)) for one in self.samples]
        together, power = sum(pair[0] for pair in sums), sum(np.abs(pair[1]) for pair in sums)
        return float(np.median(together / np.maximum(power, 1e-300)))

    def model(self, conjugated: bool, frame: str, order: str, clock_s: float = 0.0) -> FringeModel | None:
        """Return the model of some assumptions; None where they name stations that do not exist."""
        rows = _rows(self.inputs, order, len(self.header.antenna_names))
        if rows is None:
            return None
        positions = table_positions(self.header, frame)[rows]
        if not np.isfinite(positions).all():
            return None
        header = self.header
        return FringeModel(positions, header.location, self.calibrator_rad, header.dec_app_rad, conjugated, clock_s)


def table_positions(header: Header, frame: str) -> NDArray[np.float64]:
    """Return the positions of the header's table (nstation, 3) in ITRF, taking them to be in a frame of `FRAMES`."""
    positions = header.antenna_positions_m
    if frame == "ITRF":
        return positions
    longitude, latitude = header.location.longitude_rad, header.location.latitude_rad
    if frame == "ENU":
        east, north, up = positions.T
        sine, cosine = np.sin(latitude), np.cos(latitude)
        positions = np.stack([cosine * up - sine * north, east, sine * up + cosine * north], axis=-1)
    return geometry.site_frame(positions, -longitude)


def _rows(inputs: Inputs, order: str, stations: int) -> NDArray[np.intp] | None:
    """Return the row of the antenna table at each input under an assumption about the order."""
    if order == "header":
        return inputs.rows
    if order == "sorted":
        rows = np.empty_like(inputs.rows)
        rows[inputs.order] = inputs.rows
        return rows
    rows = inputs.rows + (1 if order == "plus one" else -1)
    return rows if rows.min() >= 0 and rows.max() < stations else None


def find_convention(transit: Transit) -> tuple[Convention | None, list[Convention]]:
    """Return the assumptions that make the fringes coherent (None where none does), and all that were tried.

    Those of the header come first; if they fail, every frame and order with both signs; if these fail, clock errors up
    to a quarter of an hour.
    """
    tried: list[Convention] = []

    def attempt(conjugated: bool, frame: str, order: str, clock_s: float = 0.0) -> None:
        model = transit.model(conjugated, frame, order, clock_s)
        if model is not None:
            tried.append(Convention(conjugated, frame, order, clock_s, model, transit.coherence(model)))

    for conjugated in (False, True):
        for frame, order in (*((name, "header") for name in FRAMES), *(("ITRF", name) for name in list(ORDERS)[1:])):
            attempt(conjugated, frame, order)
    best = max(tried, key=lambda one: one.coherence)
    if not _holds(transit, best):
        for clock_s in CLOCK_SEARCH_S:
            for conjugated in (False, True):
                attempt(conjugated, "ITRF", "header", clock_s)
        best = max(tried, key=lambda one: one.coherence)
    if best.coherence < _DOUBTFUL:
        best = _with_integration_time(transit, best)
    return (best if _holds(transit, best) else None), tried


def _holds(transit: Transit, best: Convention) -> bool:
    """Return whether a convention makes the fringes coherent: of all baselines together, or of most of them.

    In a small array two swapped antennas spoil nearly half of the baselines.
    """
    if best.coherence >= GOOD:
        return True
    return best.coherence >= _PARTLY and transit.typical_coherence(best.model) >= _TYPICAL


def _with_integration_time(transit: Transit, best: Convention) -> Convention:
    """Return a convention with the integration time that makes it most coherent, if that is far better."""
    models = [replace(best.model, stretch=stretch) for stretch in STRETCH_SEARCH]
    ratios = [transit.coherence(model) for model in models]
    place = int(np.argmax(ratios))
    if ratios[place] < best.coherence + max(_BETTER, _RECOVERED * (1 - best.coherence)):
        return best
    return replace(best, model=models[place], coherence=ratios[place])


def convention_findings(transit: Transit) -> tuple[Convention | None, list[Finding], dict[str, float]]:
    """Return the convention that holds, findings on sign, frame and order, and the coherence of each assumption."""
    keys = ("sign", "frame", "station_order")
    header_model = transit.model(False, "ITRF", "header")
    if header_model is None:
        return None, [not_measurable(key, "positions of correlated antennas are missing") for key in keys], {}
    strength = signal_to_noise(transit.samples, header_model, transit.header.times_mjd, transit.inputs.baselines)
    if strength < DETECTED:
        why = f"no fringes: signal-to-noise {strength:.1f} a baseline, {DETECTED:g} are needed"
        return None, [not_measurable(key, why) for key in keys], {}
    found, tried = find_convention(transit)
    numbers = {_label(one): one.coherence for one in tried if one.clock_s == 0}
    if found is None:
        best = max(tried, key=lambda one: one.coherence)
        why = f"no assumption makes the fringes coherent: {_label(best)} reaches {best.coherence:.2f}"
        return None, [not_measurable(key, why) for key in keys], numbers
    return found, _findings(found, tried), numbers


def _findings(found: Convention, tried: Sequence[Convention]) -> list[Finding]:
    def rival(**change: object) -> float:
        """Return the coherence of the best assumption that differs from the one found in one respect."""
        others = [one.coherence for one in tried if _differs_only(one, found, change)]
        return max(others, default=0.0)

    def finding(key: str, right: bool, good: str, bad: str, other: float) -> Finding:
        contrast = f"coherence {found.coherence:.3f} against {other:.2f}"
        text = f"{good if right else bad}: {contrast}"
        return Finding(key, CONFIRMED if right else REFUTED, text, found.coherence, details={"otherwise": other})

    sign = finding("sign", not found.conjugated, "as documented", "the data are the complex conjugate",
                   rival(conjugated=not found.conjugated))  # fmt: skip
    frame = finding("frame", found.frame == "ITRF", "geocentric", f"positions are {FRAMES[found.frame]}",
                    rival(frame=None))  # fmt: skip
    order = finding("station_order", found.order == "header", "as in the header", f"inputs are {ORDERS[found.order]}",
                    rival(order=None))  # fmt: skip
    return [sign, frame, order]


def _differs_only(one: Convention, found: Convention, change: Mapping[str, object]) -> bool:
    keys = ("conjugated", "frame", "order")
    differing = {key for key in keys if getattr(one, key) != getattr(found, key)}
    return differing == set(change) and one.clock_s == found.clock_s


def _label(one: Convention) -> str:
    parts = ["conjugate" if one.conjugated else "as stored"]
    if one.frame != "ITRF":
        parts.append(f"positions {one.frame}")
    if one.order != "header":
        parts.append(f"stations {one.order}")
    if one.clock_s:
        parts.append(f"clock {one.clock_s:+.0f} s")
    return ", ".join(parts)


def at_positions(convention: Convention, positions_m: NDArray[np.float64]) -> FringeModel:
    """Return the model of a convention with other antenna positions."""
    return replace(convention.model, positions_m=positions_m)
