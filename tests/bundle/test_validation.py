"""What a bundle must hold to be published: each lack is one reason with its own code."""

import errno
import hashlib
import json
import warnings

import numpy as np
import pytest
from astropy.io import fits

from contimg.bundle import bundle
from contimg.bundle.listing import format_manifest
from contimg.bundle.validation import REQUIRED_SUFFIXES, validate
from contimg.errors import RegistryError
from tests.support import mosaics

ID = mosaics.MOSAIC
STATED = {
    "group": mosaics.GROUP, "n_images": 2, "start_mjd": 61082.0, "end_mjd": 61082.01, "calibrators": ["3C286"],
    "flux_anchor": "Perley & Butler 2017: 3C286", "freq_hz": 1.405e9, "bandwidth_hz": 1.8e8,
    "beam": {"bmaj_arcsec": 14.4}, "centre_deg": [12.5, 37.1], "rms_mjy": 4.0, "synthetic": True,
}  # fmt: skip


def seal(path, metadata):
    """Write metadata and manifest of a bundle as it stands; return the manifest's digest."""
    (path / bundle.METADATA).write_text(json.dumps(metadata))
    (path / bundle.MANIFEST).unlink(missing_ok=True)
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.iterdir()}
    content = format_manifest(digests)
    (path / bundle.MANIFEST).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def planes(size_px=8):
    """Return image, weights and rms [Jy/beam] with one row that was not observed."""
    image = np.full((size_px, size_px), 0.001, np.float32)
    image[0] = np.nan
    seen = np.isfinite(image)
    return {"": image, ".weights": np.where(seen, 62500.0, 0.0), ".rms": np.where(seen, 0.004, np.nan)}


def put(path, arrays, cards=None):
    path.mkdir()
    for name, array in arrays.items():
        mosaics.write_fits(path / f"{ID}{name}.fits", array, **(cards or {}).get(name, {}))
    (path / f"{ID}.png").write_bytes(mosaics.png(7))
    (path / f"{ID}.json").write_text("{}")


@pytest.fixture
def found(tmp_path):
    """Return the function that makes a bundle, altered by `change`, and gives (code, measured) of what is wrong."""

    def of(change=None, *, arrays=None, cards=None, metadata=STATED):
        path = tmp_path / "bundle"
        put(path, arrays or planes(), cards)
        if change is not None:
            change(path)
        return [(one.code, one.measured) for one in validate(path, ID, seal(path, metadata))]

    return of


def test_a_whole_bundle_has_nothing_wrong(found):
    assert found() == []


def test_a_cube_of_one_plane_is_as_good(found):
    assert found(arrays={name: array[None, None] for name, array in planes().items()}) == []


@pytest.mark.parametrize("key", [key for key in STATED if key != "synthetic"])
def test_each_number_that_must_be_stated(found, key):
    assert found(metadata=STATED | {key: None}) == [("metadata_missing", None)]


def test_zero_is_stated(found):
    assert found(metadata=STATED | {"rms_mjy": 0.0, "calibrators": []}) == []


@pytest.mark.parametrize("suffix", REQUIRED_SUFFIXES)
def test_each_file_that_must_be_there(found, suffix):
    assert found(lambda path: (path / f"{ID}{suffix}").unlink()) == [("file_missing", None)]


@pytest.mark.parametrize("key", ["BMAJ", "BMIN", "BUNIT"])
def test_a_header_without_beam_or_unit(found, key):
    assert found(cards={"": {key: None}}) == [("header_missing", None)]


@pytest.mark.parametrize(("header", "stated"), [(True, False), (False, True), (None, True)])
def test_simulated_data_say_so_in_both_places(found, header, stated):
    assert found(cards={"": {"SYNTHET": header}}, metadata=STATED | {"synthetic": stated}) == [
        ("synthetic_differs", None)
    ]


@pytest.mark.parametrize("plane", [".weights", ".rms"])
@pytest.mark.parametrize("key", ["CTYPE1", "CRPIX2", "CRVAL1", "CDELT2"])
def test_weights_and_rms_lie_on_the_images_grid(found, plane, key):
    other = "RA---TAN" if key == "CTYPE1" else 0.5
    assert found(cards={plane: {key: other}}) == [("grid_differs", None)]


@pytest.mark.parametrize("plane", [".weights", ".rms"])
def test_weights_and_rms_have_the_images_shape(found, plane):
    assert found(arrays=planes() | {plane: planes(9)[plane]}) == [("grid_differs", None)]


