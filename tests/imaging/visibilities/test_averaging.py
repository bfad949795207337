"""Averaged channels: what is lost is what was allowed, and nothing else changes."""

import numpy as np
import pytest

from contimg import measurement_set
from contimg.config import BeamOptions
from contimg.imaging import field_of_view
from contimg.imaging.clean.channel_groups import channel_ranges
from contimg.imaging.grid import TileGrid
from contimg.imaging.transforms.direct import DirectTransform
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities import smearing
from contimg.imaging.visibilities.averaging import averaging_factors, averaging_loss, read_averaged
from contimg.imaging.visibilities.channel_averaging import ChannelAveraging
from contimg.imaging.visibilities.samples import stokes_i
from contimg.imaging.visibilities.weights import time_channel_weights
from tests.support import skies

RADIUS = np.radians(2.0)


def written(folder, vis):
    measurement_set.write(folder / "in.ms", vis)
    return folder / "in.ms", measurement_set.read_coordinates(folder / "in.ms")


def narrow(vis):
    """Give visibilities channels of 0.244 MHz, as the correlator has."""
    width = 187.5e6 / 768
    vis.freq_hz = 1.4e9 + (np.arange(len(vis.freq_hz)) + 0.5) * width
    vis.channel_width_hz = width
    return vis


@pytest.mark.parametrize("factor", [2, 4, 16])
def test_loss_is_what_a_mean_of_phasors_loses(factor):
    delay, width = np.array([0.0, 1e-8, 6e-8]), 2.44e5
    phase = 2 * np.pi * width * np.outer(delay, np.arange(factor))
    assert averaging_loss(delay, width, factor) == pytest.approx(1 - np.abs(np.exp(1j * phase).mean(1)), abs=1e-12)


def test_factors_keep_the_loss_and_are_the_largest_that_do():
    vis = narrow(skies.empty(antennas=12, times=2, channels=48, span_m=600))
    factor = averaging_factors(vis, RADIUS, 0.003)
    assert set(np.unique(factor)) <= {1, 2, 4, 8, 16}
    assert len(np.unique(factor)) >= 3
    delay = np.hypot(*vis.uvw_m.T[:2]) * np.sin(RADIUS) / skies.C_M_S
    delay += np.abs(vis.uvw_m[:, 2]) * (1 - np.cos(RADIUS)) / skies.C_M_S
    for one, kind in zip(delay, factor, strict=True):
        assert averaging_loss(one, vis.channel_width_hz, int(kind)) <= 0.003
        if kind < 16:
            assert averaging_loss(one, vis.channel_width_hz, 2 * int(kind)) > 0.003
    assert np.all(averaging_factors(vis, RADIUS, 0.0) == 1)


@pytest.mark.parametrize(("groups", "largest"), [(1, 16), (3, 16), (4, 8), (7, 4), (16, 2), (48, 1)])
def test_each_channel_group_keeps_a_sample(groups, largest):
    """A compact array, whose samples could be the widest; 48 channels in parts that divide none."""
    vis = narrow(skies.empty(antennas=12, times=2, channels=48, span_m=60))
    factor = averaging_factors(vis, RADIUS, 0.003, groups)
    assert factor.max() == largest
    averaging = ChannelAveraging(vis.freq_hz, 1, np.zeros(3, int), np.array([1, largest, 1]), np.zeros(1, int))
    ranges = channel_ranges(averaging, groups)
    assert len(ranges) == groups and ranges[-1].stop == 48


def test_means_are_weighted_and_whole(tmp_path):
    vis = narrow(skies.empty(antennas=4, times=2, channels=13))
    rng = np.random.default_rng(3)
    vis.data[:] = rng.normal(size=vis.data.shape) + 1j * rng.normal(size=vis.data.shape)
    vis.weight[:] = rng.uniform(1, 96, vis.weight.shape)
    vis.flag[rng.random(vis.flag.shape) < 0.3] = True
    vis.flag[2, 4:8] = True
    path, coordinates = written(tmp_path, vis)
    factor = np.array([1, 2, 4, 4, 2, 1] * 2)
    made = read_averaged(path, coordinates, factor)
    seen = np.zeros(len(factor))
    for row in range(len(made.uvw_m)):
        which = made.averaging.layout_of_row[row]
        first, kind = int(made.averaging.first_channel[which]), int(made.averaging.factor[which])
        match = np.flatnonzero((np.abs(vis.uvw_m - made.uvw_m[row]).max(1) < 1e-6) & (factor == kind))
        (source,) = match
        for column in range(made.averaging.width):
            channels = slice(first + column * kind, min(13, first + (column + 1) * kind))
            for receptor in range(2):
                good = ~vis.flag[source, channels, receptor]
                weight = np.where(good, vis.weight[source, channels, receptor], 0)
                total = weight.sum(dtype=float)
                assert made.weight[row, column, receptor] == pytest.approx(total, rel=1e-5)
                if total:
                    mean = (weight * vis.data[source, channels, receptor]).sum() / total
                    assert made.data[row, column, receptor] == pytest.approx(mean, abs=1e-5)
                    assert made.averaging.freq_hz()[which, column] == pytest.approx(vis.freq_hz[channels].mean())
        seen[source] += made.weight[row].sum()
    assert seen == pytest.approx(np.where(vis.flag, 0, vis.weight).sum((1, 2)), rel=1e-5)
    assert made.flagged_fraction == pytest.approx(vis.flag.mean(), abs=1e-6)
    samples = stokes_i(made)
    sums = time_channel_weights(samples, samples.weight, 2)
    assert sums.sum() == pytest.approx(seen.sum(), rel=1e-5)


