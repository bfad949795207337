"""The comparison with the catalogue, on mosaics whose sky, flux error and position error are known."""

from __future__ import annotations

import csv
import filecmp
import os

import numpy as np
import pytest

from contimg.config import CrossmatchOptions, QaOptions
from contimg.crossmatch.crossmatch_mosaic import crossmatch_mosaic
from contimg.errors import InputError
from contimg.products.twin import Reason, Twin, read_twin
from tests.support.fake_tiles import DEC_DEG, Sky
from tests.support.mosaics_of_sources import BEAM, FREQ, MOSAIC_ID, lattice, make_catalogue, make_mosaic
from tests.support.twins import write_with_manifest


def compare(root, mosaic_twin, catalogue, name="x", **qa):
    output, twin = root / name / MOSAIC_ID, root / name / f"{MOSAIC_ID}.json"
    made = crossmatch_mosaic(
        mosaic_twin, output, twin, catalogue=catalogue, options=CrossmatchOptions(), qa=QaOptions(**qa)
    )
    assert made == read_twin(twin)
    return made, output


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    root = tmp_path_factory.mktemp("right")
    sky = lattice()
    twin = make_mosaic(root, sky)
    catalogue = make_catalogue(root / "catalogue.csv", sky)
    return root, twin, catalogue, sky, *compare(root, twin, catalogue)


def test_a_right_mosaic_passes(right):
    *_, sky, made, output = right
    assert made.verdict == "passed"
    assert made.reasons == []
    qa = made.qa
    assert qa["n_sources"] == qa["n_matched"] == len(sky.ra_deg) == 40
    assert qa["n_unmatched"] == qa["n_doubtful"] == qa["n_negative"] == 0
    assert qa["completeness"] == 1.0
    assert qa["median_flux_ratio"] == pytest.approx(1, abs=0.01)
    assert qa["flux_outliers"] == 0
    assert qa["systematic_offset_arcsec"] < 0.2
    assert qa["median_offset_arcsec"] < 0.02 * BEAM
    assert sorted(p.name for p in output.iterdir()) == sorted(
        f"{MOSAIC_ID}.{s}"
        for s in (
            "sources.csv", "sources.vot", "sources.fits", "matches.csv", "matches.vot", "matches.fits", "flux.png",
            "astrometry.png",
        )
    )  # fmt: skip


def test_tables(right):
    *_, sky, _, output = right
    with open(output / f"{MOSAIC_ID}.sources.csv", newline="") as file:
        sources = list(csv.DictReader(file))
    peaks = [float(row["peak_flux_jy_beam"]) for row in sources]
    assert peaks == sorted(peaks, reverse=True)
    assert [int(row["source"]) for row in sources] == list(range(1, 41))
    with open(output / f"{MOSAIC_ID}.matches.csv", newline="") as file:
        matches = list(csv.DictReader(file))
    assert [row["name"] for row in matches] == [f"s{i}" for i in range(40)]
    for row, flux in zip(matches, sky.flux_jy, strict=True):
        assert float(row["catalogue_flux_jy"]) == pytest.approx(flux, rel=1e-6)
        # An unresolved source fitted freely: peak to 1/SNR, total flux to sqrt(3)/SNR (Condon 1997, PASP 109, 166).
        error = 1 / float(row["expected_snr"])
        assert float(row["flux_jy"]) == pytest.approx(flux, rel=4 * np.sqrt(3) * error + 0.003)
        assert float(row["peak_ratio"]) == pytest.approx(1, abs=4 * error + 0.003)
        assert float(row["flux_ratio"]) == pytest.approx(float(row["flux_jy"]) / flux, rel=1e-6)


def test_a_spot_beside_a_bright_source_is_in_doubt_and_said(tmp_path):
    """A source of 3 Jy in the middle, 5 beams from it a spot of -12 sigma and, opposite, one of +10 sigma."""
    off = 5 * BEAM / 3600 / np.cos(np.radians(DEC_DEG))
    seen = Sky(
        np.array([130.0, 130.0 + off, 130.0 - off, 130.5]), np.full(4, DEC_DEG), np.array([3, -12e-3, 10e-3, 0.02])
    )
    true = Sky(*(values[[0, 3]] for values in (seen.ra_deg, seen.dec_deg, seen.flux_jy)))
    made, output = compare(tmp_path, make_mosaic(tmp_path, seen), make_catalogue(tmp_path / "catalogue.csv", true))
    assert (made.qa["n_sources"], made.qa["n_doubtful"], made.qa["n_negative"]) == (3, 1, 1)
    assert any(note.startswith("1 of 3 sources may be artefacts of brighter ones") for note in made.notes)
    with open(output / f"{MOSAIC_ID}.sources.csv", newline="") as file:
        assert [row["doubt"] for row in csv.DictReader(file)] == ["", "", "near a bright source"]


