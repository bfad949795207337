"""The numbers of a tile's verdict, each against a defect of known size."""

import math

import numpy as np
import pytest

from contimg.config import BeamOptions, QaOptions
from contimg.imaging.checks import beam_and_geometry, image_quality
from contimg.imaging.checks.catalogue import FITTED, KEYS, ApparentImage, compare
from contimg.imaging.effective_beam import effective_beam
from contimg.imaging.grid import TileGrid
from contimg.imaging.restoring_beam import add_source, fit_beam
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities.samples import stokes_i
from contimg.imaging.visibilities.weights import briggs
from contimg.sky.catalogue import Catalogue
from contimg.sky.restoring_beam import RestoringBeam
from contimg.statistics import robust_sigma
from tests.imaging.test_image_tile import OPTIONS, SKY, run, tile
from tests.support import skies

CELL_RAD = math.radians(20 / 3600)
BEAM = RestoringBeam(math.radians(90 / 3600), math.radians(60 / 3600), math.radians(25))
NOISE_JY = 1e-3


def gridder_of(vis, size=512):
    samples = stokes_i(vis)
    grid = TileGrid(size, CELL_RAD, tuple(vis.phase_centre_rad))
    return samples, Gridder(samples, briggs(samples, grid, 0.5), grid, 1)


def noise_image(size=512, seed=1):
    """Return white noise, smoothed to the beam and scaled to a robust rms of `NOISE_JY`."""
    from scipy.ndimage import gaussian_filter

    image = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 1.5)
    return image / robust_sigma(image) * NOISE_JY


def noisy(sigma_jy=0.5):
    vis = skies.empty(antennas=20, times=8, channels=16, span_m=130)
    skies.add_noise(vis, sigma_jy)
    return vis


@pytest.mark.parametrize("over_noise", [0.4, 2.0])
def test_one_wrong_visibility_is_a_stripe_of_its_amplitude(over_noise):
    vis = noisy()
    samples, gridder = gridder_of(vis)
    rms = robust_sigma(gridder.dirty(samples.vis))
    assert image_quality.stripe(gridder.dirty(samples.vis))[0] < 0.15 * rms
    # An image is sum w Re(V exp(...)) / sum w: one visibility V is a sinusoid of amplitude w V / sum w.
    row = int(np.argmin(np.abs(np.hypot(*samples.uvw_m[:, :2].T) - 120)))
    amplitude = over_noise * rms
    samples.vis[row, 7] += amplitude * gridder.total / gridder.weight[row, 7]
    found, (u, v) = image_quality.stripe(gridder.dirty(samples.vis))
    assert found == pytest.approx(amplitude, abs=0.12 * rms)
    cycles = samples.uvw_m[row, :2] * samples.freq_hz[7] / skies.C_M_S * 512 * CELL_RAD
    # East is left: along x the frequency has the opposite sign; a real image has both signs.
    assert min(np.hypot(u + cycles[0], v - cycles[1]), np.hypot(u - cycles[0], v + cycles[1])) < 0.2


def test_missing_short_spacings_dig_a_bowl_round_extended_emission():
    vis = noisy(0.2)
    # A Gaussian of 0.25 deg FWHM at the phase centre, 5 Jy: V(q) = S exp(-(pi q FWHM)^2 / (4 ln 2)).
    u = np.hypot(*vis.uvw_m[:, :2].T)[:, None] * vis.freq_hz / skies.C_M_S
    vis.data += (5.0 * np.exp(-((np.pi * u * math.radians(0.25)) ** 2) / (4 * math.log(2))))[..., None].astype(complex)
    depth = {}
    for shortest in (0.0, 40.0):
        vis.flag[np.hypot(*vis.uvw_m[:, :2].T) < shortest] = True
        samples, gridder = gridder_of(vis)
        image = gridder.dirty(samples.vis)
        beam = fit_beam(gridder.psf(), CELL_RAD)
        width_px = math.sqrt(beam.bmaj_rad * beam.bmin_rad) / CELL_RAD
        depth[shortest] = image_quality.negative_bowl(image, width_px) / abs(float(image.max()))
    empty, gridder = gridder_of(noisy(0.2))
    image = gridder.dirty(empty.vis)
    assert image_quality.negative_bowl(image, 4.0) < 0.3 * robust_sigma(image)
    # Without its short spacings the image has no mean: what stands above zero must lie below it elsewhere.
    assert depth[40.0] > 0.05


