"""What a bundle says of itself: licence, citation and RO-Crate, and that earlier bundles stay what they are."""

import json

import pytest
import yaml

from contimg.bundle.assembly import gather
from contimg.bundle.companions import NAMES, companions, kind_of
from contimg.bundle.listing import parse_manifest
from contimg.naming import Publisher
from contimg.publishing import register
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.engine import open_registry
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    config = mosaics.config_below(tmp_path_factory.mktemp("bundle"))
    mosaics.make_mosaic(config)
    return gather(config.layout, ID)


def text(contents, name):
    return contents.generated[f"data/{name}"].decode()


def test_the_crate_describes_every_file_of_the_manifest_once(contents):
    """The rules of RO-Crate 1.1: a descriptor, a root with its five properties, files that are parts of it."""
    crate = json.loads(text(contents, "ro-crate-metadata.json"))
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    graph = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(graph) == len(crate["@graph"])
    about = graph["ro-crate-metadata.json"]
    assert about["@type"] == "CreativeWork" and about["about"] == {"@id": "./"}
    assert about["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    root = graph["./"]
    assert root["@type"] == "Dataset" and all(root[key] for key in ("name", "description", "datePublished", "license"))
    assert root["identifier"] == f"ivo://dsa110.ovro/continuum?{ID}"
    digests = {name.removeprefix("data/"): digest for name, digest in parse_manifest(contents.manifest).items()}
    parts = [part["@id"] for part in root["hasPart"]]
    assert sorted(parts) == sorted(set(digests) - {"ro-crate-metadata.json"})
    for name in parts:
        assert graph[name]["@type"] == "File" and graph[name]["encodingFormat"]
        assert graph[name].get("sha256", digests[name]) == digests[name]
    # Everything that is named stands in the graph, or is an address.
    named = [value["@id"] for entity in crate["@graph"] for value in _references(entity)]
    assert all(one in graph or one.startswith("https://") for one in named)


def _references(entity):
    for value in entity.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield one


def test_the_citation_can_be_read(contents):
    citation = yaml.safe_load(text(contents, "CITATION.cff"))
    assert list(citation)[:4] == ["cff-version", "message", "type", "title"]  # as the format's own examples
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "dataset" and citation["license"] == "CC-BY-4.0"
    assert citation["authors"] == [{"name": "The DSA-110 Collaboration"}]
    assert citation["identifiers"][0]["value"].endswith(f"?{ID}") and ID.replace("_", " ") in citation["title"]


def test_a_licence_of_ones_own(tmp_path):
    config = mosaics.config_below(tmp_path, publish={"licence": "CC0-1.0", "ivoid": "ivo://org.example/a"})
    assert config.layout.publisher == Publisher(None, "ivo://org.example/a", "CC0-1.0")
    mosaics.make_mosaic(config)
    found = gather(config.layout, ID)
    assert text(found, "LICENSE.txt").startswith("SPDX-License-Identifier: CC0-1.0\n")
    assert all(word in text(found, "CITATION.cff") for word in ("CC0-1.0", f"ivo://org.example/a?{ID}"))


def test_what_is_not_known_is_not_invented():
    metadata = dict.fromkeys(
        ("beam", "centre_deg", "start_utc", "end_utc", "freq_hz", "bandwidth_hz", "rms_mjy", "n_images", "flux_anchor")
    )
    metadata |= {"data_id": ID, "synthetic": False, "verdict": {"verdict": "failed"}, "versions": {"contimg": []}}
    made = companions(metadata, {}, "ivo://org.example/a", "CC0-1.0")
    assert set(made) == set(NAMES)
    assert not any(b"simulated" in content for content in made.values())


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("m.fits", "image/fits"), ("m.weights.fits", "image/fits"), ("crossmatch/m.sources.fits", "application/fits"),
        ("crossmatch/m.sources.vot", "application/x-votable+xml"), ("m.png", "image/png"), ("m.html", "text/html"),
        ("metadata.json", "application/json"), ("m.json", "application/json"),
        ("ro-crate-metadata.json", "application/ld+json"), ("x.bin", "application/octet-stream"),
    ],
)  # fmt: skip
def test_kinds_of_files(name, mime):
    assert kind_of(name)[0] == mime


def test_each_file_that_describes_a_bundle_has_words_of_its_own():
    """The crate was described as metadata.json, the picture for narrow screens as the other one."""
    words = {name: kind_of(name)[1] for name in ("m.png", "m.narrow.png", "metadata.json", *NAMES)}
    assert words["ro-crate-metadata.json"] == "files, software and origin for programs (RO-Crate 1.1)"
    assert len(set(words.values())) == len(words)


def test_a_bundle_of_an_earlier_version_stays_registered_and_can_be_made_again(sqlite_config, monkeypatch):
    """It has none of these files: registering again after an upgrade makes no new version of it."""
    mosaics.make_mosaic(sqlite_config)
    with monkeypatch.context() as before:
        before.setattr("contimg.bundle.assembly.companions", lambda *_: {})
        first = register_mosaic(ID, sqlite_config)
    again = register_mosaic(ID, sqlite_config)
    assert (again.version, again.manifest_sha256, again.created) == (1, first.manifest_sha256, False)
    registry = open_registry(sqlite_config)
    try:
        row = {"data_id": ID, "sha256": first.manifest_sha256}
        found = register.gather_registered(sqlite_config.layout, row, None)
        assert found is not None and not {f"data/{name}" for name in NAMES} & set(found.generated)
    finally:
        registry.close()
