"""The page of held mosaics on the stage: what it shows, what it links to, and that it follows decisions."""

import html
import json
import re
import shlex
import subprocess
from contextlib import closing
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from contimg.archive.held_page import page_of, update_held_page, write_held_page
from contimg.config import load
from contimg.operations.status import held_mosaics
from contimg.publishing import decisions
from contimg.publishing.commands import decision_commands
from contimg.publishing.decisions import Named
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.engine import open_registry
from tests.support import mosaics
from tests.support.browser import look

OTHER = "2026-02-13T00:26:49"


def pasteable(command):
    return command.replace("contimg ", "contimg -c '/a night.yaml' ", 1)


def typed(row):
    return decision_commands(row, pasteable)


def records_of(config):
    """What the page's script draws: the records that stand on the page."""
    text = page_of(config.layout).read_text()
    return json.loads(re.search(r'<script type="application/json" id="settings">(.*?)</script>', text)[1])["records"]


def publish(config, **mosaic):
    register_mosaic(name := mosaics.make_mosaic(config, **mosaic), config)
    publish_mosaic(name, config, waits_s=())
    return name


@pytest.fixture
def registry(sqlite_config):
    with closing(open_registry(sqlite_config)) as opened:
        yield opened


def test_without_held_mosaics_nothing_is_written(sqlite_config, registry):
    publish(sqlite_config)
    assert update_held_page(registry, sqlite_config.layout, typed) == ""
    assert not page_of(sqlite_config.layout).exists() and not (sqlite_config.paths.stage / "held").exists()


def test_a_card_has_picture_reasons_page_and_commands(sqlite_config, registry):
    first = publish(sqlite_config, reasons=[mosaics.FAILED])
    second = publish(sqlite_config, tiles=(OTHER,), reasons=[mosaics.WARNING])
    assert write_held_page(registry, sqlite_config.layout, typed) == 2
    records = records_of(sqlite_config)
    assert [one["name"] for one in records] == [second, first]  # the newest first
    assert [one["why"] for one in records] == [[mosaics.WARNING.message], [mosaics.FAILED.message]]
    assert [one["verdict"] for one in records] == ["warning", "failed"]
    for place in [one[key] for one in records for key in ("href", "thumbnail")]:
        assert (sqlite_config.paths.stage / unquote(place)).exists(), place
    with Image.open(sqlite_config.paths.stage / records[0]["thumbnail"]) as picture:
        assert picture.size == (32, 32)
    commands = [shlex.split(one) for one in records[0]["commands"]]
    assert [words[:6] for words in commands] == [
        ["contimg", "-c", "/a night.yaml", "publish", what, second] for what in ("approve", "reject")
    ]


def test_a_card_has_the_numbers_of_the_gallery_and_says_what_is_simulated(sqlite_config, registry):
    publish(sqlite_config, reasons=[mosaics.FAILED])
    write_held_page(registry, sqlite_config.layout, typed)
    (record,) = records_of(sqlite_config)
    facts = dict(record["facts"])
    assert facts["rms"] == "4.00 mJy/beam" and facts["calibrator"] == "3C286" and facts["tiles"] == "2"
    assert record["synthetic"] is True
    assert "1 held (1 of them simulated): look" in page_of(sqlite_config.layout).read_text()
    # The image of 32 x 32 pixels of 0.01 deg about 12.5 +37.1: half of 31 steps between the outer pixels' centres.
    assert record["half"] == [pytest.approx(0.155 / np.cos(np.radians(37.1)), rel=0.05), pytest.approx(0.155, abs=0.01)]


def test_a_reason_with_markup_is_text(sqlite_config, registry):
    evil = mosaics.FAILED.model_copy(update={"message": "</script><script>alert(1)</script>"})
    publish(sqlite_config, reasons=[evil])
    write_held_page(registry, sqlite_config.layout, typed)
    assert "</script><script>alert" not in page_of(sqlite_config.layout).read_text()
    assert records_of(sqlite_config)[0]["why"] == [evil.message]


@pytest.mark.parametrize("bytes_left", [0, 100, 3000])
@pytest.mark.filterwarnings("ignore:File may have been truncated", "ignore:(?s).*Header size is not multiple of 2880")
def test_a_torn_image_takes_only_the_picture_of_its_card(bytes_left, sqlite_config, registry):
    torn, whole = (
        publish(sqlite_config, reasons=[mosaics.FAILED]),
        publish(sqlite_config, tiles=(OTHER,), reasons=[mosaics.WARNING]),
    )
    (image,) = (sqlite_config.paths.stage / "registered").rglob(f"{torn}.fits")
    image.chmod(0o600)
    image.write_bytes(image.read_bytes()[:bytes_left])
    assert update_held_page(registry, sqlite_config.layout, typed).startswith("2 held, with picture")
    assert {one["name"]: one["thumbnail"] is None for one in records_of(sqlite_config)} == {torn: True, whole: False}
    (note,) = [one["note"] for one in records_of(sqlite_config) if one["name"] == torn]
    assert note.startswith(f"{torn}.fits cannot be read: ")