def test_a_bowl_of_known_depth():
    image = noise_image()
    y, x = np.mgrid[:512, :512]
    inside = np.hypot(x - 300, y - 200) < 90
    image[inside] -= 1.7 * NOISE_JY
    assert image_quality.negative_bowl(image, 4.0) / NOISE_JY == pytest.approx(1.7, abs=0.25)
    assert image_quality.negative_bowl(noise_image(), 4.0) / NOISE_JY < 0.5


def test_artefacts_round_the_brightest_source_and_a_bad_psf():
    residual = noise_image()
    image = residual.copy()
    add_source(image, BEAM, CELL_RAD, (200, 300), 1.0)
    psf = np.zeros((512, 512))
    add_source(psf, BEAM, CELL_RAD, (256, 256), 1.0)
    good = image_quality.measure(image, residual, psf, BEAM, CELL_RAD)
    assert good["artefact_ratio"] == pytest.approx(1.0, abs=0.1)
    assert good["local_dynamic_range"] == pytest.approx(1000, rel=0.1)
    assert good["psf_misfit"] == 0
    assert good["psf_sidelobe"] < 0.01
    reach = round(20 * math.sqrt(90 * 60) / 20)
    near = np.s_[300 - reach : 300 + reach + 1, 200 - reach : 200 + reach + 1]
    residual[near] += 3 * NOISE_JY * np.where(np.indices(residual[near].shape).sum(0) % 2, 1, -1)
    wide = RestoringBeam(BEAM.bmaj_rad * 1.3, BEAM.bmin_rad, BEAM.bpa_rad)
    bad = image_quality.measure(image, residual, psf, wide, CELL_RAD)
    assert bad["artefact_ratio"] > 2
    # At d along the major axis exp(-4 ln2 d^2/a^2 / 1.69) less exp(-4 ln2 d^2/a^2): at most 0.192, in the core.
    assert bad["psf_misfit"] == pytest.approx(0.19, abs=0.02)


def catalogue_of(ra, dec, flux):
    count = len(flux)
    ones = np.ones(count)
    names = np.array([f"S{i}" for i in range(count)])
    return Catalogue(names, np.degrees(ra), np.degrees(dec), flux, np.nan * ones, 1.4e9 * ones, -0.7 * ones)


def test_fluxes_and_places_against_a_catalogue_have_the_errors_put_in():
    grid, rng = TileGrid(512, CELL_RAD, (0.0, math.radians(50))), np.random.default_rng(3)
    image, pb = np.zeros((512, 512)), np.full((512, 512), 0.5)
    pb[:, :100] = 0.1
    raster = np.meshgrid(np.arange(60, 500, 90), np.arange(60, 500, 90))
    x, y = (axis.ravel() + rng.uniform(-3, 3, 25) for axis in raster)
    flux = rng.uniform(0.1, 1, 25)
    for i in range(25):
        scale = 1.1 * (1.5 if i in (7, 13) else 1.0)
        add_source(image, BEAM, CELL_RAD, (x[i] - 0.6, y[i] + 0.3), scale * 0.5 * flux[i])
    image += noise_image()
    known = catalogue_of(*grid.radec(*grid.cosines(x, y)), flux)
    found = compare(ApparentImage(image, pb, grid, BEAM, NOISE_JY, 1.4e9), 0.2, known)
    numbers = found.numbers(3)
    covered = int((x > 99.5).sum())
    assert numbers["n_compared"] == covered == 20
    assert numbers["median_flux_ratio"] == pytest.approx(1.1, abs=0.01)
    assert numbers["flux_ratio_p95"] > 1.6
    assert numbers["flux_outliers"] == pytest.approx(2 / 20)
    # 0.6 pixels towards east, 0.3 towards north, of 20 arcsec.
    assert numbers["median_dra_arcsec"] == pytest.approx(12, abs=0.5)
    assert numbers["median_ddec_arcsec"] == pytest.approx(6, abs=0.5)
    assert numbers["median_offset_beams"] == pytest.approx(math.hypot(12, 6) / math.sqrt(90 * 60), rel=0.05)
    few = compare(ApparentImage(image, pb, grid, BEAM, NOISE_JY, 1.4e9), 0.2, known.select([0, 12, 14]))
    assert few.numbers(3) == {"n_compared": 2} | dict.fromkeys((*KEYS, *FITTED))


