"""Products are made again with the options that they were made with, and judged by the thresholds of then."""

import numpy as np
import pytest
from astropy.io import fits

from contimg.bundle.find import read_lineage
from contimg.config import BeamOptions, CalibrationOptions, QaOptions
from contimg.config.used_keys import used_options
from contimg.errors import InputError
from contimg.operations import reproduce as module
from contimg.operations.reproduce import TOLERANCE, mosaic_thresholds, reproduce, solving_options
from contimg.products.judged import thresholds
from contimg.products.twin import Input, Twin
from contimg.publishing.register_mosaic import register_mosaic
from tests.support import mosaics


def test_a_calibration_is_judged_by_its_own_thresholds():
    """A set of S/N 7 passed with min_median_snr 5; with the default of 10 it would fail, and not be applied."""
    then = CalibrationOptions(min_median_snr=5.0, max_flagged=0.6, refant="pad7", gain_interval_s=30.0)
    twin = Twin(
        kind="calibration", id="cal_20260211T002649", verdict="passed", synthetic=True,
        parameters={
            "calibrator": "3C286",
            "calibration": used_options("solve_calibration", "calibration", then),
            "beam": used_options("solve_calibration", "beam", BeamOptions()),
        },
        judged_with=thresholds("calibration", {"calibration": then}),
    )  # fmt: skip
    again = solving_options(twin)
    assert (again.min_median_snr, again.max_flagged) == (5.0, 0.6)
    assert (again.refant, again.gain_interval_s) == ("pad7", 30.0)


