"""The links of a published mosaic: every file of its bundle, with semantics, and addresses that lead to it."""

import dataclasses
import os
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from astropy.io.votable import parse
from pyvo.dal.adhoc import DatalinkResults

from contimg import config as configuration
from contimg.archive import datalink
from contimg.errors import ConfigError
from contimg.naming import Layout, Publisher
from tests.archive.entry import ENTRY
from tests.support.validators import assert_votlint

BASE = "https://dsa110.example/archive"
# Semantics of the vocabulary http://www.ivoa.net/rdf/datalink/core that are used here.
EXPECTED = {
    ".fits": "#this", ".weights.fits": "#weight", ".rms.fits": "#noise", ".png": "#preview", ".html": "#documentation",
    ".sources.vot": "#derivation",
}  # fmt: skip


@pytest.fixture
def layout(tmp_path):
    return Layout(*(tmp_path / name for name in ("incoming", "stage", "products", "state")))


@pytest.fixture
def entry(layout):
    """An entry with a bundle of six files, its thumbnail and its MOC."""
    name = ENTRY["data_id"]
    bundle = layout.bundle(name, 1) / "data"
    folder = layout.products / "gallery" / "2026-02"
    (bundle / "crossmatch").mkdir(parents=True)
    folder.mkdir(parents=True)
    for number, suffix in enumerate(EXPECTED):
        place = bundle / "crossmatch" if "sources" in suffix else bundle
        (place / f"{name}{suffix}").write_bytes(b"x" * (number + 1))
    (folder / f"{name}.png").write_bytes(b"thumbnail")
    (folder / f"{name}.moc.fits").write_bytes(b"moc")
    (folder / f"{name}.json").write_text("{}")
    made = ENTRY | {"path": str(bundle.parent)}
    return made | datalink.addresses(layout, folder, made)


def links(layout, entry):
    folder = layout.products / "gallery" / "2026-02"
    datalink.write_links(layout, folder, entry)
    return folder / datalink.file_name(entry["name"])


def test_every_file_is_linked_with_its_meaning_and_size(layout, entry):
    table = DatalinkResults(parse(links(layout, entry)))
    found = {}
    for row in table:
        path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(row.access_url).path))
        assert path.stat().st_size == row.content_length and row["ID"] == entry["publisher_did"]
        found[path.name.removeprefix(entry["data_id"])] = row.semantics
    assert found.pop(".moc.fits") == "#auxiliary"
    # The picture and the thumbnail have one name, in different folders.
    assert [row.semantics for row in table if row.access_url.endswith(".png")] == ["#preview", "#thumbnail"]
    assert {key: found[key] for key in EXPECTED if key != ".png"} == {k: v for k, v in EXPECTED.items() if k != ".png"}
    assert [row.content_type for row in table if row.semantics == "#this"] == ["image/fits"]


def test_its_bytes_are_those_that_astropy_writes(layout, entry, tmp_path):
    """Rows are written here, since astropy takes 30 ms for each mosaic's table; an id with all that XML escapes."""
    path = links(layout, entry | {"publisher_did": "ivo://a&b<c>d?\u00e9"})
    parse(path).to_xml(str(tmp_path / "again.vot"))
    again = (
        tmp_path / "again.vot"
    ).read_bytes()  # with the number of rows, 6 files, thumbnail and MOC, once it knows it
    assert path.read_bytes() == again.replace(b'<TABLE nrows="8">', b"<TABLE>")
    assert parse(path).get_first_table().array["ID"][0] == "ivo://a&b<c>d?\u00e9"


@pytest.mark.stilts
def test_it_is_a_valid_votable(layout, entry):
    path = links(layout, entry)
    assert_votlint(path)
    resource = parse(path, verify="exception").resources[0]
    assert {info.name: info.value for info in resource.infos} == {
        "QUERY_STATUS": "OK", "standardID": "ivo://ivoa.net/std/DataLink#links-1.1",
    }  # fmt: skip


def test_addresses_of_the_web(layout, entry):
    """Every letter that an address must not have is escaped."""
    web = dataclasses.replace(layout, publisher=Publisher(BASE, "ivo://org.example/a"))
    folder = layout.products / "gallery" / "2026-02"
    found = datalink.addresses(web, folder, entry | {"name": "mosaic_20260211T002649.v2"})
    assert found == {
        "publisher_did": "ivo://org.example/a?mosaic_20260211T002649.v2",
        "access_url": f"{BASE}/mosaics/2026-02-11/mosaic_20260211T002649/data/mosaic_20260211T002649.fits",
        "datalink_url": f"{BASE}/gallery/2026-02/mosaic_20260211T002649.v2.datalink.vot",
    }
    assert web.address(layout.products / "a b#ü?.fits") == f"{BASE}/a%20b%23%C3%BC%3F.fits"
    assert layout.address(Path("/a b.fits")) == "file:///a%20b.fits"


def test_links_are_written_once_and_vanish_with_their_mosaic(layout, entry):
    folder = layout.products / "gallery" / "2026-02"
    datalink.keep_links(layout, folder, [entry], anew=False)
    path = folder / datalink.file_name(entry["name"])
    first = path.stat().st_mtime_ns
    datalink.keep_links(layout, folder, [entry], anew=False)
    assert path.stat().st_mtime_ns == first
    os.utime(folder / f"{entry['name']}.json", ns=(first + 10**9, first + 10**9))  # read again from another bundle
    datalink.keep_links(layout, folder, [entry], anew=False)
    assert path.stat().st_mtime_ns != first
    second = path.stat().st_mtime_ns
    datalink.keep_links(layout, folder, [entry], anew=True)
    assert path.stat().st_mtime_ns != second
    datalink.keep_links(layout, folder, [], anew=False)
    assert not path.exists() and (folder / f"{entry['name']}.moc.fits").exists()


@pytest.mark.parametrize(
    "publish",
    [
        {"base_url": "dsa110.example"}, {"base_url": "https://a.example/"}, {"base_url": "https://a.example/x?y"},
        {"base_url": "file:///a"}, {"ivoid": "dsa110"}, {"ivoid": "ivo://ab/c"}, {"ivoid": "ivo://abc"},
        {"ivoid": "ivo://abc/d?e"}, {"licence": "of my own"},
    ],
    ids=str,
)  # fmt: skip
def test_addresses_that_are_none_are_refused(publish):
    with pytest.raises(ConfigError, match=f"publish.{next(iter(publish))}"):
        configuration.load({"publish": publish})


def test_addresses_come_from_the_configuration():
    options = {"base_url": "https://a.example/x", "ivoid": "ivo://org.example/a/b"}
    publisher = configuration.load({"publish": options | {"licence": "CC0-1.0"}}).layout.publisher
    assert publisher == Publisher(*options.values(), "CC0-1.0")
