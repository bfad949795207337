"""Phase self-calibration: known phases, known skies."""

import hashlib
import json

import numpy as np
import pytest

from contimg import measurement_set
from contimg.config import BeamOptions, ImageOptions, SelfcalOptions
from contimg.imaging.grid import TileGrid
from contimg.imaging.image_tile import image_tile
from contimg.imaging.selfcal.antenna_gains import antenna_gains, signal_to_noise
from contimg.imaging.selfcal.selfcal import SelfCalibration
from contimg.imaging.visibilities.samples import stokes_i
from contimg.imaging.visibilities.weights import briggs, expected_rms
from contimg.products.twin import Twin
from tests.imaging.transforms.test_wgridder import peak_of
from tests.support import skies
from tests.support.twins import write_with_manifest

TILE = "2026-02-11T00:26:49"
STEM = "20260211T002649"
OFF = ImageOptions(size_px=512, cell_arcsec=20.0)
OPTIONS = OFF.model_copy(update={"selfcal": SelfcalOptions(rounds=3)})
NOISE_JY = 0.25  # of real and imaginary part of each correlation
# East, north (deg), Jy. With 22 antennas, 12 times and 32 channels the image has a noise of 0.7 mJy.
SKY = [(0.25, 0.15, 1.0), (-0.5, 0.4, 0.25), (0.7, -0.45, 0.2), (-0.6, -0.7, 0.15), (0.05, -0.6, 0.12)]


def observed(sky, *, phase_deg=0.0, per_time_deg=0.0, noise_jy=NOISE_JY):
    """Return visibilities with phase errors, and those errors (ntime, nreceptor, nant) in rad."""
    vis = skies.empty(antennas=22, times=12, channels=32, span_m=130)
    for east, north, flux in sky:
        skies.add_source(vis, *skies.offset(vis, east, north), flux, index=-0.7, beam=True)
    rng = np.random.default_rng(77)
    start, rate = rng.normal(size=(2, 2, 22))
    ramp = np.linspace(-1, 1, 12)[:, None, None]
    phase = np.radians(phase_deg * start + per_time_deg * ramp * rate)
    for time, rad in zip(vis.times_mjd_s, phase, strict=True):
        rows = vis.time_mjd_s == time
        turn = rad[:, vis.antenna1[rows]] - rad[:, vis.antenna2[rows]]
        vis.data[rows] *= np.exp(1j * turn.T).astype(np.complex64)[:, None]
    skies.add_noise(vis, noise_jy)
    return vis, phase


def image(folder, vis, options=OPTIONS, name="on"):
    folder.mkdir(exist_ok=True)
    if not (folder / "in.ms").exists():
        measurement_set.write(folder / "in.ms", vis)
        source = Twin(kind="calibrated", id=TILE, verdict="passed", synthetic=True)
        write_with_manifest(folder / "in.json", source)
    return image_tile(
        folder / "in.ms", folder / "in.json", folder / name, folder / f"{name}.json",
        tile_id=TILE, options=options, beam=BeamOptions(), catalogue=None, threads=1,
    )  # fmt: skip


def planes(folder, name="on"):
    return {one.name.split(".")[1]: hashlib.sha256(one.read_bytes()).hexdigest() for one in (folder / name).iterdir()}


def fitted(twin, vis, sky):
    """Return measured over true flux, and offset in beams, of the bright sources of a sky."""
    rows = []
    for east, north, flux in sky:
        ra, dec = np.degrees(skies.offset(vis, east, north))
        for one in twin.facts["bright_sources"]:
            apart = np.hypot((one["ra_deg"] - ra) * np.cos(np.radians(dec)), one["dec_deg"] - dec)
            if apart < 0.01:
                truth = flux * (twin.facts["freq_hz"] / 1.4e9) ** -0.7
                rows.append((one["flux_jy"] / truth, apart * 3600 / twin.facts["beam"]["bmin_arcsec"]))
    assert len(rows) == len(sky)
    return np.array(rows).T


def without_shift(vis, phase):
    """Return phases without their means and without the one gradient that all receptors and times share."""
    left = phase - phase.mean(-1, keepdims=True)
    one, two = vis.antenna1, vis.antenna2
    # Antenna places in the plane of the sky, from the baselines with antenna 0.
    design = []
    for time in vis.times_mjd_s:
        rows = vis.time_mjd_s == time
        places = np.zeros((22, 2))
        to_first = rows & (one == 0)
        places[two[to_first]] = -vis.uvw_m[to_first, :2]
        design.append(places - places.mean(0))
    stacked = np.broadcast_to(np.array(design)[:, None], (*left.shape, 2))
    slope, *_ = np.linalg.lstsq(stacked.reshape(-1, 2), left.ravel(), rcond=None)
    return left - stacked @ slope


