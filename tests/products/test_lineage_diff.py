"""Differences of two mosaics' lineages: each input, parameter and version that differs, once."""

from __future__ import annotations

import json

from contimg.products.lineage import Lineage, Node
from contimg.products.lineage_diff import ABSENT, Difference, compare
from contimg.products.twin import Input, Twin
from contimg.products.w3c_prov import RULES, to_json

FILE = Input(path="/in/a.hdf5", kind="subband_file", id="a.hdf5", sha256="a" * 64)


def image(tile: str, *, robust: float = 0.5, numpy: str = "1.0", code: str = "0.1.0", inputs=(FILE,)) -> Twin:
    return Twin(
        kind="image", id=tile, verdict="passed", parameters={"image": {"robust": robust}, "backend": "contimg"},
        libraries={"numpy": numpy}, code_version=code, inputs=list(inputs), synthetic=True,
    )  # fmt: skip


def lineage(*twins: Twin, digest: str = "", files=(FILE,)) -> Lineage:
    nodes = {f"{digest}{i}": Node(f"/{i}.json", f"{digest}{i}", twin) for i, twin in enumerate(twins)}
    return Lineage(nodes, {(item.sha256, item.id): item for item in files})


def test_equal_lineages_do_not_differ():
    assert compare(lineage(image("t0"), image("t1")), lineage(image("t0"), image("t1"))) == []


def test_a_parameter_that_differs_in_several_products_is_said_once():
    a = lineage(image("t0"), image("t1"))
    b = lineage(image("t0", robust=0.0), image("t1", robust=0.0))
    assert compare(a, b) == [Difference("parameter", "image t0, t1", "image.robust", "0.5", "0.0")]


def test_versions_of_contimg_and_of_libraries():
    found = compare(lineage(image("t0")), lineage(image("t0", numpy="2.0", code="0.2.0")))
    assert found == [
        Difference("version", "image t0", "contimg", "0.1.0", "0.2.0"),
        Difference("version", "image t0", "numpy", "1.0", "2.0"),
    ]


def test_files_of_one_name_and_other_content():
    other = FILE.model_copy(update={"sha256": "b" * 64})
    found = compare(lineage(image("t0")), lineage(image("t0"), files=(other,)))
    assert found[0] == Difference("input", "subband_file", "a.hdf5", "a" * 64, "b" * 64)


def test_a_file_that_one_side_lacks():
    assert compare(lineage(image("t0")), lineage(image("t0"), files=())) == [
        Difference("input", "subband_file", "a.hdf5", "a" * 64, ABSENT)
    ]


def test_a_product_that_one_side_lacks_is_an_input_that_differs():
    found = compare(lineage(image("t0"), image("t1")), lineage(image("t0")))
    assert found == [Difference("input", "image", "t1", "1", ABSENT)]
    turned = compare(lineage(image("t0")), lineage(image("t0"), image("t1")))
    assert turned == [Difference("input", "image", "t1", ABSENT, "1")]


def test_products_of_other_ids_are_compared_as_their_kind():
    found = compare(lineage(image("t0")), lineage(image("t9", robust=0.0)))
    assert Difference("parameter", "image", "image.robust", "0.5", "0.0") in found
    assert {difference.what for difference in found} == {"input", "parameter"}


def test_a_parameter_that_one_side_does_not_have():
    without = image("t0").model_copy(update={"parameters": {"image": {"robust": 0.5}}})
    assert compare(lineage(image("t0")), lineage(without)) == [
        Difference("parameter", "image t0", "backend", "contimg", ABSENT)
    ]


def test_prov_names_the_rule_the_inputs_and_the_software():
    content = json.loads(to_json(lineage(image("t0"), digest="c" * 16)))
    (activity,) = content["activity"].values()
    assert activity["prov:label"] == "image_tile"
    assert json.loads(activity["contimg:parameters"])["image"] == {"robust": 0.5}
    labels = {entity["prov:label"] for entity in content["entity"].values()}
    assert labels == {"image t0", "a.hdf5"}
    assert {agent["prov:label"] for agent in content["agent"].values()} == {"numpy", "contimg"}
    assert len(content["used"]) == len(content["wasDerivedFrom"]) == len(content["wasGeneratedBy"]) == 1


def test_prov_names_rules_as_the_workflow_does():
    # A rule, its script, its module and its function have one name.
    assert RULES["crossmatch"] == "crossmatch_mosaic"
    assert RULES["mosaic"] == "mosaic_group"
