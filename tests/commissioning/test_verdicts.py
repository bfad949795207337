"""Findings from numbers that are known: the verdict, the sentence, and who is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contimg.commissioning.delays import delay_finding, measure_delays
from contimg.commissioning.findings import Finding, listed, not_measurable
from contimg.commissioning.frequencies import Frequency, frequency_findings, subband_at
from contimg.commissioning.identities import Identity, identity_finding
from contimg.commissioning.positions import Offsets, clock_finding, integration_finding, position_finding
from contimg.correlator.band import subband_frequencies
from tests.support.findings import NAMES, pairs, residual, said

INF, NAN = float("inf"), float("nan")


# --- findings themselves ----------------------------------------------------------------------------------------


def test_names_beyond_six_are_counted():
    names = [f"sb{n:02d}" for n in range(8)]
    assert listed(names[:6]) == "sb00, sb01, sb02, sb03, sb04, sb05"
    assert listed(names) == "sb00, sb01, sb02, sb03, sb04, sb05 and 2 more"
    assert listed(("a", "b", "c"), 1) == "a and 2 more" and listed([]) == ""


def test_a_finding_for_programs_has_its_statement():
    finding = Finding("sun", "refuted", "there", 3.0, 0.5, "Jy", ("Sun",), {"a": 1})
    assert finding.as_json() == {
        "key": "sun", "verdict": "refuted", "text": "there", "value": 3.0, "error": 0.5, "unit": "Jy",
        "named": ["Sun"], "details": {"a": 1}, "statement": "the Sun is not in the data",
    }  # fmt: skip
    assert said(not_measurable("clock", "too short")) == ("not measurable", "too short", ())


# --- delays -----------------------------------------------------------------------------------------------------


def delays(**changes: float) -> np.ndarray:
    """Return delays (4 subbands, 2 products, 5 antennas) of a few nanoseconds that agree to 0.1 ns."""
    base = np.array([1.0, -2.0, 3.0, 0.0, 4.0])
    scatter = 0.1 * np.random.default_rng(5).standard_normal((4, 2, 5))
    return np.broadcast_to(base, (4, 2, 5)) + scatter


def test_short_and_equal_delays_are_confirmed_with_the_largest():
    verdict, text, named = said(delay_finding(delays(), (0, 5, 9, 15), NAMES, set()))
    assert (verdict, named) == ("confirmed", ()) and text.startswith("largest 4.")
    assert 0.05 < float(text.split()[-2]) < 0.15  # the scatter that was put in is 0.1 ns


def test_a_long_delay_is_refuted_with_antenna_and_receptor():
    found = delays()
    found[:, 1, 3] += 250
    verdict, text, named = said(delay_finding(found, (0, 5, 9, 15), NAMES, set()))
    assert (verdict, text, named) == ("refuted", "off: 103 Y +250 ns", ("103",))
    assert said(delay_finding(found, (0, 5, 9, 15), NAMES, {"103"}))[0] == "confirmed"  # its position is at fault


def test_a_delay_of_one_subband_alone_is_refuted_with_the_subband():
    found = delays()
    found[2, 0, 1] -= 60
    assert said(delay_finding(found, (0, 5, 9, 15), NAMES, set())) == ("refuted", "off: 31 X in sb09 -60 ns", ("31",))


def test_without_any_delay_nothing_is_said_about_them():
    finding = delay_finding(np.full((4, 2, 5), NAN), (0, 5, 9, 15), NAMES, set())
    assert said(finding) == ("not measurable", "too few channels or fringes", ())


def test_delays_come_back_from_the_phases_of_neighbouring_channels():
    """A delay of the second antenna turns neighbours by 2 pi times the (negative) channel step times the delay."""
    truth, baselines = np.array([0.0, 12.0, -30.0, 5.0, 80.0]), pairs(5)
    step = np.diff(subband_frequencies(0, 48))[0]
    turn = np.exp(2j * np.pi * step * 1e-9 * (truth[baselines.two] - truth[baselines.one]))
    slopes = np.stack([turn, np.conj(turn)]) * np.linspace(1, 2, 10)
    found = measure_delays([residual(slopes=slopes)], baselines, np.ones(10, bool), 5)
    assert found[0, 0] == pytest.approx(truth - np.median(truth), abs=1e-6)
    assert found[0, 1] == pytest.approx(np.median(truth) - truth, abs=1e-6)


def test_a_subband_with_interference_or_a_single_channel_has_no_delays():
    slopes = np.ones((2, 10), complex)
    quiet = residual(slopes=slopes)
    struck, thin = residual(slopes=slopes, struck=0.9), residual(slopes=slopes, channels=1)
    found = measure_delays([quiet, struck, thin], pairs(5), np.ones(10, bool), 5)
    assert np.isfinite(found[0]).all() and np.isnan(found[1:]).all()


# --- frequencies ------------------------------------------------------------------------------------------------


def frequency(subband: int, off_mhz=0.1, error_mhz=0.2, order=1.0, order_error=0.1, fits=None) -> Frequency:
    label = float(subband_frequencies(subband, 48).mean() / 1e6)
    return Frequency(subband, label, label + off_mhz, error_mhz, order, order_error, subband if fits is None else fits)


def test_the_subband_of_a_frequency_is_the_nearest():
    for subband in range(16):
        assert subband_at(float(subband_frequencies(subband, 48).mean() / 1e6)) == subband
    assert (subband_at(3000.0), subband_at(100.0)) == (0, 15)


def test_right_labels_are_confirmed_with_the_largest_difference():
    labels, order = frequency_findings([frequency(0), frequency(1, -0.25), frequency(2)], {})
    text = "3 subbands are within 0.25 MHz of their labels (± 0.20 MHz each)"
    assert said(labels) == ("confirmed", text, ())
    assert said(order) == ("confirmed", "slope +1.00 ± 0.06, 1 if right, -1 if reversed", ())


def test_subbands_with_each_others_labels_are_named():
    found = [frequency(0), frequency(4, -11.7, fits=5), frequency(5, 11.7, fits=4)]
    verdict, text, named = said(frequency_findings(found, {})[0])
    assert (verdict, text, named) == ("refuted", "sb04 holds sb05, sb05 holds sb04", ("sb04", "sb05"))


def test_a_label_that_makes_no_fringes_is_told_by_the_one_that_does():
    found = [frequency(0), frequency(3, NAN, INF), frequency(7, NAN, INF)]
    labels = {3: (9, 0.98, 0.1), 7: (7, 0.2, 0.2)}
    verdict, text, named = said(frequency_findings(found, labels)[0])
    assert (verdict, named) == ("refuted", ("sb03",))
    assert text == "sb03 holds sb09; no steady fringes in sb07"


def test_frequencies_that_are_not_known_well_enough_are_not_judged():
    labels, order = frequency_findings([frequency(0, 0.5, 4.0, NAN, INF)], {})
    assert labels.verdict == "not measurable" and order.verdict == "not measurable"
    assert labels.text == "fringe rates do not tell the frequency of any subband; no steady fringes in sb00"


@pytest.mark.parametrize(
    ("order", "error", "verdict"),
    [(-1.0, 0.1, "refuted"), (1.0, 0.1, "confirmed"), (0.2, 2.0, "not measurable"), (-1.0, 2.0, "not measurable")],
)
def test_the_order_of_channels_is_the_sign_of_the_slope(order, error, verdict):
    found = [frequency(n, order=order, order_error=error) for n in range(4)]
    assert frequency_findings(found, {})[1].verdict == verdict


def test_one_subband_with_reversed_channels_is_named():
    found = [frequency(0), frequency(1), frequency(2, order=-0.95, order_error=0.12)]
    verdict, text, named = said(frequency_findings(found, {})[1])
    assert (verdict, named) == ("refuted", ("sb02",))
    assert text == "channels of sb02 are reversed: slope -0.95 ± 0.12, 1 if right"


# --- antennas ---------------------------------------------------------------------------------------------------


def test_inputs_with_their_own_antennas_are_confirmed():
    assert said(identity_finding([], NAMES, 5)) == (
        "confirmed", "the fringes of 5 inputs fit their own stations", (),
    )  # fmt: skip


def test_an_exchange_is_told_once_and_a_stray_antenna_with_its_station():
    found = [Identity(1, "24", None, 0.97, 0.1), Identity(0, "31", None, 0.99, 0.2), Identity(3, "60", None, 0.95, 0.1)]
    verdict, text, named = said(identity_finding(found, NAMES, 5))
    assert (verdict, named) == ("refuted", ("24", "31", "103"))
    assert text == "24 and 31 are exchanged, input 103 has the antenna of station 60: coherence there 0.95 or more"


OFFSETS = Offsets(
    east_m=np.zeros(5), north_m=np.array([1.0, -2.0, 0.5, 0.0, 1.0]),
    own_east_m=np.array([0.01, -0.02, 0.0, 0.01, 0.02]), scatter_m=0.015, north_scatter_m=3.0, clock_s=0.1,
    clock_error_s=0.2, stretch=1e-5, stretch_error=2e-5, phases=np.zeros((2, 10)), slopes_m=np.zeros(10),
    curvatures_m=np.zeros(10), used=np.ones(10, bool),
)  # fmt: skip


def test_positions_are_right_within_the_scatter():
    text = "east offsets scatter by 0.015 m, the largest is 0.02 m; north is known to 3 m only"
    assert said(position_finding(OFFSETS, NAMES, {})) == ("confirmed", text, ())


def test_an_antenna_off_to_the_east_is_named_with_its_offset():
    off = replace(OFFSETS, own_east_m=np.array([0.01, -5.5, 0.0, 0.01, 0.02]))
    verdict, text, named = said(position_finding(off, NAMES, {}))
    assert (verdict, named) == ("refuted", ("31",))
    said_of = "31 -5.50 m to the east (± 0.01 m to the east)"
    assert said_of in text or "31 -5.50 m to the east (± 0.02 m to the east)" in text
    moved = position_finding(off, NAMES, {"31": 12.0, "104": 8.0})
    assert set(moved.named) == {"31", "104"} and "31 +6.50 m" in moved.text


@pytest.mark.parametrize("change", [{"scatter_m": 50.0}, {"own_east_m": np.array([0.0, 0.1, NAN, NAN, NAN])}])
def test_positions_that_scatter_or_are_few_are_not_judged(change):
    assert position_finding(replace(OFFSETS, **change), NAMES, {}).verdict == "not measurable"


@pytest.mark.parametrize(
    ("clock_s", "already_s", "verdict", "words"),
    [
        (0.1, 0.0, "confirmed", "header minus true time is +0.10 ± 0.20 ± 0.5 (ionosphere) s; an error beyond"),
        (30.0, 0.0, "refuted", "the header is 30.00 ± 0.20 ± 0.5 (ionosphere) s late"),
        (0.1, -60.0, "refuted", "the header is 59.90 ± 0.20 ± 0.5 (ionosphere) s early"),
        (NAN, 0.0, "not measurable", "too few antennas with fringes"),
    ],
)
def test_the_clock_is_late_or_early_by_what_is_beyond_the_ionosphere(clock_s, already_s, verdict, words):
    finding = clock_finding(replace(OFFSETS, clock_s=clock_s), 0.5, already_s)
    assert finding.verdict == verdict and finding.text.startswith(words)


def test_a_clock_that_the_ionosphere_could_explain_is_not_judged():
    finding = clock_finding(replace(OFFSETS, clock_s=3.0), 1000.0)
    assert finding.verdict == "not measurable" and "only errors beyond" in finding.text


@pytest.mark.parametrize(
    ("stretch", "error", "verdict"),
    [(0.0, 1e-5, "confirmed"), (0.1, 1e-4, "refuted"), (0.0, 1e3, "not measurable"), (NAN, 1e-5, "not measurable")],
)
def test_the_integration_time_is_the_stated_one_within_its_error(stretch, error, verdict):
    finding = integration_finding(replace(OFFSETS, stretch=stretch, stretch_error=error), 12.884902)
    assert finding.verdict == verdict
    if verdict == "refuted":
        assert finding.text == "measured 14.1734 ± 0.0013 s, stated 12.8849 s"
