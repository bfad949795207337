"""What the operating system says of one file is a fault of that file; only a failing folder stops the plan."""

import errno
import fcntl
import os
import shutil
from datetime import UTC, datetime

import pytest

from contimg.correlator import facts, files, inbox, known_headers, probe
from contimg.errors import InputError, UnknownIdError
from contimg.operations.accept_loss import accept_loss
from contimg.plan import frozen, observe
from contimg.plan.observe import current_plan
from tests.plan.copies import SUBBAND, TILE

CODES = {
    errno.EIO: "read_error", errno.ESTALE: "stale", errno.ETIMEDOUT: "unreachable", errno.ENOTCONN: "unreachable",
    errno.EAGAIN: "locked", errno.EBUSY: "locked", errno.EACCES: "permission", errno.EPERM: "permission",
    errno.EOVERFLOW: "read_error",
}  # fmt: skip


def failing(function, path, number):
    """Return a function that fails on one path as the kernel does on a bad sector or a lost mount."""

    def fail(asked, *rest, **named):
        if str(asked) == str(path):
            raise OSError(number, os.strerror(number), str(asked))
        return function(asked, *rest, **named)

    return fail


@pytest.mark.parametrize("number", CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize("at", ["listing", "opening"])
def test_a_file_that_cannot_be_read_is_set_aside_and_read_again_once_it_can(copy, monkeypatch, number, at):
    sound = current_plan(copy.config)
    bad = copy.path()
    shutil.rmtree(copy.config.layout.cache)
    if at == "listing" and number in (errno.EACCES, errno.EPERM):
        pytest.skip("says that a link leads into a closed folder: test_inbox")
    if at == "listing":
        monkeypatch.setattr(facts.os, "stat", failing(os.stat, bad, number))
    else:
        monkeypatch.setattr(files, "opened", failing(files.opened, bad, number))
        monkeypatch.setattr(known_headers.os, "open", failing(os.open, bad, number))
    plan = current_plan(copy.config)
    assert [(item.path, item.code) for item in plan.quarantined] == [(str(bad), CODES[number])]
    said = plan.quarantined[0].message
    assert bad.name in said and ": " in said and "\n" not in said
    assert plan.tiles[copy.night.tiles[TILE].tile_id].missing == (SUBBAND,)
    assert plan.groups == sound.groups
    monkeypatch.undo()
    assert current_plan(copy.config) == sound


def test_a_file_that_is_taken_away_meanwhile_is_missing(copy, monkeypatch):
    sound = current_plan(copy.config)
    gone = copy.path(tile=TILE, subband=0)
    shutil.rmtree(copy.config.layout.cache)
    monkeypatch.setattr(probe, "look", taking_away(probe.look, gone))
    plan = current_plan(copy.config)
    assert plan.quarantined == [] and plan.groups == sound.groups
    assert plan.tiles[copy.night.tiles[TILE].tile_id].missing == (0,)


def taking_away(function, path):
    """Return a function that is asked about a file when another process has just deleted it."""

    def ask(asked, *rest, **named):
        if asked == path:
            path.unlink()
        return function(asked, *rest, **named)

    return ask


def test_a_file_that_another_process_holds_does_not_stop_the_plan(copy):
    ids = [tile.tile_id for tile in copy.night.tiles]
    with open(copy.path(), "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        plan = current_plan(copy.config)
    assert list(plan.tiles) == ids
    assert {item.path for item in plan.quarantined} <= {str(copy.path())}


def test_a_link_to_itself_and_one_through_a_file_are_set_aside(copy):
    loop, through = copy.path(tile=0, subband=3), copy.path(tile=1, subband=4)
    for path, target in ((loop, loop), (through, copy.path(tile=2) / "file.hdf5")):
        path.unlink()
        path.symlink_to(target)
    plan = current_plan(copy.config)
    assert [(item.path, item.code) for item in plan.quarantined] == [
        (str(loop), "dangling"),
        (str(through), "dangling"),
    ]
    assert [len(tile.files) for tile in plan.tiles.values()] == [15, 15, 16]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_folder_that_fails_stops_the_plan_with_one_sentence(copy, monkeypatch, number):
    monkeypatch.setattr(inbox.os, "scandir", failing(os.scandir, copy.config.layout.incoming, number))
    with pytest.raises(InputError, match=r"paths\.incoming .* cannot be listed .*: look at its disk") as caught:
        current_plan(copy.config)
    assert "\n" not in str(caught.value)


def take_away(copy, files):
    for path in files:
        path.unlink()


def truncate_files(copy, files):
    for path in files:
        os.truncate(path, path.stat().st_size // 2)


def lose(copy, how, tile=TILE, count=4):
    files = [copy.path(tile=tile, subband=subband) for subband in range(count)]
    (take_away if how == "gone" else truncate_files)(copy, files)


def let_stand(copy, kind, tile=TILE):
    place = copy.config.layout.twin(kind, copy.night.tiles[tile].tile_id)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("{}")


@pytest.mark.parametrize("how", ["gone", "truncated"])
@pytest.mark.parametrize("kind", ["image", "calibrated", "ms"])
@pytest.mark.parametrize("count", [1, 4, 10])
def test_a_tile_whose_inputs_vanish_after_it_was_made_stays_as_it_is(copy, how, kind, count):
    frozen.freeze(current_plan(copy.config), copy.config)
    let_stand(copy, kind)
    lose(copy, how, count=count)
    plan = current_plan(copy.config)
    tile = copy.night.tiles[TILE].tile_id
    assert tile not in plan.tiles and plan.groups == {}
    (waiting,) = [w for w in plan.waiting if w.what == "tile"]
    assert (waiting.id, waiting.code) == (tile, "inputs_gone")
    assert "of the 16 subbands that it was made from are gone" in waiting.message
    assert f"contimg inbox --accept-loss {tile}" in waiting.message
    assert "too_few_subbands" not in {item.code for item in plan.quarantined}


def test_a_tile_that_nothing_was_made_of_goes_on_with_what_is_left(copy):
    frozen.freeze(current_plan(copy.config), copy.config)
    lose(copy, "gone")
    plan = current_plan(copy.config)
    assert plan.tiles[copy.night.tiles[TILE].tile_id].missing == (0, 1, 2, 3)
    assert len(plan.groups) == 1


def test_files_that_come_back_make_nothing_anew(copy):
    sound = current_plan(copy.config)
    copy.settle(sound)
    kept = copy.place / "kept"
    kept.mkdir()
    for subband in range(4):
        shutil.move(copy.path(subband=subband), kept)
    assert current_plan(copy.config).groups == {}
    for path in kept.iterdir():
        shutil.move(path, copy.place / "incoming")
    assert current_plan(copy.config) == sound


def test_a_settled_group_stays_settled_whatever_vanishes_of_its_inputs(copy):
    copy.settle(current_plan(copy.config))  # its night is asked for by name
    lose(copy, "gone", tile=1)
    plan = current_plan(copy.config)
    assert plan.groups == plan.calibrations == plan.tiles == {}
    assert [(w.id, w.code) for w in plan.waiting] == [(copy.night.tiles[1].tile_id, "inputs_gone")]
    quiet = copy.config.model_copy(update={"nights": []})
    assert current_plan(quiet).waiting == []


@pytest.mark.parametrize("late", ["report", "reprocess"])
@pytest.mark.parametrize("nights", [[], ["2026-02-11"]])
@pytest.mark.parametrize("fault", ["truncated", "of another declination"])
def test_a_corrupt_file_of_a_settled_tile_is_never_late(copy, late, nights, fault):
    if fault == "truncated":
        truncate_files(copy, [copy.path()])
    else:
        copy.edit(lambda file: file["Header/phase_center_app_dec"].__setitem__((), 0.1))
    copy.settle(current_plan(copy.config))
    config = copy.config
    config = config.model_copy(update={"nights": nights, "group": config.group.model_copy(update={"late": late})})
    for _ in range(3):
        plan = current_plan(config)
        assert plan.late == []
        assert {item.path for item in plan.quarantined} == {str(copy.path())}
        assert (len(plan.groups) == 1) == bool(nights)
        frozen.freeze(plan, config)
        assert config.layout.twin("published", copy.night.tiles[0].tile_id).exists()


def test_the_first_plan_after_a_repair_makes_the_whole_group_again(copy):
    sound = copy.path().read_bytes()
    truncate_files(copy, [copy.path()])
    copy.settle(current_plan(copy.config))
    config = copy.config
    config = config.model_copy(update={"nights": [], "group": config.group.model_copy(update={"late": "reprocess"})})
    copy.path().write_bytes(sound)
    plan = current_plan(config)
    ids = tuple(tile.tile_id for tile in copy.night.tiles)
    assert [(late.tile, late.files) for late in plan.late] == [(ids[TILE], (copy.path().name,))]
    assert [group.tiles for group in plan.groups.values()] == [ids] and plan.waiting == []
    frozen.freeze(plan, config)
    assert not config.layout.twin("published", ids[0]).exists()
    again = current_plan(config)
    assert (again.groups, again.late) == (plan.groups, [])


def test_a_late_file_reopens_nothing_while_its_group_waits(copy):
    """The published marker stays until the group can really be made again."""
    late_file = copy.path().read_bytes()
    copy.path().unlink()
    copy.settle(current_plan(copy.config))
    copy.path().write_bytes(late_file)
    take_away(copy, [copy.path(tile=0, subband=subband) for subband in range(4)])
    config = copy.config
    config = config.model_copy(update={"nights": [], "group": config.group.model_copy(update={"late": "reprocess"})})
    plan = current_plan(config)
    assert plan.groups == {} and len(plan.late) == 1
    assert {w.code for w in plan.waiting} == {"inputs_gone"}
    frozen.freeze(plan, config)
    assert config.layout.twin("published", copy.night.tiles[0].tile_id).exists()


def test_planning_settled_nights_opens_no_file_but_those_that_may_be_late(copy, monkeypatch):
    copy.settle(current_plan(copy.config))
    config = copy.config.model_copy(update={"nights": []})
    shutil.rmtree(config.layout.cache)
    monkeypatch.setattr(probe, "look", lambda path: pytest.fail(f"{path} was opened"))
    seen = observe.look(config, datetime.now(UTC))
    assert seen.facts == {} and list(seen.in_scope) == []


def test_a_person_may_let_a_tile_be_made_again_from_what_is_left(copy):
    copy.settle(current_plan(copy.config))
    tile = copy.night.tiles[TILE].tile_id
    with pytest.raises(InputError, match=r"all 16 files .* are there: nothing is lost"):
        accept_loss(copy.config, tile)
    lose(copy, "gone", count=3)
    truncate_files(copy, [copy.path(subband=3)])
    assert accept_loss(copy.config, tile) == [f"mosaic_{copy.night.tiles[0].tile_id}".replace("-", "").replace(":", "")]
    plan = current_plan(copy.config)
    assert plan.tiles[tile].missing == (0, 1, 2, 3)
    assert [len(group.tiles) for group in plan.groups.values()] == [3] and plan.waiting == []
    take_away(copy, [copy.path(subband=subband) for subband in range(3, 12)])
    with pytest.raises(InputError, match=r"only 4 subbands .* are left \(sb12, .*\): ingest.min_subbands is 12"):
        accept_loss(copy.config, tile)
    with pytest.raises(UnknownIdError, match="no group has been made with tile 2020-01-01T00:00:00"):
        accept_loss(copy.config, "20200101T000000")
