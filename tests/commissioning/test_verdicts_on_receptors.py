"""Findings on receptors, files, headers and the Sun, from numbers that are known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from contimg.commissioning.headers import declination_finding, file_finding, header_finding
from contimg.commissioning.receptors import (
    board_finding,
    fringe_power,
    packet_finding,
    polarisation_findings,
    receptor_finding,
)
from contimg.commissioning.sun import sun_finding
from contimg.correlator.setup import table_of
from contimg.sky.sun import SunPlace
from tests.support.findings import NAMES, pairs, residual, said

# --- receptors --------------------------------------------------------------------------------------------------


def test_a_dead_receptor_is_named_and_a_board_that_fails_in_some_subbands():
    autos = np.ones((2, 5, 6))
    good = residual(autos=autos)
    assert said(board_finding([good, good], NAMES)) == (
        "confirmed", "10 receptors have 1.00 to 1.00 of the median power", (),
    )  # fmt: skip
    dead = autos.copy()
    dead[1, 2] = 0.02
    verdict, text, named = said(board_finding([residual(autos=dead), residual(1, autos=dead)], NAMES))
    assert (verdict, text, named) == ("refuted", "50 Y has 0.020 of the median power", ("50",))
    part = autos.copy()
    part[:, 4] = 0.0
    verdict, text, named = said(board_finding([good, good, residual(7, autos=part)], NAMES))
    assert (verdict, text, named) == ("refuted", "104 has no power in sb07", ("104",))


def test_fringe_power_of_an_antenna_is_the_median_over_its_baselines():
    baselines, fraction = pairs(5), np.full((2, 10), 0.4)
    silent = (baselines.one == 3) | (baselines.two == 3)
    fraction[1, silent] = 0.01
    power = fringe_power([residual(fraction=fraction)], baselines, 5)
    assert power[0].tolist() == [0.4] * 5 and power[1, 3] == 0.01 and power[1, 0] == 0.4


def test_a_live_receptor_without_fringes_is_named_unless_its_antenna_is_elsewhere():
    power, dead = np.full((2, 5), 0.4), np.zeros((2, 5), bool)
    assert said(receptor_finding(power, dead, NAMES, set()))[:2] == ("confirmed", "10 live receptors have fringes")
    power[0, 1], power[:, 3] = 0.01, 0.02
    verdict, text, named = said(receptor_finding(power, dead, NAMES, set()))
    assert (verdict, named) == ("refuted", ("31", "103"))
    assert text == "no fringes on 31 X, 103 in both products: X and Y exchanged, or not coherent"
    assert said(receptor_finding(power, dead, NAMES, {"31", "103"}))[0] == "confirmed"
    dead[0, 1] = dead[:, 3] = True
    assert said(receptor_finding(power, dead, NAMES, set()))[:2] == ("confirmed", "7 live receptors have fringes")
    assert receptor_finding(power * 0.01, dead, NAMES, set()).verdict == "not measurable"


def test_samples_that_are_lost_lower_single_autocorrelations():
    autos = np.ones((2, 5, 6))
    assert packet_finding([residual(autos=autos)], NAMES, np.zeros((2, 5), bool)).verdict == "confirmed"
    lossy = autos.copy()
    lossy[:, 2, 4] = 0.7
    finding = packet_finding([residual(autos=lossy)], NAMES, np.zeros((2, 5), bool))
    assert said(finding) == ("refuted", "autocorrelations drop: 50 5 % on average, 30 % at most", ("50",))
    assert finding.value == pytest.approx(0.3) and finding.details["mean_loss"]["50"] == pytest.approx(0.05)
    struck = packet_finding([residual(autos=lossy, struck=0.9)], NAMES, np.zeros((2, 5), bool))
    assert said(struck) == ("not measurable", "interference in all subbands", ())


@pytest.mark.parametrize(
    ("first", "second", "verdict", "named"),
    [(0.4, 0.38, "confirmed", ()), (0.4, 0.02, "refuted", ("YY",)), (0.02, 0.4, "refuted", ("XX",)),
     (0.01, 0.01, "not measurable", ())],
)  # fmt: skip
def test_a_product_without_fringes_is_a_cross_hand(first, second, verdict, named):
    power = np.array([[first] * 5, [second] * 5])
    finding, receptors = polarisation_findings(power, ("XX", "YY"))
    assert (finding.verdict, finding.named) == (verdict, named) and finding.text.startswith("the file holds XX YY; ")
    assert receptors.verdict == "not measurable"


# --- headers and the Sun ----------------------------------------------------------------------------------------


def header(subband, dec_deg=54.6, delays_sha="a", order_sha="b", table="fs_table_dec54.6deg_96ant.npz", name=None):
    return SimpleNamespace(
        subband=subband, dec_app_rad=np.radians(dec_deg), applied_delays_sha256=delays_sha,
        antenna_order_sha256=order_sha, fs_table=table,
        path=Path(name or f"2026-02-11T00:26:49_sb{subband:02d}.hdf5"),
    )  # fmt: skip


def test_headers_that_agree_are_counted():
    finding = header_finding([header(n) for n in range(16)])
    assert said(finding) == ("confirmed", "16 headers agree; declinations to 0 arcsec", ())


def test_headers_that_differ_are_named_with_what_differs():
    odd = [header(0), header(1, delays_sha="x"), header(2), header(3, order_sha="y"), header(4)]
    verdict, text, named = said(header_finding(odd))
    assert (verdict, named) == ("refuted", ("sb01", "sb03"))
    assert text == (
        "applied delays of sb01 differ from those of the others; antenna order of sb03 differ from those of the others"
    )
    apart = header_finding([header(0), header(1, dec_deg=54.601)])
    assert apart.verdict == "refuted" and apart.text == "declinations differ by 3.6 arcsec"


def test_a_fringe_stopping_table_of_another_declination_is_told():
    finding = header_finding([header(n, table="dec37.1deg_96ant") for n in range(2)])
    assert finding.text == "the fringe-stopping table is for 37.1 deg, the header for 54.600 deg"
    two = header_finding([header(0), header(1, table="dec54.6deg_63ant")])
    assert "fringe-stopping tables are for 54.6 deg, 63 antennas, 54.6 deg, 96 antennas" in two.text


@pytest.mark.parametrize(
    ("name", "expected"), [("dec-12.5deg_63ant", (-12.5, 63)), ("/x/fs_dec54deg_96ant.npz", (54.0, 96)), ("none", None)]
)
def test_the_name_of_a_table_is_read(name, expected):
    assert table_of(name) == expected


@pytest.mark.parametrize(("declination", "verdict"), [(54.5, "not measurable"), (54.57, "confirmed")])
def test_a_declination_on_the_grid_of_the_tables_need_not_be_that_of_the_dishes(declination, verdict):
    finding = declination_finding(header(0, dec_deg=declination))
    assert finding.verdict == verdict
    assert finding.value == pytest.approx(declination - round(declination * 4) / 4, abs=1e-9)


def test_files_are_named_with_their_faults_and_counted_without():
    assert said(file_finding([header(0), header(1)], [], [2, 3])) == (
        "confirmed", "2 subband files; missing: sb02, sb03", (),
    )  # fmt: skip
    mislabelled = header(5, name="2026-02-11T00:26:49_sb04.hdf5")
    verdict, text, named = said(file_finding([header(0), mislabelled], ["x.hdf5 is no HDF5"], []))
    assert (verdict, named) == ("refuted", (mislabelled.path.name,))
    assert text == f"x.hdf5 is no HDF5, {mislabelled.path.name} has the frequencies of sb05"


@pytest.mark.parametrize(
    ("place", "measured", "verdict", "words"),
    [
        (SunPlace(-20.0, 90.0), None, "confirmed", "below the horizon: altitude -20°, 90° from the phase centre"),
        (SunPlace(40.0, 60.0), None, "not measurable", "altitude +40°, 60° from the phase centre; no baselines within"),
        (
            SunPlace(40.0, 60.0),
            (np.array([300.0, 250.0]), 5.0),
            "refuted",
            "apparent 300.0 / 250.0 ± 5.0 Jy in XX / YY",
        ),
        (SunPlace(40.0, 60.0), (np.array([0.1, 0.0]), 5.0), "confirmed", "apparent 0.1 / 0.0 ± 5.0 Jy in XX / YY"),
    ],
)
def test_the_sun_is_in_the_data_where_short_baselines_show_it(place, measured, verdict, words):
    finding = sun_finding(place, measured)
    assert finding.verdict == verdict and words in finding.text
    assert finding.named == (("Sun",) if verdict == "refuted" else ())
