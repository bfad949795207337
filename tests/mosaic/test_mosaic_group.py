"""The mosaic of a group, from twins and FITS to twin and files."""

from __future__ import annotations

import filecmp

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits.scripts.fitscheck import main as fitscheck
from astropy.wcs import WCS

from contimg.errors import ConfigError, InputError
from tests.support.fake_tiles import DEC_DEG, Sky, TileMaker, strip_sky
from tests.support.mosaics_of_tiles import MOSAIC_ID, mosaic, plane

SPACING_DEG = 1.29
PLANES = (
    ".fits", ".weights.fits", ".rms.fits", ".coverage.fits", ".frequency.fits", ".png", ".tiles.csv",
    ".tile_fluxes.csv", ".narrow.png",
)  # fmt: skip


@pytest.fixture(scope="module")
def sky():
    return strip_sky(25, (125, 133), flux_jy=(0.2, 5))


@pytest.fixture(scope="module")
def group(tmp_path_factory, sky):
    """Four tiles of slightly different beams and noise."""
    root = tmp_path_factory.mktemp("group")
    maker = TileMaker(root, expected_rms_jy=0.8e-3)
    twins = [
        maker.make(i, 127 + SPACING_DEG * i, sky, beam_arcsec=(250 + 5 * i, 240 - 3 * i, 20), rms_jy=(1 + i) * 1e-3)
        for i in range(4)
    ]
    made, folder = mosaic(root, twins)
    return root, twins, made, folder


def test_sources_come_back_at_their_flux(group, sky):
    # Peak of a point source in Jy/beam = its flux density; beam-corrected, anywhere in the footprint.
    _, _, made, folder = group
    image, header = plane(folder)
    rms, _ = plane(folder, ".rms")
    wcs = WCS(header).celestial
    xs, ys = wcs.all_world2pix(sky.ra_deg, sky.dec_deg, 0)
    checked = 0
    for x, y, flux in zip(xs, ys, sky.flux_jy, strict=True):
        column, row = round(float(x)), round(float(y))
        if not (5 < column < image.shape[1] - 5 and 5 < row < image.shape[0] - 5):
            continue
        noise = rms[row, column]
        if not np.isfinite(noise) or flux < 100 * noise:
            continue
        # The pixel is off the source by a known part of a known beam.
        beam = made.facts["beam"]
        sigma = np.sqrt(beam["bmaj_arcsec"] * beam["bmin_arcsec"]) / 60 / 2.3548
        off = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * sigma**2))
        assert image[row, column] == pytest.approx(flux * off, rel=0.01, abs=4 * noise)
        checked += 1
    assert checked >= 10


def test_weights_and_noise(group):
    _, _, made, folder = group
    image, _ = plane(folder)
    weights, header = plane(folder, ".weights")
    rms, rms_header = plane(folder, ".rms")
    assert header["BUNIT"] == "beam2.Jy-2"
    assert rms_header["BUNIT"] == "Jy/beam"
    assert np.isfinite(weights).all()
    assert np.array_equal(weights > 0, np.isfinite(image))
    assert np.array_equal(weights > 0, np.isfinite(rms))
    inside = weights > 0
    assert rms[inside] == pytest.approx(weights[inside] ** -0.5, rel=1e-6)
    assert made.facts["area_deg2"] == pytest.approx(inside.sum() / 3600, rel=0.005)
    # Tile i has 1 + i mJy, but the radiometer says 0.8: where all overlap the best tiles dominate.
    assert 1.0 < made.qa["noise_ratio"] < 5
    assert made.qa["flagged_fraction"] == 0.05


