"""The Measurement Set of a tile, converted a second time after it was removed."""

import shutil

import h5py
import pytest

from contimg import naming
from contimg.config import FlagOptions, IngestOptions
from contimg.convert.convert_tile import convert_tile
from contimg.correlator import hdf5
from contimg.errors import InputError
from contimg.operations.borrowed_ms import borrowed_ms
from contimg.products.draft import TwinDraft
from contimg.products.manifest import make_manifest
from contimg.simulate import GainErrors, NightOptions, simulate_night
from contimg.storage.process import me, part_name


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A tile that was converted with options of its own: its files, and the folder with MS and twin."""
    place = tmp_path_factory.mktemp("borrowed")
    options = NightOptions(tiles=1, antennas=5, channels=2, integrations=4, sources=1, gains=GainErrors.none())
    files = sorted((simulate_night(place / "night", options).out / "incoming").iterdir())
    tile_id = naming.id_from_mjd(hdf5.read_header(files[0]).start_mjd)
    (place / "ms").mkdir()
    ms = place / "ms" / f"{naming.stem(tile_id)}.ms"
    convert_tile(
        files[1:], ms, ms.with_suffix(".json"), tile_id=tile_id, ingest=IngestOptions(min_subbands=12),
        flag=FlagOptions(mad_sigma=9.0),
    )  # fmt: skip
    return files, ms


@pytest.fixture
def removed(converted, tmp_path):
    """A copy of the twin without its MS, and the manifest that the MS had."""
    files, ms = converted
    (tmp_path / "ms").mkdir()
    shutil.copy(ms.with_suffix(".json"), tmp_path / "ms")
    return files, tmp_path / "ms" / f"{ms.stem}.json", make_manifest(ms)


def test_an_ms_that_is_there_is_used(converted):
    _, ms = converted
    with borrowed_ms(ms.with_suffix(".json")) as found:
        assert found == ms
    assert ms.exists()


def test_a_removed_one_is_the_same_to_the_byte_and_goes_again(removed):
    _, twin, manifest = removed
    with borrowed_ms(twin) as found:
        assert make_manifest(found) == manifest
        assert found.name == twin.with_suffix(".ms").name and found.parent.parent == twin.parent
    assert [path.name for path in twin.parent.iterdir()] == [twin.name]


@pytest.mark.parametrize("what", ["ANTENNA", "table.dat"])
def test_one_that_is_not_whole_is_converted_again_beside_it(converted, removed, what):
    """A removal was interrupted: what is left is not read."""
    _, twin, manifest = removed
    ms = shutil.copytree(converted[1], twin.with_suffix(".ms"))
    shutil.rmtree(ms / what) if (ms / what).is_dir() else (ms / what).unlink()
    with borrowed_ms(twin) as found:
        assert found != ms and make_manifest(found) == manifest
        assert TwinDraft("calibration").use(twin, found).kind == "ms"  # verified where it stands
    assert sorted(path.name for path in twin.parent.iterdir()) == sorted([ms.name, twin.name])


def test_it_goes_when_the_work_on_it_fails(removed):
    _, twin, _ = removed
    with pytest.raises(ZeroDivisionError), borrowed_ms(twin):
        _ = 1 / 0
    assert [path.name for path in twin.parent.iterdir()] == [twin.name]


def test_what_a_killed_process_left_is_removed(removed):
    _, twin, _ = removed
    alive = part_name(f"{twin.stem}.borrowed")
    of_another_boot = twin.parent / alive.replace(me().machine, f"{'0' * 32}-{me().machine.partition('-')[2]}")
    of_another_boot.mkdir()
    (of_another_boot / "table.dat").write_bytes(b"x")
    with borrowed_ms(twin) as found:
        assert found.exists() and not of_another_boot.exists()
    assert not found.exists()


@pytest.mark.parametrize("change", ["gone", "other"])
def test_files_that_changed_since_are_refused(converted, removed, tmp_path, change):
    files, twin, _ = removed
    text = twin.read_text()
    moved = tmp_path / "incoming"
    moved.mkdir()
    for path in files[1:]:
        shutil.copy(path, moved)
    twin.write_text(text.replace(str(files[0].parent), str(moved)))
    if change == "gone":
        (moved / files[4].name).unlink()
    else:
        with h5py.File(moved / files[4].name, "r+") as file:
            file["Data/visdata"][...] *= 2
    said = "is gone.*restore the file" if change == "gone" else "cannot be made again as it was"
    with pytest.raises(InputError, match=said), borrowed_ms(twin):
        pass
    assert [path.name for path in twin.parent.iterdir()] == [twin.name]
