"""Every fault of a file: a reason code, its row in the quarantine, and no tile but its own suffers."""

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from contimg.config import FlagOptions
from contimg.convert.convert_tile import convert_tile
from contimg.correlator.inbox import Quarantined, arrange, list_files
from contimg.plan import frozen
from contimg.plan.make_plan import make_tiles
from contimg.plan.model import Plan
from contimg.plan.observe import committed_groups, current_plan
from tests.plan.copies import SUBBAND, TILE, four_polarisations, put, shift_time


def truncate(copy):
    os.truncate(copy.path(), copy.path().stat().st_size // 2)


def edited(change):
    return lambda copy: copy.edit(change)


def replaced_by(kind):
    def damage(copy):
        path = copy.path()
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "text":
            path.write_text("the disk was full\n")
        elif kind == "other subband":
            shutil.copy2(copy.path(subband=SUBBAND + 1), path)
        elif kind == "fewer antennas":
            shutil.copy2(copy.fewer.out / "incoming" / path.name, path)
        else:
            path.symlink_to(kind)

    return damage


# what is done to one file -> the code of its row
LOST = {
    "zero bytes": (lambda copy: os.truncate(copy.path(), 0), "empty"),
    "truncated": (truncate, "unreadable"),
    "no HDF5": (replaced_by("text"), "unreadable"),
    "folder": (replaced_by("folder"), "not_a_file"),
    "dangling link": (replaced_by("/nowhere/at/all.hdf5"), "dangling"),
    "header 11 minutes from the name": (edited(shift_time(660)), "clock"),
    "header 11 minutes before the name": (edited(shift_time(-660)), "clock"),
    "clock at MJD 55000": (edited(put("Header/time_array", lambda jd: jd - np.floor(jd[0] - 2455000.5))), "clock"),
    "start differs by 3 s": (edited(shift_time(3.0)), "header_differs"),
    "other declination": (edited(put("Header/phase_center_app_dec", lambda dec: dec + 0.01)), "header_differs"),
    "content of another subband": (replaced_by("other subband"), "frequency"),
    "fallback band": (edited(put("Header/freq_array", lambda hz: hz - 72 * 244140.625)), "frequency"),
    "no frequencies": (edited(put("Header/freq_array", lambda hz: hz * np.nan)), "frequency"),
    "fewer antennas": (replaced_by("fewer antennas"), "shape_differs"),
    "wrong number of antennas": (edited(put("Header/Nants_data", 63)), "antennas"),
    "wrong number of stations": (edited(put("Header/Nants_telescope", 110)), "antennas"),
    "wrong number of integrations": (edited(put("Header/Ntimes", 23)), "contradiction"),
    "visibilities of wrong type": (edited(put("Data/visdata", lambda v: v.astype(np.complex128))), "dtype"),
    "flags of wrong type": (edited(put("Data/flags", lambda v: v.astype(np.int8))), "dtype"),
    "times of wrong type": (edited(put("Header/time_array", lambda jd: jd.astype(np.float32))), "dtype"),
    "text for a number": (edited(put("Header/Nbls", np.bytes_("ten"))), "dtype"),
    "declination is no number": (edited(put("Header/phase_center_app_dec", np.nan)), "contradiction"),
    "times go back": (edited(put("Header/time_array", lambda jd: jd[::-1].copy())), "times"),
    "no declination": (edited(put("Header/phase_center_app_dec", None)), "missing_key"),
    "no delays": (edited(put("Header/extra_keywords/applied_delays_ns", None)), "missing_key"),
    "no header": (edited(lambda file: file.__delitem__("Header")), "missing_key"),
    "no visibilities": (edited(put("Data/visdata", None)), "missing_key"),
    "four polarisations": (edited(four_polarisations), "shape_differs"),
    "unknown polarisations": (edited(put("Header/polarization_array", np.array([1, 2]))), "polarisations"),
}


@pytest.mark.parametrize("fault", LOST)
def test_a_damaged_file_is_set_aside_with_its_reason(copy, fault):
    damage, code = LOST[fault]
    sound = current_plan(copy.config)
    damage(copy)
    before = copy.snapshot()
    plan = current_plan(copy.config)
    frozen.freeze(plan, copy.config)
    assert copy.snapshot() == before
    rows = json.loads(copy.config.layout.quarantine(copy.path().name[:10]).read_text())
    assert [(row["path"], row["code"], row["name_time"]) for row in rows] == [
        (str(copy.path()), code, sound.tiles[copy.night.tiles[TILE].tile_id].name_time)
    ]
    assert copy.path().name in rows[0]["message"]
    damaged = copy.night.tiles[TILE].tile_id
    assert plan.tiles[damaged].missing == (SUBBAND,)
    assert {t: tile for t, tile in plan.tiles.items() if t != damaged} == {
        t: tile for t, tile in sound.tiles.items() if t != damaged
    }
    assert (plan.groups, plan.choices) == (sound.groups, sound.choices)


def test_a_row_stays_until_its_file_is_used(copy):
    """Settled nights are not looked into again: what was set aside there must not be forgotten."""
    sound = copy.path().read_bytes()
    truncate(copy)
    frozen.freeze(current_plan(copy.config), copy.config)
    other = Quarantined(str(copy.path(tile=0, subband=1)), "duplicate_subband", "a second sb01", "2026-02-11T11:51:35")
    frozen.freeze(Plan(quarantined=[other]), copy.config)
    place = copy.config.layout.quarantine("2026-02-11")
    assert {row["code"] for row in json.loads(place.read_text())} == {"unreadable", "duplicate_subband"}
    copy.path().write_bytes(sound)  # the operator brought the whole file
    plan = current_plan(copy.config)
    frozen.freeze(plan, copy.config)
    assert all(len(tile.files) == 16 for tile in plan.tiles.values())
    assert json.loads(place.read_text()) == []


def jitter_of_82_s(copy):
    copy.rename(copy.path(), 82)


def spread_of_22_s(copy):
    for subband in range(16):
        copy.rename(copy.path(subband=subband), (0, 22, 13, 17)[subband % 4])


def named_105_s_early(copy):
    for subband in range(16):
        copy.rename(copy.path(subband=subband), -104 + 7 * (subband % 4))


def link_to_a_file(copy):
    real = copy.path().rename(copy.place / "elsewhere.hdf5")
    copy.path().symlink_to(real)


def leftover_of_an_earlier_start(copy):
    path = copy.path()
    path.with_name(f"{path.stem}_incomplete.hdf5").write_bytes(path.read_bytes()[:1000])


HARMLESS = (jitter_of_82_s, spread_of_22_s, named_105_s_early, link_to_a_file, leftover_of_an_earlier_start)


@pytest.mark.parametrize("odd", HARMLESS)
def test_what_the_telescope_does_in_health_costs_nothing(copy, odd):
    odd(copy)
    before = copy.snapshot()
    plan = current_plan(copy.config)
    assert copy.snapshot() == before
    assert plan.quarantined == plan.waiting == []
    assert [tile.tile_id for tile in copy.night.tiles] == list(plan.tiles)
    assert all(len(tile.files) == 16 for tile in plan.tiles.values())


@pytest.mark.parametrize("seconds", [1, 60, 110])
@pytest.mark.parametrize("content", ["same", "other data", "other size"])
def test_a_second_file_of_a_subband_is_set_aside_for_what_it_holds(copy, content, seconds):
    second = copy.rename(copy.path(), seconds, copy=True)
    if content == "other data":
        copy.edit(lambda file: file["Data/visdata"].__setitem__(0, 7j), second)
        assert second.stat().st_size == copy.path().stat().st_size
    elif content == "other size":
        copy.edit(put("Header/history", np.bytes_("simulated again")), second)
    plan = current_plan(copy.config)
    frozen.freeze(plan, copy.config)
    rows = json.loads(copy.config.layout.quarantine(second.name[:10]).read_text())
    code = "duplicate_same" if content == "same" else "duplicate_differs"
    assert [(row["path"], row["code"]) for row in rows] == [(str(second), code)]
    assert copy.path().name in rows[0]["message"]
    assert [len(tile.files) for tile in plan.tiles.values()] == [16, 16, 16]
    assert str(copy.path()) in plan.tiles[copy.night.tiles[TILE].tile_id].files


def test_copies_are_compared_once(copy, monkeypatch):
    copy.rename(copy.path(), 1, copy=True)
    first = current_plan(copy.config)
    monkeypatch.setattr("contimg.plan.tiles.file_sha256", lambda path: pytest.fail(f"{path} was read again"))
    assert current_plan(copy.config) == first


@pytest.mark.parametrize(
    ("damage", "code"), [("truncated", "unreadable"), ("clock", "clock"), ("time", "header_differs")]
)
def test_where_one_of_two_files_is_damaged_the_other_is_used(copy, damage, code):
    """The file whose name fits better is no use: its second, whole one completes the tile."""
    second = copy.rename(copy.path(), 60, copy=True)
    if damage == "truncated":
        truncate(copy)
    else:
        copy.edit(shift_time(660 if damage == "clock" else 3))
    plan = current_plan(copy.config)
    assert [(item.path, item.code) for item in plan.quarantined] == [(str(copy.path()), code)]
    tile = plan.tiles[copy.night.tiles[TILE].tile_id]
    assert str(second) in tile.files and tile.subbands == tuple(range(16))


def test_a_second_file_of_a_settled_tile_is_not_late(copy):
    frozen.freeze(current_plan(copy.config), copy.config)
    groups = [replace(group, settled=True) for group in committed_groups(copy.config)]
    copy.rename(copy.path(), -1, copy=True)
    listing = arrange(list_files(copy.config.layout.incoming), copy.config.ingest)
    plan = make_tiles(listing, {}, groups, copy.config, datetime.now(UTC))
    assert plan.late == [] and [item.code for item in plan.quarantined] == ["duplicate_subband"]


@pytest.mark.parametrize(
    ("values", "code", "says"),
    [("all zero", "subband_empty", "holds no data"), (np.nan, "not_finite", "are not finite: flagged"),
     (np.inf, "not_finite", "are not finite: flagged")],
)  # fmt: skip
def test_what_only_the_conversion_sees_gets_its_row_too(copy, values, code, says):
    def damage(file):
        part = slice(None) if values == "all zero" else slice(10, 60)
        file["Data/visdata"][part] = 0 if values == "all zero" else values

    copy.edit(damage)
    before, config = copy.snapshot(), copy.config
    plan = current_plan(config)
    assert plan.quarantined == []  # the plan looks at headers
    tile = plan.tiles[copy.night.tiles[TILE].tile_id]
    ms, twin = config.layout.product("ms", tile.id), config.layout.twin("ms", tile.id)
    flag = FlagOptions(aoflagger=False)
    made = convert_tile([Path(f) for f in tile.files], ms, twin, tile_id=tile.id, ingest=config.ingest, flag=flag)
    frozen.write_quarantine(plan, config)
    (row,) = json.loads(config.layout.quarantine(tile.name_time[:10]).read_text())
    assert (row["path"], row["code"], row["name_time"]) == (str(copy.path()), code, tile.name_time)
    assert says in row["message"] and copy.snapshot() == before
    assert made.facts["missing_subbands"] == ([SUBBAND] if values == "all zero" else [])
    assert made.verdict == ("warning" if values == "all zero" else "passed")
    shutil.copyfile(copy.path(subband=SUBBAND), copy.place / "brought")
    os.replace(copy.place / "brought", copy.path())  # a new file: nothing is known of its data
    frozen.write_quarantine(current_plan(config), config)
    assert json.loads(config.layout.quarantine(tile.name_time[:10]).read_text()) == []


@pytest.mark.parametrize("seconds", [-150, -110, 150])
def test_a_stray_between_two_tiles_tears_neither(copy, seconds):
    stray = copy.rename(copy.path(tile=1), seconds, copy=True)
    plan = current_plan(copy.config)
    assert [item.path for item in plan.quarantined] == [str(stray)]
    assert plan.quarantined[0].code == ("duplicate_same" if seconds == -110 else "too_few_subbands")
    assert [len(tile.files) for tile in plan.tiles.values()] == [16, 16, 16]


def test_a_tile_of_four_polarisations_is_a_tile(copy):
    for subband in range(16):
        copy.edit(four_polarisations, copy.path(subband=subband))
    plan = current_plan(copy.config)
    assert plan.quarantined == []
    assert [len(tile.files) for tile in plan.tiles.values()] == [16, 16, 16]


def test_a_turn_of_the_telescope_ends_the_scan(copy):
    for subband in range(16):
        copy.edit(put("Header/phase_center_app_dec", lambda dec: dec + 0.01), copy.path(subband=subband))
    plan = current_plan(copy.config)
    ids = [tile.tile_id for tile in copy.night.tiles]
    assert [group.tiles for group in plan.groups.values()] == [(ids[0], ids[1]), (ids[2],)]


def test_a_file_that_is_still_open_is_missing_and_one_that_grows_is_waited_for(copy):
    path = copy.path()
    path.rename(path.with_name(f"{path.stem}_incomplete.hdf5"))
    plan = current_plan(copy.config)
    assert plan.quarantined == [] and plan.tiles[copy.night.tiles[TILE].tile_id].missing == (SUBBAND,)
    path.with_name(f"{path.stem}_incomplete.hdf5").rename(path)
    config = copy.config
    config = config.model_copy(update={"ingest": config.ingest.model_copy(update={"settle_s": 60.0})})
    for other in (copy.place / "incoming").iterdir():
        os.utime(other, (1.7e9, 1.7e9))
    os.utime(path)
    plan = current_plan(config)
    assert {(w.what, w.code) for w in plan.waiting} == {("tile", "growing"), ("group", "scan_open")}
