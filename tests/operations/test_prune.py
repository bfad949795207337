"""`contimg prune`: what goes, what stays, and that settled groups stay settled."""

import contextlib
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from contimg import naming
from contimg.config import load
from contimg.operations.prune import KINDS, prune
from contimg.plan.make_plan import has_open_work, owners
from contimg.plan.observe import committed_groups
from contimg.storage.atomic import write_json
from tests.operations.test_run_lock import holder

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FIRST = ("2026-02-11T00:00:00", "2026-02-11T00:05:09")
SECOND = ("2026-02-12T00:00:00", "2026-02-12T00:05:09")
OPEN = ("2026-02-13T00:00:00", "2026-02-13T00:05:09")
BYTES = 8192


@pytest.fixture
def config(tmp_path):
    paths = {name: str(tmp_path / name) for name in ("incoming", "stage", "products", "state")}
    return load({"paths": paths, "crossmatch": {"enabled": False}, "nights": ["2026-02-11"]})


def make(config, work, tiles, *, status="published", age_days=10.0):
    """Make the files of a group; return those that may go."""
    layout, group = config.layout, tiles[0]
    names = [f"{tile}_sb00.hdf5" for tile in tiles]
    members = [{"id": tile, "name_time": tile, "files": [name]} for tile, name in zip(tiles, names, strict=True)]
    write_json(layout.group(group), {"id": group, "tiles": members})
    may_go = []
    for tile, name in zip(tiles, names, strict=True):
        layout.incoming.mkdir(exist_ok=True)
        (layout.incoming / name).write_text("raw")
        for kind in ("ms", "calibrated", "image"):
            product = layout.product(kind, tile)
            product.mkdir(parents=True)
            (product / "data").write_bytes(b"x" * BYTES)
            layout.twin(kind, tile).write_text("{}")
            may_go.append(product)
        for kind, suffix in (("logs", "log"), ("benchmarks", "tsv")):
            path = work / kind / "image_tile" / naming.date(tile) / f"{naming.stem(tile)}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * BYTES)
            may_go.append(path)
    for kind in ("mosaic", "crossmatch"):
        layout.product(kind, group).mkdir(parents=True)
        layout.twin(kind, group).write_text("{}")
    calibration = layout.product("calibration", naming.calibration_id(group))
    calibration.mkdir(parents=True)
    write_json(layout.stage / "calibrations" / "decisions.json", [])
    if status is not None:
        settled = (NOW - timedelta(days=age_days)).isoformat().replace("+00:00", "Z")
        write_json(layout.twin("published", group), {"status": status, "version": 1, "time": settled})
    return may_go


def tree(*roots):
    return {path for root in roots for path in root.rglob("*")}


def gone(paths):
    return [not path.exists() for path in paths]


def test_what_settled_groups_no_longer_need_goes_and_nothing_else(config, tmp_path):
    work = tmp_path / "work"
    first, second = make(config, work, FIRST), make(config, work, SECOND, status="rejected")
    still_open, held = (
        make(config, work, OPEN, status=None),
        make(config, work, ("2026-02-14T00:00:00",), status="held"),
    )
    before = tree(tmp_path)
    planned = prune(config, work, dry_run=True, now=NOW)
    assert tree(tmp_path) == before
    done = prune(config, work, now=NOW)
    assert done.items == planned.items
    assert sorted(item.path for item in done.items) == sorted(map(str, first + second))
    assert all(gone(first + second)) and not any(gone(still_open + held))
    removed = before - tree(tmp_path)
    assert all(any(root == path or root in path.parents for root in first + second) for path in removed)
    assert done.freed_bytes >= len(first + second) * BYTES
    assert prune(config, work, now=NOW).items == ()


