"""The library of faults of the data: each changes its tiles as it says, and nothing else."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from contimg.cli.simulate import simulate
from contimg.simulate import NightOptions, SimulationError, simulate_night
from contimg.simulate.data_faults import FAULTS
from contimg.simulate.fault_files import SimulatedNight
from contimg.simulate.inject import FaultRequest, inject

SIZE = {"tiles": 4, "antennas": 9, "channels": 2, "integrations": 6, "sources": 4, "transit_tile": 0, "seed": 3}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean") / "night"
    simulate_night(folder, NightOptions(**SIZE))
    return folder


@pytest.fixture
def faulty(clean, tmp_path):
    """Return a function that puts a fault into a copy of the night: (night before, night after, tiles)."""

    def make(text, seed=1):
        shutil.copytree(clean, tmp_path / "night")
        tiles = inject(tmp_path / "night", FaultRequest.parse(text), seed)
        return SimulatedNight.open(clean), SimulatedNight.open(tmp_path / "night"), tiles

    return make


def content(path):
    return path.read_bytes()


def read(nights, tile, subband=5):
    return (night.read(tile, subband) for night in nights)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_its_tiles_and_no_other_and_says_so(faulty, name):
    before, after, tiles = faulty(name)
    assert tiles == {"one": [2], "half": [1, 3], "after": [1, 2, 3], "all": [0, 1, 2, 3]}[FAULTS[name].scope]
    for tile in range(4):
        changed = [sb for sb in range(16) if content(before.path(tile, sb)) != content(after.path(tile, sb))]
        assert bool(changed) == (tile in tiles)
        if name in ("subband_gain", "dead_subband"):
            assert len(changed) == (tile in tiles)
        if "subbands_exchanged" in name:
            assert len(changed) == 2 * (tile in tiles)
    said = json.loads((after.folder / "truth.json").read_text())["faults"][-1]
    assert (said["kind"], said["value"], said["tiles"]) == (name, FAULTS[name].value, tiles)


@pytest.mark.parametrize(
    ("text", "factor"), [("tile_scale=0.7", 0.7), ("conjugated", None), ("gain_ramp=3", [1, 1.4, 1.8, 2.2, 2.6, 3])]
)
def test_data_are_changed_by_the_value(faulty, text, factor):
    before, after, (tile,) = faulty(text)
    old, new = read((before, after), tile)
    expected = np.conj(old.data) if factor is None else old.data * np.reshape(factor, (-1, 1, 1, 1))
    np.testing.assert_allclose(new.data, expected, rtol=1e-5)
    assert np.array_equal(new.nsamples, old.nsamples)


def test_the_clock_is_late_after_the_calibrator_and_only_the_clock(faulty):
    before, after, tiles = faulty("clock=1.5")
    for tile in tiles:
        old, new = read((before, after), tile)
        np.testing.assert_allclose((new.times_jd - old.times_jd) * 86400, 1.5, atol=1e-4)
        assert np.array_equal(new.data, old.data)


def test_noise_becomes_threefold_and_the_sky_stays(faulty):
    """The noise of a night is that of the radiometer, 5800 Jy / sqrt(2 B t), in correlator units of 220 Jy."""
    before, after, (tile,) = faulty("noise=3")
    old, new = read((before, after), tile)
    radiometer = 5800 / np.sqrt(2 * 11.71875e6 / 2 * 12.884901888) / 220
    added = (new.data - old.data)[:, new.cross]
    assert np.std(added.real) == pytest.approx(np.sqrt(3**2 - 1) * radiometer, rel=0.1)
    assert np.abs(added.mean()) < 0.2 * radiometer
    assert np.array_equal(new.data[:, ~new.cross], old.data[:, ~old.cross])


def test_phases_and_delays_of_antennas(faulty):
    """A delay of the north-south arm turns baselines between the arms, by 2 pi f tau, and no other amplitude."""
    before, after, tiles = faulty("arm_delay=10")
    old, new = read((before, after), tiles[0])
    np.testing.assert_allclose(np.abs(new.data), np.abs(old.data), rtol=1e-5)
    turned = np.angle(new.data / old.data)[0, :, :, 0]
    slope = np.angle(np.exp(1j * (turned[:, 1] - turned[:, 0])))
    expected = 2 * np.pi * 10e-9 * (old.frequencies_hz[1] - old.frequencies_hz[0])
    assert np.isclose(np.abs(slope), abs(expected), atol=1e-4).any()
    assert np.all(np.isclose(np.abs(slope), abs(expected), atol=1e-4) | np.isclose(slope, 0, atol=1e-4))


def test_swapped_antennas_have_each_others_baselines(faulty):
    before, after, tiles = faulty("antennas_swapped")
    old, new = read((before, after), tiles[0])
    moved = [number for number in range(len(old.stations)) if not np.allclose(old.data[:, number], new.data[:, number])]
    a, b = np.random.default_rng([1, 13, 5]).choice(before.stations, 2, replace=False)
    assert {int(s) for s in old.stations[moved].ravel()} >= {a, b}
    row = {tuple(pair): number for number, pair in enumerate(old.stations.tolist())}
    np.testing.assert_allclose(new.data[:, row[a, a]], old.data[:, row[b, b]])
    pair = row.get((a, b), row.get((b, a)))
    np.testing.assert_allclose(new.data[:, pair], np.conj(old.data[:, pair]))


def test_gap_and_nan_block_take_their_fraction(faulty):
    before, after, (tile,) = faulty("gap=0.5")
    _, new = read((before, after), tile)
    assert (new.nsamples == 0).all(axis=(1, 2, 3)).sum() == 3


def test_crosstalk_mixes_the_polarisations(faulty):
    old, new = read(faulty("crosstalk=0.25")[:2], 1)
    np.testing.assert_allclose(new.data[..., 0], old.data[..., 0] + 0.25 * old.data[..., 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(new.data[..., 1], old.data[..., 1] + 0.25 * old.data[..., 0], rtol=1e-5, atol=1e-6)


def test_only_baselines_within_a_half_of_the_antennas_are_scaled(faulty):
    before, after, (tile,) = faulty("baselines_scaled=0.5")
    old, new = read((before, after), tile)
    half = before.stations[:4]
    chosen = np.isin(old.stations, half).all(1) & old.cross
    assert chosen.sum() == 6
    np.testing.assert_allclose(new.data[:, chosen], 0.5 * old.data[:, chosen])
    assert np.array_equal(new.data[:, ~chosen], old.data[:, ~chosen])


def test_frozen_times_and_a_late_subband(faulty):
    before, after, (tile,) = faulty("times_frozen")
    old, new = read((before, after), tile)
    assert (new.times_jd == old.times_jd[0]).all() and len(set(old.times_jd)) == 6


def test_one_subband_comes_late(faulty):
    before, after, (tile,) = faulty("subband_late=2")
    late = [sb for sb in range(16) if content(before.path(tile, sb)) != content(after.path(tile, sb))]
    assert len(late) == 1
    old, new = read((before, after), tile, late[0])
    assert np.array_equal(new.data[2:], old.data[:-2])


def test_a_constant_on_every_baseline_and_a_drift(faulty):
    before, after, (tile,) = faulty("correlator_offset=2")
    old, new = read((before, after), tile)
    added = (new.data - old.data)[:, new.cross]
    np.testing.assert_allclose(added, 2 * before.noise, rtol=1e-3)


def test_gains_drift_by_a_step_a_tile(faulty):
    before, after, tiles = faulty("drift=0.1")
    for tile in tiles:
        old, new = read((before, after), tile)
        np.testing.assert_allclose(new.data, (1 + 0.1 * tile) * old.data, rtol=1e-5)


def test_one_tile_can_be_named(faulty):
    assert faulty("tile_scale=2@3")[2] == [3]


@pytest.mark.parametrize(
    ("text", "said"),
    [("no_such_fault", "use one of"), ("clock=late", "clock=10@3"), ("clock@last", "@TILE"), ("clock=nan", "finite")],
)
def test_a_request_that_cannot_be_read_is_refused_in_one_sentence(text, said):
    with pytest.raises(SimulationError, match=said):
        FaultRequest.parse(text)


def test_a_tile_that_is_not_there_is_refused(faulty):
    with pytest.raises(SimulationError, match="the tiles are 0 to 3"):
        faulty("clock@4")


def test_a_folder_without_a_night_is_refused(tmp_path):
    with pytest.raises(SimulationError, match="simulate one first"):
        inject(tmp_path, FaultRequest("clock"))


def test_the_command_puts_the_fault_in(tmp_path, clean):
    out = tmp_path / "night"
    words = [f"--{key.replace('_', '-')}={value}" for key, value in SIZE.items()]
    done = CliRunner().invoke(simulate, [str(out), *words, "--fault", "tile_scale=1.25@3"])
    assert done.exit_code == 0, done.output
    assert "fault tile_scale in tile 3" in done.output
    old, new = read((SimulatedNight.open(clean), SimulatedNight.open(out)), 3)
    np.testing.assert_allclose(new.data, 1.25 * old.data, rtol=1e-5)
    refused = CliRunner().invoke(simulate, [str(out), *words, "--fault", "tile_scal"])
    assert refused.exit_code == 1
    assert "use one of tile_scale" in refused.output