def test_headers(group):
    _, _, made, folder = group
    for suffix in ("", ".weights", ".rms", ".coverage", ".frequency"):
        _, header = plane(folder, suffix)
        assert (header["CTYPE1"], header["CTYPE2"]) == ("RA---COE", "DEC--COE")
        assert header["RADESYS"] == "ICRS"
        assert header["CDELT2"] * 3600 == pytest.approx(60.0, rel=1e-12)
        assert header["BMAJ"] * 3600 == pytest.approx(made.facts["beam"]["bmaj_arcsec"])
        assert header["OBJECT"] == MOSAIC_ID
        assert header["SYNTHET"] is True
        assert header["NTILES"] == 4
        assert header["TIMESYS"] == "UTC"
        assert header["DATE-OBS"] == "2026-02-11T00:00:00.000"
        assert header["DATE-END"] == "2026-02-11T00:20:36.480"
        assert header["FREQ"] == made.facts["freq_hz"]
        assert header["BITPIX"] == -32
        assert sum("twin sha256" in str(line) for line in header["HISTORY"]) == 4
    # Frequencies 1.405 GHz + i x 0.1 MHz, weights 1/s^2 with s = 1..4: 0.6597 / 1.4236 of 0.1 MHz, and a little
    # more, as the beams of later tiles, which are larger, are smoothed less.
    assert made.facts["freq_hz"] == pytest.approx(1.405e9 + 0.0463e6, abs=2e3)
    assert made.facts["start_mjd"] == 61082.0
    assert made.facts["n_images"] == 4


def test_fits_files_are_valid(group):
    _, _, _, folder = group
    files = sorted(map(str, folder.glob("*.fits")))
    assert len(files) == 5
    assert fitscheck(files) == 0
    for name in files:
        with fits.open(name, checksum=True) as hdus:  # a bad sum is a warning, and warnings are errors here
            hdus.verify("exception")
            assert "CHECKSUM" in hdus[0].header
            assert "DATASUM" in hdus[0].header


@pytest.mark.parametrize("threads", [1, 3])
def test_same_bits_in_any_order_with_any_number_of_threads(group, threads):
    root, twins, made, folder = group
    again, other = mosaic(root, twins[::-1], f"again_{threads}", threads)
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(f"{MOSAIC_ID}{s}" for s in PLANES)
    assert filecmp.cmpfiles(folder, other, names, shallow=False) == (names, [], [])
    assert again.model_dump(exclude={"run"}) == made.model_dump(exclude={"run"})


def test_pure_noise_has_the_rms_that_the_weights_say(tmp_path):
    maker = TileMaker(tmp_path, size=400, cell_arcsec=40.0, beam_arcsec=(160, 160, 0), expected_rms_jy=1e-3)
    twins = [
        maker.make(i, 127 + SPACING_DEG * i, beam_arcsec=(160 + 2 * i, 160, 0), rms_jy=(1 + 0.3 * i) * 1e-3)
        for i in range(4)
    ]
    made, folder = mosaic(tmp_path, twins, cell_arcsec=40.0)
    image, _ = plane(folder)
    rms, _ = plane(folder, ".rms")
    scaled = (image / rms)[np.isfinite(image)]
    assert np.std(scaled) == pytest.approx(1, rel=0.03)
    assert np.mean(scaled) == pytest.approx(0, abs=0.05)
    assert made.qa["rms_over_weights"] == pytest.approx(1, rel=0.04)
    assert made.qa["rms_mjy"] == pytest.approx(made.qa["rms_from_weights_mjy"], rel=0.05)


def test_noise_ratio_of_tiles_at_the_radiometer_is_one(tmp_path):
    maker = TileMaker(tmp_path)
    twins = [maker.make(i, 127 + SPACING_DEG * i) for i in range(3)]
    made, _ = mosaic(tmp_path, twins)
    assert made.qa["noise_ratio"] == pytest.approx(1, rel=0.05)
    assert made.verdict == "passed"
    assert made.reasons == []


def test_constant_sky(tmp_path):
    maker = TileMaker(tmp_path, rms_jy=1e-5)
    twins = [maker.make(i, 127 + SPACING_DEG * i, constant=3.0) for i in range(2)]
    _, folder = mosaic(tmp_path, twins)
    image, _ = plane(folder)
    assert np.nanmedian(image) == pytest.approx(3.0, rel=1e-4)  # files are float32 with noise of 1e-5 / PB
    assert np.nanmax(np.abs(image - 3)) < 1e-3


