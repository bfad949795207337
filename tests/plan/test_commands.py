"""`contimg inbox` and `contimg plan --names`, as an operator types them."""

import json
import os
import shutil

import pytest
from click.testing import CliRunner

from contimg import naming
from contimg.cli import main
from contimg.config import load
from contimg.plan import frozen
from contimg.plan.model import Group, Plan
from contimg.plan.observe import current_plan
from contimg.simulate import GainErrors, NightOptions, simulate_night


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    options = NightOptions(
        tiles=3, antennas=3, channels=2, sources=1, gains=GainErrors.none(), missing=((2, 7),),
        corrupt=((0, 1, "zero_byte"), (1, 3, "leftover"), (2, 9, "incomplete")),
    )  # fmt: skip
    return simulate_night(tmp_path_factory.mktemp("commands") / "night", options)


def contimg(*words, stdin=None):
    done = CliRunner().invoke(main, [str(word) for word in words], input=stdin, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_inbox_says_what_is_ready_waits_was_set_aside_and_is_open(night, tmp_path):
    said = json.loads(contimg("-c", night.config, "inbox", "--json"))
    assert [(t["tile"], t["n_subbands"], t["missing"]) for t in said["ready"]] == [
        (night.tiles[0].tile_id, 15, [1]), (night.tiles[1].tile_id, 16, []), (night.tiles[2].tile_id, 14, [7, 9]),
    ]  # fmt: skip
    assert (said["complete"], said["left_alone"], said["waiting"], said["late"]) == (1, 0, [], [])
    bad = night.tiles[0].file_name(1)
    assert [(q["file"], q["code"], q["message"]) for q in said["quarantined"]] == [
        (bad, "empty", f"{bad} has no content")
    ]
    assert said["quarantined_by_code"] == {"empty": 1}
    assert [(o["file"], o["leftover"]) for o in said["open"]] == [
        (night.tiles[1].file_name(3, "_incomplete"), True), (night.tiles[2].file_name(9, "_incomplete"), True),
    ]  # fmt: skip
    table = contimg("-c", night.config, "inbox")
    assert "sb07, sb09" in table and "3 ready (1 complete), 0 waiting; set aside: 1 empty" in table


def test_the_inbox_says_what_is_waited_for_since_when(night, tmp_path):
    overlay = tmp_path / "patient.yaml"
    overlay.write_text(f"paths: {{state: {tmp_path / 'state'}}}\ningest: {{deadline_s: 1.0e+9}}\n")
    said = json.loads(contimg("-c", night.config, "-c", overlay, "inbox", "--json"))
    since = min(night.tiles[2].file_times)
    assert said["waiting"][-1] == {
        "name_time": since,
        "code": "subbands",
        "message": "14 of 16 subbands are ready, waiting for sb07, sb09",
        "since": since,
        "ready": "2057-10-20T13:48:26",  # 10⁹ s later
    }
    assert since == "2026-02-11T12:01:46"
    assert [o["leftover"] for o in said["open"]] == [False, False]
    assert "waiting for sb07, sb09" in contimg("-c", night.config, "-c", overlay, "inbox")


@pytest.mark.parametrize("listed", ["paths", "bare names", "standard input"])
def test_names_alone_are_planned_without_opening_anything(night, tmp_path, listed):
    paths = sorted(str(path) for path in (night.out / "incoming").iterdir())
    lines = [path if listed == "paths" else os.path.basename(path) for path in paths]
    lines += [lines[0], "", "readme.txt", "2026-13-01T00:00:00_sb00.hdf5"]
    text = "\r\n".join(reversed(lines))
    names = tmp_path / "names.txt"
    names.write_text(text)
    overlay = tmp_path / "elsewhere.yaml"  # a host that has neither the inbox nor the other roots
    overlay.write_text("paths: {incoming: /nowhere/in, stage: /nowhere/a, products: /nowhere/b, state: /nowhere/c}\n")
    source, stdin = ("-", text) if listed == "standard input" else (names, None)
    said = json.loads(contimg("-c", overlay, "plan", "--names", source, "--json", stdin=stdin))
    seen = [(t["name_time"], t["n_subbands"], t["complete"], t["missing"]) for t in said["tiles"]]
    times = [min(tile.file_times) for tile in night.tiles]
    assert seen == [(times[0], 16, True, []), (times[1], 16, True, []), (times[2], 14, False, [7, 9])]
    assert [q["code"] for q in said["quarantined"]] == ["name"]
    assert len(said["open"]) == 2
    assert "3 tiles, 2 complete; 2 files are still open" in contimg(
        "-c", overlay, "plan", "--names", source, stdin=stdin
    )


def test_late_files_of_a_settled_group_are_shown(night, tmp_path):
    place = tmp_path / "incoming"
    shutil.copytree(night.out / "incoming", place)
    overlay = tmp_path / "late.yaml"
    overlay.write_text(f"paths: {{incoming: {place}, stage: {tmp_path}/stage, state: {tmp_path}/state}}\nnights: []\n")
    files = sorted(night.tiles[1].file_name(subband) for subband in range(16))
    tile = {"id": night.tiles[1].tile_id, "name_time": files[0][:19], "files": files[1:]}
    stem = tile["id"].replace("-", "").replace(":", "")
    day = tile["id"][:10]
    for name, content in (
        (f"groups/{stem}.json", {"id": tile["id"], "tiles": [tile]}),
        (f"published/{day}/mosaic_{stem}.json", {"status": "published", "version": 1, "time": "2026-02-12T00:00:00Z"}),
        (f"registered/{day}/mosaic_{stem}.json", {}),
        (f"mosaics/{day}/mosaic_{stem}.json", {}),
        (f"images/{day}/{stem}.json", {}),
    ):
        target = tmp_path / "stage" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(content))
    for folder in (f"mosaics/{day}/mosaic_{stem}", f"images/{day}/{stem}"):
        (tmp_path / "stage" / folder).mkdir()

    def look():
        return json.loads(contimg("-c", night.config, "-c", overlay, "inbox", "--json"))

    said = look()
    assert said["late"] == [{"group": tile["id"], "tile": tile["id"], "files": files[:1], "action": "report"}]
    assert said["left_alone"] == 1 and len(said["ready"]) == 2
    (tmp_path / "stage" / f"images/{day}/{stem}").rmdir()  # removed to make room: settled all the same
    assert look() == said
    (tmp_path / "stage" / f"published/{day}/mosaic_{stem}.json").unlink()  # no outcome: the group is open again
    said = look()
    assert said["left_alone"] == 0 and said["late"] == [] and len(said["ready"]) == 3


