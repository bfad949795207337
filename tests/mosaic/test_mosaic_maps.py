"""Spectral index, outliers and local noise of a mosaic: what its pixels are made of, tile by tile."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from contimg.products.twin import read_twin
from tests.support.fake_tiles import DEC_DEG, Sky, TileMaker, strip_sky
from tests.support.mosaics_of_tiles import MOSAIC_ID, mosaic, plane
from tests.support.twins import write_with_manifest


def test_spectral_index_of_the_tiles_channel_groups(tmp_path):
    sky = strip_sky(12, (126.5, 129.5), flux_jy=(0.5, 2))
    maker = TileMaker(tmp_path, size=200, cell_arcsec=80.0, groups_hz=(1.33e9, 1.40e9, 1.48e9), spectral_index=-1.1)
    twins = [maker.make(i, 127.5 + 0.6 * i, sky, beam_arcsec=(250 + 10 * i, 240, 30)) for i in range(2)]
    made, folder = mosaic(tmp_path, twins, cell_arcsec=80.0)
    alpha, header = plane(folder, ".alpha")
    assert made.facts["files"]["spectral_index"] == f"{MOSAIC_ID}.alpha.fits"
    assert header["BTYPE"].startswith("spectral index")
    image, header = plane(folder)
    rms, _ = plane(folder, ".rms")
    columns, rows = (np.rint(v).astype(int) for v in WCS(header).celestial.all_world2pix(sky.ra_deg, sky.dec_deg, 0))
    inside = (rows > 3) & (rows < image.shape[0] - 3) & (columns > 3) & (columns < image.shape[1] - 3)
    rows, columns = rows[inside], columns[inside]
    strong = image[rows, columns] > 200 * rms[rows, columns]
    assert strong.sum() >= 6
    # Three parts of noise sqrt(3) rms at +-0.053 in ln(frequency): an error of sqrt(3 / 2) / 0.053 / SNR.
    error = np.sqrt(1.5) / 0.053 * (rms / image)[rows, columns][strong]
    pull = (alpha[rows, columns][strong] + 1.1) / error
    assert np.abs(pull).max() < 4 and np.abs(pull).mean() < 1.5
    assert not np.isfinite(alpha[image < 5 * rms]).any()


def test_an_aeroplane_in_one_tile_is_left_out_on_request(tmp_path):
    maker = TileMaker(tmp_path / "clean", size=150, cell_arcsec=120.0, beam_arcsec=(480, 480, 0))
    clean = [maker.make(i, 127 + 0.3 * i) for i in range(4)]
    _, want = mosaic(tmp_path, clean, "want", cell_arcsec=120.0)
    streak = Sky(np.linspace(126.8, 127.9, 12), np.full(12, DEC_DEG), np.full(12, 0.1))
    maker = TileMaker(tmp_path / "struck", size=150, cell_arcsec=120.0, beam_arcsec=(480, 480, 0))
    struck = [maker.make(i, 127 + 0.3 * i, streak if i == 1 else None) for i in range(4)]
    made, folder = mosaic(tmp_path, struck, "at0", cell_arcsec=120.0)
    assert list(made.facts["left_out"]) == ["2026-02-11T00:05:09"]
    assert "places are not in both" in made.facts["left_out"]["2026-02-11T00:05:09"]
    made, folder = mosaic(tmp_path, struck, "at6", cell_arcsec=120.0, reject_sigma=6.0)
    assert made.facts["left_out"] == {}
    assert np.nanmax(plane(folder)[0] - plane(want)[0]) < 0.003  # what of a quarter of 0.1 Jy is below 6 sigma
    assert any("2026-02-11T00:05:09 were left out" in note for note in made.notes)


def make_noisier(twin, columns, factor):
    """Multiply the pixels of some columns of a tile's image, as if its noise were that high there."""
    path = next(twin.with_suffix("").glob("*.image.fits"))
    with fits.open(path) as hdus:
        data, header = np.squeeze(hdus[0].data).copy(), hdus[0].header
    data[:, columns] *= factor
    hdu = fits.PrimaryHDU(data, header)
    hdu.add_datasum()
    hdu.writeto(path, overwrite=True)
    said = read_twin(twin)
    extremes = {"peak_mjy": float(data.max()) * 1e3, "min_mjy": float(data.min()) * 1e3}
    write_with_manifest(twin, said.model_copy(update={"qa": said.qa | extremes}))


def test_noise_that_varies_inside_a_tile_is_weighted_where_it_is(tmp_path):
    maker = TileMaker(tmp_path, size=400, cell_arcsec=40.0, beam_arcsec=(160, 160, 0))
    twins = [maker.make(i, 127.0) for i in range(2)]
    make_noisier(twins[1], slice(200, None), 5)
    # The mosaic is 369 pixels wide, its middle is the tiles'.
    east, west = (slice(100, 270), slice(70, 130)), (slice(100, 270), slice(240, 300))
    scatter = {}
    for local in (True, False):
        _, folder = mosaic(tmp_path, twins, f"local {local}", cell_arcsec=40.0, local_noise=local)
        image, rms = plane(folder)[0], plane(folder, ".rms")[0]
        scatter[local] = [np.std(image[part]) for part in (east, west)]
        if local:
            assert [np.std((image / rms)[part]) for part in (east, west)] == pytest.approx([1, 1], rel=0.06)
            # 1 / sqrt(1 + 1) and 1 / sqrt(1 + 1/25) mJy, under nearly the same beam.
            assert np.median(rms[west]) / np.median(rms[east]) == pytest.approx((2 / 1.04) ** 0.5, rel=0.06)
    # With one weight a tile, s = 1.9 for noise of 1 and 5: sqrt(1 + 25 / s^4) / (1 + 1 / s^2) = 1.3 instead of 0.98.
    assert scatter[True][1] < 0.85 * scatter[False][1] and scatter[True][0] <= 1.02 * scatter[False][0]
