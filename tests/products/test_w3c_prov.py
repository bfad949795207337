"""Provenance as W3C PROV: entities, activities and agents are those of the lineage, each once."""

import json

import pytest
from prov.model import ProvDocument

from contimg.products.lineage import Lineage, Node
from contimg.products.twin import Input, Twin
from contimg.products.w3c_prov import RULES, to_json, to_prov

TILE = "2026-02-11T00:26:49"


def sha(number: int) -> str:
    return f"{number:064x}"


def node(number, kind, name, inputs=(), **content):
    base = {"verdict": "passed", "synthetic": True, "code_version": "0.1.0", "libraries": {"numpy": "2.1"}}
    return Node(
        f"/s/{kind}/{number}.json", sha(number), Twin(kind=kind, id=name, inputs=list(inputs), **base | content)
    )


def file(number, name, kind="subband_file"):
    return Input(path=f"/in/{name}", kind=kind, id=name, sha256=sha(number))


def product(number, kind, name):
    return Input(path="x", kind=kind, id=name, sha256=sha(number))


@pytest.fixture
def lineage():
    """Two subband files of equal content, an MS of them, its image; the image of another version of the software."""
    files = [file(90, f"{TILE}_sb00.hdf5"), file(90, f"{TILE}_sb01.hdf5")]
    ms = node(1, "ms", TILE, files, parameters={"ingest": {"subbands": 16}})
    image = node(2, "image", TILE, [product(1, "ms", TILE), file(91, "sky.csv", "catalogue")], code_version="0.2.0",
                 verdict="warning")  # fmt: skip
    every = {(one.sha256, one.id): one for one in (*files, file(91, "sky.csv", "catalogue"))}
    return Lineage({one.sha256: one for one in (ms, image)}, every)


@pytest.fixture
def content(lineage):
    return json.loads(to_json(lineage))


def test_products_and_files_are_entities_and_equal_files_are_two(content):
    entities = content["entity"]
    labels = sorted(str(one["prov:label"]) for one in entities.values())
    assert labels == [f"{TILE}_sb00.hdf5", f"{TILE}_sb01.hdf5", f"image {TILE}", f"ms {TILE}", "sky.csv"]
    image = entities[f"sha256:{sha(2)}"]
    assert (image["contimg:verdict"], image["contimg:synthetic"], image["prov:location"]) == (
        "warning", True, "/s/image/2.json",
    )  # fmt: skip


def test_each_product_is_made_by_its_rule_with_its_parameters(content):
    activities = content["activity"]
    assert sorted(one["prov:label"] for one in activities.values()) == ["convert_tile", "image_tile"]
    made = {one["prov:entity"]: one["prov:activity"] for one in content["wasGeneratedBy"].values()}
    convert = activities[made[f"sha256:{sha(1)}"]]
    assert convert["prov:label"] == "convert_tile"
    assert json.loads(convert["contimg:parameters"]) == {"ingest": {"subbands": 16}}


def test_every_input_is_used_and_derived_from(content):
    used = {(one["prov:activity"].split(".")[0], one["prov:entity"]) for one in content["used"].values()}
    assert len(content["used"]) == 4 and ("contimg:image_tile", f"sha256:{sha(1)}") in used
    derived = {(one["prov:generatedEntity"], one["prov:usedEntity"]) for one in content["wasDerivedFrom"].values()}
    assert (f"sha256:{sha(2)}", f"sha256:{sha(1)}") in derived and len(derived) == 4


def test_software_is_an_agent_for_each_version_once(content):
    agents = sorted((one["prov:label"], one["contimg:version"]) for one in content["agent"].values())
    assert agents == [("contimg", "0.1.0"), ("contimg", "0.2.0"), ("numpy", "2.1")]
    assert len(content["wasAssociatedWith"]) == 4  # two activities, contimg and numpy each


def test_the_text_is_the_same_each_time_and_whatever_the_order(lineage):
    turned = Lineage(dict(reversed(lineage.nodes.items())), dict(reversed(lineage.files.items())))
    assert to_json(lineage) == to_json(turned) and to_json(lineage).endswith("}\n")


def test_other_programs_can_read_it(lineage):
    again = ProvDocument.deserialize(content=to_json(lineage), format="json")
    assert again == to_prov(lineage)


def test_every_kind_of_product_with_a_twin_has_a_rule():
    from contimg.products.lineage import TWIN_KINDS

    assert set(RULES) == TWIN_KINDS
