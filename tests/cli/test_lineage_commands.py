"""provenance, diff and reproduce: from bundles alone, without a registry."""

import json
import re

import pytest
import yaml
from click.testing import CliRunner

from contimg.bundle.find import find_bundle, read_lineage
from contimg.cli import main
from contimg.errors import ContimgError, InputError
from contimg.operations.reproduce import _compare, reproduce
from contimg.products.lineage import collect
from contimg.products.lineage_diff import compare
from contimg.products.twin import read_twin
from contimg.products.w3c_prov import to_json
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from tests.support import mosaics
from tests.support.twins import write_with_manifest

ID = mosaics.MOSAIC


@pytest.fixture
def published(sqlite_config):
    mosaics.make_mosaic(sqlite_config)
    register_mosaic(ID, sqlite_config)
    return publish_mosaic(ID, sqlite_config, waits_s=()).path


@pytest.fixture
def contimg(sqlite_config, tmp_path):
    file = tmp_path / "overlay.yaml"
    file.write_text(yaml.safe_dump({"paths": sqlite_config.paths.model_dump(mode="json")}))

    def call(*words, code=0):
        done = CliRunner().invoke(main, ["-c", str(file), *words])
        assert done.exit_code == code, (done.output, done.exception)
        if "--json" in words and code != 1:
            return json.loads(done.stdout)
        return done.output.replace(f"contimg -c {file} ", "contimg ")

    return call


def test_the_tree_reaches_every_file_with_its_hash(contimg, sqlite_config, published):
    sqlite_config.layout.registry_file.unlink()  # the bundle is enough
    said = contimg("provenance", ID)
    for path in sqlite_config.paths.incoming.glob("*.hdf5"):
        assert said.count(f"{path.name} {mosaics.file_sha256(path)}") == 1
    assert said.count("calibration cal_20260211T002649") == 2  # one a tile; the second stands above already
    assert "mosaic: mosaic: cell_arcsec 3" in said and "numpy" in said
    assert not sqlite_config.layout.registry_file.exists()
    nested = contimg("provenance", str(published), "--json")
    assert [one["kind"] for one in nested["made_from"]] == ["image", "image"]
    files = re.findall(r'"kind": "subband_file"', json.dumps(nested))
    assert len(files) == 2 * (4 + 4)  # of each tile its own files and those of the calibration's tile


def test_prov_json_is_read_by_its_library(contimg, sqlite_config, published, tmp_path):
    from prov.model import ProvActivity, ProvDerivation, ProvDocument, ProvEntity

    file = tmp_path / "lineage.json"
    contimg("provenance", ID, "--export", str(file))
    document = ProvDocument.deserialize(str(file), format="json")
    # 2 tiles: 8 files, 2 ms, 1 calibration, 2 calibrated, 2 images, 1 mosaic; a comparison and its catalogue
    assert len(list(document.get_records(ProvActivity))) == 2 + 1 + 2 + 2 + 1 + 1
    assert len(list(document.get_records(ProvEntity))) == 8 + 1 + 9
    # 8 files, 1 ms of the calibration, 2 x (ms, calibration), 2 calibrated, 2 images, the mosaic and the catalogue
    assert len(list(document.get_records(ProvDerivation))) == 8 + 1 + 4 + 2 + 2 + 2
    _, lineage, _ = read_lineage(published)
    assert to_json(lineage) == file.read_text()


def test_versions_and_places(sqlite_config, published):
    layout = sqlite_config.layout
    assert find_bundle(layout, ID) == find_bundle(layout, "2026-02-11T00:26:49") == published
    mosaics.make_mosaic(sqlite_config, seed=2)
    register_mosaic(ID, sqlite_config)
    assert find_bundle(layout, f"{ID}.v2").parent == layout.product("registered", ID)  # not published yet
    second = publish_mosaic(ID, sqlite_config, waits_s=()).path
    assert find_bundle(layout, ID) == find_bundle(layout, f"{ID}.v2") == second
    assert find_bundle(layout, f"{ID}.v1") == published
    with pytest.raises(ContimgError, match="no bundle of mosaic_20990101T000000"):
        find_bundle(layout, "mosaic_20990101T000000")


