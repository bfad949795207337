"""A tile that the correlator took with another setup is a scan of its own, and holds nobody back."""

from dataclasses import replace

import numpy as np
import pytest

from contimg.config import GroupOptions
from contimg.plan.observe import current_plan
from tests.plan.conftest import LONG_AFTER, START, tile_id
from tests.plan.copies import four_polarisations, put
from tests.plan.test_calibration import record
from tests.plan.test_groups import commit, ids, members


def one_channel(file):
    """Replace the two channels of a file by one of twice the width."""
    put("Header/freq_array", lambda hz: hz.mean(axis=-1, keepdims=True))(file)
    put("Header/channel_width", lambda hz: 2 * hz)(file)
    for name in ("visdata", "flags", "nsamples"):
        put(f"Data/{name}", lambda data: data[:, :, :1])(file)


def other_pairs(file):
    """Let the baselines count their antennas in another order."""
    for name in ("ant_1_array", "ant_2_array"):
        put(f"Header/{name}", lambda antennas: antennas.max() - antennas)(file)


SETUPS = {
    "applied delays": put("Header/extra_keywords/applied_delays_ns", np.bytes_("[1, 2, 3]")),
    "fringe-stopping table": put("Header/extra_keywords/fs_table", np.bytes_("/tables/another.npz")),
    "antenna order": other_pairs,
    "number of channels": one_channel,
}


@pytest.mark.parametrize("differing", SETUPS)
@pytest.mark.parametrize("tile", [0, 2])
def test_a_tile_of_another_setup_waits_alone_and_the_plan_names_what_differs(copy, differing, tile):
    ids = [one.tile_id for one in copy.night.tiles]
    for subband in range(16):
        copy.edit(SETUPS[differing], copy.path(tile=tile, subband=subband))
    plan = current_plan(copy.config)
    others = tuple(one for one in ids if one != ids[tile])
    assert [group.tiles for group in plan.groups.values()] == [others]
    (waiting,) = plan.waiting
    assert (waiting.code, waiting.since) == ("no_bandpass", ids[tile])
    assert waiting.message.endswith(f": correlated with another {differing} than the tile")
    assert plan.quarantined == []


def test_a_tile_of_four_polarisations_is_a_scan_of_its_own_and_can_be_calibrated(copy):
    ids = [one.tile_id for one in copy.night.tiles]
    for subband in range(16):
        copy.edit(four_polarisations, copy.path(tile=2, subband=subband))
    plan = current_plan(copy.config)
    assert [group.tiles for group in plan.groups.values()] == [tuple(ids[:2]), (ids[2],)]
    assert {choice.bandpass for choice in plan.choices.values()} == set(plan.calibrations)
    assert len(plan.calibrations) == 1 and plan.waiting == []


def test_a_tile_of_another_setup_in_the_middle_ends_one_scan_and_begins_another(make_night):
    night = make_night(7)
    for path, facts in night.facts.items():
        night.facts[path] = replace(facts, setup=("delays", "order", "table"))
    for subband in range(16):
        night.change(3, subband, setup=("delays", "order", "another"))
    plan = night.plan(calibrators=(tile_id(1),))
    assert members(plan) == [ids(range(3)), ids(range(4, 7))]
    assert [(w.id, w.code) for w in plan.waiting] == [(f"mosaic_{_stem(3)}", "no_bandpass")]


@pytest.mark.parametrize("differing", ["fringe-stopping table", "antenna order"])
def test_a_file_of_another_setup_than_its_tile_is_set_aside(copy, differing):
    first = copy.path(tile=0, subband=0)
    sound = current_plan(copy.config)
    copy.edit(SETUPS[differing], first)
    plan = current_plan(copy.config)
    (row,) = plan.quarantined
    assert (row.path, row.code) == (str(first), "setup_differs")
    assert row.message == f"{first.name} has another {differing} than most of its tile"
    tile = copy.night.tiles[0].tile_id
    assert plan.tiles[tile].setup == sound.tiles[tile].setup
    assert plan.groups == sound.groups


def test_a_host_that_did_not_read_some_delays_loses_no_tile(copy):
    sound = current_plan(copy.config)
    copy.edit(SETUPS["applied delays"], copy.path(tile=0, subband=0))
    plan = current_plan(copy.config)
    tile = copy.night.tiles[0].tile_id
    assert plan.quarantined == [] and plan.tiles[tile].missing == ()
    assert plan.tiles[tile].setup == sound.tiles[tile].setup
    assert plan.groups == sound.groups