def test_a_report_describes_the_last_run_once_nothing_is_left_to_do(tmp_path):
    config = load({"paths": {name: str(tmp_path / name) for name in ("incoming", "stage", "products", "state")}})
    idle = Plan()
    assert frozen.for_report(idle, config) is idle  # nothing was ever run
    last = Plan(groups={"2026-02-11T00:26:49": Group("2026-02-11T00:26:49", ())})
    frozen.freeze(last, config)
    assert frozen.for_report(idle, config) == last
    other = Plan(groups={"2026-02-12T00:26:49": Group("2026-02-12T00:26:49", ())})
    assert frozen.for_report(other, config) is other


def test_a_person_lets_a_tile_be_made_again_by_a_command(copy):
    """The library's part is in test_file_errors."""
    overlay = copy.place / "night.yaml"
    roots = {name: str(copy.place / name) for name in ("incoming", "stage", "products", "state")}
    overlay.write_text(json.dumps({"paths": roots, "ingest": {"settle_s": 0}, "nights": ["2026-02-11"]}))
    copy.settle(current_plan(copy.config))
    copy.path().unlink()
    tile, group = copy.night.tiles[2].tile_id, copy.night.tiles[0].tile_id
    assert f"--accept-loss {tile}" in contimg("-c", overlay, "inbox").replace("\n", "")
    said = json.loads(contimg("-c", overlay, "inbox", "--accept-loss", tile, "--json"))
    assert said == {"tile": tile, "reopened": [naming.mosaic_id(group)]}
    copy.path(subband=6).unlink()
    copy.config.layout.twin("image", tile).write_text("{}")
    assert "open again" in contimg("-c", overlay, "inbox", "--accept-loss", tile)