def change(path, **content):
    write_with_manifest(path, read_twin(path).model_copy(update=content))


def test_diff_names_what_differs(contimg, sqlite_config, published):
    assert "No input" in contimg("diff", ID, str(published))
    layout = sqlite_config.layout
    _, before, _ = read_lineage(published)
    mosaic = layout.twin("mosaic", ID)
    change(
        mosaic,
        parameters={"mosaic": {"cell_arcsec": 2.5}, "qa": {"version": 1}},
        libraries={"numpy": "1.0"},
    )
    differences = compare(before, collect([mosaic]))
    named = {(one.what, one.name): (one.a, one.b) for one in differences}
    assert named["parameter", "mosaic.cell_arcsec"] == ("3.0", "2.5")
    assert named["version", "numpy"][1] == "1.0"
    assert named["input", ID] == (next(iter(before.of_kind("crossmatch"))).sha256, "-")
    assert named["input", "catalogue.csv"] == (mosaics.sha("catalogue"), "-")
    assert len(differences) == 4


def test_diff_of_a_file(contimg, sqlite_config, published):
    sqlite_config.layout.twin("crossmatch", ID).unlink()
    mosaics.make_mosaic(sqlite_config, tiles=mosaics.TILES[:1], crossmatch=False)
    register_mosaic(ID, sqlite_config)
    publish_mosaic(ID, sqlite_config, waits_s=())
    found = contimg("diff", f"{ID}.v1", f"{ID}.v2", "--json", code=3)
    gone = {one["name"] for one in found if one["what"] == "input" and one["where"] == "subband_file"}
    assert gone == {f"{mosaics.TILES[1]}_sb{subband:02d}.hdf5" for subband in range(4)}
    assert {one["a"] for one in found if one["where"] == "image"} != {"-"}


def test_an_altered_lineage_is_no_lineage(published):
    file = published / "data" / "metadata.json"
    file.write_text(file.read_text().replace("3C286", "3C48", 1).replace('"calibrator": "3C286"', '"calibrator": "x"'))
    with pytest.raises(InputError, match="does not have the digest"):
        read_lineage(published)


def test_reproduce_needs_the_files_unchanged(sqlite_config, published, tmp_path):
    file = min(sqlite_config.paths.incoming.glob("*.hdf5"))
    content = file.read_bytes()
    file.write_bytes(b"other")
    with pytest.raises(InputError, match=f"{file} has the SHA-256"):
        reproduce(published, tmp_path / "stage")
    file.unlink()
    with pytest.raises(InputError, match=f"{file}, which the mosaic was made from, is not there"):
        reproduce(published, tmp_path / "stage")
    file.write_bytes(content)
    # The factory's twins record no parameters of a conversion.
    with pytest.raises(InputError, match="the parameters of ms 2026-02-11T00:26:49 are not of this contimg"):
        reproduce(published, tmp_path / "stage")


def test_pixels_are_compared_in_units_of_the_rms(tmp_path):
    import numpy as np

    one = np.zeros((8, 8))
    one[0, 0] = np.nan
    other = one.copy()
    other[3, 4] = 3e-6
    for name, data in (("a.fits", one), ("b.fits", other)):
        mosaics.write_fits(tmp_path / name, data)
    found = _compare("x", tmp_path / "a.fits", tmp_path / "b.fits", 2e-3)
    assert found.max_difference == pytest.approx(1.5e-3) and not found.same
    assert found.rms_difference == pytest.approx(1.5e-3 / np.sqrt(63))
    assert (found.n_pixels, found.n_only_one) == (63, 0)
    assert _compare("x", tmp_path / "a.fits", tmp_path / "b.fits", 4e-3).same
    other[0, 1] = np.nan
    mosaics.write_fits(tmp_path / "c.fits", other)
    found = _compare("x", tmp_path / "a.fits", tmp_path / "c.fits", 4e-3)
    assert found.n_only_one == 1 and not found.same