def test_the_ms_of_a_tile_of_no_group_goes_once_a_calibration_was_solved_on_it(config, tmp_path):
    lone, unsolved = "2026-02-15T00:00:00", "2026-02-15T00:05:09"
    for tile in (lone, unsolved):
        product = config.layout.product("ms", tile)
        product.mkdir(parents=True)
        (product / "data").write_bytes(b"x" * BYTES)
    calibration = config.layout.twin("calibration", naming.calibration_id(lone))
    calibration.parent.mkdir(parents=True)
    calibration.touch()
    written = datetime.fromtimestamp(config.layout.product("ms", lone).stat().st_mtime, UTC)
    young = prune(config, tmp_path / "work", older_than_days=7, now=written + timedelta(days=6.9))
    assert young.items == () and config.layout.product("ms", lone).exists()
    old = prune(config, tmp_path / "work", older_than_days=7, now=written + timedelta(days=7.1))
    assert [item.path for item in old.items] == [str(config.layout.product("ms", lone))]
    assert not config.layout.product("ms", lone).exists() and config.layout.product("ms", unsolved).exists()


def test_pruned_groups_stay_settled_though_their_night_is_named_and_their_files_are_there(config, tmp_path):
    from contimg.config import IngestOptions
    from contimg.correlator import inbox

    make(config, tmp_path / "work", FIRST)
    (cluster, *_) = inbox.arrange(sorted(map(str, config.layout.incoming.iterdir())), IngestOptions()).clusters
    assert has_open_work(cluster, owners(committed_groups(config)), config)  # the night is named
    prune(config, tmp_path / "work", now=NOW)
    (group,) = committed_groups(config)
    assert (group.settled, group.pruned) == (True, True)
    assert not has_open_work(cluster, owners([group]), config)
    # Opened again by --reprocess, which removes the marker: it is looked at like any open group.
    config.layout.twin("published", FIRST[0]).unlink()
    (group,) = committed_groups(config)
    assert (group.settled, group.pruned) == (False, False)
    assert has_open_work(cluster, owners([group]), config)
    # Published anew, it is pruned no more.
    write_json(
        config.layout.twin("published", FIRST[0]), {"status": "published", "version": 2, "time": NOW.isoformat()}
    )
    (group,) = committed_groups(config)
    assert (group.settled, group.pruned) == (True, False)


def test_settled_is_what_the_marker_says(config, tmp_path):
    for product in make(config, tmp_path / "work", FIRST):
        shutil.rmtree(product) if product.is_dir() else product.unlink()
    (group,) = committed_groups(config)
    assert (group.settled, group.pruned) == (True, False)


@pytest.mark.parametrize(("days", "expected"), [(0, [FIRST, SECOND]), (15, [FIRST]), (40, [])])
def test_by_age(config, tmp_path, days, expected):
    make(config, tmp_path / "work", FIRST, age_days=30)
    make(config, tmp_path / "work", SECOND, age_days=10)
    done = prune(config, tmp_path / "work", older_than_days=days, dry_run=True, now=NOW)
    assert list(dict.fromkeys(item.group for item in done.items)) == [tiles[0] for tiles in expected]


@pytest.mark.parametrize("kind", KINDS)
def test_by_kind(config, tmp_path, kind):
    make(config, tmp_path / "work", FIRST)
    done = prune(config, tmp_path / "work", kinds=(kind,), now=NOW)
    assert [item.kind for item in done.items] == [kind] * 2


def test_until_there_is_room_the_longest_settled_first(config, tmp_path, monkeypatch):
    disk = type(shutil.disk_usage("/"))(10**9, 9 * 10**8, 10**8)  # other processes write to the real one meanwhile
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk)
    make(config, tmp_path / "work", SECOND, age_days=30)
    make(config, tmp_path / "work", FIRST, age_days=10)
    everything = prune(config, tmp_path / "work", dry_run=True, now=NOW)
    assert [item.group for item in everything.items] == [SECOND[0]] * 10 + [FIRST[0]] * 10
    free = everything.free_bytes - everything.freed_bytes
    done = prune(config, tmp_path / "work", free_bytes=free + 1, dry_run=True, now=NOW)
    assert len(done.items) == 1
    assert prune(config, tmp_path / "work", free_bytes=0, now=NOW).items == ()


