"""What the archive's pages are joined from, torn, binary or replaced by a device: it is made again."""

import contextlib
import logging
import os

import pytest

from contimg.archive import held_page, months, update
from contimg.errors import InputError
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.engine import open_registry
from tests.support import mosaics

ID = mosaics.MOSAIC
TILES = ("2026-03-11T03:00:00", "2026-03-11T03:05:09")
DAMAGES = {
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "half": lambda content: content[: len(content) // 2],
    "zero tail": lambda content: content[: len(content) // 2] + bytes(len(content) - len(content) // 2),
    "long": lambda content: b"A" * 10_000,
    "bit": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "fifo": None,
    "device": None,
}


def damage(path, kind):
    if DAMAGES[kind] is not None:
        path.write_bytes(DAMAGES[kind](path.read_bytes()))
        return
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")


@pytest.fixture
def config(tmp_path):
    return mosaics.config_below(tmp_path)


@pytest.fixture
def registry(config):
    with contextlib.closing(open_registry(config)) as opened:
        yield opened


def publish(config, **mosaic):
    mosaic_id = mosaics.make_mosaic(config, **mosaic)
    register_mosaic(mosaic_id, config)
    return publish_mosaic(mosaic_id, config, waits_s=())


def parts(config):
    """Return the files of the month of the mosaic, and the tables of all."""
    products = config.layout.products
    return [*sorted((products / "gallery/2026-02").iterdir()), *sorted(products.glob("*.moc.fits"))]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((months.TABLES[1], kind) for kind in DAMAGES),
        *((name, kind) for name in (months.TABLES[0], months.COVERAGE, months.CARDS) for kind in ("zeros", "bit")),
        *((f"{ID}{suffix}", kind) for suffix in (".json", ".png", ".moc.fits") for kind in ("half", "bit", "device")),
    ],
)
def test_a_damaged_part_of_a_month_is_made_again(config, registry, name, kind):
    """Torn tables ended `contimg archive` in a traceback, each time; and a publication of another month, too."""
    publish(config)
    update.rebuild(registry, config.layout)
    before = {path: path.read_bytes() for path in parts(config)}
    place = config.layout.products / "gallery/2026-02" / name
    damage(place, kind)
    if name.startswith(ID):  # read when its month is written again
        damage(place.with_name(months.SUMMARY), "zeros")
    assert update.rebuild(registry, config.layout) == 1
    assert {path: path.read_bytes() for path in parts(config)} == before


@pytest.mark.parametrize("name", [*months.TABLES, months.COVERAGE])
def test_a_damaged_month_stops_no_publication_of_another(config, registry, name, caplog):
    publish(config)
    update.rebuild(registry, config.layout)
    whole = (config.layout.products / "gallery/2026-02" / name).read_bytes()
    damage(config.layout.products / "gallery/2026-02" / name, "half")
    second = publish(config, tiles=TILES)
    assert update.update(registry, config.layout, second.data_id)
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == []
    assert (config.layout.products / "gallery/2026-02" / name).read_bytes() == whole
    assert update.rebuild(registry, config.layout) == 2


@pytest.mark.parametrize("kind", ["empty", "zeros", "half", "long", "fifo", "device"])
@pytest.mark.parametrize("name", [f"{ID}.fits", f"{ID}.coverage.fits"])
def test_a_damaged_image_of_a_bundle_is_named_with_a_remedy(config, registry, name, kind):
    """It was 'a file', or a traceback; a device was read without end."""
    path = publish(config, coverage=2).path / "data" / name
    damage(path, kind)
    with pytest.raises(InputError, match=rf"^{path} is .+: type contimg reconcile, then contimg archive$") as raised:
        update.rebuild(registry, config.layout, anew=True)
    assert str(raised.value).count("\n") == 0


@pytest.mark.parametrize("kind", ["zeros", "bit", "fifo"])
@pytest.mark.parametrize("suffix", [".json", ".png", ".moc.fits"])
def test_damaged_pictures_of_what_is_held_are_made_again(config, registry, suffix, kind):
    publish(config, reasons=[mosaics.WARNING])
    folder = config.layout.stage / held_page.FOLDER
    held_page.write_held_page(registry, config.layout, lambda row: [])
    before = {path: path.read_bytes() for path in folder.iterdir()}
    (place,) = folder.glob(f"*{suffix}")
    damage(place, kind)
    assert held_page.write_held_page(registry, config.layout, lambda row: []) == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