def test_across_ra_0_nothing_changes(tmp_path):
    # The same sky and tiles, 128.29 deg further west: the same pixels on the same grid.
    results = []
    for name, shift in (("there", 0.0), ("here", -128.29)):
        sky = strip_sky(10, (126, 131))
        sky = Sky((sky.ra_deg + shift) % 360, sky.dec_deg, sky.flux_jy)
        maker = TileMaker(tmp_path / name)
        twins = [maker.make(i, 127 + SPACING_DEG * i + shift, sky) for i in range(3)]
        made, folder = mosaic(tmp_path / name, twins)
        results.append((made, *plane(folder)))
    (there, image, header), (here, image0, header0) = results
    assert 0 <= header0["CRVAL1"] < 360
    assert (header["CRVAL1"] - 128.29) % 360 == pytest.approx(header0["CRVAL1"], abs=1e-6)
    assert header0["CRVAL1"] in (pytest.approx(0, abs=1e-6), pytest.approx(360, abs=1e-6))
    assert image.shape == image0.shape
    both = np.isfinite(image) & np.isfinite(image0)
    assert (np.isfinite(image) != np.isfinite(image0)).mean() < 1e-3
    assert np.abs(image - image0)[both].max() < 1e-5
    assert there.facts["area_deg2"] == pytest.approx(here.facts["area_deg2"], rel=1e-3)


def test_coverage_and_frequency_maps(group):
    _, _, made, folder = group
    weights, _ = plane(folder, ".weights")
    coverage, header = plane(folder, ".coverage")
    frequency, _ = plane(folder, ".frequency")
    assert header["BTYPE"] == "number of tiles" and "BUNIT" not in header
    assert np.array_equal(coverage > 0, weights > 0) and set(np.unique(coverage)) == {0, 1, 2, 3, 4}
    assert np.array_equal(np.isfinite(frequency), weights > 0)
    # From 1.405 GHz + 0.3 MHz at most, down by (W / f)^2 / 6 x ln 5 = 0.48 % where the beam is 0.2.
    assert np.nanmax(frequency) < 1.4053e9 + 200
    assert np.nanmin(frequency) == pytest.approx(1.405e9 * (1 - (187.5e6 / 1.405e9) ** 2 / 6 * np.log(5)), rel=3e-4)
    assert made.facts["files"]["frequency"] == f"{MOSAIC_ID}.frequency.fits"
    assert made.facts["files"]["spectral_index"] is None


class TestErrors:
    def test_too_large(self, tmp_path):
        maker = TileMaker(tmp_path)
        with pytest.raises(ConfigError, match=r"mosaic\.max_size_px"):
            mosaic(tmp_path, [maker.make(0, 127.0)], max_size_px=200)
        assert not (tmp_path / "m" / MOSAIC_ID).exists()
        assert not list((tmp_path / "m").iterdir())

    def test_the_same_tile_twice(self, tmp_path):
        twin = TileMaker(tmp_path).make(0, 127.0)
        with pytest.raises(InputError, match="named twice"):
            mosaic(tmp_path, [twin, twin])

    def test_not_an_image(self, group, tmp_path):
        folder = group[3]
        with pytest.raises(InputError, match="not of a tile image"):
            mosaic(tmp_path, [folder.with_suffix(".json")])


def test_the_noise_that_was_not_measured_is_a_reason(tmp_path):
    # 26 beams in all: too few to measure a noise from, so no number and no pass.
    maker = TileMaker(tmp_path, size=64, cell_arcsec=240.0, beam_arcsec=(2400, 2400, 0))
    made, _ = mosaic(tmp_path, [maker.make(0, 127.0)], cell_arcsec=240.0)
    assert made.qa["rms_mjy"] is None
    assert made.qa["noise_ratio"] is None
    assert [reason.code for reason in made.reasons] == ["noise_ratio_not_measured"]
    assert made.verdict == "warning"
    assert made.facts["centre_deg"] == pytest.approx([127.0, DEC_DEG])


def test_bright_sources_that_no_catalogue_names_need_no_name(tmp_path, sky):
    """They were found in the tiles: they have places, and no mark in the picture."""
    found = [{"name": name, "ra_deg": 127.0, "dec_deg": DEC_DEG} for name in (None, "3C 195", None)]
    maker = TileMaker(tmp_path, expected_rms_jy=0.8e-3, facts={"bright_sources": found})
    made, folder = mosaic(tmp_path, [maker.make(i, 127 + SPACING_DEG * i, sky) for i in range(2)])
    assert made.facts["tiles_used"] and (folder / f"{MOSAIC_ID}.png").is_file()
