"""Skies of more than points, and tiles that are looked at in parts first."""

import numpy as np
import pytest
from astropy.wcs import WCS

from contimg.imaging import imager
from contimg.imaging import tile_data as tiles
from contimg.imaging.bright.sources import PositionCorrections
from contimg.imaging.clean.clean import Cleaner
from tests.imaging.test_image_tile import OPTIONS, plane, run, tile
from tests.imaging.transforms.test_wgridder import peak_of
from tests.support import skies


def extended(width_arcsec, flux_jy, noise_jy):
    """Return a tile with a Gaussian source at the phase centre, without the beam."""
    vis = skies.empty(antennas=30, times=8, channels=8, span_m=130)
    uv = np.hypot(*vis.uvw_m.T[:2])[:, None] * vis.freq_hz / skies.C_M_S
    width = np.radians(width_arcsec / 3600)
    vis.data += (flux_jy * np.exp(-((np.pi * width * uv) ** 2) / (4 * np.log(2))))[..., None].astype(np.complex64)
    skies.add_noise(vis, noise_jy)
    return vis


def test_multiscale_recovers_the_flux_of_an_extended_source(tmp_path):
    paths = tile(tmp_path, extended(300.0, 2.0, 0.05))
    options = OPTIONS.model_copy(update={"size_px": 256, "bright_sigma": 1e9})
    found = {}
    for name, multiscale in (("points", False), ("scales", True)):
        there = (*paths[:2], tmp_path / name, tmp_path / f"{name}.json")
        twin = run(there, options.model_copy(update={"multiscale": multiscale}))
        (model, _), (residual, _) = plane(there, "model"), plane(there, "residual")
        found[name] = float(model.sum()), float(residual[118:139, 118:139].mean()), twin.qa["expected_rms_mjy"] / 1e3
    flux, left, noise = found["scales"]
    assert flux == pytest.approx(2.0, rel=0.05)
    assert abs(left) < noise
    # Points leave a plateau below their threshold.
    assert abs(flux - 2) < abs(found["points"][0] - 2)


def test_a_first_look_at_a_part_of_the_integrations_changes_nothing(tmp_path, monkeypatch):
    vis = skies.empty(antennas=16, times=12, channels=24, span_m=130)
    for east, north, flux in [(0.3, 0.2, 12.0), (-0.7, 0.5, 1.5), (0.9, -0.8, 0.8), (-0.5, -0.9, 0.3)]:
        skies.add_source(vis, *skies.offset(vis, east, north), flux, index=-0.6, beam=True)
    skies.add_noise(vis, 0.4)
    paths = tile(tmp_path, vis)
    options = OPTIONS
    whole = run(paths, options)
    monkeypatch.setattr(tiles, "_WORTH_SAMPLES", 0)
    parts = run((*paths[:2], tmp_path / "parts", tmp_path / "parts.json"), options)
    assert len(parts.facts["bright_sources"]) == len(whole.facts["bright_sources"]) >= 3
    noise = whole.qa["expected_rms_mjy"] / 1e3
    for one, other in zip(parts.facts["bright_sources"], whole.facts["bright_sources"], strict=True):
        assert one["apparent_jy"] == pytest.approx(other["apparent_jy"], abs=noise)
        assert one["ra_deg"] == pytest.approx(other["ra_deg"], abs=2e-4)
    (image, _), (reference, _) = plane((*paths[:2], tmp_path / "parts"), "image"), plane(paths, "image")
    assert np.std(image - reference) < 0.2 * noise
    assert parts.qa["noise_ratio"] < 1.1


