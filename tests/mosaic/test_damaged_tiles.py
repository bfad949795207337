"""A tile whose files are not what was judged is left out by name, and leaves no trace in the mosaic of the others."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from astropy.io import fits

from contimg.config import MosaicOptions, QaOptions
from contimg.mosaic.mosaic_group import mosaic_group
from contimg.products.twin import read_twin
from tests.support.fake_tiles import Sky, TileMaker
from tests.support.twins import write_with_manifest

MOSAIC_ID = "mosaic_20260211T000000"
SIZE, CELL = 120, 120.0
SKY = Sky(np.array([127.4, 127.9, 128.4]), np.array([54.3, 54.9, 54.6]), np.array([0.5, 0.8, 0.3]))


def mosaic(root, twins, name):
    made = mosaic_group(
        twins, root / name / MOSAIC_ID, root / name / f"{MOSAIC_ID}.json", mosaic_id=MOSAIC_ID,
        options=MosaicOptions(cell_arcsec=CELL), pb_limit=0.2, qa=QaOptions(),
    )  # fmt: skip
    with fits.open(root / name / MOSAIC_ID / f"{MOSAIC_ID}.fits") as hdus:
        return made, np.squeeze(hdus[0].data).copy()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Three tiles, and the pixels of the mosaic of the first and the last."""
    root = tmp_path_factory.mktemp("sound")
    maker = TileMaker(root, size=SIZE, cell_arcsec=CELL, beam_arcsec=(480.0, 450.0, 10.0))
    # The second has the smallest beam: it is convolved.
    beams = ((480.0, 450.0, 10.0), (470.0, 440.0, 12.0), (485.0, 452.0, 11.0))
    twins = [maker.make(i, 127.5 + 0.4 * i, SKY, beam_arcsec=beams[i]) for i in range(3)]
    return root, twins, mosaic(root, [twins[0], twins[2]], "without")[1]


@pytest.fixture
def tiles(sound, tmp_path):
    """Copies of the tiles that may be damaged; the path of the second's twin is ``tiles[1]``."""
    root, twins, _ = sound
    shutil.copytree(root / "images", tmp_path / "images")
    return [tmp_path / twin.relative_to(root) for twin in twins]


def file_of(twin, plane):
    return next(twin.with_suffix("").glob(f"*.{plane}.fits"))


def rewrite(twin, plane, change):
    """Write a plane again, with data and header changed and sums that fit."""
    path = file_of(twin, plane)
    with fits.open(path) as hdus:
        data, header = np.squeeze(hdus[0].data).astype(np.float32), hdus[0].header.copy()
    changed = change(data, header)
    hdu = fits.PrimaryHDU(data if changed is None else changed, header)
    hdu.add_datasum()
    hdu.writeto(path, overwrite=True)


def set_card(**cards):
    def change(data, header):
        for key, value in cards.items():
            key = key.replace("_", "-")
            if value is None:
                del header[key]
            else:
                header[key] = value

    return lambda plane: lambda twin: rewrite(twin, plane, change)


def set_pixels(function):
    return lambda plane: lambda twin: rewrite(twin, plane, lambda data, header: function(data).astype(np.float32))


def write_bytes(function):
    return lambda plane: lambda twin: file_of(twin, plane).write_bytes(function(file_of(twin, plane).read_bytes()))


def exchange(plane, other_plane, same_tile=True, **cards):
    """Put another plane, or that of the previous tile, in a file's place."""

    def damage(twin):
        source = twin if same_tile else sorted(twin.parent.glob("*.json"))[0]
        shutil.copy(file_of(source, other_plane), file_of(twin, plane))
        if cards:
            set_card(**cards)(plane)(twin)

    return damage


def salt(data):
    """Blank every second pixel of every second row, not the extremes: no pixel is left when they are convolved."""
    extremes = [tuple(np.array(np.unravel_index(place, data.shape)) % 2) for place in (data.argmax(), data.argmin())]
    row, column = next(pair for pair in ((0, 0), (0, 1), (1, 0), (1, 1)) if pair not in extremes)
    data = data.copy()
    data[row::2, column::2] = np.nan
    return data


