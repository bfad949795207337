"""The page of held mosaics on the stage: what it shows, what it links to, and that it follows decisions."""

import html
import re
import shlex
from contextlib import closing
from urllib.parse import unquote

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

OTHER = "2026-02-13T00:26:49"


def pasteable(command):
    return command.replace("contimg ", "contimg -c '/a night.yaml' ", 1)


def typed(row):
    return decision_commands(row, pasteable)


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
    text = page_of(sqlite_config.layout).read_text()
    assert re.findall(r'<article id="([^"]+)"', text) == [second, first]  # the newest first
    assert mosaics.FAILED.message in text and mosaics.WARNING.message in text
    assert re.findall(r'badge (\w+)">\1<', text) == ["warning", "failed"]
    for link in re.findall(r'(?:href|src)="([^"]+)"', text):
        assert (sqlite_config.paths.stage / unquote(link)).exists(), link
    pictures = re.findall(r'src="([^"]+)"', text)
    with Image.open(sqlite_config.paths.stage / pictures[0]) as picture:
        assert len(pictures) == 2 and picture.size == (32, 32)
    commands = [shlex.split(html.unescape(one)) for one in re.findall(r"<code>(.*?)</code>", text)]
    assert [words[:6] for words in commands[:2]] == [
        ["contimg", "-c", "/a night.yaml", "publish", what, second] for what in ("approve", "reject")
    ]


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
    (picture,) = (sqlite_config.paths.stage / "held").iterdir()
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