def model_of(vis, sky):
    clean = skies.empty(antennas=22, times=12, channels=32, span_m=130)
    for east, north, flux in sky:
        skies.add_source(clean, *skies.offset(vis, east, north), flux, index=-0.7, beam=True)
    return clean.data[..., 0]


def solve(vis, sky, min_snr=20.0, **options):
    samples = stokes_i(vis)
    weight = samples.weight.copy()
    before = vis.data.copy()
    made = SelfCalibration(vis, samples, weight, SelfcalOptions(**{"rounds": 3, "min_snr": min_snr} | options))
    model = model_of(vis, sky)
    while made.improve(model):
        pass
    turned = np.angle((before * vis.data.conj()).sum(1))  # what was taken off each row and receptor
    return made, samples, turned


def per_antenna(vis, turned):
    """Return antenna phases (ntime, nreceptor, nant) of mean 0 from those of the baselines, by least squares."""
    phases = []
    for time in vis.times_mjd_s:
        rows = vis.time_mjd_s == time
        design = np.zeros((rows.sum(), 22))
        design[np.arange(len(design)), vis.antenna1[rows]] = 1
        design[np.arange(len(design)), vis.antenna2[rows]] = -1
        phases.append(np.linalg.lstsq(design, turned[rows], rcond=None)[0].T)
    return np.array(phases)


def test_phases_are_recovered():
    vis, truth = observed(SKY, phase_deg=4.0)
    made, _, turned = solve(vis, SKY)
    found = per_antenna(vis, turned)
    left = without_shift(vis, found) - without_shift(vis, truth)
    assert np.degrees(without_shift(vis, truth).std()) > 3
    assert np.degrees(np.sqrt(np.mean(left**2))) < 0.3
    facts = made.facts()
    assert facts["applied"]
    assert facts["intervals"] == 1
    assert facts["phase_rms_deg"] == pytest.approx(np.degrees(found.std()), rel=0.01)
    # 21 baselines, 12 times, 32 channels; the sky's power is 1.0^2 + 0.25^2 + ... through the beam.
    assert facts["snr_median"] == pytest.approx(np.sqrt(21 * 12 * 32) * 0.98 / NOISE_JY, rel=0.15)


def test_phases_that_change_during_the_tile_are_followed():
    vis, truth = observed(SKY, phase_deg=4.0, per_time_deg=4.0, noise_jy=0.1)
    made, _, turned = solve(vis, SKY)
    assert made.facts()["intervals"] >= 4
    left = without_shift(vis, per_antenna(vis, turned)) - without_shift(vis, truth)
    assert np.degrees(np.sqrt(np.mean(left**2))) < 0.8  # steps of a quarter of 8 degrees: 0.6


def test_errors_of_20_degrees_give_the_peak_back(tmp_path):
    vis, _ = observed(SKY, phase_deg=20.0)
    ideal = image(tmp_path / "ideal", observed(SKY)[0]).qa["peak_mjy"]
    off = image(tmp_path, vis, OFF, "off").qa["peak_mjy"]
    on = image(tmp_path, vis)
    # PhaseSolution of 20 degrees rms take 1 - exp(-(0.35)^2) = 11.5 % of the flux.
    assert 0.07 < 1 - off / ideal < 0.17
    assert (on.qa["peak_mjy"] - off) / (ideal - off) > 0.9
    assert on.qa["noise_ratio"] < 1.15


def test_amplitudes_are_recovered_and_their_mean_is_kept(tmp_path):
    vis, _ = observed(SKY, phase_deg=4.0, noise_jy=0.1)
    rng = np.random.default_rng(8)
    gain = np.exp(rng.normal(0, 0.1, (2, 22)))
    clean = vis.data.copy()
    vis.data *= (gain[:, vis.antenna1] * gain[:, vis.antenna2]).T[:, None].astype(np.float32)
    scale = float(np.mean([np.outer(one, one)[np.triu_indices(22, 1)].mean() for one in gain]))
    before = vis.data.copy()
    made, *_ = solve(vis, SKY, mode="amplitude")
    assert made.facts()["amplitude_rms"] == pytest.approx(np.std(gain), rel=0.2)
    # Per baseline: all that is left of the errors is the common factor, which is the model's to know.
    left = np.abs(vis.data / before).mean(1) * (gain[:, vis.antenna1] * gain[:, vis.antenna2]).T
    assert left.std() / left.mean() < 0.01
    assert left.mean() == pytest.approx(scale, rel=0.01)
    assert np.abs(vis.data).mean() == pytest.approx(scale * np.abs(clean).mean(), rel=0.01)
    phases_only, *_ = solve(observed(SKY, phase_deg=4.0)[0], SKY)
    assert phases_only.facts()["amplitude_rms"] == 0


