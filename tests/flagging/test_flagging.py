"""Both phases of flagging: interference is found, clean data and fringes stay; dead antennas, missing data."""

import numpy as np
import pytest

from contimg.config import FlagOptions
from contimg.flagging.amplitudes import median_and_sigma
from contimg.flagging.block_flagger import BlockFlagger
from contimg.flagging.findings import TileAxes
from contimg.flagging.flag_codes import FlagCode
from contimg.flagging.whole_tile import whole_tile_flags

CODES = {code.label: code for code in FlagCode}
N_TIMES, N_CHANNELS, N_ANTENNAS = 24, 128, 16
ONE, TWO = np.triu_indices(N_ANTENNAS, 1)


SHAPE = (N_TIMES, len(ONE), N_CHANNELS, 2)


def noise(seed=1, sigma=1.0, shape=SHAPE):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return (sigma * values).astype(np.complex64)


def flagger(*, received=None, **options):
    received = np.ones(N_CHANNELS, bool) if received is None else received
    subbands = [slice(first, first + 8) for first in range(0, N_CHANNELS, 8)]
    return BlockFlagger(FlagOptions(**options), TileAxes(received, N_TIMES, N_ANTENNAS, 2, subbands))


def run(data, *, code=None, step=50, **options):
    """Flag data block by block and then the whole; return the findings, codes and final flags."""
    tool = flagger(**options)
    code = np.zeros(data.shape, np.uint8) if code is None else code
    for first in range(0, data.shape[1], step):
        part = slice(first, first + step)
        values, codes = data[:, part].copy(), code[:, part].copy()
        tool.flag_block(values, codes, ONE[part], TWO[part])
        code[:, part] = codes
    findings = tool.findings()
    whole, flags = whole_tile_flags(findings, ONE, TWO), code != 0
    for time in range(N_TIMES):
        for _, found in whole.at(time):
            flags[time] |= found
    return findings, code, flags


def test_standard_deviation_from_the_quartiles():
    """Dividing by 1.349, not multiplying: that would give 1.82."""
    median, sigma = median_and_sigma(3 + np.random.default_rng(2).standard_normal(100_000))
    assert (median, sigma) == (pytest.approx(3, abs=0.02), pytest.approx(1, abs=0.02))


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


def test_without_a_search_only_what_is_no_data_is_flagged():
    data = noise(seed=2)
    data[3, 7, 11, 1] = 60  # the clip would have it, see below
    data[5, 9, 13, 0], data[6, 9, 13, 0] = 0, np.nan
    findings, code, flags = run(data, interference=False)
    assert code[5, 9, 13, 0] == CODES["zero"] and code[6, 9, 13, 0] == CODES["not_finite"]
    assert np.count_nonzero(flags) == 2 and findings.counts.sum() == data.size


def test_clip_alone():
    data = noise(seed=2)
    data[3, 7, 11, 1] = 60
    _, code, _ = run(data, aoflagger=False)
    assert code[3, 7, 11, 1] == CODES["clip"]
    assert (code != 0).sum() == 1


def test_clip_level():
    # 1.1774 is the median and 0.6721 the sigma (by its quartiles) of a Rayleigh amplitude.
    data = noise(seed=9)
    for row, excess in ((0, 0.95), (1, 1.05)):
        data[0, row, 5, 0] = excess * (1.1774 + 7 * 0.6721)
    _, code, _ = run(data, aoflagger=False)
    assert code[0, 0, 5, 0] == 0
    assert code[0, 1, 5, 0] == CODES["clip"]


def test_edge_channels():
    findings, code, _ = run(noise(), edge_channels=2)
    edge = (np.arange(N_CHANNELS) % 8 < 2) | (np.arange(N_CHANNELS) % 8 >= 6)
    assert (code[:, :, edge] == CODES["edge"]).all()
    assert (code[:, :, ~edge] != 0).mean() < 2e-3
    assert findings.counts[3, CODES["edge"]] == N_TIMES * len(ONE) * 4 * 2


def test_no_data_has_its_reasons():
    data = noise()
    data[2, 3] = np.nan
    data[4, 5] = 0
    data[:, 6] = 1 + 1j
    code = np.zeros(data.shape, np.uint8)
    code[:, :, :8] = CODES["not_received"]
    code[6, 7, 8:] = CODES["correlator"]
    received = np.arange(N_CHANNELS) >= 8
    findings, code, flags = run(data, code=code, received=received)
    assert (code[2, 3, 8:] == CODES["not_finite"]).all()
    assert (code[4, 5, 8:] == CODES["zero"]).all()
    assert (code[:, 6, 8:] == CODES["constant"]).all()
    assert (code[6, 7, 8:] == CODES["correlator"]).all()
    assert (code[:, :, :8] == CODES["not_received"]).all()
    samples = 2 * (N_CHANNELS - 8)
    assert findings.counts[0, CODES["not_received"]] == N_TIMES * len(ONE) * 8 * 2
    for name, planes in (("not_finite", 1), ("zero", 1), ("constant", N_TIMES), ("correlator", 1)):
        assert findings.counts[:, CODES[name]].sum() == planes * samples
    good = np.delete(flags, [3, 5, 6, 7], axis=1)[:, :, 8:]
    assert good.mean() < 1e-3


def test_not_finite_values_become_zero():
    data = noise(shape=(N_TIMES, 2, N_CHANNELS, 2))
    data[0, 0, 0, 0] = np.inf
    flagger(aoflagger=False).flag_block(data, np.zeros(data.shape, np.uint8), ONE[:2], TWO[:2])
    assert data[0, 0, 0, 0] == 0


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


def test_no_block_is_flagged_after_the_first_phase_has_ended():
    """The second phase takes the result of the first, which a later block would not be in."""
    tool, data = flagger(aoflagger=False), noise(shape=(N_TIMES, 2, N_CHANNELS, 2))
    tool.flag_block(data, np.zeros(data.shape, np.uint8), ONE[:2], TWO[:2])
    findings = tool.findings()
    assert findings.n_baselines == 2 and findings.counts.sum() == data.size
    with pytest.raises(RuntimeError, match="before findings"):
        tool.flag_block(data, np.zeros(data.shape, np.uint8), ONE[2:4], TWO[2:4])
    with pytest.raises(RuntimeError, match="before findings"):
        tool.add_autocorrelations(np.arange(2), data)
    with pytest.raises(AttributeError, match="cannot assign"):
        findings.n_baselines = 3


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
