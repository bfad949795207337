"""Fluxes, beams, noise and gains, judged by outside numbers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import h5py
import numpy as np
import pytest

from contimg.simulate import GainErrors, NightOptions, simulate_night
from contimg.simulate.beam import power_beam
from contimg.simulate.calibrators import CALIBRATORS
from contimg.simulate.sky import Source

UNITS = 1 / 220


def _half_power_width_deg(frequency, blockage):
    angle = np.radians(np.linspace(1.0, 1.6, 60001))
    power = power_beam(angle, np.array(frequency), blockage_m=blockage)
    return 2 * np.degrees(angle[np.argmin(np.abs(power - 0.5))])


@pytest.mark.parametrize(
    ("giga_hertz", "blockage", "width"),
    [
        (1.400, 0.0, 2.715),
        (1.400, 0.4064, 2.704),
        (1.405, 0.4064, 2.694),
        (1.31125, 0.4064, 2.886),
        (1.49875, 0.4064, 2.526),
    ],
)
def test_beam_width(giga_hertz, blockage, width):
    assert _half_power_width_deg(giga_hertz * 1e9, blockage) == pytest.approx(width, abs=1.5e-3)


def test_beam_is_the_transform_of_the_aperture(aperture_beam):
    angle = np.radians(np.array([0.0, 0.3, 1.0, 1.9, 3.0, 5.0, 7.9]))
    assert power_beam(angle, np.array(1.4e9)) == pytest.approx(aperture_beam(angle, 1.4e9), abs=1e-7)
    assert power_beam(np.radians(8.1), np.array(1.4e9)) == 0


def test_calibrators_have_the_coefficients_that_casa_distributes():
    tables = pytest.importorskip("casacore.tables")
    spec = importlib.util.find_spec("casadata")
    path = Path(spec.origin).parent / "__data__/nrao/VLA/standards/PerleyButler2017Coeffs"
    with tables.table(str(path), ack=False) as table:
        for name, calibrator in CALIBRATORS.items():
            published = np.ravel(table.getcell(f"{name}_coeffs", table.nrows() - 1))
            assert calibrator.coefficients == pytest.approx(published.astype(float), abs=1e-6), name


@pytest.mark.parametrize("name", CALIBRATORS)
def test_expansion_about_the_reference_frequency_is_exact(name):
    calibrator = CALIBRATORS[name]
    frequency = np.linspace(1.31e9, 1.5e9, 7)
    logs = np.log10(frequency / 1e9)
    wanted = 10 ** sum(a * logs**power for power, a in enumerate(calibrator.coefficients))
    assert Source.from_calibrator(calibrator).flux_jy(frequency) == pytest.approx(wanted, rel=1e-12)


def test_3c286_at_l_band_is_fifteen_jansky():
    assert Source.from_calibrator(CALIBRATORS["3C286"]).flux_jy(1.4e9) == pytest.approx(15.1, abs=0.2)


def test_phased_to_the_source_the_mean_is_its_attenuated_flux(
    one_source_night, subband_file, open_with_pyuvdata, aperture_beam, offset_from_axis
):
    truth = np.genfromtxt(one_source_night.out / "truth.csv", delimiter=",", names=True, dtype=None, encoding=None)
    ra, dec, flux = float(truth["ra_deg"]), float(truth["dec_deg"]), float(truth["flux_jy"])
    assert flux == pytest.approx(10.0)
    for subband in (0, 15):
        uv = open_with_pyuvdata(subband_file(one_source_night, 0, subband))
        offset = offset_from_axis(uv, ra, dec)
        uv.phase(lon=np.radians(ra), lat=np.radians(dec), phase_frame="icrs", epoch=2000.0, cat_name="source")
        cross = uv.ant_1_array != uv.ant_2_array
        mean = uv.data_array[cross].mean(axis=(0, 2)) / UNITS
        spectrum = flux * (uv.freq_array / 1.4e9) ** -0.7
        expected = spectrum * [aperture_beam(offset[cross], frequency).mean() for frequency in uv.freq_array]
        assert 0.93 < expected[0] / spectrum[0] < 1.0, "the source crosses the beam's centre"
        assert np.abs(mean) == pytest.approx(expected, rel=1e-3)
        assert np.abs(np.angle(mean)).max() < 1e-3


def test_autocorrelations_are_positive_total_power(one_source_night, subband_file):
    with h5py.File(subband_file(one_source_night, 0, 0)) as file:
        autos = file["Header/ant_1_array"][:] == file["Header/ant_2_array"][:]
        power = file["Data/visdata"][:][autos] / UNITS
    assert np.abs(power.imag).max() == 0
    assert power.real.min() > 5800 and power.real.max() < 5811


def test_noise_has_the_radiometers_rms(tmp_path):
    options = NightOptions(
        tiles=1, antennas=16, channels=4, declination_deg=40.0, calibrator="none", sources=0, gains=GainErrors.none()
    )
    record = simulate_night(tmp_path / "night", options)
    with h5py.File(record.files[0].path) as file:
        cross = file["Header/ant_1_array"][:] != file["Header/ant_2_array"][:]
        noise = file["Data/visdata"][:][cross] / UNITS
        autos = file["Data/visdata"][:][~cross] / UNITS
    sigma = 5800 / np.sqrt(2 * 11.71875e6 / 4 * 12.884901888)
    samples = noise.size
    assert noise.real.std() == pytest.approx(sigma, rel=5 / np.sqrt(2 * samples))
    assert noise.imag.std() == pytest.approx(sigma, rel=5 / np.sqrt(2 * samples))
    assert abs(noise.mean()) < 5 * sigma / np.sqrt(samples)
    assert autos.real.mean() == pytest.approx(5800, rel=1e-3)
    assert autos.real.std() == pytest.approx(np.sqrt(2) * sigma, rel=0.1)


def test_true_gains_undo_the_gain_errors(tmp_path):
    common = dict(tiles=2, antennas=6, channels=4, integrations=4, sources=4, noise=False, seed=3)
    perfect = simulate_night(tmp_path / "perfect", NightOptions(**common, gains=GainErrors.none()))
    spoilt = simulate_night(tmp_path / "spoilt", NightOptions(**common))
    truth = np.load(spoilt.out / "truth_gains.npz")
    assert "conj(g[ant1]) * g[ant2]" in str(truth["convention"])
    stations = {int(number): index for index, number in enumerate(truth["stations"])}
    for clean, dirty in zip(perfect.files, spoilt.files, strict=True):
        with h5py.File(clean.path) as file:
            wanted = file["Data/visdata"][:, 0]
        with h5py.File(dirty.path) as file:
            head, found = file["Header"], file["Data/visdata"][:, 0]
            ants = [[stations[int(a) + 1] for a in head[key]] for key in ("ant_1_array", "ant_2_array")]
            frequency = head["freq_array"][0]
        delay = truth["delays_ns"][:, :, None] * 1e-9 * (frequency - truth["delay_reference_hz"])
        gain = (
            (truth["amplitudes"] * np.exp(1j * truth["phases"]))[:, :, None]
            * truth["bandpass"][:, :, dirty.subband]
            * np.exp(2j * np.pi * delay)
        )  # antenna, polarisation, channel
        time = np.repeat(np.arange(4), 21)
        drift = truth["drifts"][:, :, dirty.tile]
        one, two = (np.moveaxis(gain[a] * drift[a, :, time][:, :, None], 1, 2) for a in ants)
        assert np.allclose(found / (np.conj(one) * two), wanted, rtol=1e-4, atol=1e-5)
        assert not np.allclose(found, wanted, rtol=0.1)


def test_interference_strikes_where_the_truth_says(small_night, subband_file):
    import json

    events = json.loads((small_night.out / "truth.json").read_text())["rfi"]["events"]
    for event in (e for e in events if e["tile"] == 0):
        with h5py.File(subband_file(small_night, 0, event["subband"])) as file:
            head = file["Header"]
            cross = (head["ant_1_array"][:] != head["ant_2_array"][:]).reshape(4, 36)[0]
            data = np.abs(file["Data/visdata"][:, 0]).reshape(4, 36, 4, 2)[:, cross].mean(axis=(1, 3)) / UNITS
        struck = np.zeros((4, 4), dtype=bool)
        struck[np.ix_(event["integrations"], event["channels"])] = True
        assert data[struck].min() > 50
        assert struck.all() or data[~struck].max() < 30
    assert {(event["subband"], event["kind"]) for event in events} == {(4, "line"), (9, "broad")}


def test_dead_antennas_receive_no_sky_signal(tmp_path):
    common = dict(tiles=1, antennas=6, channels=4, integrations=2, sources=0, noise=False)
    alive = simulate_night(tmp_path / "alive", NightOptions(**common))
    victim = alive.stations[2]
    record = simulate_night(tmp_path / "dead", NightOptions(**common, dead=(victim,)))
    with h5py.File(record.files[0].path) as file:
        head, data = file["Header"], file["Data/visdata"][:, 0]
        first, second = head["ant_1_array"][:], head["ant_2_array"][:]
    dead = ((first == victim - 1) | (second == victim - 1)) & (first != second)
    assert not data[dead].any() and data[~dead].all()


def test_smearing_follows_the_average_over_a_channel(tmp_path):
    """Against the brute-force mean over 384 / n fine channels (n = 2, so a channel is 5.9 MHz wide)."""
    source = "name,ra_deg,dec_deg,flux_jy\nA,203.5,31.9,1.0\n"
    (tmp_path / "sky.csv").write_text(source)
    common = dict(
        tiles=1, antennas=6, integrations=2, noise=False, gains=GainErrors.none(), sky_file=tmp_path / "sky.csv",
        calibrator="none", declination_deg=30.4, start="2026-02-11T12:02:00",
    )  # fmt: skip
    wide = simulate_night(tmp_path / "wide", NightOptions(**common, channels=2, smearing=True))
    plain = simulate_night(tmp_path / "plain", NightOptions(**common, channels=2))
    fine = simulate_night(tmp_path / "fine", NightOptions(**common, channels=384))
    loaded = []
    for record in (wide, plain, fine):
        with h5py.File(record.files[0].path) as file:
            cross = file["Header/ant_1_array"][:] != file["Header/ant_2_array"][:]
            loaded.append(file["Data/visdata"][:, 0, :, 0][cross] / UNITS)
    smeared, sharp, mean = loaded[0], loaded[1], loaded[2].reshape(-1, 2, 192).mean(axis=2)
    assert np.abs(smeared - mean).max() < 0.03 * np.abs(sharp).max()
    assert np.abs(smeared).min() < 0.7 * np.abs(sharp).max(), "long baselines lose coherence"
    assert np.allclose(np.abs(sharp), np.abs(sharp).mean(), rtol=0.1)