def test_no_words_of_the_figures_touch(right, tmp_path, monkeypatch):
    """Titles, subtitles and 'close up', as matplotlib measures them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    root, twin, catalogue, *_ = right
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: (figures.append(self), path.write_bytes(b"")))
    compare(root, twin, catalogue, str(tmp_path / "drawn"))
    assert len(figures) == 2
    for figure in figures:
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        words = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
        boxes = [one.get_window_extent(renderer) for one in words]
        for number, one in enumerate(boxes):
            assert one.x0 >= 0 and one.x1 <= figure.bbox.x1, words[number]
            for other, text in zip(boxes[number + 1 :], words[number + 1 :], strict=True):
                assert not one.overlaps(other), (words[number], text)
        if len(figure.axes) == 2:
            frame = figure.axes[1].bbox
            close = next(box for box, one in zip(boxes, words, strict=True) if one.get_text() == "close up")
            assert frame.x0 < close.x0 and frame.y0 < close.y0 and close.y1 <= frame.y1


def test_same_bits_again_and_nothing_left_behind(right, monkeypatch, tmp_path):
    root, twin, catalogue, _, made, output = right
    monkeypatch.chdir(tmp_path)
    before = set(os.listdir(twin.with_suffix("")))
    again, other = compare(root, twin, catalogue, "again")
    names = sorted(p.name for p in output.iterdir())
    assert filecmp.cmpfiles(output, other, names, shallow=False) == (names, [], [])
    assert again.model_dump(exclude={"run"}) == made.model_dump(exclude={"run"})
    assert os.listdir(tmp_path) == []
    assert set(os.listdir(twin.with_suffix(""))) == before


def test_flux_scale_and_offset_that_were_injected_are_measured(tmp_path):
    # Every flux 0.9 of the truth, everything 3 arcsec to the east and 1 arcsec to the south.
    sky = lattice()
    twin = make_mosaic(tmp_path, sky, scale=0.9, shift_arcsec=(3.0, -1.0))
    made, _ = compare(tmp_path, twin, make_catalogue(tmp_path / "c.csv", sky))
    assert made.qa["median_flux_ratio"] == pytest.approx(0.9, rel=0.01)
    assert made.qa["median_dra_arcsec"] == pytest.approx(3.0, abs=0.15)
    assert made.qa["median_ddec_arcsec"] == pytest.approx(-1.0, abs=0.15)
    assert made.qa["systematic_offset_arcsec"] == pytest.approx(np.hypot(3, 1), abs=0.2)
    # A tenth of the flux and a twentieth of a beam are far beyond their errors.
    assert [reason.code for reason in made.reasons] == ["flux_scale_off", "shift_beams_high"]
    assert made.qa["flux_scale"] == pytest.approx(0.9, rel=0.01)
    strict, _ = compare(tmp_path, twin, tmp_path / "c.csv", "strict", min_flux_ratio=0.95, max_offset_beams=2.0 / BEAM)
    failed = {r.code for r in strict.reasons if r.severity == "failed"}
    assert failed == {"median_flux_ratio_low", "median_offset_beams_high"}
    assert strict.verdict == "failed"


def test_catalogue_at_another_frequency_is_scaled(tmp_path):
    # At 700 MHz sources of index -0.8 are (700/1405)^-0.8 = 1.7462 times as bright.
    sky = lattice()
    twin = make_mosaic(tmp_path, sky)
    bright = Sky(sky.ra_deg, sky.dec_deg, sky.flux_jy * (0.7e9 / FREQ) ** -0.8)
    made, _ = compare(tmp_path, twin, make_catalogue(tmp_path / "c.csv", bright, 0.7e9, -0.8))
    assert made.qa["median_flux_ratio"] == pytest.approx(1, abs=0.01)


def test_an_assumed_spectral_index_is_said(tmp_path):
    sky = lattice()
    twin = make_mosaic(tmp_path, sky)
    path = make_catalogue(tmp_path / "c.csv", sky, FREQ, "")
    made, _ = compare(tmp_path, twin, path)
    assert "spectral_index" in made.facts["catalogue_assumed"]
    assert any("spectral_index" in note for note in made.notes)


def test_missing_and_false_sources_are_counted(tmp_path):
    # 40 in the catalogue, 4 of them not in the mosaic; 3 in the mosaic that no catalogue knows.
    sky = lattice()
    twin = make_mosaic(tmp_path, Sky(sky.ra_deg[4:], sky.dec_deg[4:], sky.flux_jy[4:]))
    catalogue = make_catalogue(tmp_path / "c.csv", Sky(sky.ra_deg[:37], sky.dec_deg[:37], sky.flux_jy[:37]))
    made, _ = compare(tmp_path, twin, catalogue)
    assert made.qa["n_expected"] == 37
    assert made.qa["n_expected_found"] == 33
    assert made.qa["completeness"] == pytest.approx(33 / 37, abs=1e-5)
    assert made.qa["n_unmatched"] == 3
    assert any("3 sources" in note for note in made.notes)


def test_sources_off_the_mosaic_are_not_expected(tmp_path):
    sky = lattice()
    far = Sky(
        np.r_[sky.ra_deg, 130.0, 140.0, 310.0, 132.1],
        np.r_[sky.dec_deg, 20.0, DEC_DEG, -54.0, DEC_DEG + 0.68],
        np.r_[sky.flux_jy, 5.0, 5.0, 5.0, 5.0],  # the last lies in a blank corner
    )
    made, _ = compare(tmp_path, make_mosaic(tmp_path, sky), make_catalogue(tmp_path / "c.csv", far))
    assert made.qa["n_catalogue"] == 40
    assert made.qa["completeness"] == 1.0


def test_a_pair_within_a_beam_is_not_compared(tmp_path):
    sky = lattice()
    pair = Sky(
        np.r_[sky.ra_deg, sky.ra_deg[0]],
        np.r_[sky.dec_deg, sky.dec_deg[0] + 40 / 3600],
        np.r_[sky.flux_jy, sky.flux_jy[0]],
    )
    made, output = compare(tmp_path, make_mosaic(tmp_path, pair), make_catalogue(tmp_path / "c.csv", pair))
    assert made.qa["n_compared"] == 39
    with open(output / f"{MOSAIC_ID}.matches.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [rows[0]["isolated"], rows[40]["isolated"]] == ["no", "no"]


def test_across_ra_0(tmp_path):
    sky = lattice(ra=0.0)
    assert sky.ra_deg.min() < 2
    assert sky.ra_deg.max() > 358
    twin = make_mosaic(tmp_path, sky, ra=0.0, shift_arcsec=(1.5, 0.0))
    made, _ = compare(tmp_path, twin, make_catalogue(tmp_path / "c.csv", sky))
    assert made.qa["n_matched"] == 40
    assert made.qa["median_dra_arcsec"] == pytest.approx(1.5, abs=0.15)
    assert made.verdict == "passed"


class TestNotMeasured:
    def test_too_few_matches(self, tmp_path):
        sky = lattice(n=(2, 1))
        made, output = compare(tmp_path, make_mosaic(tmp_path, sky), make_catalogue(tmp_path / "c.csv", sky))
        assert made.qa["n_compared"] == 2
        for key in ("median_flux_ratio", "median_offset_beams", "flux_outliers", "completeness"):
            assert made.qa[key] is None
        assert made.verdict == "warning"
        assert {r.code for r in made.reasons} == {
            "median_flux_ratio_not_measured",
            "median_offset_beams_not_measured",
            "flux_outliers_not_measured",
            "completeness_not_measured",
        }
        assert "qa.min_matches" in made.reasons[0].message
        assert (output / f"{MOSAIC_ID}.flux.png").is_file()

    def test_an_empty_mosaic(self, tmp_path):
        nothing = Sky(np.array([]), np.array([]), np.array([]))
        sky = lattice()
        made, _ = compare(tmp_path, make_mosaic(tmp_path, nothing), make_catalogue(tmp_path / "c.csv", sky))
        assert made.qa["n_sources"] == 0
        assert made.qa["completeness"] == 0.0
        assert made.qa["median_flux_ratio"] is None
        assert made.verdict == "failed"

    def test_a_catalogue_of_elsewhere(self, tmp_path):
        made, _ = compare(
            tmp_path, make_mosaic(tmp_path, lattice()), make_catalogue(tmp_path / "c.csv", lattice(ra=200.0))
        )
        assert made.qa["n_catalogue"] == 0
        assert made.qa["completeness"] is None
        assert made.qa["n_unmatched"] == 40
        assert made.verdict == "warning"

    def test_a_failed_mosaic(self, tmp_path):
        (tmp_path / MOSAIC_ID).mkdir()
        reason = Reason(code="no_usable_tile", severity="failed", message="none")
        twin = tmp_path / f"{MOSAIC_ID}.json"
        write_with_manifest(
            twin, Twin(kind="mosaic", id=MOSAIC_ID, verdict="failed", reasons=[reason], synthetic=False)
        )
        made, output = compare(tmp_path, twin, make_catalogue(tmp_path / "c.csv", lattice()))
        assert [r.code for r in made.reasons] == ["no_mosaic"]
        assert list(output.iterdir()) == []
        assert made.qa["median_flux_ratio"] is None


def test_missing_catalogue(right):
    root, twin, *_ = right
    with pytest.raises(InputError, match="does not exist"):
        compare(root, twin, root / "nowhere.csv", "missing")
    assert not (root / "missing" / MOSAIC_ID).exists()
