"""Tables, sky coverage and gallery of the archive."""

import contextlib
import dataclasses
import json
import logging
import os
import re
import shutil
import subprocess
import time

import numpy as np
import pytest

from contimg.archive import update
from contimg.archive.sky_map import aitoff
from contimg.errors import RegistryError
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.engine import open_registry
from contimg.storage.notes import read_note
from tests.support import mosaics

ID = mosaics.MOSAIC
MONTH = "gallery/2026-02"
LATER = ("2026-02-11T03:00:00", "2026-02-11T03:05:09")
# ObsCore 1.1, table 1: the mandatory fields.
MANDATORY = [
    "dataproduct_type",
    "calib_level",
    "obs_collection",
    "obs_id",
    "obs_publisher_did",
    "access_url",
    "access_format",
    "access_estsize",
    "target_name",
    "s_ra",
    "s_dec",
    "s_fov",
    "s_region",
    "s_xel1",
    "s_xel2",
    "s_resolution",
    "t_min",
    "t_max",
    "t_exptime",
    "t_resolution",
    "t_xel",
    "em_min",
    "em_max",
    "em_res_power",
    "em_xel",
    "o_ucd",
    "pol_states",
    "pol_xel",
    "facility_name",
    "instrument_name",
]


@pytest.fixture
def config(tmp_path):
    return mosaics.config_below(tmp_path, publish={"update_archive": True})


@pytest.fixture
def registry(config):
    with contextlib.closing(open_registry(config)) as opened:
        yield opened


def shown(config):
    """Return what the page has to show, by month."""
    found = {}
    for path in sorted(config.paths.products.glob("gallery/*/mosaics.js")):
        match = re.fullmatch(r'contimg\("(\d{4}-\d\d)", (.*)\);\n', path.read_text())
        found[match[1]] = json.loads(match[2])
    return found


def table(config):
    from astropy.table import Table

    return Table.read(config.paths.products / "obscore.fits")


def put(config, **mosaic):
    name = mosaics.make_mosaic(config, size_px=64, **mosaic)
    register_mosaic(name, config)
    return publish_mosaic(name, config, waits_s=())


def test_a_publish_brings_everything_up_to_date(config):
    from astropy import units as u
    from astropy.io.votable import parse
    from astropy.table import Table
    from mocpy import MOC

    put(config, coverage=2)
    products = config.paths.products
    fits = Table.read(products / "obscore.fits")
    votable = parse(products / "obscore.vot", verify="exception").get_first_table()
    assert fits.colnames[: len(MANDATORY)] == [field.name for field in votable.fields][: len(MANDATORY)] == MANDATORY
    assert (len(fits), len(votable.array)) == (1, 1)
    row = fits[0]
    assert (row["obs_id"], row["calib_level"], row["s_ra"], row["s_dec"]) == (ID, 3, 12.5, 37.1)
    # The tiles' band, 1.311 to 1.499 GHz, in wavelength; two tiles of 300 s on each pixel; the factory's beam
    assert row["em_min"] == pytest.approx(0.1999950, abs=1e-6) and row["em_max"] == pytest.approx(0.2286746, abs=1e-6)
    assert row["t_exptime"] == pytest.approx(600, abs=0.01) and row["s_resolution"] == 14.4
    assert (row["s_xel1"], row["s_xel2"], row["simulated"]) == (64, 64, True)
    place = config.layout.bundle(ID, 1) / "data" / f"{ID}.fits"
    assert row["access_url"] == f"file://{place}" and row["access_estsize"] == place.stat().st_size // 1024
    coverage = MOC.from_fits(str(products / "coverage.moc.fits"))
    inside = coverage.contains_lonlat(np.array([12.5, 14.0]) * u.deg, np.array([37.1, 37.1]) * u.deg)
    assert inside.tolist() == [True, False]
    # 64 x 63 pixels of 0.01 deg (the first row is blank), seen in cells of 0.03 deg that stick out half a cell
    area_deg2 = coverage.sky_fraction * 41252.96
    assert 0.64 * 0.63 <= area_deg2 <= (0.64 + 0.06) * (0.63 + 0.06)
    assert [one["name"] for one in shown(config)["2026-02"]] == [ID]
    assert '[{"month": "2026-02", "mosaics": 1}]' in (products / "index.html").read_text()


