"""Both phases of flagging: interference is found, clean data and fringes stay; dead antennas."""

import numpy as np
import pytest

from contimg.flagging.flag_codes import FlagCode
from contimg.flagging.whole_tile import whole_tile_flags
from tests.support.flagging_blocks import N_ANTENNAS, N_CHANNELS, N_TIMES, ONE, TWO, flagger, noise, run


def test_clean_noise_is_kept():
    _, _, flags = run(noise())
    assert flags.mean() < 1e-3


def test_calibrator_is_kept():
    # 15 sigma on every baseline through bandpasses that ripple by 10 %.
    ripple = 1 + 0.1 * np.sin(np.arange(N_CHANNELS) / 8)[None, None, :, None]
    phase = np.exp(2j * np.pi * np.random.default_rng(3).random((1, len(ONE), 1, 2)))
    _, _, flags = run(noise() + 15 * ripple * phase.astype(np.complex64))
    assert flags.mean() < 1e-3


@pytest.mark.parametrize("strength", [3.0, 5.0, 10.0, 300.0])
def test_interference_is_found(strength):
    data, mask = noise(), np.zeros((N_TIMES, N_CHANNELS), bool)
    mask[:, 37] = True  # a steady line
    mask[8:10, 60:72] = True  # a burst
    mask[15:17, 96:104] = True  # a subband for two integrations
    phase = np.exp(2j * np.pi * np.random.default_rng(4).random((len(ONE), 2)))
    data += (strength * mask[:, None, :, None] * phase[None, :, None]).astype(np.complex64)
    _, _, flags = run(data)
    cells = flags.transpose(1, 3, 0, 2)
    assert cells[:, :, mask].mean() >= 0.95
    assert cells[:, :, ~mask].mean() <= 0.01


def sky(fluxes, seed=8):
    """Fringes of sources (in sigma of a visibility's part) on baselines up to 2.6 km, through gains and ripples.

    Sources up to 1.5 deg off: up to 230 ns of delay, a turn in 18 of the 0.244-MHz channels, and some turns in a tile.
    """
    rng = np.random.default_rng(seed)
    place_m = rng.normal(0, 200, (N_ANTENNAS, 2))
    place_m[-2:] = [[1500, 300], [-900, 1800]]
    uv = (place_m[ONE] - place_m[TWO]) / 299_792_458
    freq_hz = 1.4e9 + 244_140.625 * np.arange(N_CHANNELS)
    hour = 2 * np.pi * np.arange(N_TIMES) * 12.88 / 86164
    data = np.zeros((N_TIMES, len(ONE), N_CHANNELS, 1), complex)
    for flux in fluxes:
        east, north = np.radians(rng.uniform(-1, 1, 2)) * 1.06
        path_s = uv @ [east, north] + hour[:, None] * (uv @ [north, east])
        data[..., 0] += flux * np.exp(2j * np.pi * path_s[..., None] * freq_hz)
    gains = np.exp(rng.normal(0, 0.15, (N_ANTENNAS, 1, 2)) + 2j * np.pi * rng.random((N_ANTENNAS, 1, 2)))
    delay = rng.normal(0, 5e-9, (N_ANTENNAS, 1, 2)) * (freq_hz - freq_hz[0])[:, None]
    ripple = 1 + 0.07 * np.sin(np.arange(N_CHANNELS)[:, None] / rng.uniform(20, 60, (N_ANTENNAS, 1, 2)))
    antenna = gains * ripple * np.exp(2j * np.pi * delay)
    pair = antenna[ONE] * antenna[TWO].conj()
    model = data * pair
    return (model + noise(seed) * np.abs(pair)).astype(np.complex64), np.abs(pair), model


FIELDS = {"calibrator": [6.5], "several of 5 Jy and more": [9.0, 4.5, 3.5, 2.5], "of 40 Jy": [17.0, 4.5, 3.5]}


@pytest.mark.parametrize("fluxes", FIELDS.values(), ids=FIELDS.keys())
def test_fringes_of_bright_sources_are_no_interference(fluxes):
    """One sigma is 2.3 Jy in a sample of the real telescope."""
    data, _, model = sky(fluxes)
    _, _, flags = run(data)
    assert flags.mean() <= 0.01
    of_antenna = [flags[:, (antenna == ONE) | (antenna == TWO)].mean() for antenna in range(N_ANTENNAS)]
    assert max(of_antenna) <= 0.02
    assert _scale(data, model, flags) == pytest.approx(_scale(data, model, np.zeros_like(flags)), abs=5e-4)


MASKS = {
    "line": (np.s_[:, 37:39], None),
    "burst": (np.s_[8:10, 60:72], None),
    "broad": (np.s_[15:17, 72:120], None),
    "whole band": (np.s_[5, :], None),
    "satellite": ([(time, slice(3 + 4 * time, 9 + 4 * time)) for time in range(N_TIMES)], None),
    "bad antenna": (np.s_[:, 40:64], 5),
    "bad antenna, burst": (np.s_[7:10, 80:104], 5),
}