def test_rounds_and_interval_are_those_asked_for():
    vis, _ = observed(SKY, phase_deg=4.0, per_time_deg=4.0, noise_jy=0.1)
    made, *_ = solve(vis, SKY, rounds=1, solint=4 * 12.884902)
    facts = made.facts()
    assert (facts["rounds"], facts["intervals"]) == (1, 3)


@pytest.mark.parametrize("mode", ["phase", "amplitude"])
def test_what_does_no_good_is_undone(mode):
    vis, _ = observed(SKY, phase_deg=4.0)
    samples = stokes_i(vis)
    options = SelfcalOptions(mode=mode, rounds=1)
    made = SelfCalibration(vis, samples, samples.weight.copy(), options)
    model = model_of(vis, SKY)
    if mode == "amplitude":
        model *= np.linspace(0.7, 1.3, 22).astype(np.float32)[vis.antenna1][:, None]  # a model that is wrong
        assert made.improve(model)
    before, mean = vis.data.copy(), samples.vis.copy()
    assert made.improve(model)
    assert not np.allclose(vis.data, before, rtol=1e-3)
    made.undo()
    assert np.allclose(vis.data, before, rtol=1e-5)
    assert np.allclose(samples.vis, mean, rtol=1e-4, atol=1e-5)
    facts = made.facts()
    assert (facts["rounds"], facts["amplitude_rms"]) == ((0, 0.0) if mode == "phase" else (1, 0.0))
    assert "not kept" in made.notes()[0]
    assert not made.improve(model)


def test_phases_of_a_round_that_is_undone_are_not_in_the_total():
    vis, _ = observed(SKY, phase_deg=4.0)
    samples = stokes_i(vis)
    made = SelfCalibration(vis, samples, samples.weight.copy(), SelfcalOptions(rounds=3))
    assert made.improve(model_of(vis, SKY))
    after_one = made.facts()
    assert after_one["phase_rms_deg"] > 2
    # What a second round of another 4 degrees would correct, and what is left of it in the record when undone.
    other, _ = observed(SKY, phase_deg=-4.0)
    vis.data[:] = other.data
    samples.vis = stokes_i(vis).vis
    assert made.improve(model_of(vis, SKY))
    assert made.facts()["phase_rms_deg"] < 0.5 * after_one["phase_rms_deg"]  # the two cancel
    made.undo()
    assert made.facts()["rounds"] == 1
    assert made.facts()["phase_rms_deg"] == pytest.approx(after_one["phase_rms_deg"], rel=1e-6)


def test_nothing_is_undone_twice():
    vis, _ = observed(SKY, phase_deg=4.0)
    samples = stokes_i(vis)
    made = SelfCalibration(vis, samples, samples.weight.copy(), SelfcalOptions(rounds=1))
    with pytest.raises(RuntimeError, match="no correction to undo"):
        made.undo()
    assert made.facts()["applied"] is False
    assert made.facts()["phase_error_deg"] is None
    assert made.improve(model_of(vis, SKY))
    made.undo()
    with pytest.raises(RuntimeError, match="no correction to undo"):
        made.undo()


def test_a_phase_gradient_is_a_shift_and_is_left_alone():
    vis, _ = observed(SKY)
    shift_rad = np.radians(5 / 3600)
    gradient = 2 * np.pi * 1.4e9 / skies.C_M_S * vis.uvw_m[:, 0] * shift_rad
    vis.data *= np.exp(1j * gradient).astype(np.complex64)[:, None, None]
    _, _, turned = solve(vis, SKY)
    # 5 arcsec are 8 degrees a 130 m baseline.
    assert np.degrees(gradient.std()) > 5
    slope = (gradient @ turned) / (gradient @ gradient)
    assert np.abs(slope).max() < 0.005


def test_receptors_that_disagree_about_the_position_are_aligned():
    vis, _ = observed(SKY)
    gradient = 2 * np.pi * 1.4e9 / skies.C_M_S * vis.uvw_m[:, 0] * np.radians(5 / 3600)
    vis.data *= np.exp(1j * gradient[:, None] * [1, -1]).astype(np.complex64)[:, None]
    _, _, turned = solve(vis, SKY)
    slope = (gradient @ turned) / (gradient @ gradient)
    assert slope == pytest.approx([1, -1], abs=0.01)