def test_local_rms_takes_fewer_artefacts_of_a_bright_source_for_sources(tmp_path):
    vis = skies.empty(antennas=24, times=12, channels=16, span_m=130)
    # Off centre and not modelled as moving through the beam: artefacts round it, noise elsewhere.
    places = [(0.9, 0.3, 12.0), (-0.8, -0.7, 0.25), (-0.5, 0.8, 0.25)]
    for east, north, flux in places:
        skies.add_source(vis, *skies.offset(vis, east, north), flux, beam=True)
    skies.add_noise(vis, 0.05)
    paths = tile(tmp_path, vis)
    options = OPTIONS.model_copy(update={"bright_sigma": 1e9})
    pixels = [(320 - east * 180, 320 + north * 180) for east, north, _ in places]
    y, x = np.indices((640, 640))
    of_source = np.any([np.hypot(x - px, y - py) < 8 for px, py in pixels], axis=0)
    false, true = {}, {}
    for local in (False, True):
        there = (*paths[:2], tmp_path / str(local), tmp_path / f"{local}.json")
        run(there, options.model_copy(update={"local_rms": local}))
        model, _ = plane(there, "model")
        false[local] = int(np.count_nonzero(model[~of_source]))
        true[local] = [model[np.hypot(x - px, y - py) < 8].any() for px, py in pixels]
    assert false[False] > 20
    assert false[True] < 0.5 * false[False]
    assert all(true[True])


def test_clean_on_pixels_twice_as_large_makes_the_same_image(tmp_path, monkeypatch):
    sky = [(0.31, 0.22, 3.0), (-0.42, 0.35, 0.06), (0.27, -0.38, 0.05), (-0.36, -0.29, 0.04)]
    vis = skies.empty(antennas=24, times=6, channels=16, span_m=130)
    for east, north, flux in sky:
        skies.add_source(vis, *skies.offset(vis, east, north), flux, index=-0.7, beam=True)
    skies.add_noise(vis, 0.25)
    paths = tile(tmp_path, vis)
    options = OPTIONS.model_copy(update={"size_px": 480, "cell_arcsec": 7.0})
    coarse = run(paths, options)
    monkeypatch.setattr(tiles, "_PIXELS_A_BEAM", 1e9)
    fine_paths = (*paths[:2], tmp_path / "fine", tmp_path / "fine.json")
    fine = run(fine_paths, options)
    assert coarse.facts["beam"] == fine.facts["beam"]
    noise = fine.qa["expected_rms_mjy"] / 1e3
    assert coarse.qa["noise_ratio"] == pytest.approx(fine.qa["noise_ratio"], abs=0.01)
    (image, head), (reference, _) = plane(paths, "image"), plane(fine_paths, "image")
    assert np.std(image - reference) < 0.15 * noise
    wcs, (pb, _) = WCS(head).celestial, plane(paths, "pb")
    for east, north, flux in sky:
        x, y = (round(float(v)) for v in wcs.all_world2pix(*np.degrees(skies.offset(vis, east, north)), 0))
        _, peak = peak_of(image, x, y)
        truth = flux * (head["FREQ"] / 1.4e9) ** -0.7 * pb[y, x]
        assert peak == pytest.approx(truth, abs=3 * noise)
    # Components of what CLEAN found stand on every second pixel, the first of which is the phase centre's.
    model, _ = plane(paths, "model")
    y, x = np.nonzero(model)
    bright = np.abs(model[y, x]) > 1
    assert ((y[~bright] - 240) % 2 == 0).all()
    assert ((x[~bright] - 240) % 2 == 0).all()
    assert len(y) > 3


def test_a_position_that_corrections_do_not_improve_goes_back():
    corrections = PositionCorrections.none(3)
    corrections = corrections.following(np.array([[1.0, 0], [0, 2.0], [3.0, 3.0]]), np.array([8.0, 8.0, 8.0]))
    corrections = corrections.following(np.array([[0.1, 0], [0, 0.2], [4.0, 4.0]]), np.array([1.0, 1.0, 9.0]))
    assert corrections.shift.tolist() == [[0.1, 0], [0, 0.2], [-3.0, -3.0]]
    assert corrections.held.tolist() == [False, False, True]
    corrections = corrections.following(np.ones((3, 2)), np.array([0.1, 2.0, 5.0]))
    assert corrections.shift.tolist() == [[1, 1], [0, -0.2], [0, 0]]
    corrections = corrections.select(np.array([True, False, True]))
    assert corrections.held.tolist() == [False, True]