@pytest.mark.parametrize("fluxes", FIELDS.values(), ids=FIELDS.keys())
@pytest.mark.parametrize("kind", MASKS)
def test_interference_above_5_sigma_is_found_under_any_sky(kind, fluxes):
    data, size, model = sky(fluxes)
    where, antenna = MASKS[kind]
    mask = np.zeros((N_TIMES, N_CHANNELS), bool)
    for part in where if isinstance(where, list) else [where]:
        mask[part] = True
    rows = np.ones(len(ONE), bool) if antenna is None else (antenna == ONE) | (antenna == TWO)
    rng = np.random.default_rng(12)
    heard = np.exp(rng.normal(0, 0.3, (N_ANTENNAS, 2)) + 2j * np.pi * rng.random((N_ANTENNAS, 2)))
    level = 7 * rng.uniform(0.7, 1.3, mask.shape) * mask
    strength = level[:, None, :, None] * (heard[ONE] * heard[TWO].conj() * rows[:, None])[None, :, None, :]
    data += (strength * size).astype(np.complex64)
    _, _, flags = run(data)
    strong = np.abs(strength) > 5
    assert strong.mean() > 0.0005
    assert flags[strong].mean() >= 0.95
    assert flags[strength == 0].mean() <= 0.01
    assert _scale(data, model, flags) == pytest.approx(1, abs=0.002)


def _scale(data, model, flags):
    """Return the amplitude of the sky in what is not flagged, over the true one."""
    good = ~flags
    return np.vdot(model[good], data[good]).real / np.vdot(model[good], model[good]).real


def test_dead_antennas():
    tool = flagger()
    antennas = np.arange(N_ANTENNAS)
    power = np.full((N_TIMES, N_ANTENNAS, N_CHANNELS, 2), 5800, np.complex64)
    power += noise(shape=power.shape, sigma=3.0).real
    power[:, 3] = 0
    power[:, 4] *= 0.0025  # a gain of 0.05
    power[:, 6, :, 1] = 7.0  # one receptor stuck
    power[:, 7] *= 0.1  # weak, but alive
    tool.add_autocorrelations(antennas, power)
    dead = whole_tile_flags(tool.findings(), ONE, TWO).dead_receptors
    assert np.flatnonzero(dead.all(1)).tolist() == [3, 4]
    assert dead[6].tolist() == [False, True]
    assert dead.sum() == 5


def test_no_autocorrelations_no_verdict():
    assert not whole_tile_flags(flagger().findings(), ONE, TWO).dead_receptors.any()


def test_noise_free_fringes_are_no_interference():
    # Two sources beat on every baseline; the polarisations see the same through different gains.
    rng = np.random.default_rng(6)
    turns = rng.normal(0, 3, (len(ONE), 1)) * np.linspace(0, 1, N_CHANNELS)
    drift = rng.normal(0, 2, len(ONE))[:, None] * np.linspace(0, 1, N_TIMES)[:, None, None]
    sky = 5 + 4 * np.exp(2j * np.pi * (turns + drift))
    gains = 1 + 0.1 * rng.standard_normal((len(ONE), 1, 2))
    _, _, flags = run((sky[..., None] * gains).astype(np.complex64))
    assert flags.mean() == 0


def test_flags_of_the_whole_tile_come_by_code_in_order_of_precedence():
    """A dead receptor, interference on all baselines too weak for one, and the same on one antenna."""
    data = noise(seed=21)
    data[:, :, 20] += 1.2
    mine = (ONE == 5) | (TWO == 5)
    data[4:7, mine, 90:100, 0] += 3.5
    tool = flagger(aoflagger=False)
    tool.flag_block(data, np.zeros(data.shape, np.uint8), ONE, TWO)
    power = noise(seed=4, shape=(N_TIMES, N_ANTENNAS, N_CHANNELS, 2)) + np.complex64(5800)
    power[:, 3, :, 1] = 0
    tool.add_autocorrelations(np.arange(N_ANTENNAS), power)
    by_code = dict(whole_tile_flags(tool.findings(), ONE, TWO).at(5))
    assert list(by_code) == sorted(by_code) == [FlagCode.DEAD_ANTENNA, FlagCode.CELL, FlagCode.ANTENNA]
    shape = data.shape[1:]
    dead, cell, antenna = (np.broadcast_to(found, shape) for found in by_code.values())
    assert np.array_equal(dead.any(1), np.stack([np.zeros(len(ONE), bool), (ONE == 3) | (TWO == 3)], 1))
    assert np.flatnonzero(cell.any((0, 2))).tolist() == [20] and cell[:, 20].all()
    assert antenna[mine][:, 90:100].all() and not antenna[~mine][:, 80:110].any()
