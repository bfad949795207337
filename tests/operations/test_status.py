"""`contimg status` and the closing words: the state of every group, and the one step that brings it on."""

import json

import pytest
from sqlalchemy import update

from contimg import naming
from contimg.errors import ConfigError, UnknownIdError
from contimg.operations import status
from contimg.operations.status import failure, group_states, mosaic_record, outcome
from contimg.plan.model import Group, Late, Plan, Quarantined, Waiting
from contimg.products.twin import read_twin, write_twin
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.engine import open_registry
from contimg.registry.schema import data_registry
from contimg.storage.atomic import write_json
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture
def config(tmp_path):
    return mosaics.config_below(tmp_path, publish={"max_attempts": 2})


def commit(config, tiles=mosaics.TILES):
    """Fix the membership of a group, as the first run with it does."""
    members = [{"id": tile, "name_time": tile, "files": []} for tile in tiles]
    write_json(config.layout.group(tiles[0]), {"id": tiles[0], "tiles": members})


def state(config, group=mosaics.GROUP):
    (found,) = (one for one in group_states(config)[0] if one["group"] == group)
    return found


def made(config, **mosaic):
    commit(config)
    mosaics.make_mosaic(config, **mosaic)


def fail_publication(config, error="no route to host", attempts=2):
    registry = open_registry(config)
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(attempts=attempts, error=error))
    registry.close()


def plan_says(monkeypatch, plan):
    monkeypatch.setattr(status, "current_plan", lambda config: plan)


@pytest.fixture
def planned(monkeypatch):
    """The plan of a run that would work on the group."""
    plan_says(monkeypatch, Plan(groups={mosaics.GROUP: Group(mosaics.GROUP, mosaics.TILES)}))


def test_without_groups_there_is_nothing(config):
    assert group_states(config) == ([], 0)


def test_a_group_that_nothing_was_made_of_yet_is_open(config, planned):
    commit(config)
    assert state(config) == {
        "group": mosaics.GROUP, "mosaic": ID, "tiles": 2, "calibrated": 0, "imaged": 0, "verdict": None,
        "sun": None, "synthetic": None, "state": "open", "version": None, "path": None, "next": "snakemake",
        "error": None,
    }  # fmt: skip


def test_tiles_are_counted_as_they_are_made(config):
    commit(config, (*mosaics.TILES, "2026-02-11T00:37:07"))
    for tile in mosaics.TILES:
        mosaics.make_tile(config, tile, mosaics.GROUP)
    config.layout.twin("image", mosaics.TILES[1]).unlink()
    found = state(config)
    assert (found["tiles"], found["calibrated"], found["imaged"], found["verdict"]) == (3, 2, 1, None)


@pytest.mark.parametrize(
    ("mosaic", "crossmatch", "verdict"),
    [([], True, "passed"), ([mosaics.WARNING], True, "warning"), ([], [mosaics.FAILED], "failed")],
)
def test_the_verdict_is_the_worst_of_mosaic_and_comparison(config, mosaic, crossmatch, verdict):
    made(config, reasons=mosaic, crossmatch=crossmatch)
    assert state(config)["verdict"] == verdict


def test_from_registered_to_published(config, planned):
    made(config)
    staged = register_mosaic(ID, config).path
    found = state(config)
    assert (found["state"], found["version"], found["path"], found["next"]) == (
        "registered", 1, str(staged), "snakemake",
    )  # fmt: skip
    path = publish_mosaic(ID, config, waits_s=()).path
    found = state(config)
    assert (found["state"], found["path"], found["next"]) == ("published", str(path), "")


def test_a_held_mosaic_waits_for_the_command_that_approves_this_making(config):
    made(config, reasons=[mosaics.WARNING])
    digits = register_mosaic(ID, config).manifest_sha256[:12]
    publish_mosaic(ID, config, waits_s=())
    command = f"contimg publish approve {ID} --version 1 --manifest {digits} --reason '...'"
    assert (state(config)["state"], state(config)["next"]) == ("held", command)
    assert mosaic_record(config, ID)["next"] == command


def test_a_publication_that_failed_too_often_waits_for_a_person(config, planned):
    made(config)
    register_mosaic(ID, config)
    fail_publication(config, attempts=1)
    assert (state(config)["error"], state(config)["next"]) == (None, "snakemake")
    fail_publication(config)
    for found in (state(config), mosaic_record(config, ID)):
        assert (found["error"], found["next"]) == ("no route to host", f"contimg publish retry {ID}")


def test_only_the_last_settled_groups_are_shown_unless_all_are_asked_for(config, monkeypatch):
    """Two published groups and an open one before them: with one recent group the older published one is counted."""
    monkeypatch.setattr(status, "RECENT", 1)
    for tiles in (("2026-02-12T00:00:00",), ("2026-02-13T00:00:00",)):
        commit(config, tiles)
        mosaic_id = mosaics.make_mosaic(config, tiles=tiles)
        register_mosaic(mosaic_id, config)
        publish_mosaic(mosaic_id, config, waits_s=())
    commit(config)
    shown, left_out = group_states(config, everything=False)
    assert ([one["group"] for one in shown], left_out) == ([mosaics.GROUP, "2026-02-13T00:00:00"], 1)
    shown, left_out = group_states(config)
    assert (len(shown), left_out) == (3, 0)


def test_a_group_for_which_snakemake_would_do_nothing_says_what_it_waits_for(config, monkeypatch):
    commit(config)
    waits = "waiting for sb07 of 2026-02-11T00:31:58"
    for one in (mosaics.GROUP, ID):
        plan_says(monkeypatch, Plan(waiting=[Waiting(one, "group", "subbands", waits, "2026-02-11T01:00:00")]))
        assert state(config)["next"] == f"waits: {waits}"
    plan_says(monkeypatch, Plan())
    assert state(config)["next"] == "snakemake, with its night in nights or none named there"
    plan_says(monkeypatch, Plan(groups={mosaics.GROUP: Group(mosaics.GROUP, mosaics.TILES)}))
    assert state(config)["next"] == "snakemake"


