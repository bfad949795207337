"""`contimg archive` on an archive of one mosaic and of two."""

import pytest
from astropy.io import fits

from tests.support import mosaics

FILES = ("index.html", "obscore.vot", "obscore.fits", "coverage.moc.fits")
LATER = ("2026-02-12T03:00:00", "2026-02-12T03:05:09")


def test_an_empty_archive_has_tables_without_rows(program, sqlite_config):
    done = program("archive", "--json")
    products = sqlite_config.layout.products
    assert (done.code, done.json) == (0, {"mosaics": 0, "files": [str(products / name) for name in FILES], "held": 0})
    assert all((products / name).is_file() for name in FILES)
    assert len(fits.getdata(products / "obscore.fits")) == 0


def test_what_was_deleted_is_made_again(program, sqlite_config, publish):
    publish()
    publish(tiles=LATER)
    products = sqlite_config.layout.products
    done = program("archive")
    assert done.code == 0
    assert done.out == f"2 mosaics: {products / 'index.html'}, with {', '.join(FILES[1:])} beside it\n"
    assert [row["obs_id"] for row in fits.getdata(products / "obscore.fits")] == [
        mosaics.MOSAIC,
        "mosaic_20260212T030000",
    ]
    for name in FILES:
        (products / name).unlink()
    assert program("archive", "--json").json["mosaics"] == 2
    assert all((products / name).is_file() for name in FILES)


def test_anew_reads_what_is_kept_again(program, sqlite_config, publish):
    bundle = publish().path
    program("archive")
    kept = sqlite_config.layout.products / "gallery" / "2026-02" / f"{bundle.name}.json"
    assert kept.is_file()
    before = kept.stat().st_mtime_ns
    program("archive")
    assert kept.stat().st_mtime_ns == before
    assert program("archive", "--anew").code == 0
    assert kept.stat().st_mtime_ns > before


@pytest.mark.parametrize("damage", ["gone", "empty", "not JSON"])
def test_a_bundle_that_cannot_be_read_is_named_in_one_sentence(program, publish, damage):
    metadata = publish().path / "data" / "metadata.json"
    if damage == "gone":
        metadata.unlink()
    else:
        metadata.write_text("" if damage == "empty" else "{")
    done = program("archive")
    assert done.code == 1
    assert str(metadata.parent) in done.sentence