def test_the_page_follows_decisions(sqlite_config, registry):
    name = publish(sqlite_config, reasons=[mosaics.FAILED])
    write_held_page(registry, sqlite_config.layout, typed)
    decisions.reject(registry, sqlite_config.layout, Named(name, None, None), "striped")
    assert write_held_page(registry, sqlite_config.layout, typed) == 0
    text = page_of(sqlite_config.layout).read_text()
    assert "Nothing is held." in text and name not in text
    assert list((sqlite_config.paths.stage / "held").iterdir()) == []


def test_a_thumbnail_is_written_once(sqlite_config, registry):
    publish(sqlite_config, reasons=[mosaics.FAILED])
    write_held_page(registry, sqlite_config.layout, typed)
    (picture,) = (sqlite_config.paths.stage / "held").glob("*.png")
    before = picture.stat()
    write_held_page(registry, sqlite_config.layout, typed)
    assert picture.stat().st_ino == before.st_ino and picture.stat().st_mtime_ns == before.st_mtime_ns


def test_a_page_that_cannot_be_written_is_said(sqlite_config, registry, tmp_path):
    publish(sqlite_config, reasons=[mosaics.FAILED])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (sqlite_config.paths.stage / "held").symlink_to(elsewhere)
    said = update_held_page(registry, sqlite_config.layout, typed)
    assert said.startswith(f"the page of held mosaics {page_of(sqlite_config.layout)} was not written: ")
    assert list(elsewhere.iterdir()) == []


def test_the_end_of_a_run_names_the_page(sqlite_config):
    publish(sqlite_config, reasons=[mosaics.FAILED])
    assert held_mosaics(sqlite_config, pasteable) == ""  # publish.update_archive is false in tests
    content = sqlite_config.model_dump(mode="json")
    config = load(content | {"publish": content["publish"] | {"update_archive": True}})
    assert held_mosaics(config, pasteable) == f"1 held, with picture, reasons and commands: {page_of(config.layout)}"


LONG = mosaics.FAILED.model_copy(update={"message": "noise of /data/stage" + "/deep" * 40 + ".fits"})


@pytest.fixture
def page(sqlite_config, registry):
    """The page of two held mosaics, one of which has a reason without a place to break."""
    publish(sqlite_config, reasons=[LONG])
    publish(sqlite_config, tiles=(OTHER,), reasons=[mosaics.WARNING])
    write_held_page(registry, sqlite_config.layout, typed)
    return page_of(sqlite_config.layout)


@pytest.mark.chromium
@pytest.mark.parametrize("width", [1400, 420, 360])
def test_nothing_sticks_out_of_a_window(width, page):
    seen = look(page, width, page.parent)
    assert seen.sticking_out == [] and seen.scroll_px <= width
    assert 0.01 < seen.ink < 0.9


@pytest.mark.chromium
def test_the_page_is_searched_as_the_gallery_is(page):
    script = """<script>(async () => {
      const found = {}, ids = () => [...grid.querySelectorAll('article')].map(one => one.id);
      for (const text of ['', '12.5 37.1', '12.9 37.1', 'warning', '2026-02-13', 'stage/deep', 'rms<3', 'simulated']) {
        box.value = text; await draw(); found[text] = ids();
      }
      found.badges = [...grid.querySelectorAll('.badge')].map(one => one.textContent);
      found.commands = [...grid.querySelectorAll('pre')].map(one => /publish \\w+/.exec(one.textContent)[0]);
      document.body.setAttribute('data-found', JSON.stringify(found));
    })();</script></main>"""
    tested = page.with_name("tested.html")
    tested.write_text(page.read_text().replace("</main>", script))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000",
               f"--user-data-dir={page.parent / 'profile'}", "--enable-logging=stderr", "--dump-dom"]  # fmt: skip
    done = subprocess.run([*command, tested.as_uri()], check=True, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = json.loads(html.unescape(re.search(r'data-found="([^"]*)"', done.stdout)[1]))
    failed, warned = mosaics.MOSAIC, "mosaic_20260213T002649"
    assert found == {
        "": [warned, failed], "12.5 37.1": [warned, failed], "12.9 37.1": [], "warning": [warned],
        "2026-02-13": [warned], "stage/deep": [failed], "rms<3": [], "simulated": [warned, failed],
        "badges": ["warning", "simulated", "failed", "simulated"],
        "commands": ["publish approve", "publish reject"] * 2,
    }  # fmt: skip