def test_tiles_that_were_left_out_add_no_exposure(config):
    put(config, facts={"tiles_used": [mosaics.GROUP], "n_images": 1}, coverage=1)
    assert table(config)["t_exptime"][0] == pytest.approx(300, abs=0.01)  # one of the two tiles of 300 s


def test_a_bundle_outside_the_archive_is_one_sentence(config, registry, tmp_path):
    """After a copy of the archive the registry still names the old place."""
    put(config)
    shutil.copytree(config.paths.products, tmp_path / "copy")
    layout = dataclasses.replace(config.layout, products=tmp_path / "copy")
    with pytest.raises(RegistryError, match=r"is not below paths\.products"):
        update.rebuild(registry, layout, anew=True)


def test_all_published_mosaics_and_no_others(config, registry):
    put(config)
    put(config, tiles=LATER, reasons=[mosaics.FAILED])  # held
    second = "mosaic_20260211T030000"
    assert update.rebuild(registry, config.layout) == 1
    assert list(table(config)["obs_id"]) == [ID]
    decisions.approve(registry, config.layout, second, "looked at it")
    publish_mosaic(second, config, waits_s=())
    assert [(row["obs_id"], row["verdict"]) for row in table(config)] == [(ID, "passed"), (second, "failed")]
    newest, first = shown(config)["2026-02"]
    assert "looked at it" in newest["note"] and first["note"] == ""
    decisions.withdraw(registry, config.layout, ID, "wrong")
    assert update.rebuild(registry, config.layout, ID) == 1
    assert list(table(config)["obs_id"]) == [second] == [one["name"] for one in shown(config)["2026-02"]]
    decisions.withdraw(registry, config.layout, second, "wrong too")
    assert update.rebuild(registry, config.layout, second) == len(table(config)) == len(shown(config)) == 0


def test_what_is_deleted_is_made_again_the_same(config, registry):
    put(config)
    products = config.paths.products
    names = (
        "index.html",
        "obscore.vot",
        "obscore.fits",
        "coverage.moc.fits",
        f"{MONTH}/{ID}.json",
        f"{MONTH}/mosaics.js",
    )
    before = {name: (products / name).read_bytes() for name in names if name != "coverage.moc.fits"}
    shutil.rmtree(products / "gallery")
    for name in names[:4]:
        (products / name).unlink()
    update.rebuild(registry, config.layout)
    assert {name: (products / name).read_bytes() for name in before} == before
    (products / MONTH / f"{ID}.json").write_text("{")
    update.rebuild(registry, config.layout, anew=True)
    assert read_note(products / MONTH / f"{ID}.json")["verdict"] == "passed"


def test_a_publisher_that_died_before_it_is_made_up_for(config):
    put(config)
    page = config.paths.products / "index.html"
    page.unlink()
    publish_mosaic(ID, config, waits_s=())  # the same command again
    written = page.stat().st_mtime_ns
    publish_mosaic(ID, config, waits_s=())
    assert page.stat().st_mtime_ns == written  # and it is not written for nothing


def test_an_empty_archive(config, registry):
    from astropy.table import Table

    config.paths.products.mkdir()
    assert update.rebuild(registry, config.layout) == 0
    assert len(Table.read(config.paths.products / "obscore.fits")) == 0
    assert "0 published" in (config.paths.products / "index.html").read_text()


def test_what_was_not_measured_is_masked(config, registry):
    put(config, facts={"beam": None, "freq_hz": None})  # held, so a person approves
    decisions.approve(registry, config.layout, ID, "fine")
    publish_mosaic(ID, config, waits_s=())
    (row,) = table(config)
    assert all(np.ma.is_masked(row[name]) for name in ("s_resolution", "t_exptime"))
    assert row["em_min"] == pytest.approx(299792458 / 1.499e9)  # which the tiles state
    assert row["s_ra"] == 12.5
    assert ["frequency", "not measured"] in shown(config)["2026-02"][0]["facts"]


