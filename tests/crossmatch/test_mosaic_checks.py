"""Mosaics whose image disagrees with their twin or their noise map: the comparison fails with what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from contimg.products.twin import read_twin
from tests.crossmatch.test_crossmatch_mosaic import compare
from tests.support.mosaics_of_sources import FREQ, MOSAIC_ID, lattice, make_catalogue, make_mosaic
from tests.support.twins import write_with_manifest


def judged(root, change, plane=""):
    """Return the comparison of a mosaic of which one file was made otherwise, manifest and all."""
    sky = lattice()
    twin = make_mosaic(root, sky)
    path = root / MOSAIC_ID / f"{MOSAIC_ID}{plane}.fits"
    data, header = fits.getdata(path, header=True)
    data = np.squeeze(data)
    data = change(data, header)
    fits.PrimaryHDU(data, header).writeto(path, overwrite=True)
    write_with_manifest(twin, read_twin(twin))
    made, _ = compare(root, twin, make_catalogue(root / "catalogue.csv", sky))
    return made


def test_blank_rows_within_the_footprint_are_failed_with_their_number(tmp_path):
    def blank(data, header):
        data[100:110] = np.nan
        return data

    made = judged(tmp_path, blank)
    assert made.verdict == "failed"
    reason = next(one for one in made.reasons if one.code == "pixels_not_finite")
    assert 5000 < reason.measured <= 6400


@pytest.mark.parametrize(("key", "factor"), [("FREQ", 0.8), ("BMAJ", 1.3), ("BMIN", 0.5)])
def test_headers_that_are_not_the_twins(tmp_path, key, factor):
    def change(data, header):
        header[key] *= factor
        return data

    made = judged(tmp_path, change)
    assert made.verdict == "failed"
    reason = next(one for one in made.reasons if one.code == "header_disagrees")
    assert f" {key}" in reason.message
    assert reason.measured == pytest.approx(factor * reason.threshold)


def test_a_header_without_a_frequency(tmp_path):
    def change(data, header):
        del header["FREQ"]
        return data

    made = judged(tmp_path, change)
    assert [one.message for one in made.reasons if one.code == "header_disagrees"] == [
        f"{MOSAIC_ID}.fits has no FREQ, its twin {FREQ:.10g}"
    ]


def test_a_noise_map_of_another_field(tmp_path):
    def change(data, header):
        header["CRVAL2"] += 0.1
        return data

    made = judged(tmp_path, change, ".rms")
    assert "have other pixels" in next(one for one in made.reasons if one.code == "header_disagrees").message
