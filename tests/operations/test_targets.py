"""What a run must leave behind, and what makes products out of date."""

import os

import pytest

from contimg import naming
from contimg.config import load
from contimg.errors import ConfigError
from contimg.operations import targets
from contimg.operations.file_digests import FileDigests
from contimg.plan.model import Choice, Group, Plan, PlannedCalibration
from contimg.products.twin import Twin, input_from_twin, write_twin
from tests.operations.test_resources import night
from tests.support.surveys import write_test_strip


def planned(tmp_path, **sections):
    paths = {name: str(tmp_path / name) for name in ("incoming", "stage", "products", "state")}
    _, plan = night()
    return load({"paths": paths, "crossmatch": {"enabled": False}} | sections), plan


def test_every_product_is_asked_for_by_name_and_the_twins_of_temporary_ones_too(tmp_path):
    config, plan = planned(tmp_path)
    wanted = targets.wanted_products(config, plan)
    layout = config.layout
    for tile in plan.tiles:
        assert {str(layout.twin(kind, tile)) for kind in ("ms", "calibrated", "image")} <= set(wanted)
        assert str(layout.product("image", tile)) in wanted
        assert not {str(layout.product(kind, tile)) for kind in ("ms", "calibrated")} & set(wanted)  # temporary
    assert len(wanted) == 3 * 4 + 5  # mosaic, its twin, page, and two markers
    with_catalogue = load({"paths": config.paths.model_dump(mode="json"), "sky": {"catalogue": "c.csv"}})
    assert len(targets.wanted_products(with_catalogue, plan)) == 3 * 4 + 7


def test_a_tile_of_two_groups_is_asked_for_once(tmp_path):
    config, plan = planned(tmp_path)
    ids = list(plan.tiles)
    plan.groups = {ids[0]: Group(ids[0], tuple(ids[:2])), ids[1]: Group(ids[1], tuple(ids[1:]))}
    wanted = targets.wanted_products(config, plan)
    assert len(wanted) == len(set(wanted)) == 3 * 4 + 2 * 5


def test_an_ms_that_only_a_calibration_is_solved_on_stays_until_that_is_done(tmp_path):
    """A tile that uses the calibration itself keeps it for `apply_calibration`; of others it is asked for by name."""
    config, plan = planned(tmp_path)
    first, second, lone = plan.tiles
    plan.groups = {first: Group(first, (first, second))}
    name = naming.calibration_id(lone)
    plan.calibrations = {name: PlannedCalibration(name, "bandpass", lone, 0.0, 30.5, "3C286", None)}
    plan.choices = {tile: Choice(name, name, (), ()) for tile in (first, second)}
    ms = str(config.layout.product("ms", lone))
    assert ms in targets.wanted_products(config, plan)
    plan.choices[lone] = Choice(name, name, (), ())
    assert ms not in targets.wanted_products(config, plan)
    plan.choices[lone] = Choice("cal_20260210T000000", "cal_20260210T000000", (), ())
    assert ms in targets.wanted_products(config, plan)
    del plan.tiles[lone]  # of a settled night: the calibration exists already
    assert ms not in targets.wanted_products(config, plan)
    plan.tiles[lone] = plan.tiles[first]
    marker = config.layout.twin("calibration", name)
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert ms not in targets.wanted_products(config, plan)


def test_an_empty_plan_wants_nothing(tmp_path):
    assert targets.wanted_products(planned(tmp_path)[0], Plan()) == []


def test_what_an_ms_is_made_from_changes_with_files_options_and_epoch(tmp_path):
    config, plan = planned(tmp_path)
    tile = next(iter(plan.tiles.values()))
    made = targets.made_from(config, tile)
    assert made["files"][0] == f"{tile.signature[0].name}:{tile.signature[0].size}:0"
    for sections in ({"flag": {"mad_sigma": 8.0}}, {"ingest": {"min_subbands": 15}}, {"processing_epoch": "2027.1"}):
        assert targets.made_from(planned(tmp_path, **sections)[0], tile) != made
    assert targets.made_from(planned(tmp_path, image={"robust": 0.0})[0], tile) == made