def test_sources_at_the_edge_keep_their_flux_within_the_bound(tmp_path):
    vis = narrow(skies.empty(antennas=14, times=4, channels=64, span_m=450))
    places = [(1.4, 1.4), (-1.9, 0.5), (0.3, -0.2)]
    for east, north in places:
        skies.add_source(vis, *skies.offset(vis, east, north), 1.0)
    path, coordinates = written(tmp_path, vis)
    grid = TileGrid(1500, np.radians(10 / 3600), tuple(vis.phase_centre_rad))
    found = {}
    for bound in (0.0, 0.003):
        samples = stokes_i(read_averaged(path, coordinates, averaging_factors(coordinates, RADIUS, bound)))
        image = Gridder(samples, samples.weight, grid, 1).dirty(samples.vis)
        pixels = [grid.pixels(*skies.cosines(*skies.offset(vis, *place), vis.phase_centre_rad)[:2]) for place in places]
        found[bound] = samples.vis.size, np.array([image[round(float(y)), round(float(x))] for x, y in pixels])
    assert found[0.003][0] < 0.7 * found[0.0][0]
    lost = found[0.0][1] - found[0.003][1]
    assert np.all(np.abs(lost) < 0.003)
    assert lost[0] > 1e-4
    assert abs(lost[2]) < 1e-4


def test_directions_are_exact_on_averaged_samples_both_ways(tmp_path):
    vis = narrow(skies.empty(antennas=9, times=3, channels=50, span_m=500))
    rng = np.random.default_rng(4)
    coordinates = written(tmp_path, vis)[1]
    factor = averaging_factors(coordinates, RADIUS, 0.01)
    assert factor.max() >= 8
    assert factor.min() <= 2
    places = [skies.offset(vis, 1.2, -1.0), skies.offset(vis, -0.4, 0.3)]
    index, flux = 0.8, 3.0
    for ra, dec in places:
        skies.add_source(vis, ra, dec, flux, index=index, beam=True)
    measurement_set.write(tmp_path / "sky.ms", vis)
    made = read_averaged(tmp_path / "sky.ms", coordinates, factor)
    samples = stokes_i(made)
    direct = DirectTransform(made, samples, samples.weight, np.log(vis.freq_hz / 1.4e9), threads=2)
    east, north = np.array([skies.cosines(*place, vis.phase_centre_rad)[:2] for place in places]).T
    spectrum = flux * (vis.freq_hz / 1.4e9) ** index
    apparent = [
        [skies.airy(skies.distance(*place, *axis), vis.freq_hz) * spectrum for axis in vis.pointing_rad]
        for place in places
    ]
    model = direct.predict(np.array(apparent, np.float32), east, north)
    assert np.abs(model - samples.vis).max() < 2e-5
    # The transpose: <look, 1> = <vis, predicted>.
    noise = (rng.normal(size=model.shape) + 1j * rng.normal(size=model.shape)).astype(np.complex64)
    unit = direct.predict(np.ones((2, 3, 50), np.float32)[:1], east[:1], north[:1])
    product = (samples.weight * (unit.conj() * noise).real).sum(dtype=float) / samples.weight.sum(dtype=float)
    assert direct.dirty_at(noise, east, north).value[0] == pytest.approx(product, abs=1e-6)


def test_smearing_is_the_closed_form():
    vis = narrow(skies.empty(antennas=6, times=3, channels=8, span_m=900))
    grid = TileGrid(4800, np.radians(3 / 3600), tuple(vis.phase_centre_rad))
    radius = field_of_view.field_radius(vis, grid, BeamOptions(), 0.2)
    # The axis drifts over 0.09 degrees only: the beam of 1.4 GHz is 0.2 at 2.0 degrees.
    assert np.degrees(radius) == pytest.approx(2.03, abs=0.06)
    facts = smearing.facts(vis, radius, averaging_factors(vis, radius, 0.003))
    longest = np.hypot(*vis.uvw_m.T[:2]).max()
    turns = vis.channel_width_hz * longest * np.sin(radius) / skies.C_M_S
    assert facts["channel_loss"] == pytest.approx(1 - np.sin(np.pi * turns) / (np.pi * turns), rel=0.03)
    assert facts["averaging_loss"] <= 0.003
    # A baseline turns once a day below the sky: east-west ones by their whole length, at least.
    fastest = skies.SIDEREAL_RAD_S * longest
    turns = 1.4e9 / skies.C_M_S * fastest * np.sin(radius) * vis.integration_s
    assert 0 < facts["integration_loss"] < 1.2 * (1 - np.sinc(turns))
