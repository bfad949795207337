"""What `plan`, `inbox`, `status`, `why` and `prune` print for people, of plans and stages whose content is known."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from contimg.correlator.inbox import Quarantined
from contimg.operations import room_for_plan
from contimg.plan.model import Choice, FileSignature, Group, Late, Plan, PlannedCalibration, PlannedTile, Waiting
from contimg.storage.atomic import write_json
from tests.support import mosaics

ID, (FIRST, SECOND) = mosaics.MOSAIC, mosaics.TILES
BANDPASS, GAINS = "cal_20260211T002649", "cal_20260211T020000"


def tile(name, missing=()):
    subbands = tuple(n for n in range(16) if n not in missing)
    files = tuple(FileSignature(f"{name}_sb{n:02d}.hdf5", 1000, 0) for n in subbands)
    paths = tuple(f"/in/{file.name}" for file in files)
    return PlannedTile(
        name, name, paths, subbands, tuple(missing), files, 61082.02, 61082.0234, 12.88, 37.123, -2.064, 0.65, True
    )


def planned(**content):
    tiles = {FIRST: tile(FIRST), SECOND: tile(SECOND, (3, 7))}
    calibrations = (
        PlannedCalibration(BANDPASS, "bandpass", FIRST, 61082.02, 37.1, "3C286", None),
        PlannedCalibration(GAINS, "gains", SECOND, 61082.09, 37.1, None, BANDPASS),
    )
    base = {
        "tiles": tiles, "groups": {FIRST: Group(FIRST, (FIRST, SECOND))},
        "calibrations": {one.id: one for one in calibrations},
        "choices": {FIRST: Choice(BANDPASS, BANDPASS, (), ()), SECOND: Choice(BANDPASS, GAINS, (), (), BANDPASS)},
    }  # fmt: skip
    return Plan(**base | content)


@pytest.fixture
def plan_is(monkeypatch):
    """Return a function that sets the plan of now."""
    return lambda plan: monkeypatch.setattr(room_for_plan, "plan_within_room", lambda config: plan)


def lines(text):
    """Return the words of each line that is not empty."""
    return [line.split() for line in text.splitlines() if line.strip()]


def test_a_plan_has_a_table_for_each_group_and_counts(program, plan_is):
    plan_is(planned())
    done = program("plan")
    assert done.code == 0
    said = lines(done.out)
    assert [ID] in said
    assert [FIRST, "37.12", "16", BANDPASS, BANDPASS] in said
    assert [SECOND, "37.12", "14", BANDPASS, GAINS, "and", BANDPASS] in said
    assert [BANDPASS, "bandpass", "3C286"] in said
    assert [GAINS, "gains", "catalogue", "sky", BANDPASS] in said
    assert [SECOND, "sb03,", "sb07"] in said  # without all subbands
    assert done.out.endswith("\n1 group, 2 tiles, 2 calibrations\n")
    for absent in ("Waiting", "Late files", "Set aside"):
        assert absent not in done.out


def test_a_plan_says_what_waits_came_late_and_was_set_aside(program, plan_is):
    plan_is(Plan(
        waiting=[Waiting("2026-02-12T00:00:00", "tile", "subbands", "waiting for sb07", "2026-02-12T00:01:00")],
        late=[Late(FIRST, SECOND, ("a.hdf5", "b.hdf5"), "report")],
        quarantined=[Quarantined("/in/c.hdf5", "empty", "c.hdf5 has no content", FIRST)],
    ))  # fmt: skip
    said = lines(program("plan").out)
    assert ["tile", "2026-02-12T00:00:00", "waiting", "for", "sb07", "2026-02-12T00:01:00"] in said
    assert [FIRST, SECOND, "a.hdf5,", "b.hdf5", "report"] in said
    assert ["empty", "c.hdf5", "has", "no", "content"] in said
    assert said[-1] == ["0", "groups,", "0", "tiles,", "0", "calibrations"]


def test_a_plan_for_programs_is_the_frozen_plans_content(program, plan_is):
    plan_is(planned())
    content = program("plan", "--json").json
    assert Plan.from_json(content) == planned()


def test_names_that_no_plan_uses_are_told_with_their_reason(program, tmp_path):
    listed = tmp_path / "names.txt"
    listed.write_text(f"{FIRST}_sb00.hdf5\n2026-13-01T00:00:00_sb00.hdf5\n")
    done = program("plan", "--names", listed)
    assert done.code == 0 and "name" in done.out and "2026-13-01T00:00:00_sb00.hdf5" in done.out
    assert "1 tiles, 0 complete" in done.out


def commit(config, names):
    members = [{"id": one, "name_time": one, "files": []} for one in names]
    write_json(config.layout.group(names[0]), {"id": names[0], "tiles": members})


def test_status_prints_a_line_for_each_group_and_the_step_that_it_waits_for(program, sqlite_config, publish):
    commit(sqlite_config, mosaics.TILES)
    publish(reasons=[mosaics.WARNING])
    done = program("status")
    (line,) = (one for one in lines(done.out) if one[0] == ID)
    assert line[1:] == ["2/2", "2/2", "warning", "held", "1"]
    approve = next(one for one in done.raw.splitlines() if one.startswith(f"{ID}: contimg -c "))
    assert f"overlay.yaml publish approve {ID} --version 1 --manifest " in approve  # whole, on one line
    assert "are not listed" not in done.out and f"{ID} waits for a person" not in done.out
    assert program("status", "--json").json["groups"][0]["state"] == "held"


def test_status_counts_the_groups_that_it_does_not_list(program, sqlite_config, publish, monkeypatch):
    from contimg.operations import status

    monkeypatch.setattr(status, "RECENT", 1)
    commit(sqlite_config, mosaics.TILES)
    commit(sqlite_config, ("2026-02-12T00:00:00",))
    publish()
    said = program("status").out
    assert (
        ID not in said
        and "mosaic_20260212T000000" in said
        and "1 older settled groups are not listed: --all lists them.\n" in said
    )
    assert ID in program("status", "--all").out


def test_status_tells_the_error_of_a_publication_that_waits_for_a_person(program, sqlite_config, monkeypatch):
    from contimg.publishing.register_mosaic import register_mosaic
    from contimg.registry import queries

    commit(sqlite_config, mosaics.TILES)
    mosaics.make_mosaic(sqlite_config)
    register_mosaic(ID, sqlite_config)
    monkeypatch.setattr(queries, "stuck", lambda registry, attempts: {ID: "no route to host"})
    said = program("status").out
    assert f"{ID} waits for a person: no route to host; then: contimg publish retry {ID}\n" in said


def test_why_prints_the_headline_and_tables_that_have_rows(program, publish):
    publish(reasons=[mosaics.WARNING])
    done = program("why", ID)
    assert done.out.startswith(f"{ID}: verdict warning, held ")
    assert ["Reasons"] in lines(done.out) and mosaics.WARNING.message in done.out
    assert ["Notes"] not in lines(done.out)
    where = ["noise,", "median", "where", "well", "covered", "(weight", "≥", "half", "of", "its", "95th", "percentile)"]
    assert [*where, "4", "mJy/beam", "rms_mjy"] in lines(done.out)
    story = program("why", ID, "--json").json
    assert story["headline"] == done.out.splitlines()[0]
    assert [one["title"] for one in story["sections"] if not one["rows"] and one["title"] == "Notes"] == ["Notes"]


@pytest.mark.parametrize("thing", ["nonsense", "2099-01-01T00:00:00", "cal_20990101T000000"])
def test_why_of_what_is_unknown_is_one_sentence(program, thing):
    done = program("why", thing)
    assert done.code == 1 and thing in done.sentence


@pytest.fixture
def settled(sqlite_config, tmp_path, monkeypatch):
    """A group that was settled ten days ago, with an image of 8192 bytes and a log."""
    monkeypatch.chdir(tmp_path)
    commit(sqlite_config, (FIRST,))
    layout = sqlite_config.layout
    image = layout.product("image", FIRST)
    image.mkdir(parents=True)
    (image / "data").write_bytes(b"x" * 8192)
    for kind in ("image", "mosaic", "ms", "calibrated"):
        write_json(layout.twin(kind, FIRST), {})
    layout.product("mosaic", FIRST).mkdir()
    time = (datetime.now(UTC) - timedelta(days=10)).isoformat().replace("+00:00", "Z")
    marker = {"data_id": ID, "version": 1, "status": "published", "time": time, "path": "/p", "message": "m",
              "manifest_sha256": "0" * 64}  # fmt: skip
    for kind in ("published", "registered"):
        write_json(layout.twin(kind, FIRST), marker)
    return image


def test_prune_shows_what_would_go_and_then_removes_it(program, settled):
    shown = program("prune", "--kind", "image", "--dry-run")
    assert "Would be removed" in shown.out and settled.is_dir()
    (line,) = (one for one in lines(shown.out) if one[0] == "image")
    assert line == ["image", FIRST, "0.0", str(settled)]
    assert " GB would be freed; " in shown.out
    done = program("prune", "--kind", "image", "--json")
    assert (done.code, done.json["dry_run"]) == (0, False)
    assert [item["path"] for item in done.json["items"]] == [str(settled)] and not settled.exists()
    again = program("prune", "--kind", "image")
    assert again.out.startswith("0.000 GB freed; ") and again.out.endswith(" of room on the stage's disk.\n")


@pytest.mark.parametrize("words", [("--older-than", "11"), ("--until-free", "0")])
def test_prune_keeps_what_is_younger_and_stops_when_there_is_room(program, settled, words):
    assert program("prune", *words, "--json").json["items"] == [] and settled.is_dir()


@pytest.mark.parametrize("words", [("--kind", "mosaic"), ("--older-than", "-1"), ("--until-free", "much")])
def test_wrong_options_of_prune_are_wrong_usage(program, words):
    assert program("prune", *words).code == 2


def test_the_inbox_tells_a_leftover_from_a_file_that_is_being_written(program, sqlite_config):
    incoming = sqlite_config.paths.incoming
    incoming.mkdir(parents=True)
    (incoming / f"{FIRST}_sb01.hdf5").touch()
    for name, age_s in ((f"{FIRST}_sb00_incomplete.hdf5", 0), (f"{SECOND}_sb00_incomplete.hdf5", 10 * 86400)):
        (incoming / name).touch()
        written = datetime.now(UTC).timestamp() - age_s
        os.utime(incoming / name, (written, written))
    done = program("inbox", "--json")
    assert [(one["file"][:19], one["leftover"]) for one in done.json["open"]] == [(FIRST, False), (SECOND, True)]
    said = lines(program("inbox").out)
    assert [f"{FIRST}_sb00_incomplete.hdf5"] == [one[0] for one in said if one[-1] == "no"]
    assert [f"{SECOND}_sb00_incomplete.hdf5"] == [one[0] for one in said if one[-1] == "yes"]
    assert said[-1][-3:] == ["set", "aside:", "nothing"]


def test_a_loss_is_accepted_only_of_a_tile_that_a_group_has(program):
    done = program("inbox", "--accept-loss", FIRST)
    said = f"no group has been made with tile {FIRST}: see `contimg plan` for what waits"
    assert (done.code, done.sentence) == (1, said)