def test_only_calibrations_whose_tile_is_at_hand_can_be_solved(tmp_path):
    _, plan = planned(tmp_path)
    tile = next(iter(plan.tiles))
    for one in (tile, "2026-02-10T00:00:00"):
        name = naming.calibration_id(one)
        plan.calibrations[name] = PlannedCalibration(name, "bandpass", one, 0.0, 30.5, "3C286", None)
    assert targets.solvable(plan) == naming.calibration_id(tile)
    assert targets.solvable(Plan()) == "none"


def test_of_a_folder_of_strips_each_is_known_by_content_and_chosen_by_declination(tmp_path):
    low, high = (
        write_test_strip(tmp_path / "strips" / name, dec) for name, dec in (("a.fits", 16.0), ("b.fits", 50.0))
    )
    config, _ = planned(tmp_path, sky={"catalogue": str(tmp_path / "strips")})
    first = targets.reference_digests(config)
    assert sorted(first) == [str(low), str(high)]
    assert targets.catalogue_of(config, 16.3) == str(low)
    assert targets.catalogue_of(config, 49.0) == str(high)
    write_test_strip(low, 16.1)
    again = targets.reference_digests(config)
    assert again[str(low)] != first[str(low)]
    assert again[str(high)] == first[str(high)]
    assert targets.catalogue_of(planned(tmp_path)[0], 16.3) is None


def test_reference_data_are_known_by_content(tmp_path):
    catalogue = tmp_path / "c.csv"
    catalogue.write_text("name\n")
    config, _ = planned(tmp_path, sky={"catalogue": str(catalogue)})
    first = targets.reference_digests(config)
    assert list(first) == ["sky.catalogue"]
    os.utime(catalogue, ns=(0, 0))
    assert targets.reference_digests(config) == first  # touched
    catalogue.write_text("name,\n")
    assert targets.reference_digests(config) != first
    catalogue.unlink()
    with pytest.raises(
        ConfigError, match=r"config key 'sky.catalogue' names .*c.csv: No such file or directory: correct"
    ):
        targets.reference_digests(config)


def test_a_file_is_read_once_while_nothing_about_it_changes(tmp_path):
    path, cache = tmp_path / "c.csv", tmp_path / "cache" / "digests.json"
    path.write_text("a")
    first = FileDigests(cache).sha256(path, "k")
    # The same size, time and inode: taken from the cache, as the wrong answer shows.
    before = path.stat()
    path.write_text("b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert FileDigests(cache).sha256(path, "k") == first
    os.utime(path, ns=(1, 1))
    assert FileDigests(cache).sha256(path, "k") != first
    cache.write_text("[]")  # of no use, and no reason to stop
    assert FileDigests(cache).sha256(path, "k") != first


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("a")
    (tmp_path / "cache").write_text("a file where the folder should be")
    digests = FileDigests(tmp_path / "cache" / "digests.json")
    assert digests.sha256(path, "k") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def twin(path, kind, any_id, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_twin(path, Twin(kind=kind, id=any_id, verdict="passed", synthetic=True, **content))
    return input_from_twin(path)[1]


def test_a_calibration_is_solved_again_where_its_ms_came_out_different(tmp_path):
    layout = planned(tmp_path)[0].layout
    tile, calibration = "2026-02-11T00:00:00", "cal_20260211T000000"
    assert not targets.solved_on_another_ms(layout, calibration, tile)  # neither is there
    ms = twin(layout.twin("ms", tile), "ms", tile, libraries={"numpy": "1"}, run={"wall_s": 1.0})
    assert not targets.solved_on_another_ms(layout, calibration, tile)
    twin(layout.twin("calibration", calibration), "calibration", calibration, inputs=[ms])
    twin(layout.twin("ms", tile), "ms", tile, libraries={"numpy": "1"}, run={"wall_s": 2.0})
    assert not targets.solved_on_another_ms(layout, calibration, tile)  # the same again, in another time
    twin(layout.twin("ms", tile), "ms", tile, libraries={"numpy": "2"})
    assert targets.solved_on_another_ms(layout, calibration, tile)
