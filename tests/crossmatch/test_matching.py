"""Matching and its numbers on lists of sources: every separation, ratio and fraction is known beforehand."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from astropy.wcs import WCS

from contimg.crossmatch.comparison_numbers import measure
from contimg.crossmatch.match_table import MATCH_COLUMNS, write_matches
from contimg.crossmatch.matching import MatchLimits, match
from contimg.crossmatch.sources import Source
from contimg.sky.catalogue import read_catalogue

CELL_ARCSEC, SIZE, RMS = 10.0, 401, 1e-3
FREQ = 1.4e9
ARCSEC = 1 / 3600


def wcs(ra: float = 130.0, dec: float = 0.0) -> WCS:
    grid = WCS(naxis=2)
    grid.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    grid.wcs.crval = [ra, dec]
    grid.wcs.cdelt = [-CELL_ARCSEC * ARCSEC, CELL_ARCSEC * ARCSEC]
    grid.wcs.crpix = [SIZE // 2 + 1, SIZE // 2 + 1]
    return grid


def found(ra: float, dec: float, flux: float, peak: float | None = None, snr: float = 100.0) -> Source:
    return Source(
        source=1, ra_deg=ra, dec_deg=dec, e_ra_arcsec=0.1, e_dec_arcsec=0.1, total_flux_jy=flux,
        e_total_flux_jy=0.01 * flux, peak_flux_jy_beam=flux if peak is None else peak, e_peak_flux_jy_beam=RMS,
        bmaj_arcsec=40.0, bmin_arcsec=40.0, bpa_deg=0.0, local_rms_jy_beam=RMS, snr=snr, code="S", gaussians=1,
    )  # fmt: skip


def catalogue(path, rows):
    lines = ["name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index"]
    lines += [f"{name},{ra},{dec},{flux},{FREQ},-0.7" for name, ra, dec, flux in rows]
    (path / "c.csv").write_text("\n".join(lines) + "\n")
    return read_catalogue(path / "c.csv")


def matched(path, sources, rows, *, rms=None, radius_arcsec=30.0, min_snr=8.0, ra=130.0):
    noise = np.full((SIZE, SIZE), RMS, np.float32) if rms is None else rms
    return match(
        sources, catalogue(path, rows), noise, wcs(ra), freq_hz=FREQ, beam_deg=40 * ARCSEC,
        limits=MatchLimits(radius_arcsec, min_snr),
    )  # fmt: skip


FIVE = [(f"s{i}", 129.8 + 0.1 * i, 0.05 * i - 0.1, 0.1 * (i + 1)) for i in range(5)]


def test_offsets_and_ratios_are_found_minus_and_over_catalogue(tmp_path):
    sources = [found(ra + 3 * ARCSEC, dec - 2 * ARCSEC, 1.1 * flux, 0.9 * flux) for _, ra, dec, flux in FIVE]
    got = matched(tmp_path, sources, FIVE)
    assert list(got.source) == [0, 1, 2, 3, 4]
    assert got.dra_arcsec == pytest.approx(3.0, abs=1e-5)
    assert got.ddec_arcsec == pytest.approx(-2.0, abs=1e-5)
    assert got.separation_arcsec == pytest.approx(np.hypot(3, 2), abs=1e-4)
    assert got.flux_ratio == pytest.approx(1.1)
    assert got.peak_ratio == pytest.approx(0.9)
    assert got.expected_snr == pytest.approx([100, 200, 300, 400, 500], rel=1e-5)
    assert got.compared.all()
    assert len(got.unmatched) == 0


def test_right_ascension_is_measured_on_the_sky(tmp_path):
    # 60 deg north an arcsec of RA is half an arcsec of sky.
    rows = [("a", 130.0, 0.1, 1.0)]
    got = matched(tmp_path, [found(130.0 + 4 * ARCSEC, 0.1, 1.0)], rows)
    assert got.dra_arcsec[0] == pytest.approx(4 * np.cos(np.radians(0.1)), abs=1e-6)


def test_across_ra_0(tmp_path):
    rows = [("a", 359.999, 0.0, 1.0), ("b", 0.2, 0.0, 1.0)]
    got = matched(tmp_path, [found(0.001, 0.0, 1.0), found(0.2, 0.0, 1.0)], rows, ra=0.0)
    assert got.dra_arcsec == pytest.approx([7.2, 0.0], abs=1e-6)


@pytest.mark.parametrize(("offset_arcsec", "hit"), [(29.9, True), (30.1, False)])
def test_the_radius_is_the_limit_of_a_match(tmp_path, offset_arcsec, hit):
    got = matched(tmp_path, [found(130.0, offset_arcsec * ARCSEC, 1.0)], [("a", 130.0, 0.0, 1.0)])
    assert bool(got.source[0] == 0) == hit
    assert len(got.unmatched) == (0 if hit else 1)
    assert np.isnan(got.flux_ratio[0]) != hit


@pytest.mark.parametrize(("flux", "compared"), [(7.9 * RMS, False), (8.1 * RMS, True)])
def test_what_is_compared_is_decided_by_the_catalogues_flux(tmp_path, flux, compared):
    # The measured flux, ten times as large, does not matter.
    got = matched(tmp_path, [found(130.0, 0.0, 10 * flux)], [("a", 130.0, 0.0, flux)])
    assert got.compared[0] == compared


@pytest.mark.parametrize(
    ("distance_arcsec", "flux", "isolated"), [(79, 1.0, False), (81, 1.0, True), (40, 0.049, True)]
)
def test_a_neighbour_within_two_beams_and_of_a_twentieth_of_the_flux_confuses(
    tmp_path, distance_arcsec, flux, isolated
):
    rows = [("a", 130.0, 0.0, 1.0), ("b", 130.0, distance_arcsec * ARCSEC, flux)]
    assert matched(tmp_path, [], rows).isolated[0] == isolated


def test_only_covered_sources_are_expected(tmp_path):
    rms = np.full((SIZE, SIZE), RMS, np.float32)
    rms[:, 300:] = np.nan  # the west: columns grow westwards
    edge = 130.0 - 97 * CELL_ARCSEC * ARCSEC  # three pixels from the blank, less than a beam
    rows = [("in", 130.0, 0.0, 1.0), ("blank", 129.6, 0.0, 1.0), ("edge", edge, 0.0, 1.0), ("off", 140.0, 0.0, 1.0),
            ("behind", 310.0, 0.0, 1.0)]  # fmt: skip
    assert list(matched(tmp_path, [], rows, rms=rms).catalogue.name) == ["in"]


def test_faint_found_sources_are_not_called_unmatched(tmp_path):
    sources = [found(130.0, 0.2, 1.0, snr=9.9), found(130.0, -0.2, 1.0, snr=10.0)]
    assert list(matched(tmp_path, sources, FIVE).unmatched) == [1]


class TestNumbers:
    def test_medians_scatter_and_completeness(self, tmp_path):
        ratios = [0.9, 1.0, 1.0, 1.1, 1.6]
        sources = [found(ra, dec, flux * r) for (_, ra, dec, flux), r in zip(FIVE, ratios, strict=True)]
        numbers = measure(matched(tmp_path, sources[:4] + sources[4:], FIVE), 5, 3, 40.0)
        assert numbers.median_flux_ratio == 1.0
        assert numbers.flux_ratio_mad == pytest.approx(0.14826, abs=1e-5)
        assert numbers.flux_outliers == 0.2  # 1.6 alone is off by more than 30 %
        assert numbers.flux_ratio_p05 == pytest.approx(0.92)
        assert numbers.completeness == 1.0
        assert (numbers.n_sources, numbers.n_matched, numbers.n_compared, numbers.n_expected) == (5, 5, 5, 5)

    def test_offsets_in_beams(self, tmp_path):
        sources = [found(ra + 8 * ARCSEC, dec + 6 * ARCSEC, flux) for _, ra, dec, flux in FIVE]
        numbers = measure(matched(tmp_path, sources, FIVE), 5, 3, 40.0)
        assert numbers.median_offset_arcsec == pytest.approx(10, abs=1e-3)
        assert numbers.median_offset_beams == pytest.approx(0.25, abs=1e-4)
        assert numbers.systematic_offset_arcsec == pytest.approx(10, abs=1e-3)
        assert numbers.scatter_ra_arcsec == pytest.approx(0, abs=1e-3)

    def test_missing_sources_lower_the_completeness(self, tmp_path):
        sources = [found(ra, dec, flux) for _, ra, dec, flux in FIVE[:2]]
        numbers = measure(matched(tmp_path, sources, FIVE), 2, 2, 40.0)
        assert numbers.completeness == 0.4
        assert numbers.n_expected_found == 2

    @pytest.mark.parametrize(("needed", "measured"), [(5, True), (6, False)])
    def test_too_few_are_not_measured(self, tmp_path, needed, measured):
        sources = [found(ra, dec, flux) for _, ra, dec, flux in FIVE]
        numbers = measure(matched(tmp_path, sources, FIVE), 5, needed, 40.0)
        assert (numbers.median_flux_ratio is not None) == measured
        assert (numbers.completeness is not None) == measured
        assert numbers.n_compared == 5

    def test_nothing_found(self, tmp_path):
        numbers = measure(matched(tmp_path, [], FIVE), 0, 3, 40.0)
        assert numbers.completeness == 0.0
        assert numbers.median_flux_ratio is None


def test_the_table_has_a_line_for_each_covered_source(tmp_path):
    sources = [found(ra, dec, flux) for _, ra, dec, flux in FIVE[1:]]
    write_matches(tmp_path / "m.csv", matched(tmp_path, sources, FIVE), sources)
    with open(tmp_path / "m.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == MATCH_COLUMNS
    assert [row["compared"] for row in rows] == ["no", "yes", "yes", "yes", "yes"]
    assert rows[0]["flux_jy"] == rows[0]["separation_arcsec"] == ""
    assert float(rows[1]["flux_ratio"]) == pytest.approx(1.0)
    assert float(rows[4]["catalogue_flux_jy"]) == pytest.approx(0.5)