def test_a_mosaics_tiles_are_judged_by_their_own_thresholds():
    """Tiles of noise ratio 7 are in a mosaic made with max_tile_noise_ratio 9; with the default of 5 none would be."""
    then = QaOptions(max_tile_noise_ratio=9.0, max_noise_ratio=8.0, version=3)
    image, mosaic = (
        Twin(kind=kind, id=kind, verdict="passed", synthetic=True, judged_with=thresholds(kind, {"qa": then}))
        for kind in ("image", "mosaic")
    )
    again = mosaic_thresholds(mosaic, [image, image])
    assert (again.max_tile_noise_ratio, again.max_noise_ratio, again.version) == (9.0, 8.0, 3)
    assert mosaic_thresholds(mosaic, []).max_noise_ratio == 8.0


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A registered mosaic of two tiles of four subbands, whose products hold no recorded parameters."""
    config = mosaics.config_below(tmp_path_factory.mktemp("night"))
    mosaics.make_mosaic(config)
    return config, register_mosaic(mosaics.MOSAIC, config).path


def test_products_are_made_in_the_order_in_which_they_need_each_other(night):
    """Of the crossmatch, which is in the lineage too, nothing is made."""
    _, lineage, mosaic = read_lineage(night[1])
    wanted = sorted(module._below(lineage, mosaic), key=lambda node: (module._rank(node.twin), node.twin.id))
    first, second = mosaics.TILES
    assert [(node.twin.kind, node.twin.id) for node in wanted] == [
        ("ms", first), ("ms", second), ("calibration", "cal_20260211T002649"), ("calibrated", first),
        ("calibrated", second), ("image", first), ("image", second), ("mosaic", mosaics.MOSAIC),
    ]  # fmt: skip


def test_gains_are_made_after_the_bandpass_below_them_whatever_their_ids():
    below = Input(path="x", kind="calibration", id="cal_20260211T020000", sha256="0" * 64)
    gains = Twin(kind="calibration", id="cal_20260211T010000", verdict="passed", inputs=[below], synthetic=True)
    bandpass = Twin(kind="calibration", id="cal_20260211T020000", verdict="passed", synthetic=True)
    calibrated = Twin(kind="calibrated", id="2026-02-11T00:00:00", verdict="passed", synthetic=True)
    assert module._rank(bandpass) < module._rank(gains) < module._rank(calibrated)


def said(night, tmp_path, told=None):
    with pytest.raises(InputError) as refused:
        reproduce(night[1], tmp_path / "stage", tell=lambda what: None if told is None else told.append(what))
    return str(refused.value)


def test_a_subband_file_that_is_gone_is_named(night, tmp_path):
    path = night[0].paths.incoming / f"{mosaics.GROUP}_sb02.hdf5"
    content = path.read_bytes()
    path.unlink()
    try:
        told = []
        text = said(night, tmp_path, told)
    finally:
        path.write_bytes(content)
    assert text == f"{path}, which the mosaic was made from, is not there: put the file back to reproduce it"
    assert told == ["hashes of 8 files"] and not (tmp_path / "stage").exists()


def test_a_subband_file_that_was_altered_is_named_with_both_digests(night, tmp_path):
    path = night[0].paths.incoming / f"{mosaics.GROUP}_sb01.hdf5"
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    try:
        text = said(night, tmp_path)
    finally:
        path.write_bytes(content)
    now, then = (mosaics.sha(content.decode() + more)[:12] for more in ("x", ""))
    assert text == (
        f"{path} has the SHA-256 {now}… and not {then}… as when the mosaic was made from it: put the original "
        "back to reproduce it"
    )


def test_parameters_of_another_version_name_the_version_that_made_it(night, tmp_path):
    """Here the first product has no section 'ingest' at all."""
    told = []
    text = said(night, tmp_path, told)
    assert text.startswith(f"{night[1]}: the parameters of ms {mosaics.GROUP} are not of this contimg ('ingest'): use ")
    assert told == ["hashes of 8 files", f"ms {mosaics.GROUP}"]


def compared(tmp_path, second, rms_jy=0.002):
    """Compare an image of 0.001 Jy/beam, one pixel blank, with another one."""
    first = np.full((4, 5), 0.001)
    first[0, 0] = np.nan
    for name, array in (("a", first), ("b", second(first))):
        fits.PrimaryHDU(array.astype(np.float32)).writeto(tmp_path / f"{name}.fits")
    return module._compare("mosaic", tmp_path / "a.fits", tmp_path / "b.fits", rms_jy)


def test_equal_images_are_the_same(tmp_path):
    found = compared(tmp_path, lambda image: image)
    assert (found.max_difference, found.rms_difference, found.n_pixels, found.n_only_one) == (0, 0, 19, 0)
    assert found.same


@pytest.mark.parametrize(("factor", "same"), [(0.5, True), (2.0, False)])
def test_one_pixel_is_enough_to_differ(tmp_path, factor, same):
    """Off by a factor of the tolerance times the rms of 2 mJy: the rms over 19 pixels is that over sqrt(19)."""

    def change(image):
        image = image.copy()
        image[2, 3] += factor * TOLERANCE * 0.002
        return image

    found = compared(tmp_path, change)
    assert found.max_difference == pytest.approx(factor * TOLERANCE, rel=0.01)
    assert found.rms_difference == pytest.approx(factor * TOLERANCE / 19**0.5, rel=0.01)
    assert found.same is same


def test_a_pixel_that_is_blank_in_one_only_differs(tmp_path):
    found = compared(tmp_path, lambda image: np.where(np.arange(5) == 4, np.nan, image))
    assert (found.n_pixels, found.n_only_one, found.max_difference, found.same) == (15, 4, 0, False)


def test_images_that_are_blank_all_over_prove_nothing(tmp_path):
    found = compared(tmp_path, lambda image: np.full_like(image, np.nan))
    assert (found.n_pixels, found.max_difference, found.rms_difference, found.same) == (0, 0.0, 0.0, False)


def test_another_grid_is_named(tmp_path):
    with pytest.raises(InputError) as refused:
        compared(tmp_path, lambda image: image[:3])
    text = f"{tmp_path / 'b.fits'} has the shape (3, 5), not (4, 5) as {tmp_path / 'a.fits'}: the grids differ"
    assert str(refused.value) == text