@pytest.mark.parametrize(
    ("plane", "value", "expected"),
    [
        ("", np.nan, []),  # a pixel without value needs no weight
        ("", np.inf, [("infinite_pixels", 1)]),
        ("", -np.inf, [("infinite_pixels", 1)]),
        (".weights", 0.0, [("weights_differ", 1)]),
        (".weights", -1.0, [("weights_differ", 1)]),
        (".weights", np.nan, [("weights_differ", 1)]),
        (".weights", np.inf, [("weights_differ", 1)]),
        (".rms", 0.0, [("weights_differ", 1)]),
        (".rms", -1.0, [("weights_differ", 1)]),
        (".rms", np.nan, [("weights_differ", 1)]),
        (".rms", np.inf, [("weights_differ", 1)]),
    ],
)
def test_every_pixel_with_a_value_has_weight_and_rms(found, plane, value, expected):
    arrays = planes()
    arrays[plane][3, 5] = value
    assert found(arrays=arrays) == expected


def test_no_pixel_may_be_infinite_or_without_weight_and_one_must_have_a_value(tmp_path):
    arrays = planes() | {"": np.full((8, 8), np.inf)}
    arrays[""][0, 0], arrays[".weights"][0, 0] = 1e-3, 0.0
    path = tmp_path / "bundle"
    put(path, arrays)
    reasons = validate(path, ID, seal(path, STATED))
    assert [(one.code, one.measured, one.threshold) for one in reasons] == [
        ("infinite_pixels", 63, 0), ("weights_differ", 1, 0)
    ]  # fmt: skip


def test_an_image_without_a_finite_pixel(found):
    assert found(arrays=planes() | {"": np.full((8, 8), np.nan)}) == [("no_pixels", 0)]


def test_an_image_of_infinities_has_two_faults(found):
    assert found(arrays=planes() | {"": np.full((8, 8), np.inf)}) == [("no_pixels", 0), ("infinite_pixels", 64)]


def test_rows_are_counted_in_every_block(found):
    """Images are read 1024 rows at a time: faults in the first, second and last rows are all seen."""
    arrays = {name: np.full((2050, 2), value) for name, value in (("", 1.0), (".weights", 1.0), (".rms", 1.0))}
    for row in (0, 1023, 1024, 2049):
        arrays[".rms"][row, 1] = 0.0
    assert found(arrays=arrays) == [("weights_differ", 4)]


def empty_of_data(path):
    from astropy.io import fits

    cards = {"BMAJ": 0.004, "BMIN": 0.003, "BUNIT": "Jy/beam", "SYNTHET": True}
    for name in ("", ".weights", ".rms"):
        fits.PrimaryHDU(header=fits.Header(cards)).writeto(path / f"{ID}{name}.fits", overwrite=True)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: (path / f"{ID}.rms.fits").write_bytes(b""), id="nothing"),
        pytest.param(lambda path: (path / f"{ID}.fits").write_bytes(b"SIMPLE  = maybe" * 200), id="no header"),
        pytest.param(lambda path: (path / f"{ID}.png").replace(path / f"{ID}.fits"), id="a picture"),
        pytest.param(empty_of_data, id="no data"),
    ],
)
def test_a_file_that_is_no_image(found, change):
    def altered(path):
        change(path)
        if not (path / f"{ID}.png").exists():
            (path / f"{ID}.png").write_bytes(mosaics.png(7))

    assert found(altered) == [("fits_invalid", None)]


def test_a_file_that_was_cut_off(found):
    def cut(path):
        place = path / f"{ID}.fits"
        place.write_bytes(place.read_bytes()[:2880])  # the header only

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy says that it may have been truncated
        assert found(cut) == [("fits_invalid", None)]


def test_a_disk_that_cannot_be_read_is_no_verdict(found, monkeypatch):
    def refuse(*_words, **_options):
        raise OSError(errno.EIO, "Input/output error", "a.fits")

    monkeypatch.setattr(fits, "open", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        found(lambda path: None)


def test_a_bundle_that_is_not_as_registered_is_a_failure_not_a_verdict(tmp_path):
    path = tmp_path / "bundle"
    put(path, planes())
    digest = seal(path, STATED)
    with pytest.raises(RegistryError, match=r"not the one that the registry knows .*: rerun the same command"):
        validate(path, ID, "0" * 64)
    (path / f"{ID}.png").write_bytes(b"altered")
    with pytest.raises(RegistryError, match=r"does not have the SHA-256 of the manifest: rerun the same command"):
        validate(path, ID, digest)
    with pytest.raises(RegistryError, match=r"is not a bundle: it holds no .*: rerun the same command"):
        validate(tmp_path / "nowhere", ID, digest)