def test_a_blend_settles_and_its_flux_is_all_in_the_image(tmp_path):
    # Two sources half a beam apart: what is fitted as one source is none.
    pair = [(0.30, 0.20, 2.0), (0.30 + 45 / 3600, 0.20, 0.8)]
    vis = skies.empty(antennas=24, times=6, channels=16, span_m=130)
    for east, north, flux in [*pair, (-0.6, 0.4, 1.0)]:
        skies.add_source(vis, *skies.offset(vis, east, north), flux, beam=True)
    skies.add_noise(vis, 0.25)
    paths = tile(tmp_path, vis)
    options = OPTIONS.model_copy(update={"size_px": 480})
    twin = run(paths, options)
    assert not any("settled" in note for note in twin.notes)
    alone_paths = (*paths[:2], tmp_path / "alone", tmp_path / "alone.json")
    alone = run(alone_paths, options.model_copy(update={"bright_sigma": 1e9}))
    # CLEAN alone knows blends but no moving beam: it leaves more of them, and the same noise elsewhere.
    round_it = slice(240 + 36 - 25, 240 + 36 + 26), slice(240 - 54 - 25, 240 - 54 + 26)
    assert plane(paths, "residual")[0][round_it].std() < plane(alone_paths, "residual")[0][round_it].std()
    assert twin.qa["noise_ratio"] == pytest.approx(alone.qa["noise_ratio"], rel=0.02)
    model, head = plane(paths, "model")
    pb, _ = plane(paths, "pb")
    x, y = (round(float(v)) for v in WCS(head).celestial.all_world2pix(*np.degrees(skies.offset(vis, *pair[0][:2])), 0))
    box = slice(y - 8, y + 9), slice(x - 8, x + 9)
    assert float((model[box] / pb[box]).sum()) == pytest.approx(2.8, rel=0.01)


# A T of antennas 23 and 34.5 m apart, with sidelobes of 0.6 all over the field; sources (east, north in deg, Jy).
EVEN_T = [(23.0 * i, 0, 0) for i in range(9)] + [(92.0, 34.5 * j, 0) for j in range(1, 6)]
WIDE_SKY = [(1.55, -1.3, 1.6), (1.9, -0.9, 1.2), (-1.4, 1.5, 1.0), (0.3, -0.2, 0.7)]


@pytest.mark.parametrize("dec_deg", [-30.0, 80.0])
def test_fluxes_are_true_where_the_psf_changes_over_the_field(tmp_path, dec_deg):
    """67 and 43 deg from the zenith; with minor cycles of one depth the fluxes are 0.62-0.94 and 0.71-0.98 of these."""
    vis = skies.empty(times=4, channels=8, dec_deg=dec_deg, enu_m=EVEN_T)
    for east, north, flux in WIDE_SKY:
        skies.add_source(vis, *skies.offset(vis, east, north), flux)
    skies.add_noise(vis, 0.05)
    paths = tile(tmp_path, vis)
    twin = run(paths, OPTIONS.model_copy(update={"size_px": 400, "cell_arcsec": 40.0, "bright_sigma": 1e9}))
    assert twin.verdict != "failed"
    image, head = plane(paths, "image")
    for east, north, flux in WIDE_SKY:
        x, y = (
            round(float(v)) for v in WCS(head).celestial.all_world2pix(*np.degrees(skies.offset(vis, east, north)), 0)
        )
        # The first one loses 2.8 % of its flux to the width of these channels, which are not corrected for it.
        assert image[y - 2 : y + 3, x - 2 : x + 3].max() == pytest.approx(flux, rel=0.035)


class Unusable(Cleaner):
    """CLEAN with a PSF of the wrong sign, below which nothing converges."""

    def __init__(self, task):
        super().__init__(task)
        self._psf = -self._psf


def test_components_that_make_things_worse_are_undone(tmp_path, monkeypatch):
    vis = skies.empty(antennas=12, times=4, channels=4, span_m=130)
    skies.add_source(vis, *skies.offset(vis, 0.3, 0.2), 1.0)
    skies.add_noise(vis, 0.1)
    paths = tile(tmp_path, vis)
    monkeypatch.setattr(imager, "Cleaner", Unusable)
    twin = run(paths, OPTIONS.model_copy(update={"size_px": 256, "bright_sigma": 1e9}))
    assert twin.verdict == "failed"
    assert [reason.code for reason in twin.reasons] == ["deconvolution_diverged"]
