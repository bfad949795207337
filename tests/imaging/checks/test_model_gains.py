"""Gains of subbands, integrations and antennas over the model: known errors are measured and named."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from contimg.config import QaOptions
from contimg.correlator.band import subband_frequencies
from contimg.imaging.checks import model_gains
from contimg.imaging.checks.model_gains import measure_model_gains
from contimg.imaging.checks.system_noise import measure_system_noise
from contimg.imaging.visibilities.samples import stokes_i
from contimg.products import gates
from contimg.statistics import robust_sigma
from tests.support import skies

SOURCES = [(0.004, -0.003, 3.0), (-0.01, 0.006, 1.0)]


@pytest.fixture
def vis():
    """Visibilities of noise of 1 Jy in 16 subbands of 2 channels, with weights that say so."""
    found = skies.empty(antennas=12, times=12, channels=32, span_m=130)
    freq_hz = np.sort(np.concatenate([subband_frequencies(i, 2) for i in range(16)]))
    found.freq_hz[:] = freq_hz
    skies.add_noise(found, 1.0)
    found.weight[:] = 1.0
    return found


def subband(number):
    """Return the channels of a subband: sb00 is the highest."""
    return slice(32 - 2 * (number + 1), 32 - 2 * number)


def model_of(vis):
    """Return the visibilities (nrow, nchan) of the bright sources, Jy: a model of any shape will do."""
    east, north, flux = np.array(SOURCES).T
    turns = vis.uvw_m[:, :2] @ np.stack([east, north])
    phase = 2j * np.pi * turns[:, None, :] * vis.freq_hz[None, :, None] / skies.C_M_S
    return (np.exp(-phase) * flux).sum(2).astype(np.complex64)


def measured(vis, change=None):
    """Return the numbers of a tile whose visibilities of the model were changed."""
    model = model_of(vis)
    seen = model.copy()
    if change is not None:
        change(seen)
    vis.data += seen[..., None]
    samples = stokes_i(vis)
    assert len(samples.rows) == len(vis.uvw_m)
    return measure_model_gains(vis, samples, samples.vis - model)


def codes(numbers):
    known = {key: value for key, value in numbers.items() if not key.endswith("_of")}
    gated = {key: some for key, some in gates.gates_of("image").items() if key in known}
    twin = SimpleNamespace(kind="image", qa=numbers, reasons=[])
    assert gated
    return [
        (reason.code, reason.message.rpartition(": ")[2]) for reason in gates.judge_again(twin, {"qa": QaOptions()})
    ]


def test_a_right_tile(vis):
    found = measured(vis)
    for kind in ("subband", "time", "antenna"):
        assert found[f"{kind}_gain"] == pytest.approx(1, abs=5 * found[f"e_{kind}_gain"])
        assert found[f"e_{kind}_gain"] < 0.03
    assert len(found["gain_by_subband"]) == 16
    assert codes(found) == []


@pytest.mark.parametrize("gain", [0.8, 1.1, 1.3])
def test_a_subband_of_another_gain_is_named_with_its_gain(vis, gain):
    def change(model):
        model[:, subband(5)] *= gain

    found = measured(vis, change)
    assert found["subband_gain_of"] == "sb05"
    assert found["subband_gain"] == pytest.approx(gain, abs=5 * found["e_subband_gain"])
    assert ("subband_gain_off", "sb05") in codes(found)


def test_exchanged_subbands_lose_their_sources(vis):
    def change(model):
        phases = np.exp(2j * np.pi * np.random.default_rng(1).uniform(-0.3, 0.3, len(model)))
        model[:, subband(3)] *= phases[:, None]  # as of bandpasses of other frequencies
        model[:, subband(9)] *= phases.conj()[:, None]

    found = measured(vis, change)
    assert found["subband_gain_of"] in ("sb03", "sb09")
    assert found["subband_gain"] < 0.9
    assert found["gain_by_subband"]["sb03"] < 0.9 > found["gain_by_subband"]["sb09"]


def test_a_spectral_index_is_no_fault_of_a_subband(vis):
    def change(model):
        model *= (vis.freq_hz / vis.freq_hz.mean()) ** -2

    assert codes(measured(vis, change)) == []


def test_an_antenna_of_another_gain_is_named(vis):
    def change(model):
        model[(vis.antenna1 == 7) | (vis.antenna2 == 7)] *= 1.5

    found = measured(vis, change)
    assert found["antenna_gain_of"] == vis.antenna_names[7]
    # The other antennas have it on one of eleven baselines.
    assert found["antenna_gain"] == pytest.approx(1.5 / (1 + 0.5 / 11), rel=0.03)
    assert ("antenna_gain_off", vis.antenna_names[7]) in codes(found)


@pytest.mark.parametrize("turned", [False, True])
def test_an_arm_that_is_late_is_named(vis, turned):
    """Half of the antennas are of the north-south arm, whichever comes first in a baseline."""
    north_south = range(6) if turned else range(6, 12)
    vis.antenna_names[:] = [f"{60 + i}" if i in north_south else f"{1 + i}" for i in range(12)]
    late = np.isin(vis.antenna1, north_south).astype(int) - np.isin(vis.antenna2, north_south)

    def change(model):
        model *= np.exp(2j * np.pi * 4e-9 * (vis.freq_hz - 1.405e9) * late[:, None])

    found = measured(vis, change)
    assert found["arm_delay_ns"] == pytest.approx(4.0, abs=5 * found["e_arm_delay_ns"])
    assert found["e_arm_delay_ns"] < 0.1
    assert ("arm_delay_ns_off", "the north-south arm against the east-west arm") in codes(found)


def test_an_integration_of_another_gain_is_named(vis):
    third = vis.time_mjd_s == vis.times_mjd_s[3]

    def change(model):
        model[third] *= 0.5

    found = measured(vis, change)
    assert (found["time_gain_of"], found["time_gain"]) == ("integration 3", pytest.approx(0.5, abs=0.05))


def test_without_bright_sources_nothing_is_measured(vis):
    samples = stokes_i(vis)
    found = measure_model_gains(vis, samples, samples.vis)
    assert found["subband_gain"] is None and found["antenna_gain"] is None and found["gain_by_subband"] == {}
    assert codes(found) == []


class TestSystemNoise:
    def test_of_right_weights(self, vis):
        found = measure_system_noise(vis, stokes_i(vis))
        assert found["system_noise"] == pytest.approx(1, abs=0.02)
        assert found["subband_noise"] == pytest.approx(1, abs=0.09)  # the largest of 16, each to 2.7 %
        assert codes(found) == []

    @pytest.mark.parametrize(("factor", "noise"), [(4.0, 2.0), (0.25, 0.5)])
    def test_weights_against_scatter(self, vis, factor, noise):
        vis.weight *= factor
        found = measure_system_noise(vis, stokes_i(vis))
        assert found["system_noise"] == pytest.approx(noise, rel=0.02)
        assert [code for code, _ in codes(found)] == ["system_noise_off"]

    def test_weights_of_one_subband(self, vis):
        vis.weight[:, subband(6)] *= 4
        found = measure_system_noise(vis, stokes_i(vis))
        assert (found["subband_noise_of"], found["subband_noise"]) == ("sb06", pytest.approx(2, rel=0.09))
        assert codes(found) == [("subband_noise_off", "sb06")]

    def test_a_scale_that_changed_since_the_calibrator(self, vis):
        vis.data *= 1.15
        assert measure_system_noise(vis, stokes_i(vis))["system_noise"] == pytest.approx(1.15, rel=0.02)

    def test_an_integration_of_threefold_noise(self, vis):
        vis.data[vis.time_mjd_s == vis.times_mjd_s[7]] *= 3
        found = measure_system_noise(vis, stokes_i(vis))
        assert (found["time_noise_of"], found["time_noise"]) == ("integration 7", pytest.approx(3, rel=0.06))
        assert ("time_noise_off", "integration 7") in codes(found)

    def test_weights_that_are_no_variances_promise_nothing(self, vis):
        vis.weight *= 9
        found = measure_system_noise(vis, stokes_i(vis), calibrated_weights=False)
        assert found["system_noise"] is None
        assert codes(found) == []


def test_a_part_of_which_hardly_anything_is_left_is_not_compared():
    """A missing subband has the power of a few short baselines that stand for it; what these say is no gain of it."""
    power = np.full(16, 1e6)
    power[4] = 3e4
    product = power.astype(np.complex128)
    product[4] *= 1.2
    names = [f"sb{i:02d}" for i in range(16)]
    found = model_gains._worst_part("subband", model_gains._Sums(product, power), names, slope=True)
    assert "sb04" not in found["gain_by_subband"] and found["subband_gain"] == pytest.approx(1)
    power[4] = 3e5
    product[4] = 1.2 * power[4]
    found = model_gains._worst_part("subband", model_gains._Sums(product, power), names, slope=True)
    assert found["subband_gain_of"] == "sb04" and found["subband_gain"] == pytest.approx(1.2, rel=0.02)


def _with_gains(vis, gain):
    """Return the scatter that is found where the model's visibilities have gains (antenna, channel)."""

    def change(model):
        model *= gain[vis.antenna1] * gain[vis.antenna2]

    return measured(vis, change)["antenna_gain_scatter"]


def test_the_scatter_of_the_antennas_is_what_both_halves_of_the_band_have_in_common(vis):
    size = 0.05 * np.array([1.5, -1.2, 0.8, -0.7, 0.3, -0.2, 0.1, -1.0, 1.1, -0.4, 0.6, -0.9])
    gain = np.repeat((1 + size)[:, None], 32, axis=1)
    # Of an antenna's baselines the others' gains are 1 in the mean, but for its own.
    assert _with_gains(vis, gain) == pytest.approx(robust_sigma(size * (1 - 1 / 11)), rel=0.1)


def test_errors_that_differ_between_the_halves_are_no_common_scatter(vis):
    rng = np.random.default_rng(3)
    gain = np.repeat(1 + 0.05 * rng.standard_normal((12, 2)), 16, axis=1)
    gain[:, 16:] = 2 - gain[:, :16]  # opposite in the halves
    assert _with_gains(vis, gain) < 0.01
