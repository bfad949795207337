"""What is read is what was judged: every file of a product, by size and SHA-256."""

import os
import shutil

import pytest

from contimg.products.draft import TwinDraft
from contimg.products.manifest import AlteredProduct, product_of, read_product, verify_product
from contimg.products.twin import Twin, read_twin, twin_digest

CONTENT = {
    "a.fits": b"pixels " * 100,
    "sub/table.dat": b"gains",
    "sub/table.lock": b"locked",
    ".snakemake_timestamp": b"",
}


@pytest.fixture
def made(tmp_path):
    """A product of two files, beside which a lock and a time stamp stand; return its twin's path."""
    draft = TwinDraft("image", "2026-02-11T00:26:49")
    with draft.product(tmp_path / "tile") as folder:
        for name, content in CONTENT.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    draft.write(tmp_path / "tile.json", parameters={}, libraries=["numpy"])
    return tmp_path / "tile.json"


def test_the_manifest_lists_files_but_no_locks_and_time_stamps(made):
    files = read_twin(made).files
    assert set(files) == {"a.fits", "sub/table.dat"}
    # echo -n gains | sha256sum
    assert files["sub/table.dat"].sha256 == "11eee8478dd8858a8e3b377eeb937e4e4641743b8ee1f4d001376c1044c5b89d"
    assert (files["a.fits"].size, files["sub/table.dat"].size) == (700, 5)


def test_an_untouched_product_is_read(made):
    twin, record = read_product(made)
    assert record.sha256 == twin_digest(twin)


def damage(place, how):
    file = place / "a.fits"
    if how == "edited in place":
        state = file.stat()
        with open(file, "r+b") as opened:
            opened.write(b"PIXELS")
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    elif how == "replaced by another of its size":
        file.unlink()
        file.write_bytes(b"stolen " * 100)
    elif how == "truncated":
        os.truncate(file, 350)
    elif how == "longer":
        with open(file, "ab") as opened:
            opened.write(b"x")
    elif how == "gone":
        file.unlink()
    elif how == "a table gone":
        (place / "sub/table.dat").unlink()
        (place / "sub/table.lock").unlink()
        (place / "sub").rmdir()
    elif how == "the folder gone":
        place.rename(place.with_name("elsewhere"))
    elif how == "a folder for a file":
        file.unlink()
        file.mkdir()


DAMAGE = (
    "edited in place", "replaced by another of its size", "truncated", "longer", "gone", "a table gone",
    "the folder gone", "a folder for a file",
)  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_product_is_refused_with_a_remedy(made, how):
    place = made.with_suffix("")
    damage(place, how)
    with pytest.raises(AlteredProduct, match=r"image 2026-02-11T00:26:49.*rm -r \S+/tile \S+/tile.json; then rerun"):
        read_product(made)


def test_a_file_with_its_times_restored_is_found_when_all_is_read(made):
    file = made.with_suffix("") / "a.fits"
    state = file.stat()
    with open(file, "r+b") as opened:
        opened.write(b"PIXELS")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    verify_product(made, read_twin(made))  # size, time and inode are those of the twin: not read again
    with pytest.raises(AlteredProduct, match=r"a\.fits was altered"):
        verify_product(made, read_twin(made), read_all=True)


def test_a_copy_with_other_times_and_inodes_is_the_same_product(made, tmp_path):
    place = made.with_suffix("")
    for name in ("a.fits", "sub/table.dat"):
        content = (place / name).read_bytes()
        (place / name).unlink()
        (place / name).write_bytes(content)
    assert read_product(made)[0].id == "2026-02-11T00:26:49"


def test_a_product_that_stands_elsewhere_is_verified_there(made, tmp_path):
    place = shutil.copytree(made.with_suffix(""), tmp_path / "elsewhere")
    shutil.rmtree(made.with_suffix(""))
    assert read_product(made, place)[0].id == "2026-02-11T00:26:49"
    (place / "a.fits").write_bytes(b"PIXELS")
    with pytest.raises(AlteredProduct, match=r"elsewhere/a\.fits was altered"):
        read_product(made, place)


def test_a_twin_of_before_the_manifests_keeps_its_digest_and_is_not_read_as_an_input(made):
    old = read_twin(made).model_copy(update={"files": None})
    content = {key: value for key, value in old.model_dump(mode="json").items() if key not in ("files", "run")}
    assert Twin.model_validate(content).files is None
    assert twin_digest(Twin.model_validate(content)) == twin_digest(old) != twin_digest(read_twin(made))
    with pytest.raises(AlteredProduct, match="earlier version"):
        verify_product(made, old)


@pytest.mark.parametrize(("kind", "name"), [("ms", "t.ms"), ("calibrated", "t.ms"), ("image", "t"), ("mosaic", "t")])
def test_the_product_stands_beside_its_twin(tmp_path, kind, name):
    assert product_of(tmp_path / "t.json", kind) == tmp_path / name