def test_tiles_that_another_group_needs_stay(config, tmp_path):
    """Overlapping groups: the last tile of a settled group is the first of the next one, open or not cut yet."""
    overlapping = config.model_copy(update={"group": config.group.model_copy(update={"tiles": 2, "stride": 1})})
    make(config, tmp_path / "work", FIRST)
    done = prune(overlapping, tmp_path / "work", dry_run=True, now=NOW)
    assert {naming.stem(FIRST[0]) in item.path for item in done.items} == {True}
    # The next group is open.
    write_json(
        config.layout.group(FIRST[1]), {"id": FIRST[1], "tiles": [{"id": FIRST[1], "name_time": FIRST[1], "files": []}]}
    )
    assert prune(overlapping, tmp_path / "work", dry_run=True, now=NOW).items == done.items
    # It is settled as well: now both tiles may go.
    write_json(
        config.layout.twin("published", FIRST[1]), {"status": "published", "version": 1, "time": "2026-02-12T00:00:00Z"}
    )
    assert len(prune(overlapping, tmp_path / "work", dry_run=True, now=NOW).items) == 10


def test_nothing_is_removed_through_a_symlink(config, tmp_path):
    make(config, tmp_path / "work", FIRST)
    images = config.layout.stage / "images"
    images.rename(tmp_path / "elsewhere")
    images.symlink_to(tmp_path / "elsewhere")
    done = prune(config, tmp_path / "work", now=NOW)
    assert "image" not in {item.kind for item in done.items}
    assert len(list((tmp_path / "elsewhere").glob("*/*/data"))) == 2


def test_a_run_is_not_disturbed(config, tmp_path):
    from contimg.errors import BusyError

    may_go = make(config, tmp_path / "work", FIRST)
    with holder(config.layout) as process:
        with pytest.raises(BusyError, match="another run"):
            prune(config, tmp_path / "work", now=NOW)
        assert prune(config, tmp_path / "work", dry_run=True, now=NOW).items  # looking is allowed
        process.kill()
    assert not any(gone(may_go))


def test_killed_half_way_the_group_is_settled_and_the_next_call_goes_on(config, tmp_path, monkeypatch):
    make(config, tmp_path / "work", FIRST)

    def die(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("contimg.operations.prune.remove", die)
    with pytest.raises(KeyboardInterrupt):
        prune(config, tmp_path / "work", now=NOW)
    monkeypatch.undo()
    (group,) = committed_groups(config)
    assert group.settled and group.pruned
    assert len(prune(config, tmp_path / "work", now=NOW).items) == 10


def test_command(config, tmp_path):
    import yaml
    from click.testing import CliRunner

    from contimg.cli import main

    make(config, tmp_path / "work", FIRST)
    overlay = tmp_path / "night.yaml"
    overlay.write_text(yaml.safe_dump({"paths": {k: str(v) for k, v in config.paths.model_dump().items()}}))
    call = ["-c", str(overlay), "-d", str(tmp_path / "work"), "prune", "--older-than", "0"]
    said = json.loads(CliRunner().invoke(main, [*call, "--dry-run", "--json"]).stdout)
    assert said["dry_run"] and len(said["items"]) == 10
    assert set(said["items"][0]) == {"kind", "group", "path", "bytes"}
    shown = CliRunner().invoke(main, call)
    assert shown.exit_code == 0 and "GB freed" in shown.stdout
    assert "0.000 GB freed" in CliRunner().invoke(main, call).stdout


def test_room_is_made_where_there_is_none(tmp_path):
    """On a full disk neither the lock's owner nor the note of the pruning can be written at first."""
    stage = tmp_path / "stage"
    stage.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(stage)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a filesystem needs root")
    try:
        paths = {name: str(tmp_path / name) for name in ("incoming", "stage", "products", "state")}
        full = load({"paths": paths, "crossmatch": {"enabled": False}})
        may_go = make(full, tmp_path / "work", FIRST)
        (stage / "run.lock").touch()  # of the runs before
        with contextlib.suppress(OSError), open(stage / "fill", "wb", buffering=0) as fill:
            while True:
                fill.write(b"x" * 4096)
        done = prune(full, tmp_path / "work", kinds=("ms", "image"), now=NOW)
        assert len(done.items) == 4 and sum(gone(may_go)) == 4
        (group,) = committed_groups(full)
        assert group.settled and group.pruned
    finally:
        subprocess.run(["umount", str(stage)], check=True)