@pytest.mark.parametrize(("arcsec", "kept"), [(2e-5, True), (0.9, True), (1.1, False)])
def test_declinations_of_a_tile_agree_to_an_arcsecond(copy, arcsec, kept):
    sound = current_plan(copy.config)
    first = copy.path(tile=0, subband=0)
    for key in ("phase_center_app_dec", "extra_keywords/phase_center_dec"):
        copy.edit(put(f"Header/{key}", lambda rad: rad + np.radians(arcsec / 3600)), first)
    plan = current_plan(copy.config)
    tile = copy.night.tiles[0].tile_id
    assert plan.tiles[tile].missing == (() if kept else (0,))
    assert [row.code for row in plan.quarantined] == ([] if kept else ["header_differs"])
    assert plan.tiles[tile].dec_app_deg == sound.tiles[tile].dec_app_deg


def test_tables_are_compared_by_what_they_are_for(copy):
    sound = current_plan(copy.config)
    table = sound.tiles[copy.night.tiles[0].tile_id].setup.fs_table
    other = "/another/folder/" + table.rsplit("/", 1)[1]
    copy.edit(put("Header/extra_keywords/fs_table", np.bytes_(other)), copy.path(tile=0, subband=0))
    for subband in range(16):
        copy.edit(put("Header/extra_keywords/fs_table", np.bytes_(other)), copy.path(tile=1, subband=subband))
    plan = current_plan(copy.config)
    assert plan.quarantined == [] and plan.groups == sound.groups


def test_spectral_line_files_are_no_fault(copy):
    sound = current_plan(copy.config)
    path = copy.path(tile=0, subband=0)
    path.with_name(f"{path.stem}_spl.hdf5").write_bytes(b"another program's")
    plan = current_plan(copy.config)
    assert plan.quarantined == [] and plan.groups == sound.groups


def half_in_reach(make_night):
    """Ten tiles; one certified bandpass 23.6 h after the middle, so within 24 h of the last eight."""
    night = make_night(10)
    fifth = next(f.start_mjd for p, f in night.facts.items() if night._tile(p) == 4)
    return night, [record(1, mid_mjd=fifth + 24.15 / 24)]


def test_a_group_waits_for_a_bandpass_of_all_its_tiles_as_long_as_one_can_come(make_night):
    night, records = half_in_reach(make_night)
    soon = START.replace(hour=3)
    plan = night.plan(records=records, calibrators=(), now=soon)
    assert members(plan) == []
    assert [(w.what, w.code) for w in plan.waiting] == [("group", "no_bandpass")]


def test_tiles_that_no_bandpass_can_reach_any_more_stay_behind_alone(make_night):
    night, records = half_in_reach(make_night)
    plan = night.plan(records=records, calibrators=(), now=LONG_AFTER)
    (rest,) = members(plan)
    left = [one for one in ids(range(10)) if one not in rest]
    assert rest == ids(range(10))[len(left) :] and 0 < len(left) < 10
    assert [(w.id, w.what, w.code) for w in plan.waiting] == [(one, "tile", "no_bandpass") for one in left]
    again = night.plan(records=records, calibrators=(), now=LONG_AFTER, committed=[commit(night, range(len(left), 10))])
    assert members(again) == [rest]
    few = night.plan(records=records, calibrators=(), now=LONG_AFTER, group=GroupOptions(min_tiles=10))
    assert members(few) == [] and [w.what for w in few.waiting] == ["group"]


def test_a_committed_group_never_loses_a_tile_for_want_of_a_bandpass(make_night):
    night, records = half_in_reach(make_night)
    plan = night.plan(records=records, calibrators=(), now=LONG_AFTER, committed=[commit(night, range(10))])
    assert members(plan) == []
    assert [(w.what, w.code) for w in plan.waiting] == [("group", "no_bandpass")]


def test_what_waits_for_a_bandpass_is_told_which_one_was_not_certified(make_night):
    night = make_night(2)
    mid = next(iter(night.facts.values())).start_mjd
    plan = night.plan(records=[record(1, mid_mjd=mid, certified=False)], calibrators=())
    assert "the nearest, cal_20260211T000001: not certified (snr: too low)" in plan.waiting[0].message


def _stem(number):
    return tile_id(number).replace("-", "").replace(":", "")