def test_sources_with_neighbours_are_not_compared():
    grid = TileGrid(512, CELL_RAD, (1.0, 0.5))
    image, pb = noise_image(), np.ones((512, 512))
    x, y, flux = np.array([200, 206, 350.0]), np.array([200, 200, 350.0]), np.array([1, 0.5, 1])
    for i in range(3):
        add_source(image, BEAM, CELL_RAD, (x[i], y[i]), flux[i])
    known = catalogue_of(*grid.radec(*grid.cosines(x, y)), flux)
    found = compare(ApparentImage(image, pb, grid, BEAM, NOISE_JY, 1.4e9), 0.2, known)
    assert len(found.ratio) == 1
    assert found.ratio[0] == pytest.approx(1, abs=0.01)


def test_invariants_of_a_sound_tile_and_of_wrong_ones():
    vis = skies.empty(antennas=10, times=12, channels=8, span_m=130)
    grid, weights = TileGrid(400, CELL_RAD, tuple(vis.phase_centre_rad)), np.ones((12, 8))
    response = effective_beam(vis.pointing_rad, weights, vis.freq_hz, grid, BeamOptions())
    sound = beam_and_geometry.measure(vis, weights, response, BeamOptions())
    assert sound["pb_error"] < 1e-5
    assert sound["pb_peak_offset_px"] < 0.1
    assert sound["pb_asymmetry"] < 0.005
    assert sound["centre_offset_arcsec"] < 1
    assert sound["uvw_error_m"] < 1e-6
    # A map that is centred a quarter of a degree off, as the array's first one was by half a degree.
    vis.pointing_rad[:, 1] += math.radians(0.25)
    wrong = beam_and_geometry.measure(vis, weights, response, BeamOptions())
    assert wrong["pb_peak_offset_px"] == pytest.approx(0.25 * 3600 / 20, rel=0.01)
    assert wrong["pb_error"] > 0.05
    assert wrong["centre_offset_arcsec"] == pytest.approx(900, abs=1)
    vis.uvw_m[5] *= 2
    assert beam_and_geometry.measure(vis, weights, response, BeamOptions())["uvw_error_m"] > 1


@pytest.mark.parametrize("minutes", [5.15, 20.6])
def test_the_middle_of_a_long_path_lies_on_it(minutes):
    """The circle of declination 33 deg bends by 32 arcsec in the 20.6 min of a file of 96 integrations."""
    vis = skies.empty(antennas=3, times=12, channels=2, span_m=130)
    half = math.radians(minutes / 4 / 2 * 1.0027)
    middle = math.radians(359.9), math.radians(33.2)
    vis.pointing_rad = np.stack([middle[0] + np.linspace(-half, half, 12), np.full(12, middle[1])], axis=1) % (
        2 * np.pi
    )
    vis.phase_centre_rad = middle
    assert beam_and_geometry._centre_offset(vis) < 0.01


def test_a_tile_is_judged_and_drawn(tmp_path):
    vis = skies.empty(antennas=20, times=8, channels=16, span_m=130)
    for east, north, flux, index in SKY:
        skies.add_source(vis, *skies.offset(vis, east, north), flux, index=index, beam=True)
    skies.add_noise(vis, 0.5)
    rows = ["name,ra_deg,dec_deg,flux_jy,spectral_index"]
    for number, (east, north, flux, index) in enumerate(SKY):
        ra, dec = np.degrees(skies.offset(vis, east, north))
        rows.append(f"S{number},{ra},{dec},{2 * flux},{index}")
    (tmp_path / "sky.csv").write_text("\n".join(rows) + "\n")
    twin = run(tile(tmp_path, vis), catalogue=tmp_path / "sky.csv")
    assert [reason.code for reason in twin.reasons] == ["median_flux_ratio_low", "flux_scale_off"]
    assert "best explained by a flux scale of 0.50" in twin.reasons[1].message
    assert twin.verdict == "failed"
    assert twin.qa["median_flux_ratio"] == pytest.approx(0.5, abs=0.01)
    assert twin.qa["median_offset_beams"] < 0.05
    judged, untouched = twin.judged_with["qa"], QaOptions().model_dump(mode="json")
    assert judged["min_tile_flux_ratio"] == 0.7
    assert {key: untouched[key] for key in judged} == judged
    assert len(judged) >= 19  # every threshold of a tile image
    assert "qa" not in twin.parameters
    assert (tmp_path / "out" / "20260211T002649.quality.png").stat().st_size > 20_000
    few = run((tmp_path / "in.ms", tmp_path / "in.json", tmp_path / "o2", tmp_path / "o2.json"), OPTIONS)
    assert few.verdict == "passed"
    assert "median_flux_ratio" not in few.qa