@pytest.mark.parametrize("name", ["gallery", MONTH])
def test_a_failure_never_fails_a_publish(config, registry, caplog, name):
    link = config.paths.products / name
    link.parent.mkdir(parents=True)
    link.symlink_to(config.paths.stage)
    with caplog.at_level(logging.WARNING):
        assert put(config).status == "published"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "run 'contimg archive'" in caplog.text and "symlink" in caplog.text
    assert queries.get(registry, ID)["status"] == "published"
    assert not list(config.paths.stage.glob("*.json"))
    link.unlink()
    put(config, tiles=LATER)  # the next publish repairs it
    assert [one["name"] for one in shown(config)["2026-02"]] == ["mosaic_20260211T030000", ID]


def test_text_cannot_break_out_of_the_page(config, registry):
    put(config, reasons=[mosaics.WARNING])
    decisions.approve(registry, config.layout, ID, "</script><script>alert(1)</script>")
    publish_mosaic(ID, config, waits_s=())
    page = (config.paths.products / "index.html").read_text()
    assert page.count("</script>") == 2 and "<script>alert" not in page
    # It comes in a script of its own, as a string that the page shows as text.
    assert "</script><script>alert(1)</script>" in shown(config)["2026-02"][0]["note"]


def test_the_map_is_hammer_aitoff():
    assert aitoff(0, 0) == pytest.approx((480, 240))
    assert aitoff(180 - 1e-9, 0) == pytest.approx((480 - 480 * 0.985, 240))  # right ascension grows to the left
    assert aitoff(0, 90) == pytest.approx((480, 240 - 240 * 0.985))
    # Closed form at 90 deg, 0 deg: x = sqrt(2) sin 45 deg / sqrt(1 + cos 45 deg) of 2 sqrt 2, twice
    assert aitoff(90, 0)[0] == pytest.approx(480 * (1 - 0.985 * np.sin(np.pi / 4) / np.sqrt(1 + np.cos(np.pi / 4))))


