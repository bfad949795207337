"""First light: tests of the telescope's conventions on raw files of one calibrator transit, without calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contimg.commissioning import delays as delay_checks
from contimg.commissioning import frequencies as frequency_checks
from contimg.commissioning import receptors as receptor_checks
from contimg.commissioning import sun as sun_checks
from contimg.commissioning.conventions import GOOD, Convention, Transit, convention_findings
from contimg.commissioning.findings import STATEMENTS, Finding, not_measurable, of_some_antennas
from contimg.commissioning.fingerprint import unpacked
from contimg.commissioning.fringes import FringeModel, Sample, model_coherence
from contimg.commissioning.headers import declination_finding, file_finding, header_finding
from contimg.commissioning.identities import Identity, find_identities, identity_finding
from contimg.commissioning.positions import (
    Offsets,
    clock_finding,
    integration_finding,
    ionosphere_s,
    measure_offsets,
    position_finding,
)
from contimg.commissioning.progress import Progress, ProgressCounter
from contimg.commissioning.tile import TransitFiles, find_transit, missing_subbands
from contimg.commissioning.transit import Inputs, Residuals, read_subband, residuals
from contimg.config import Config
from contimg.correlator.band import subband_frequencies
from contimg.correlator.clock_epochs import clock_epoch
from contimg.correlator.hdf5 import Header
from contimg.sky.sun import SunPlace, sun_place

_PILOTS = 3
_PILOT_CHANNELS, _LABEL_CHANNELS = 6, 3
_MOST_BASELINES = 1200
_FRINGE_KEYS = (
    "swapped_antennas", "positions", "clock", "integration_time", "frequencies", "channel_order", "delays", "receptors",
)  # fmt: skip
_OF_LABELS = ("frequencies", "channel_order")


@dataclass(frozen=True)
class FirstLight:
    """The outcome of a check.

    Attributes
    ----------
    files : TransitFiles
    findings : tuple of Finding
        In the order of `STATEMENTS`.
    coherences : dict
        Coherence under each assumption about the whole array.
    synthetic : bool
    pictures : dict
        Arrays for the page, by name; empty where there are no fringes.
    """

    files: TransitFiles
    findings: tuple[Finding, ...]
    coherences: dict[str, float]
    synthetic: bool
    pictures: dict[str, Any] = field(default_factory=dict)

    @property
    def refuted(self) -> tuple[Finding, ...]:
        """Findings that say no."""
        return tuple(one for one in self.findings if one.verdict == "refuted")

    def as_json(self) -> dict[str, Any]:
        """Return the outcome for a program."""
        header, calibrator = self.files.headers[0], self.files.calibrator
        return {
            "tile": self.files.tile_id,
            "declination_deg": float(np.degrees(header.dec_app_rad)),
            "antennas": len(np.unique(header.antenna1)),
            "subbands": [one.subband for one in self.files.headers],
            "channels": len(header.freq_hz),
            "integrations": header.n_times,
            "synthetic": self.synthetic,
            "calibrator": None if calibrator is None else calibrator.name,
            "apparent_flux_jy": self.files.apparent_jy,
            "coherence": self.coherences,
            "findings": [one.as_json() for one in self.findings],
            "refuted": [one.key for one in self.refuted],
        }


@dataclass(frozen=True)
class _Fringes:
    """The convention that holds, and the positions of single antennas that differ from the header."""

    convention: Convention
    model: FringeModel
    identities: list[Identity]
    silent: NDArray[np.bool_]

    def moved(self, names: Sequence[str]) -> dict[str, float]:
        """Return the east offsets (m) of antennas that stand at no known station."""
        return {names[one.antenna]: one.east_m for one in self.identities if one.east_m is not None}

    def misplaced(self, names: Sequence[str]) -> set[str]:
        """Return the antennas that are not where the header says."""
        return {names[one.antenna] for one in self.identities}


def first_light(places: Sequence[str], config: Config, progress: Progress | None = None) -> FirstLight:
    """Check the raw files of a night's brightest calibrator transit.

    Parameters
    ----------
    places : sequence of str
        Dates, folders or files, see `find_transit`; or a fingerprint.
    config : Config
    progress : callable, optional
        Called with (files done, files in all, what is done).

    Raises
    ------
    InputError
        If there are no files that can be read.
    """
    with unpacked(places) as found:
        return check_files(find_transit(found, config), progress)


def check_files(files: TransitFiles, progress: Progress | None = None) -> FirstLight:
    """Check the files of one tile; see `first_light`.

    Where frequencies are not those of their labels, all else is measured again with those that were found.
    """
    headers = files.headers
    found = [
        file_finding(headers, files.faults, missing_subbands(headers)),
        header_finding(headers),
        declination_finding(headers[0]),
    ]
    measured = _measure(files, progress)
    if measured.corrected is not None:
        again = _measure(replace(files, headers=tuple(measured.corrected)), progress)
        kept = [one for one in measured.findings if one.key in _OF_LABELS]
        kept += [one for one in again.findings if one.key not in _OF_LABELS]
        pictures = again.pictures | {"frequencies": measured.pictures["frequencies"]}
        measured = replace(again, findings=kept, pictures=pictures)
    order = list(STATEMENTS)
    found = sorted([*found, *measured.findings], key=lambda one: order.index(one.key))
    synthetic = any(header.synthetic for header in headers)
    return FirstLight(files, tuple(found), measured.coherences, synthetic, measured.pictures)


@dataclass(frozen=True)
class _Measured:
    """Findings from the visibilities and the quantities behind them; headers with the measured frequencies where
    labels are wrong.
    """

    findings: list[Finding]
    coherences: dict[str, float]
    pictures: dict[str, Any]
    corrected: list[Header] | None = None


def _measure(files: TransitFiles, progress: Progress | None) -> _Measured:
    """Return the findings from the visibilities, with the frequencies of the headers."""
    inputs = Inputs.of(files.headers[0])
    counter = ProgressCounter(progress, len(files.headers) + min(_PILOTS, len(files.headers)))
    fringes, found, coherences = _assumptions(files, inputs, counter)
    reduced, samples = _reduce(files.headers, inputs, fringes, counter)
    dead = receptor_checks.dead_receptors(reduced)
    pictures: dict[str, Any] = {"levels": receptor_checks.levels(reduced), "names": inputs.names}
    parts = [
        *found,
        receptor_checks.board_finding(reduced, inputs.names),
        receptor_checks.packet_finding(reduced, inputs.names, dead),
    ]
    if fringes is None:
        parts += [not_measurable(key, found[0].text) for key in (*_FRINGE_KEYS, "polarisations", "receptor_names")]
        parts.append(sun_checks.sun_finding(_sun_place(files.headers[0]), None))
        return _Measured(parts, coherences, pictures)
    more = _frequency_findings(files, inputs, fringes, reduced, samples)
    rest, extra = _fringe_findings(files, inputs, fringes, reduced, dead)
    pictures |= extra | {"frequencies": more.measured}
    rest = of_some_antennas(rest, inputs.baselines.reached(len(inputs.names)))
    return _Measured([*parts, *more.findings, *rest], coherences, pictures, more.corrected)


def _assumptions(
    files: TransitFiles, inputs: Inputs, counter: ProgressCounter
) -> tuple[_Fringes | None, list[Finding], dict[str, float]]:
    """Return the convention of the array that holds, the findings on it, and the coherence of each assumption."""
    if files.calibrator is None:
        why = "no calibrator of the list transits in these files: see contimg calibrators"
        return None, [not_measurable(key, why) for key in ("sign", "frame", "station_order")], {}
    transit = _pilot(files, inputs, counter)
    convention, found, coherences = convention_findings(transit)
    for sample in transit.samples if convention is None else ():  # the others may have wrong labels or interference
        alone = replace(transit, samples=[sample])
        convention, by_one, numbers = convention_findings(alone)
        if convention is not None:
            transit, found, coherences = alone, by_one, numbers
            break
    if convention is None:
        return None, found, coherences
    model, identities, silent = find_identities(transit, convention)
    return _Fringes(convention, model, identities, silent), found, coherences


def _few_baselines(inputs: Inputs) -> Inputs:
    """Return inputs with evenly drawn baselines where there are more than the tests of conventions need."""
    count = len(inputs.baselines.one)
    if count <= _MOST_BASELINES:
        return inputs
    return replace(inputs, baselines=inputs.baselines.select(_drawn(count)))


def _drawn(count: int) -> NDArray[np.bool_]:
    chosen = np.zeros(count, bool)
    chosen[np.random.default_rng(0).permutation(count)[: min(count, _MOST_BASELINES)]] = True
    return chosen


def _pilot(files: TransitFiles, inputs: Inputs, counter: ProgressCounter) -> Transit:
    """Read three subbands for the tests of conventions."""
    headers = files.headers
    places = np.unique(np.linspace(0, len(headers) - 1, min(_PILOTS, len(headers))).round().astype(int))
    drawn = _drawn(len(inputs.baselines.one))
    samples = []
    for place in places:
        counter.advance("conventions")
        sample = read_subband(headers[place], inputs).sample(_PILOT_CHANNELS)
        samples.append(replace(sample, vis=sample.vis[:, :, drawn]))
    calibrator = files.calibrator
    assert calibrator is not None
    return Transit(headers[0], _few_baselines(inputs), samples, np.radians([calibrator.ra_deg, calibrator.dec_deg]))


def _reduce(
    headers: Sequence[Header], inputs: Inputs, fringes: _Fringes | None, counter: ProgressCounter
) -> tuple[list[Residuals], list[Sample]]:
    """Read every subband once: residuals under the model, and samples of all baselines."""
    model = fringes.model if fringes is not None else _still(headers[0], inputs)
    reduced, samples = [], []
    for header in headers:
        counter.advance(f"sb{header.subband:02d}")
        subband = read_subband(header, inputs)
        reduced.append(residuals(subband, inputs, model))
        samples.append(subband.sample(_LABEL_CHANNELS))
    return reduced, samples


def _still(header: Header, inputs: Inputs) -> FringeModel:
    """Return a fringe model with all antennas at one position: no fringes are taken off."""
    return FringeModel(np.zeros((len(inputs.rows), 3)), header.location, np.zeros(2), header.dec_app_rad)


def _sun_place(header: Header) -> SunPlace:
    return sun_place(float(header.times_mjd.mean()), header.location, header.dec_app_rad)


@dataclass(frozen=True)
class _Frequencies:
    """Findings on frequencies, the measurements, and headers with the measured frequencies; None where they agree."""

    findings: list[Finding]
    measured: list[frequency_checks.Frequency]
    corrected: list[Header] | None


def _frequency_findings(
    files: TransitFiles, inputs: Inputs, fringes: _Fringes, reduced: list[Residuals], samples: list[Sample]
) -> _Frequencies:
    """Return the findings on subband labels and channel order, and the headers with the measured frequencies."""
    model, baselines, headers = fringes.model, inputs.baselines, files.headers
    offsets = measure_offsets(reduced, model, baselines, fringes.silent)
    labels = _labels(samples, model, headers[0].times_mjd, inputs)
    measured = frequency_checks.measure_frequencies(reduced, offsets, model, baselines)
    findings = frequency_checks.frequency_findings(measured, labels)
    label, order = findings
    if "refuted" not in (label.verdict, order.verdict):
        return _Frequencies(findings, measured, None)
    true = {int(row["subband"]): int(row["fits"]) for row in label.details.get("subbands", ())}
    corrected = []
    for header in headers:
        frequencies = subband_frequencies(true.get(header.subband, header.subband), len(header.freq_hz))
        mirrored = order.verdict == "refuted" and (not order.named or f"sb{header.subband:02d}" in order.named)
        corrected.append(replace(header, freq_hz=frequencies[::-1].copy() if mirrored else frequencies))
    return _Frequencies(findings, measured, corrected)


def _fringe_findings(
    files: TransitFiles,
    inputs: Inputs,
    fringes: _Fringes,
    reduced: list[Residuals],
    dead: NDArray[np.bool_],
) -> tuple[list[Finding], dict[str, Any]]:
    """Return the findings from the fringes (antennas, clock, delays, the Sun), and arrays for the page."""
    names, baselines, model = inputs.names, inputs.baselines, fringes.model
    header, count = files.headers[0], len(inputs.names)
    power = receptor_checks.fringe_power(reduced, baselines, count)
    offsets = measure_offsets(reduced, model, baselines, fringes.silent)
    found = [
        identity_finding(fringes.identities, names, int((~fringes.silent).sum())),
        position_finding(offsets, names, fringes.moved(names)),
        _clock(offsets, model, fringes.convention.clock_s, header),
        integration_finding(offsets, header.integration_s, model.stretch),
        receptor_checks.receptor_finding(power, dead, names, fringes.misplaced(names)),
        *receptor_checks.polarisation_findings(power, header.products),
    ]
    delays = delay_checks.measure_delays(reduced, baselines, offsets.used, count)
    wrong = fringes.misplaced(names) | {names[a] for a in np.flatnonzero(offsets.outliers)}
    found.append(delay_checks.delay_finding(delays, [one.subband for one in files.headers], names, wrong))
    place, flux = _sun_place(header), None
    if place.daytime:
        flux = sun_checks.sun_flux_jy(reduced, model, baselines, offsets.used, files.apparent_jy)
    found.append(sun_checks.sun_finding(place, flux))
    return found, {"offsets": offsets, "delays": delays, "power": power, "model": model,
                   "baselines": baselines}  # fmt: skip


def _clock(offsets: Offsets, model: FringeModel, already_s: float, header: Header) -> Finding:
    sky_s = ionosphere_s(model.dec_app_rad, model.location.latitude_rad)
    return clock_finding(offsets, sky_s, already_s, clock_epoch(header.start_mjd))


def _labels(
    samples: list[Sample], model: FringeModel, times_mjd: NDArray[np.float64], inputs: Inputs
) -> dict[int, tuple[int, float, float]]:
    """Return, for subbands whose fringes are not coherent at their own label, the label that fits."""
    drawn, found = _drawn(len(inputs.baselines.one)), {}
    few = inputs.baselines.select(drawn)
    for sample in samples:
        part = replace(sample, vis=sample.vis[:, :, drawn])
        if model_coherence([part], model, times_mjd, few) < GOOD:
            found[sample.subband] = frequency_checks.label_that_fits(part, model, times_mjd, few)
    return found