def add_source(data):
    data = data.copy()
    data[60, 100] += 50
    return data


def empty_first_hdu(twin):
    hdu = fits.PrimaryHDU()
    hdu.add_datasum()
    hdu.writeto(file_of(twin, "image"), overwrite=True)


def garble(old, new):
    assert len(old) == len(new)
    return write_bytes(lambda content: content.replace(old, new))


def change_twin(**facts):
    def damage(twin):
        old = read_twin(twin)
        kept = {key: value for key, value in (old.facts | facts).items() if value is not None}
        write_with_manifest(twin, old.model_copy(update={"facts": kept}))

    return damage


TILE = "2026-02-11T00:05:09"
# label -> (damage, what the note says of it)
SEEN_IN_THE_FILE = {
    "image missing": (lambda twin: file_of(twin, "image").unlink(), "does not exist"),
    "beam map missing": (lambda twin: file_of(twin, "pb").unlink(), "does not exist"),
    "folder missing": (lambda twin: shutil.rmtree(twin.with_suffix("")), "does not exist"),
    "image empty": (write_bytes(lambda b: b"")("image"), "not a whole FITS"),
    "image no FITS": (write_bytes(lambda b: b"not FITS" * 999)("image"), "not a whole FITS"),
    "beam map truncated in its pixels": (write_bytes(lambda b: b[: len(b) // 2])("pb"), "not a whole FITS"),
    "image truncated after its header": (write_bytes(lambda b: b[:2880])("image"), "not a whole FITS"),
    "image truncated in its header": (write_bytes(lambda b: b[:400])("image"), "not a whole FITS"),
    "header garbled": (
        garble(b"BITPIX  =                  -32", b"BITPIX  =                 -320")("image"),
        "not a whole FITS",
    ),
    "axis garbled": (
        garble(b"NAXIS1  =                  120", b"NAXIS1  =                 oops")("pb"),
        "not a whole FITS",
    ),
    "one bit flipped": (write_bytes(lambda b: b[:9000] + bytes([b[9000] ^ 4]) + b[9001:])("image"), "DATASUM"),
    "no beam": (set_card(BMAJ=None)("image"), "has no BMAJ"),
    "no minor axis": (set_card(BMIN=None)("pb"), "has no BMIN"),
    "beam a text": (set_card(BMAJ="wide")("image"), "has no BMAJ"),
    "beam of another tile": (set_card(BMAJ=0.14)("image"), "has BMAJ 0.14"),
    "beam turned": (set_card(BPA=102.0)("image"), "has BPA"),
    "all NaN": (set_pixels(lambda data: data * np.nan)("image"), "no finite pixel"),
    "beam map all NaN": (set_pixels(lambda data: data * np.nan)("pb"), "nowhere above image.pb_limit"),
    "beam map zero": (set_pixels(lambda data: data * 0)("pb"), "nowhere above image.pb_limit"),
    "beam map infinite": (set_pixels(lambda data: data / 0)("pb"), "nowhere above image.pb_limit"),
    "all zero": (set_pixels(lambda data: data * 0)("image"), "has a peak of 0 mJy/beam"),
    "every second pixel NaN": (set_pixels(salt)("image"), "are not finite where the effective beam counts"),
    "unit mJy": (set_card(BUNIT="mJy/beam")("image"), "has the unit 'mJy/beam', not 'Jy/beam'"),
    "unit of nothing": (set_card(BUNIT=None)("image"), "has the unit '', not 'Jy/beam'"),
    "unit of a beam map": (set_card(BUNIT="Jy/beam")("pb"), "has the unit 'Jy/beam', not ''"),
    "image cropped": (set_pixels(lambda data: data[10:-10, 10:-10])("image"), "is 100 x 100 pixels"),
    "beam map of another shape": (set_pixels(lambda data: data[:, :-2])("pb"), "is 118 x 120 pixels"),
    "two planes": (set_pixels(lambda data: np.stack([data, data]))("image"), "not an image of one plane"),
    "empty first HDU": (empty_first_hdu, "not an image of one plane"),
    "not of the sky": (
        set_card(CTYPE1="FREQ", CTYPE2="STOKES", CUNIT1=None, CUNIT2=None)("image"),
        "no celestial coordinates",
    ),
    "centre elsewhere": (set_card(CRVAL1=129.0)("image"), "is centred on 129"),
    "beam map of another place": (set_card(CRVAL2=53.9)("pb"), "is centred on"),
    "beam map moved by 5 pixels": (set_pixels(lambda data: np.roll(data, 5, axis=0))("pb"), "peaks 600 arcsec from"),
    "beam map too high": (set_pixels(lambda data: data * 1.3)("pb"), "reaches from"),
    "beam map negative": (set_pixels(lambda data: data - 0.3)("pb"), "reaches from -0."),
    "beam map turned over": (set_pixels(lambda data: 1 - data)("pb"), "peaks"),
    "fluxes scaled by 1.3": (set_pixels(lambda data: data * 1.3)("image"), "has a peak of"),
    "fluxes scaled by 0.7": (set_pixels(lambda data: data * 0.7)("image"), "has a peak of"),
    "sign exchanged": (set_pixels(lambda data: -data)("image"), "has a peak of"),
    "image in mJy": (set_pixels(lambda data: data * 1000)("image"), "has a peak of"),
    "a source added": (set_pixels(add_source)("image"), "has a peak of"),
    "the previous tile's image": (exchange("image", "image", same_tile=False), "is centred on 127.50000"),
    "the previous tile's image under this id": (
        exchange("image", "image", same_tile=False, OBJECT=TILE),
        "is centred on 127.50000",
    ),
    "another tile's id": (
        set_card(OBJECT="2026-02-11T00:00:00")("image"),
        "is of tile 2026-02-11T00:00:00, not of 2026-02-11T00:05:09",
    ),
    "no id": (set_card(OBJECT=None)("pb"), "is of tile nobody knows"),
    "image for beam map": (exchange("pb", "image"), "holds 'Apparent brightness, flat noise'"),
    "beam map for image": (exchange("image", "pb"), "holds 'Effective primary beam (power)'"),
    "corrected image for apparent": (
        set_card(BTYPE="Brightness, primary beam corrected")("image"),
        "holds 'Brightness",
    ),
    "another frequency": (set_card(FREQ=1.28e9)("image"), "has FREQ 1280000000, in its twin"),
    "no frequency": (set_card(FREQ=None)("pb"), "has no FREQ"),
    "another time": (set_card(MJD_OBS=61082.5)("image"), "has MJD-OBS 61082.5"),
    "reference pixel off by one": (set_card(CRPIX1=60.0)("image"), "has its centre at pixel 60, 61"),
    "pixels twice as large": (set_card(CDELT1=-CELL / 1800, CDELT2=CELL / 1800)("image"), "pixels of 120 arcsec"),
    "east and west exchanged": (set_card(CDELT1=CELL / 3600)("image"), "with north up"),
    "rotated": (set_card(CROTA2=15.0)("image"), "with north up"),
    "another projection": (
        set_card(CTYPE1="RA---TAN", CTYPE2="DEC--TAN")("image"),
        "projection RA---TAN, DEC--TAN, not SIN",
    ),
    "simulated or not": (set_card(SYNTHET=False)("image"), "simulated data, unlike its twin"),
    "no frequency in the twin": (change_twin(freq_hz=None), "does not say its freq_hz"),
    "no files in the twin": (change_twin(files={}), "no file of the plane 'pb'"),
    "no beam in the twin": (change_twin(beam={"bmaj_arcsec": 470.0}), "does not say its beam.bmin_arcsec"),
}
# Seen only by the manifest: the file is sound, and agrees with the numbers of the twin.
SEEN_IN_THE_MANIFEST = {
    "beam map scaled by 0.8": set_pixels(lambda data: data * 0.8)("pb"),
    "image shifted by a pixel": set_pixels(lambda data: np.roll(data, 1, axis=1))("image"),
    "beam map wider": set_pixels(lambda data: data**0.9)("pb"),
    "history": set_card(HISTORY="edited")("image"),
}


def check(sound, tiles, tmp_path, said):
    made, image = mosaic(tmp_path, tiles, "m")
    twin = tiles[1]
    assert made.facts["tiles_used"] == ["2026-02-11T00:00:00", "2026-02-11T00:10:18"]
    assert list(made.facts["left_out"]) == [TILE]
    assert said in made.facts["left_out"][TILE]
    assert str(tmp_path) not in made.facts["left_out"][TILE]
    assert made.verdict == "warning"
    damaged = [reason for reason in made.reasons if reason.code == "tile_damaged"]
    assert [(reason.severity, reason.measured) for reason in damaged] == [("warning", TILE)]
    assert said in damaged[0].message
    assert f"make it again with: rm -r {twin.with_suffix('')} {twin}; then rerun snakemake" in damaged[0].message
    assert made.qa["tile_fraction"] == pytest.approx(2 / 3, abs=1e-4)
    assert len(made.inputs) == 3
    assert np.array_equal(image, sound[2], equal_nan=True)


# numpy warns where a test makes infinities; astropy where it writes what a test asks for.
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value", "ignore::astropy.wcs.FITSFixedWarning")
@pytest.mark.parametrize("label", SEEN_IN_THE_FILE)
def test_a_file_that_disagrees_with_its_twin(sound, tiles, tmp_path, label):
    # As a rule that went wrong would leave it: the twin lists the file as it is.
    damage, said = SEEN_IN_THE_FILE[label]
    damage(tiles[1])
    twin = read_twin(tiles[1])
    write_with_manifest(tiles[1], twin)
    check(sound, tiles, tmp_path, said)


@pytest.mark.parametrize("label", SEEN_IN_THE_MANIFEST)
def test_a_file_edited_after_it_was_judged(sound, tiles, tmp_path, label):
    SEEN_IN_THE_MANIFEST[label](tiles[1])
    check(sound, tiles, tmp_path, "was altered after image 2026-02-11T00:05:09 was made and judged")


@pytest.mark.parametrize("plane", ["image", "pb"])
def test_a_file_lost_after_it_was_judged(sound, tiles, tmp_path, plane):
    file_of(tiles[1], plane).unlink()
    check(sound, tiles, tmp_path, f"{file_of(tiles[0], plane).name[15:]} is missing, which belongs to image")


def test_a_bit_that_flipped_on_the_disk(sound, tiles, tmp_path):
    # Size, time and inode are as the twin says, so that the manifest's fast path sees nothing.
    path = file_of(tiles[1], "image")
    write_with_manifest(tiles[1], read_twin(tiles[1]))
    before = path.stat()
    with open(path, "r+b") as file:
        file.seek(9000)
        (byte,) = file.read(1)
        file.seek(9000)
        file.write(bytes([byte ^ 4]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    check(sound, tiles, tmp_path, "does not have the DATASUM of its header")


def test_every_tile_damaged_is_a_failed_mosaic_that_names_them(tiles, tmp_path):
    for twin in tiles:
        file_of(twin, "pb").unlink()
    folder, path = tmp_path / "m" / MOSAIC_ID, tmp_path / "m" / f"{MOSAIC_ID}.json"
    made = mosaic_group(
        tiles, folder, path, mosaic_id=MOSAIC_ID, options=MosaicOptions(cell_arcsec=CELL), pb_limit=0.2,
        qa=QaOptions(),
    )  # fmt: skip
    assert made.verdict == "failed"
    assert [reason.code for reason in made.reasons] == ["no_usable_tile"] + ["tile_damaged"] * 3
    assert list(folder.iterdir()) == []


def test_what_the_machine_cannot_read_is_no_damage(tiles, tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(fits, "open", fail)
    with pytest.raises(OSError, match="Input/output error"):
        mosaic(tmp_path, tiles, "m")
    assert not (tmp_path / "m" / MOSAIC_ID).exists()