@pytest.mark.chromium
def test_a_browser_shows_the_page(config, tmp_path):
    from PIL import Image

    put(config)
    put(config, tiles=LATER, seed=200)
    put(config, **night_of("2025-12-31", calibrator="3C48"))
    page = config.paths.products / "index.html"
    shot = tmp_path / "page.png"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,1200"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    subprocess.run([*command, f"--screenshot={shot}", page.as_uri()], check=True, capture_output=True, timeout=120)
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape == (1200, 1200, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    assert (np.abs(pixels - pixels[0, 0]).max(axis=2) > 30).mean() > 0.005  # words and lines
    # The script ran: the cards are in the document, newest first.
    done = subprocess.run([*command, "--dump-dom", page.as_uri()], check=True, capture_output=True, timeout=120)
    document = done.stdout.decode()
    names = re.findall(r'<article id="(\w+)">', document)
    assert names == ["mosaic_20260211T030000", ID, "mosaic_20251231T030000"]
    assert "3 of 3 mosaics" in document and document.count('class="field passed"') == 3
    # Words in the search leave those that they are in, of whatever month.
    searched = tmp_path / "products" / "searched.html"
    searched.write_text(page.read_text().replace('id="search"', 'id="search" value="3c48 simulated"'))
    done = subprocess.run([*command, "--dump-dom", searched.as_uri()], check=True, capture_output=True, timeout=120)
    assert re.findall(r'<article id="(\w+)">', done.stdout.decode()) == ["mosaic_20251231T030000"]
    assert "1 of 3 mosaics" in done.stdout.decode()


def night_of(date, *, calibrator="3C286"):
    tiles = (f"{date}T03:00:00", f"{date}T03:05:09")
    return {"tiles": tiles, "facts": {"calibrators": [calibrator]}}


def test_months_are_put_together(config, registry):
    """Tables of three months: all current rows in order, what is missing in one masked, texts of any length whole."""
    from astropy.io.votable import parse
    from mocpy import MOC

    put(config)
    put(config, **night_of("2025-12-31"))
    put(config, **night_of("2026-02-20"), seed=3)
    put(config, **night_of("2026-02-20"), seed=4)  # version 2, whose texts are longer
    put(config, **night_of("2026-03-01"))
    names = ["mosaic_20251231T030000", ID, "mosaic_20260220T030000.v2"]  # its version 1 is there, and not current
    names.append("mosaic_20260301T030000")
    products = config.paths.products
    rows = table(config)
    votable = parse(products / "obscore.vot", verify="exception").get_first_table().to_table()
    for found in (rows, votable):
        assert list(found["obs_publisher_did"]) == [f"ivo://dsa110.ovro/continuum?{name}" for name in names]
        assert list(found["version"]) == [1, 1, 2, 1]
        assert found["s_ra"].tolist() == [12.5] * 4 and found["s_ra"].unit == "deg"
    assert rows["access_url"][2] == f"file://{products}/mosaics/2026-02-20/{names[2]}/data/{ID[:7]}20260220T030000.fits"
    assert (products / "obscore.fits").stat().st_size % 2880 == 0
    assert set(shown(config)) == {"2025-12", "2026-02", "2026-03"}
    assert [one["name"] for one in shown(config)["2026-02"]] == names[2:0:-1]
    whole, part = (MOC.from_fits(str(products / p / "coverage.moc.fits")) for p in ("", MONTH))
    assert whole == part


def test_a_publish_touches_its_month_only(config, registry):
    put(config, **night_of("2025-12-31"))
    put(config)
    before = {path: path.stat().st_mtime_ns for path in config.paths.products.glob("gallery/2025-12/*")}
    assert len(before) == 9  # four of the mosaic, four of the month, and its summary
    put(config, **night_of("2026-02-20"))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(table(config)) == 3


def test_what_was_not_brought_up_to_date_is_found_by_the_next_publish(config, registry):
    for date in ("2025-11-30", "2025-12-31"):  # as after publishing without update_archive
        put(mosaics.config_below(config.paths.stage.parent), **night_of(date))
    assert not (config.paths.products / "index.html").exists()
    put(config)
    assert len(table(config)) == 3
    shutil.rmtree(config.paths.products / "gallery" / "2025-12")
    put(config, tiles=LATER)
    assert len(table(config)) == 4


def rows_of(path):
    from astropy.table import Table

    return list(Table.read(path)["obs_id"])


def test_each_year_has_tables_and_the_one_of_all_may_wait_when_it_is_large(config, registry, monkeypatch):
    second, third = "mosaic_20270101T000000", "mosaic_20270102T000000"
    put(config)
    put(config, tiles=("2027-01-01T00:00:00",))
    products = config.paths.products
    assert rows_of(products / "obscore-2026.fits") == [ID] and rows_of(products / "obscore-2027.fits") == [second]
    assert rows_of(products / "obscore.fits") == [ID, second]
    assert 'of each year: <a href="obscore-2027.vot">2027</a> · ' in (products / "index.html").read_text()
    monkeypatch.setattr(update, "WHOLE_AT_ONCE", 2)
    before = (products / "obscore-2026.vot").stat()
    put(config, tiles=("2027-01-02T00:00:00",))
    assert rows_of(products / "obscore-2027.fits") == [second, third]
    assert rows_of(products / "obscore.fits") == [ID, second]  # not older than a day
    assert (products / "obscore-2026.vot").stat().st_mtime_ns == before.st_mtime_ns
    yesterday = time.time() - 90_000
    os.utime(products / "obscore.fits", (yesterday, yesterday))
    update.rebuild(registry, config.layout, third, whole=False)
    assert rows_of(products / "obscore.fits") == [ID, second, third]
    decisions.withdraw(registry, config.layout, ID, "wrong")  # what is withdrawn is in no table any more
    update.rebuild(registry, config.layout, ID)
    assert rows_of(products / "obscore.fits") == [second, third] and not (products / "obscore-2026.fits").exists()
