"""The comparison with the catalogue, on mosaics whose sky, flux error and position error are known."""

from __future__ import annotations

import csv
import filecmp
import logging
import os

import numpy as np
import pytest
from astropy.io import fits

from contimg.config import CrossmatchOptions, QaOptions
from contimg.crossmatch.crossmatch_mosaic import crossmatch_mosaic
from contimg.errors import InputError
from contimg.mosaic.grid import MosaicGrid
from contimg.products.twin import Reason, Twin, read_twin
from tests.support.fake_tiles import DEC_DEG, Sky
from tests.support.twins import write_with_manifest

MOSAIC_ID = "mosaic_20260211T000000"
CELL = 15.0
BEAM = 60.0
FREQ = 1.405e9


def make_mosaic(root, sky: Sky, *, ra=130.0, rms=1e-3, shift_arcsec=(0.0, 0.0), scale=1.0, size=(360, 640), seed=6):
    """Write a mosaic of a known sky: TAN, noise of a known rms that rises to the edge, blank corners."""
    grid = MosaicGrid((ra % 360, DEC_DEG), CELL / 3600, (size[1] // 2, size[0] // 2), size)
    y, x = np.mgrid[: size[0], : size[1]]
    sigma = BEAM / CELL / 2.3548200450309493
    from scipy.ndimage import gaussian_filter

    white = gaussian_filter(np.random.default_rng(seed).normal(size=size), sigma, mode="wrap")
    profile = 1 + 2 * ((y - size[0] / 2) / (size[0] / 2)) ** 2
    image = white * 2 * np.sqrt(np.pi) * sigma * rms * profile
    wcs = grid.wcs()
    cos = np.cos(np.radians(sky.dec_deg))
    xs, ys = wcs.all_world2pix(sky.ra_deg + shift_arcsec[0] / 3600 / cos, sky.dec_deg + shift_arcsec[1] / 3600, 0)
    for a, b, flux in zip(xs, ys, sky.flux_jy, strict=True):
        if -20 < a < size[1] + 20 and -20 < b < size[0] + 20:
            image += scale * flux * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * sigma**2))
    blank = np.hypot((x - size[1] / 2) / (size[1] / 2), (y - size[0] / 2) / (size[0] / 2)) > 1.15
    folder = root / MOSAIC_ID
    folder.mkdir(parents=True)
    header = wcs.to_header()
    header["BMAJ"], header["BMIN"], header["BPA"], header["BUNIT"] = BEAM / 3600, BEAM / 3600, 0.0, "Jy/beam"
    for suffix, data in (("", image), (".rms", rms * profile)):
        data = np.where(blank, np.nan, data).astype(np.float32)
        fits.PrimaryHDU(data, header).writeto(folder / f"{MOSAIC_ID}{suffix}.fits")
    twin = Twin(
        kind="mosaic",
        id=MOSAIC_ID,
        verdict="passed",
        facts={
            **dict(tiles=["2026-02-11T00:00:00"], tiles_used=["2026-02-11T00:00:00"], n_images=1),
            "start_mjd": 61082.0,
            "end_mjd": 61082.004,
            "bandwidth_hz": 187.5e6,
            "centre_deg": [ra % 360, DEC_DEG],
            "size_px": [size[1], size[0]],
            "cell_arcsec": CELL,
            "area_deg2": 1.0,
            "files": {
                "image": f"{MOSAIC_ID}.fits",
                "weights": f"{MOSAIC_ID}.weights.fits",
                "rms": f"{MOSAIC_ID}.rms.fits",
                "picture": f"{MOSAIC_ID}.png",
                "tiles": f"{MOSAIC_ID}.tiles.csv",
            },
            "beam": {"bmaj_arcsec": BEAM, "bmin_arcsec": BEAM, "bpa_deg": 0.0},
            "freq_hz": FREQ,
        },
        synthetic=True,
    )
    path = root / f"{MOSAIC_ID}.json"
    write_with_manifest(path, twin)
    return path


def make_catalogue(path, sky: Sky, freq_hz=FREQ, index=-0.7):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "ra_deg", "dec_deg", "flux_jy", "ref_freq_hz", "spectral_index"))
        for i, (ra, dec, flux) in enumerate(zip(sky.ra_deg, sky.dec_deg, sky.flux_jy, strict=True)):
            writer.writerow((f"s{i}", f"{ra:.8f}", f"{dec:.8f}", f"{flux:.8f}", freq_hz, index))
    return path


def lattice(ra=130.0, flux=(0.05, 2.0), n=(8, 5)) -> Sky:
    """Return sources on a grid well inside the mosaic, at odd fractions of pixels."""
    rng = np.random.default_rng(11)
    i, j = np.meshgrid(np.arange(n[0]), np.arange(n[1]))
    scale = np.cos(np.radians(DEC_DEG))
    ra_deg = ra + (i.ravel() - (n[0] - 1) / 2) * 0.27 / scale + rng.uniform(-0.02, 0.02, i.size)
    dec_deg = DEC_DEG + (j.ravel() - (n[1] - 1) / 2) * 0.22 + rng.uniform(-0.02, 0.02, i.size)
    return Sky(ra_deg % 360, dec_deg, np.exp(rng.uniform(*np.log(flux), i.size)))


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
    assert qa["n_unmatched"] == 0
    assert qa["completeness"] == 1.0
    assert qa["median_flux_ratio"] == pytest.approx(1, abs=0.01)
    assert qa["flux_outliers"] == 0
    assert qa["systematic_offset_arcsec"] < 0.2
    assert qa["median_offset_arcsec"] < 0.02 * BEAM
    assert sorted(p.name for p in output.iterdir()) == sorted(
        f"{MOSAIC_ID}.{s}" for s in ("sources.csv", "matches.csv", "flux.png", "astrometry.png")
    )


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
    assert logging.getLogger("PyBDSF").handlers == []


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
