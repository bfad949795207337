"""The numbers of a comparison against numpy's own, and closed forms of small samples."""

import numpy as np
import pytest

from contimg.crossmatch.comparison_numbers import measure
from contimg.crossmatch.matching import Match
from contimg.sky.catalogue import read_catalogue

BEAM_ARCSEC = 20.0


def match_of(path, ratio, *, dra=None, ddec=None, peak=None, snr=None, source=None, compared=None, unmatched=()):
    """Return matches of a catalogue with these ratios of flux; all are matched and compared unless said otherwise."""
    n = len(ratio)
    lines = [f"s{i},{130 + 0.01 * i},0.0,1.0,1.4e9,-0.7" for i in range(n)]
    (path / "c.csv").write_text("\n".join(["name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index", *lines]) + "\n")
    dra, ddec = (np.zeros(n) if one is None else np.asarray(one, float) for one in (dra, ddec))
    source = np.arange(n) if source is None else np.asarray(source)
    return Match(
        catalogue=read_catalogue(path / "c.csv"), flux_jy=np.ones(n), local_rms_jy=np.full(n, 0.01),
        expected_snr=np.full(n, 100.0) if snr is None else np.asarray(snr, float), isolated=np.ones(n, bool),
        source=source, separation_arcsec=np.hypot(dra, ddec), dra_arcsec=dra, ddec_arcsec=ddec,
        flux_ratio=np.asarray(ratio, float), peak_ratio=np.asarray(ratio if peak is None else peak, float),
        e_log_ratio=np.full(n, 0.01), e_offset_arcsec=np.full(n, 0.1),
        compared=(source >= 0) if compared is None else np.asarray(compared), unmatched=np.asarray(unmatched, int),
        unmatched_flux_jy=np.full(len(unmatched), 2.0),
    )  # fmt: skip


def test_flux_numbers_of_five_sources(tmp_path):
    found = measure(match_of(tmp_path, [0.5, 0.9, 1.0, 1.1, 2.0], peak=[1, 2, 3, 4, 5]), 9, 3, BEAM_ARCSEC)
    assert (found.median_flux_ratio, found.median_peak_ratio) == (1.0, 3.0)
    # Off the median by 0.5, 0.1, 0, 0.1 and 1: their median is 0.1, and 1.4826 of it is a Gaussian's sigma.
    assert found.flux_ratio_mad == pytest.approx(0.14826, abs=1e-5)
    assert found.flux_outliers == 0.4  # off by more than 30 %
    # Linear between order statistics: 0.2 of the way from 0.5 to 0.9, and 0.8 of that from 1.1 to 2.0.
    assert (found.flux_ratio_p05, found.flux_ratio_p95) == (0.58, 1.82)
    assert (found.n_sources, found.n_catalogue, found.n_matched, found.n_compared) == (9, 5, 5, 5)


def test_an_outlier_is_off_the_median_not_off_one(tmp_path):
    """A flux scale that is wrong by a factor of two is one fault: it makes no outliers."""
    found = measure(match_of(tmp_path, [2.0, 2.0, 2.0, 2.59, 2.61]), 5, 3, BEAM_ARCSEC)
    assert (found.median_flux_ratio, found.flux_outliers) == (2.0, 0.2)


def test_offsets_of_a_pure_shift(tmp_path):
    found = measure(match_of(tmp_path, np.ones(6), dra=np.full(6, 3.0), ddec=np.full(6, -4.0)), 6, 3, BEAM_ARCSEC)
    assert (found.median_dra_arcsec, found.median_ddec_arcsec) == (3.0, -4.0)
    assert found.median_offset_arcsec == found.systematic_offset_arcsec == found.offset_p95_arcsec == 5.0
    assert found.median_offset_beams == 0.25
    assert found.scatter_ra_arcsec == found.scatter_dec_arcsec == 0.0


def test_offsets_of_pure_scatter(tmp_path):
    found = measure(match_of(tmp_path, np.ones(4), dra=[2, -2, 0, 0], ddec=[0, 0, 2, -2]), 4, 3, BEAM_ARCSEC)
    assert found.median_offset_arcsec == 2.0 and found.systematic_offset_arcsec == 0.0
    assert found.scatter_ra_arcsec == pytest.approx(1.4826, abs=1e-5)  # of 2, 2, 0, 0: their median is 1


def test_scatter_is_a_gaussians_sigma(tmp_path):
    rng = np.random.default_rng(1)
    n = 4000
    scattered = match_of(tmp_path, rng.normal(1, 0.1, n), dra=rng.normal(1, 2, n), ddec=rng.normal(0, 3, n))
    found = measure(scattered, n, 3, BEAM_ARCSEC)
    assert found.flux_ratio_mad == pytest.approx(0.1, rel=0.08)  # its error is 1.17 / sqrt(2 n) of it: 1.3 %
    assert found.scatter_ra_arcsec == pytest.approx(2, rel=0.08)
    assert found.scatter_dec_arcsec == pytest.approx(3, rel=0.08)
    assert found.flux_ratio_p95 - found.flux_ratio_p05 == pytest.approx(2 * 1.6449 * 0.1, rel=0.08)


@pytest.mark.parametrize(("n", "known"), [(2, False), (3, True)])
def test_too_few_sources_are_not_measured(tmp_path, n, known):
    found = measure(match_of(tmp_path, np.ones(n)), n, 3, BEAM_ARCSEC)
    for key in ("median_flux_ratio", "flux_outliers", "median_offset_beams", "scatter_ra_arcsec", "completeness"):
        assert (getattr(found, key) is not None) == known
    assert (found.n_compared, found.n_expected) == (n, n)


def test_completeness_counts_what_is_expected_at_ten_sigma(tmp_path):
    ratio = np.ones(6)
    matched = match_of(tmp_path, ratio, snr=[9.99, 10, 20, 30, 40, 5], source=[0, -1, 1, 2, -1, -1], unmatched=[3, 4])
    found = measure(matched, 5, 3, BEAM_ARCSEC)
    assert (found.n_expected, found.n_expected_found, found.completeness) == (4, 2, 0.5)
    assert (found.n_matched, found.n_unmatched) == (3, 2)


def test_only_compared_sources_count(tmp_path):
    compared = [True, True, True, False]
    found = measure(match_of(tmp_path, [1.0, 1.0, 1.0, 50.0], dra=[0, 0, 0, 30], compared=compared), 4, 3, BEAM_ARCSEC)
    assert (found.flux_outliers, found.flux_ratio_p95, found.offset_p95_arcsec) == (0.0, 1.0, 0.0)


def test_an_empty_catalogue(tmp_path):
    matched = match_of(tmp_path, [1.0], compared=[False], source=[-1], snr=[1.0])
    found = measure(matched, 0, 3, BEAM_ARCSEC)
    assert (found.n_sources, found.n_matched, found.n_compared, found.n_expected, found.n_unmatched) == (0, 0, 0, 0, 0)
    assert found.completeness is None and found.median_flux_ratio is None