def test_a_plan_that_cannot_be_made_is_for_snakemake_to_report(config, monkeypatch):
    commit(config)

    def refuse(_config):
        raise ConfigError("paths.incoming does not exist")

    monkeypatch.setattr(status, "current_plan", refuse)
    assert state(config)["next"] == "snakemake"


def test_the_record_of_a_mosaic_has_its_places_and_numbers(config):
    made(config, reasons=[mosaics.WARNING])
    twin = config.layout.twin("mosaic", ID)
    write_twin(twin, read_twin(twin).model_copy(update={"notes": ["one tile is short"]}))
    for text in (ID, "20260211T002649", mosaics.GROUP):
        record = mosaic_record(config, text)
        folder = config.layout.product("mosaic", ID)
        assert [record[key] for key in ("mosaic", "verdict", "state", "version", "error", "synthetic")] == [
            ID, "warning", "open", None, None, True,
        ]  # fmt: skip
        assert (record["folder"], record["fits"]) == (str(folder), str(folder / f"{ID}.fits"))
        assert record["reasons"] == [f"noise: {mosaics.WARNING.message}"] and record["notes"] == ["one tile is short"]
        assert (record["qa"]["rms_mjy"], record["qa"]["completeness"]) == (4.0, 1.0)
        assert record["facts"]["tiles"] == list(mosaics.TILES)
        assert json.loads(json.dumps(record)) == record


def test_a_published_mosaic_stands_in_the_archive_and_a_registered_one_on_the_stage(config):
    made(config)
    register_mosaic(ID, config)
    assert mosaic_record(config, ID)["folder"] == str(config.layout.product("mosaic", ID))
    path = publish_mosaic(ID, config, waits_s=()).path
    assert mosaic_record(config, ID)["png"] == str(path / "data" / f"{ID}.png")


def test_an_unknown_mosaic_is_named(config):
    with pytest.raises(UnknownIdError, match=f"^no mosaic {ID} has been made: see `contimg status`$"):
        mosaic_record(config, ID)


def test_the_closing_words_name_every_mosaic_and_what_is_left(config):
    made(config, reasons=[mosaics.WARNING])
    register_mosaic(ID, config)
    publish_mosaic(ID, config, waits_s=())
    later = "2026-02-12T00:00:00"
    plan = Plan(
        groups={one: Group(one, (one,)) for one in (mosaics.GROUP, later)},
        waiting=[Waiting(later, "tile", "subbands", "sb03 is missing", "2026-02-12")],
        late=[Late(mosaics.GROUP, mosaics.GROUP, ("a.hdf5", "b.hdf5"), "report")],
        quarantined=[Quarantined("/in/c.hdf5", "empty", "c.hdf5 has no content", later)],
    )
    record = mosaic_record(config, ID)
    assert outcome(config, plan).splitlines() == [
        "",
        f"{ID}: verdict warning, held ({record['folder']})",
        f"    noise: {mosaics.WARNING.message}",
        f"    look at {record['page']}, then: {record['next']}",
        f"{naming.mosaic_id(later)}: not made yet",
        f"waiting: tile {later}: sb03 is missing",
        f"late: {mosaics.GROUP} got a.hdf5, b.hdf5 after its group {mosaics.GROUP} was settled",
        f"set aside: 1 file, with reasons in {config.layout.stage / 'quarantine'}",
    ]


def test_the_closing_words_of_a_run_without_work(config):
    assert outcome(config, Plan()) == "\nNo group has open work."


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (None, "A job failed: its reason stands above after 'contimg:'"),
        ("SIGINT", "Stopped by the keyboard."),
        ("SIGTERM", "Stopped by SIGTERM."),
    ],
)
def test_the_words_after_a_failure_say_how_to_go_on(signal, words):
    said = failure(signal)
    assert said.startswith(f"\n{words}") and "type the same command again" in said


@pytest.mark.parametrize("kind", ["group", "published", "mosaic"])
def test_a_damaged_file_of_a_group_is_told_in_its_row_and_the_others_are_shown(config, planned, kind):
    made(config)
    commit(config, ("2026-02-12T00:00:00",))
    layout = config.layout
    path = layout.group(mosaics.GROUP) if kind == "group" else layout.twin(kind, ID)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"{")
    row = state(config)
    assert row["state"] == "damaged" and str(path) in row["error"]
    remedy = {"group": "or delete it", "published": "type contimg reconcile", "mosaic": "delete it and rerun snakemake"}
    assert remedy[kind] in row["next"]
    assert state(config, "2026-02-12T00:00:00")["state"] == "open"


@pytest.mark.parametrize("kind", ["group", "published", "mosaic"])
@pytest.mark.parametrize("what", ["folder", "loop"])
def test_a_folder_or_loop_in_the_place_of_a_file_of_a_group_is_told_in_its_row(config, planned, kind, what):
    """It ended `contimg status` for all groups."""
    made(config)
    commit(config, ("2026-02-12T00:00:00",))
    layout = config.layout
    path = layout.group(mosaics.GROUP) if kind == "group" else layout.twin(kind, ID)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name)
    row = state(config)
    if (kind, what) == ("mosaic", "loop"):  # counts as not there: snakemake makes it anew
        assert row["state"] == "open"
    else:
        assert row["state"] == "damaged" and str(path) in row["error"]
        assert {"folder": "move the folder away", "loop": "remove the symlink"}[what] in row["next"]
    assert state(config, "2026-02-12T00:00:00")["state"] == "open"