def test_noise_of_the_tile_is_the_radiometers_again_and_nothing_moves(tmp_path):
    vis, _ = observed(SKY, phase_deg=4.0)
    off, on = image(tmp_path, vis, OFF, "off"), image(tmp_path, vis)
    assert off.facts["selfcal"] == {"applied": False, "why": "switched off"}
    assert on.facts["selfcal"]["applied"]
    assert off.qa["noise_ratio"] > 1.3
    assert on.qa["noise_ratio"] < 1.1
    ideal = stokes_i(observed(SKY)[0])
    grid = TileGrid(512, np.radians(20 / 3600), tuple(vis.phase_centre_rad))
    noise_mjy = expected_rms(ideal, briggs(ideal, grid, 0.5)) * 1e3
    assert on.qa["rms_mjy"] < 1.1 * noise_mjy
    flux, offset = fitted(on, vis, SKY)
    snr = np.array([one["snr"] for one in on.facts["bright_sources"]])
    assert abs(flux[0] - 1) < 0.003
    assert np.abs(flux - 1)[1:].max() < 3 / snr.min()
    # The offset left is the gradient in the phases themselves: the shift that was there before.
    before = fitted(off, vis, SKY)[1][0]
    assert abs(offset[0] - before) < 0.01


@pytest.mark.parametrize(("bright_sigma", "snr"), [(50.0, 16.0), (100.0, 0.0)])
def test_a_faint_field_is_left_as_it_is(tmp_path, bright_sigma, snr):
    # A source of 70 sigma: sqrt(21 * 12 * 32) 0.1 / 0.5 = 18 for an antenna, less 4 % of beam and spectrum;
    # where it is not bright enough to be subtracted there is no model at all.
    vis, _ = observed([(0.25, 0.15, 0.1)], phase_deg=4.0, noise_jy=0.5)
    options = OPTIONS.model_copy(update={"bright_sigma": bright_sigma})
    off = image(tmp_path, vis, options.model_copy(update={"selfcal": OFF.selfcal}), "off")
    on = image(tmp_path, vis, options)
    facts = on.facts["selfcal"]
    assert not facts["applied"]
    assert facts["rounds"] == 0
    assert facts["snr_median"] == pytest.approx(snr, rel=0.15)
    assert any("selfcal.min_snr" in note for note in on.notes)
    assert off.notes == []
    assert planes(tmp_path, "on") == planes(tmp_path, "off")
    assert on.qa == off.qa


def test_perfect_gains_are_left_as_they_are(tmp_path):
    vis, _ = observed(SKY)
    off, on = image(tmp_path, vis, OFF, "off"), image(tmp_path, vis)
    assert on.facts["selfcal"]["snr_median"] > 100
    assert on.qa["rms_mjy"] == pytest.approx(off.qa["rms_mjy"], rel=0.01)
    assert fitted(on, vis, SKY)[0] == pytest.approx(fitted(off, vis, SKY)[0], rel=0.001)


def test_a_source_that_the_model_lacks_keeps_its_flux(tmp_path):
    sky = [(0.25, 0.15, 1.0), (-0.35, 0.3, 0.1)]
    # Only what is above 300 sigma is bright: the source of 100 mJy is not.
    options = OPTIONS.model_copy(update={"bright_sigma": 300.0})
    vis, _ = observed(sky, phase_deg=4.0, noise_jy=0.15)
    on = image(tmp_path, vis, options)
    assert on.facts["selfcal"]["applied"]
    assert len(on.facts["bright_sources"]) == 1
    from astropy.io import fits
    from astropy.wcs import WCS

    data, head = fits.getdata(tmp_path / "on" / f"{STEM}.pbcor.fits", header=True)
    data = np.squeeze(data)
    x, y = (round(float(v)) for v in WCS(head).celestial.all_world2pix(*np.degrees(skies.offset(vis, *sky[1][:2])), 0))
    _, peak = peak_of(data, x, y)
    assert peak == pytest.approx(0.1 * (head["FREQ"] / 1.4e9) ** -0.7, rel=0.02)
    assert json.loads((tmp_path / "on.json").read_text())["facts"]["selfcal"]["rounds"] >= 1


def test_antennas_without_data_have_gain_1_and_no_signal():
    rng = np.random.default_rng(3)
    phase = rng.uniform(-0.5, 0.5, 8)
    gain = np.exp(1j * (phase - np.angle(np.exp(1j * phase[:7]).sum())))
    power = 1 - np.eye(8)
    power[7] = power[:, 7] = 0
    data = np.outer(gain, gain.conj()) * power
    found = antenna_gains(data[None, None])[0, 0]
    assert found[:7] == pytest.approx(gain[:7], abs=1e-6)
    assert found[7] == 1
    assert signal_to_noise(data[None, None], power[None, None], found[None, None])[0, 0, 7] == 0
