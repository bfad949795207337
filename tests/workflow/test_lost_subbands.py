"""Tiles that lost one or two subbands, from HDF5 to the image: flux at the stated frequency, weights, what headers say.

A sample runs always; CONTIMG_TEST_LOSSES=all runs the 16 single and 120 double losses.
"""

import os
from itertools import combinations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from contimg import measurement_set
from contimg.config import BeamOptions, FlagOptions, ImageOptions, IngestOptions
from contimg.convert.convert_tile import convert_tile
from contimg.correlator import band
from contimg.imaging.image_tile import image_tile
from contimg.simulate import GainErrors, NightOptions, simulate_night
from tests.imaging.transforms.test_wgridder import peak_of

FLUX_JY, INDEX, REFERENCE_HZ = 5.0, -1.5, 1.4e9
UNITS_PER_JY = 1 / 220  # of the simulated correlator
CHANNELS = 3
SAMPLE = [(0,), (4,), (11,), (15,), (0, 1), (3, 12), (14, 15)]
EVERY = [(one,) for one in range(16)] + list(combinations(range(16), 2))
LOSSES = EVERY if os.environ.get("CONTIMG_TEST_LOSSES") == "all" else SAMPLE
IMAGE = ImageOptions(size_px=400, cell_arcsec=30.0)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """One steep source half a degree off the centre, perfect antennas, noise of 0.1 mJy in the image."""
    out = tmp_path_factory.mktemp("losses")
    options = {
        "tiles": 1, "antennas": 14, "channels": CHANNELS, "integrations": 6, "max_baseline_m": 350.0,
        "declination_deg": 54.57, "calibrator": "none", "sefd_jy": 200.0, "gains": GainErrors.none(),
        "start": "2026-02-11T06:00:00",
    }  # fmt: skip
    first = simulate_night(out / "first", NightOptions(**options, sources=0))
    ra, dec = np.array(first.tile_centres_deg[0]) + [0.5, 0.3]
    sky = out / "sky.csv"
    sky.write_text(
        f"name,ra_deg,dec_deg,flux_jy,ref_freq_hz,spectral_index\none,{ra},{dec},{FLUX_JY},{REFERENCE_HZ},{INDEX}\n"
    )
    record = simulate_night(out / "night", NightOptions(**options, sky_file=sky))
    files = sorted((out / "night" / "incoming").glob("*.hdf5"), key=lambda path: path.name[-7:])
    assert len(files) == 16
    return record.tile_ids[0], files, (ra, dec)


@pytest.mark.parametrize("lost", LOSSES, ids=lambda lost: "-".join(f"sb{subband:02d}" for subband in lost))
def test_flux_after_losses(night, tmp_path, lost):
    tile_id, files, place_deg = night
    kept = [path for subband, path in enumerate(files) if subband not in lost]
    ms, ms_twin = tmp_path / "tile.ms", tmp_path / "tile.json"
    converted = convert_tile(
        kept, ms, ms_twin, tile_id=tile_id, ingest=IngestOptions(min_subbands=12), flag=FlagOptions()
    )
    assert converted.verdict == "passed"
    assert converted.facts["missing_subbands"] == sorted(lost)
    received = np.concatenate([band.subband_frequencies(s, CHANNELS) for s in range(16) if s not in lost])
    assert converted.facts["bandwidth_hz"] == pytest.approx((16 - len(lost)) * 11_718_750)

    vis = measurement_set.read(ms)
    there = np.isin(vis.freq_hz, received)
    assert np.count_nonzero(~there) == CHANNELS * len(lost)
    assert vis.flag[:, ~there].all()
    assert (vis.weight[:, ~there] == 0).all()
    assert vis.flag[:, there].mean() < 0.01
    assert (vis.weight[:, there] > 0).all()
    by_channel = (vis.weight * ~vis.flag).sum((0, 2), dtype=np.float64)
    assert converted.facts["freq_hz"] == pytest.approx(by_channel @ vis.freq_hz / by_channel.sum(), rel=1e-9)
    assert converted.facts["freq_hz"] == pytest.approx(received.mean(), rel=1e-4)

    image, image_twin = tmp_path / "image", tmp_path / "image.json"
    twin = image_tile(
        ms, ms_twin, image, image_twin, tile_id=tile_id, options=IMAGE, beam=BeamOptions(), catalogue=None, threads=1
    )
    assert twin.verdict == "passed"
    plane, head = fits.getdata(image / twin.facts["files"]["pbcor"], header=True)
    plane = np.squeeze(plane)
    assert head["FREQ"] == twin.facts["freq_hz"]
    assert head["BANDWID"] == twin.facts["bandwidth_hz"] == pytest.approx((16 - len(lost)) * 11_718_750)
    assert twin.facts["n_channels"] == CHANNELS * (16 - len(lost))
    assert twin.facts["band_hz"] == pytest.approx(converted.facts["band_hz"], abs=1)
    x, y = (round(float(value)) for value in WCS(head).celestial.all_world2pix(*place_deg, 0))
    flux_jy = peak_of(plane, x, y)[1] / UNITS_PER_JY
    true_jy = FLUX_JY * (head["FREQ"] / REFERENCE_HZ) ** INDEX
    print(f"LOSS {lost} {flux_jy / true_jy - 1:+.5f} at {head['FREQ'] / 1e6:.3f} MHz")
    assert flux_jy == pytest.approx(true_jy, rel=0.01)
