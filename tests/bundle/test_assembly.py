"""Putting a bundle together: what belongs to it, what is refused, and how files come into it."""

import contextlib
import errno
import os

import pytest

from contimg.bundle import bag, bundle
from contimg.bundle.assembly import assemble, gather, put_tags
from contimg.errors import InputError, RegistryError
from contimg.products.twin import read_twin, write_twin
from tests.support import mosaics

ID = mosaics.MOSAIC
MB = 1 << 20


@pytest.fixture
def layout(sqlite_config):
    mosaics.make_mosaic(sqlite_config)
    return sqlite_config.layout


def build(contents, layout, above, name="bundle"):
    folder = os.open(above, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assemble(contents, layout, folder, name)
        put_tags(contents, folder, name, name, None)
    finally:
        os.close(folder)
    return above / name


def test_an_assembled_bundle_is_what_its_manifest_says(layout, tmp_path):
    contents = gather(layout, ID)
    path = build(contents, layout, tmp_path)
    assert bundle.verify(path, expected=contents.manifest_sha256).ok
    names = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    inside = {
        f"{ID}.fits", f"{ID}.weights.fits", f"{ID}.rms.fits", f"{ID}.png", f"{ID}.tiles.csv", f"{ID}.json",
        f"{ID}.html", f"crossmatch/{ID}.matches.csv", f"crossmatch/{ID}.flux.png", f"crossmatch/{ID}.json",
        "metadata.json", "LICENSE.txt", "CITATION.cff", "ro-crate-metadata.json",
    }  # fmt: skip
    assert names == {f"data/{name}" for name in inside} | {"manifest-sha256.txt", bag.TAG_MANIFEST, *bag.TAGS}
    assert bundle.read_metadata(path) == contents.metadata
    with pytest.raises(FileExistsError):
        build(contents, layout, tmp_path)


def test_an_id_in_any_form(layout):
    assert gather(layout, mosaics.GROUP).manifest == gather(layout, ID).manifest


def test_without_comparison_and_page(sqlite_config):
    mosaics.make_mosaic(sqlite_config, crossmatch=False)
    layout = sqlite_config.layout
    layout.product("summary", ID).unlink()
    contents = gather(layout, ID)
    assert contents.crossmatch is None and f"data/{ID}.html" not in contents.linked
    assert not any(name.startswith("data/crossmatch/") for name in {**contents.linked, **contents.generated})
    assert list(contents.metadata["qa"]) == ["mosaic"]


@pytest.mark.parametrize("same", [True, False])
def test_large_files_are_linked_where_they_can_be_and_small_ones_copied(sqlite_config, tmp_path, same):
    """A link within a filesystem; a copy into another one (/dev/shm and /tmp, where they are two)."""
    mosaics.make_mosaic(sqlite_config, size_px=520)  # 1.08 MB an image
    layout = sqlite_config.layout
    above = layout.stage if same else tmp_path
    path = build(gather(layout, ID), layout, above)
    product = layout.product("mosaic", ID)
    one_disk = os.stat(above).st_dev == os.stat(product).st_dev
    for name, linked in ((f"{ID}.fits", one_disk), (f"{ID}.rms.fits", one_disk), (f"{ID}.png", False)):
        copy = path / "data" / name
        assert (copy.stat().st_size > MB) == name.endswith("fits")
        assert copy.read_bytes() == (product / name).read_bytes()
        assert os.path.samefile(copy, product / name) == linked
    assert bundle.verify(path).ok


@pytest.mark.parametrize("name", [f"{ID}.png", f"{ID}.fits"])  # copied, and linked
def test_a_file_that_is_made_again_after_its_digest_was_taken(sqlite_config, tmp_path, name):
    """A registration that was stopped meanwhile must not put the new pixels under the old manifest."""
    mosaics.make_mosaic(sqlite_config, size_px=520)
    layout = sqlite_config.layout
    contents = gather(layout, ID)
    place = layout.product("mosaic", ID) / name
    content = place.read_bytes()
    place.unlink()
    place.write_bytes(content[::-1])
    with pytest.raises(RegistryError, match=rf"{name} was made again while .*: rerun the same command"):
        build(contents, layout, tmp_path)


@pytest.mark.parametrize(("number", "copied"), [(errno.EIO, False), (errno.ESTALE, False), (errno.EMLINK, True)])
def test_a_disk_that_gives_an_error_is_no_disk_without_links(sqlite_config, monkeypatch, number, copied):
    mosaics.make_mosaic(sqlite_config, size_px=520)
    layout = sqlite_config.layout
    contents = gather(layout, ID)

    def refuse(*_words, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    with contextlib.nullcontext() if copied else pytest.raises(OSError, match=os.strerror(number)):
        assert bundle.verify(build(contents, layout, layout.stage)).ok


def test_folders_below_come_along(sqlite_config, tmp_path):
    mosaics.make_mosaic(sqlite_config)
    layout = sqlite_config.layout
    place = layout.product("mosaic", ID) / "plots" / "noise"
    place.mkdir(parents=True)
    (place / "map.csv").write_text("1,2\n")
    (place.parent / ".cache").write_text("hidden")
    mosaics.judge_again(sqlite_config)
    path = build(gather(layout, ID), layout, tmp_path)
    assert (path / "data" / "plots" / "noise" / "map.csv").read_text() == "1,2\n"
    assert not (path / "data" / "plots" / ".cache").exists() and bundle.verify(path).ok


def test_a_file_that_was_altered_lost_or_added(layout):
    product = layout.product("mosaic", ID)
    table = layout.product("crossmatch", ID) / f"{ID}.matches.csv"
    kept = table.read_text()
    table.write_text(kept + "B,1.0\n")
    with pytest.raises(RegistryError, match=r"matches\.csv was altered after crossmatch .* was judged: make it again"):
        gather(layout, ID)
    table.unlink()
    with pytest.raises(RegistryError, match=r"matches\.csv is missing, which belongs to crossmatch") as raised:
        gather(layout, ID)
    assert str(table) in str(raised.value) and f"rm -r {table.parent} {layout.twin('crossmatch', ID)}" in str(
        raised.value
    )
    table.write_text(kept)
    (product / "notes.txt").write_text("mine")
    with pytest.raises(RegistryError, match=r"notes\.txt is no file of mosaic .*: move it away and rerun snakemake"):
        gather(layout, ID)
    (product / "notes.txt").unlink()
    assert gather(layout, ID).data_id == ID


def test_a_symlink_in_a_product_is_refused(layout, tmp_path):
    picture = layout.product("mosaic", ID) / f"{ID}.png"
    (tmp_path / "elsewhere.png").write_bytes(picture.read_bytes())
    picture.unlink()
    picture.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(RegistryError, match=rf"{ID}\.png is a symlink: bundles hold regular files only"):
        gather(layout, ID)


def test_a_twin_of_before_files_were_listed(layout):
    path = layout.twin("mosaic", ID)
    write_twin(path, read_twin(path).model_copy(update={"files": None}))
    with pytest.raises(RegistryError, match="was made again after a product was made from it"):
        gather(layout, ID)
    layout.twin("crossmatch", ID).unlink()
    with pytest.raises(RegistryError, match="lists no files, as it is of an earlier version of contimg: make it again"):
        gather(layout, ID)


def test_a_comparison_of_another_making_is_refused(layout):
    path = layout.twin("crossmatch", ID)
    twin = read_twin(path)
    write_twin(path, twin.model_copy(update={"inputs": [one for one in twin.inputs if one.kind != "mosaic"]}))
    with pytest.raises(RegistryError, match=r"compares another making of .*: rerun snakemake"):
        gather(layout, ID)


def test_a_mosaic_that_was_not_made(sqlite_config):
    with pytest.raises(InputError, match="does not exist: rerun snakemake"):
        gather(sqlite_config.layout, ID)
