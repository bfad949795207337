"""Channel groups: spectra of faint sources, and an image that is no worse for them."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from contimg.errors import ConfigError
from contimg.imaging import wsclean
from contimg.imaging.clean.channel_groups import GroupImage, channel_ranges, spectral_index
from contimg.imaging.grid import TileGrid
from contimg.imaging.transforms.wgridder import Gridder
from contimg.imaging.visibilities.channel_averaging import ChannelAveraging
from contimg.imaging.visibilities.samples import stokes_i
from tests.imaging.test_image_tile import OPTIONS, plane, run, tile
from tests.imaging.transforms.test_wgridder import peak_of
from tests.support import skies

# East, north (deg), Jy at 1.4 GHz, spectral index; none is bright enough to be subtracted (bright_sigma below).
SKY = [(0.3, 0.2, 1.0, -2.0), (-0.7, 0.5, 0.8, 1.0), (0.6, -0.8, 0.6, -0.7)]
OPTIONS = OPTIONS.model_copy(update={"size_px": 400, "bright_sigma": 1e6})


def simulated(noise_jy=0.2):
    vis = skies.empty(antennas=24, times=6, channels=32, span_m=130)
    for east, north, flux, index in SKY:
        skies.add_source(vis, *skies.offset(vis, east, north), flux, index=index, beam=True)
    skies.add_noise(vis, noise_jy)
    return vis


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    vis = simulated()
    paths = tile(tmp_path_factory.mktemp("groups"), vis)
    twin = run(paths, OPTIONS.model_copy(update={"channel_groups": 4}))
    alone = (*paths[:2], paths[2].with_name("alone"), paths[3].with_name("alone.json"))
    return vis, paths, twin, alone, run(alone, OPTIONS)


def test_spectral_indices_of_faint_sources_are_true(grouped):
    vis, paths, twin, *_ = grouped
    alpha, head = plane(paths, "alpha")
    assert head["BTYPE"].startswith("Spectral index")
    for east, north, _, index in SKY:
        x, y = (
            round(float(v)) for v in WCS(head).celestial.all_world2pix(*np.degrees(skies.offset(vis, east, north)), 0)
        )
        assert alpha[y, x] == pytest.approx(index, abs=0.1)
    assert np.isnan(alpha[:50, :50]).all()
    assert twin.facts["bright_sources"] == []


def test_each_group_has_the_flux_of_its_frequency(grouped):
    vis, paths, twin, *_ = grouped
    freq = [group["freq_hz"] for group in twin.facts["groups"]]
    assert freq == pytest.approx(vis.freq_hz.reshape(4, 8).mean(1), rel=2e-3)
    for number, group in enumerate(twin.facts["groups"]):
        image, head = plane(paths, f"group{number}.image")
        pb, _ = plane(paths, f"group{number}.pb")
        assert head["FREQ"] == pytest.approx(group["freq_hz"])
        assert head["BANDWID"] == pytest.approx(187.5e6 / 4)
        for east, north, flux, index in SKY:
            x, y = (
                round(float(v))
                for v in WCS(head).celestial.all_world2pix(*np.degrees(skies.offset(vis, east, north)), 0)
            )
            _, peak = peak_of(image, x, y)
            assert peak / pb[y, x] == pytest.approx(flux * (head["FREQ"] / 1.4e9) ** index, rel=0.02)


def test_the_image_of_the_whole_band_is_as_good(grouped):
    _, paths, twin, alone, single = grouped
    assert twin.qa["noise_ratio"] < 1.1
    # One flux for the whole band leaves what the spectra and the shrinking beam make of it.
    assert twin.qa["rms_mjy"] <= single.qa["rms_mjy"]
    (image, _), (other, _) = plane(paths, "image"), plane(alone, "image")
    assert image.max() == pytest.approx(other.max(), rel=0.01)
    assert not list(alone[2].glob("*group*"))
    assert twin.verdict == "passed"


def test_every_file_of_the_twin_is_there_and_clean(grouped):
    _, paths, twin, *_ = grouped
    for name in twin.facts["files"].values():
        assert (paths[2] / name).exists()
        if name.endswith(".fits"):
            with fits.open(paths[2] / name, checksum=True) as file:
                file.verify("exception")


def test_parts_of_the_band_add_up_to_the_whole():
    vis = simulated()
    samples = stokes_i(vis)
    weight = samples.weight * np.random.default_rng(2).uniform(0.1, 1, samples.weight.shape).astype(np.float32)
    grid = TileGrid(256, np.radians(30 / 3600), tuple(vis.phase_centre_rad))
    whole = Gridder(samples, weight, grid, 1)
    parts = [Gridder(samples, weight, grid, 1, channels) for channels in channel_ranges(samples.averaging, 3)]
    total = sum(one.total for one in parts)
    assert total == pytest.approx(whole.total)
    mean = sum(one.dirty(samples.vis) * (one.total / total) for one in parts)
    assert mean == pytest.approx(whole.dirty(samples.vis), abs=3e-5)
    model = np.zeros((256, 256), np.float32)
    model[100, 140] = 1
    assert sum(one.predict(model) for one in parts) == pytest.approx(whole.predict(model), abs=3e-5)


def test_parts_divide_no_averaged_sample():
    averaging = ChannelAveraging(
        np.linspace(1.3e9, 1.5e9, 96), 12, np.array([0, 12, 0]), np.array([1, 1, 8]), np.zeros(1, int)
    )
    ranges = channel_ranges(averaging, 5)
    assert [one.start for one in ranges] == [0, 16, 40, 56, 80]  # fifths are 19.2 channels, samples 8
    assert ranges[-1].stop == 96
    with pytest.raises(ConfigError, match=r"channel_groups 16 .* 12 channels"):
        channel_ranges(averaging, 16)


def test_an_index_is_blank_where_noise_or_beam_forbid_it():
    freq = [1.3e9, 1.4e9, 1.5e9]
    noise = np.random.default_rng(1).normal(0, 1e-3, (3, 64, 64))
    flux = np.array([[2.0, 0.02], [2.0, 2.0]])
    planes = []
    for hz, image in zip(freq, noise, strict=True):
        pb = np.full((64, 64), 0.5)
        pb[11, 10] = 0.1
        image[10:12, 10:12] += flux * pb[10:12, 10:12] * (hz / 1.4e9) ** -1.5
        planes.append(GroupImage(hz, 6e7, image, pb))
    index = spectral_index(planes, 0.2)
    assert index[10, 10] == pytest.approx(-1.5, abs=0.1)
    assert index[11, 11] == pytest.approx(-1.5, abs=0.1)
    assert np.isnan(index[10, 11])  # 10 sigma
    assert np.isnan(index[11, 10])  # beyond pb_limit
    assert np.count_nonzero(np.isfinite(index)) == 2


@pytest.mark.parametrize(("key", "value"), [("channel_groups", 2), ("catalogue_mask", True)])
def test_what_only_ours_does_is_refused_for_wsclean(monkeypatch, key, value):
    monkeypatch.setattr(wsclean.shutil, "which", lambda name: name)
    with pytest.raises(ConfigError, match=f"image.{key} needs image.backend contimg"):
        wsclean.check(OPTIONS.model_copy(update={key: value}))
