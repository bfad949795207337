"""Registering: one transaction with everything a mosaic stands on, once, and a bundle that never changes."""

import contextlib
import json
import os
import shutil
import time
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text

from contimg import naming
from contimg.bundle import bundle
from contimg.bundle.assembly import gather
from contimg.errors import InputError, RegistryError
from contimg.products.twin import read_twin, write_twin
from contimg.publishing.register import reassemble
from contimg.publishing.register import register as register_bundle
from contimg.registry import queries, schema
from contimg.registry.engine import open_registry
from contimg.registry.queries import lineage_counts
from contimg.registry.rows import insert_product, new_row
from contimg.storage.process import me
from tests.support import mosaics

# Two tiles of four subbands each, one bandpass: counted by hand.
ROWS = {
    "replica_copies": 0,
    "tiles": 2, "subband_files": 8, "ms_index": 4, "caltables": 1, "images": 2, "data_registry": 1, "mosaic_groups": 1,
    "mosaic_tiles": 2, "publish_events": 1,
    # 8 files -> 2 ms; ms -> calibration; ms, calibration -> 2 calibrated; -> 2 images; -> mosaic;
    # mosaic, catalogue -> crossmatch
    "lineage": 8 + 1 + 4 + 2 + 2 + 2,
}  # fmt: skip


def counts(registry) -> dict[str, int]:
    with registry.read() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in schema.metadata.tables.items()
            if name not in ("schema_version", "registry_identity")
        }


def snapshot(folder) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(folder.rglob("*"))}


def register(registry, config, **options):
    return register_bundle(registry, config.layout, mosaics.MOSAIC, auto_publish=True, **options)


def test_everything_goes_in_at_once(registry, config):
    mosaics.make_mosaic(config)
    done = register(registry, config)
    assert (done.data_id, done.version, done.created) == (mosaics.MOSAIC, 1, True)
    assert counts(registry) == ROWS
    row = queries.get(registry, mosaics.MOSAIC)
    assert (row["status"], row["qa_status"], row["validation_status"]) == ("staging", "pending", "pending")
    assert row["synthetic"] and row["sha256"] == done.manifest_sha256
    with registry.read() as connection:
        below = lineage_counts(connection, mosaics.MOSAIC, 1)
        files = connection.execute(select(schema.subband_files).order_by(schema.subband_files.c.name)).mappings().all()
        tile = connection.execute(select(schema.tiles).order_by(schema.tiles.c.tile_id)).mappings().first()
    assert below == {"subband_files": 8, "ms_index": 4, "caltables": 1, "images": 2}
    assert files[1]["name"] == "2026-02-11T00:26:49_sb01.hdf5" and files[1]["subband"] == 1
    assert files[1]["sha256"] == mosaics.sha("2026-02-11T00:26:49 subband 1")
    assert files[1]["tile_id"] == tile["tile_id"] == "2026-02-11T00:26:49"
    assert (tile["dec_app_deg"], tile["date"], tile["synthetic"]) == (37.1, "2026-02-11", True)


def test_metadata_says_what_it_is_and_from_what(registry, config):
    mosaics.make_mosaic(config, crossmatch=[mosaics.WARNING])
    done = register(registry, config)
    metadata = bundle.read_metadata(done.path)
    assert metadata["group"] == "2026-02-11T00:26:49" and metadata["n_images"] == 2
    assert metadata["start_utc"] == "2026-02-11T00:26:49.000Z" and metadata["end_utc"] == "2026-02-11T00:36:58.000Z"
    assert metadata["calibrators"] == ["3C286"] and metadata["flux_anchor"] == "Perley & Butler 2017: 3C286"
    assert metadata["beam"]["bmaj_arcsec"] == 14.4 and metadata["rms_mjy"] == 4.0 and metadata["synthetic"] is True
    assert metadata["verdict"]["verdict"] == "warning"
    assert metadata["verdict"]["reasons"][0] | {"message": ""} == {
        "product": "crossmatch", "code": "noise", "severity": "warning", "message": "", "measured": 2.4,
        "threshold": 2.0,
    }  # fmt: skip
    files = metadata["lineage"]["files"]
    assert sum(entry["kind"] == "subband_file" for entry in files) == 8
    kinds = sorted(entry["twin"]["kind"] for entry in metadata["lineage"]["products"])
    assert kinds == ["calibrated"] * 2 + ["calibration", "crossmatch"] + ["image"] * 2 + ["mosaic"] + ["ms"] * 2
    assert json.loads(queries.get(registry, mosaics.MOSAIC)["metadata_json"]) == {
        key: value for key, value in metadata.items() if key != "lineage"
    }


def test_the_bundle_holds_the_very_bytes(registry, config):
    mosaics.make_mosaic(config)
    done = register(registry, config)
    source = config.layout.product("mosaic", mosaics.MOSAIC)
    names = {path.name for path in source.iterdir()} - {".snakemake_timestamp"}
    assert len(names) == 5
    for name in names:
        assert (done.path / "data" / name).read_bytes() == (source / name).read_bytes()
    assert not (done.path / ".snakemake_timestamp").exists()
    assert bundle.verify(done.path, expected=done.manifest_sha256).ok
    assert read_twin(done.path / "data" / f"{mosaics.MOSAIC}.json").run == {}


def test_large_files_are_linked_and_small_ones_copied(registry, config):
    mosaics.make_mosaic(config, size_px=600)  # 1.4 MB an image
    done = register(registry, config)
    source = config.layout.product("mosaic", mosaics.MOSAIC)
    for suffix, linked in ((".fits", True), (".weights.fits", True), (".png", False), (".tiles.csv", False)):
        name = f"{mosaics.MOSAIC}{suffix}"
        assert (done.path / "data" / name).samefile(source / name) is linked
    assert bundle.verify(done.path, expected=done.manifest_sha256).ok


def test_a_second_call_changes_nothing(registry, config):
    mosaics.make_mosaic(config)
    first = register(registry, config)
    before, files = counts(registry), snapshot(config.paths.stage)
    second = register(registry, config)
    assert second.created is False and second.manifest_sha256 == first.manifest_sha256
    assert counts(registry) == before and snapshot(config.paths.stage) == files


def test_a_product_remade_bit_for_bit_is_no_new_version(registry, config):
    mosaics.make_mosaic(config)
    first = register(registry, config)
    mosaics.make_mosaic(config)  # the twins' `run` differs
    assert register(registry, config) == type(first)(mosaics.MOSAIC, 1, first.path, first.manifest_sha256, False)


def test_changed_content_is_the_next_version_and_supersedes_what_was_not_published(registry, config):
    mosaics.make_mosaic(config)
    first = register(registry, config)
    mosaics.make_mosaic(config, seed=2)
    second = register(registry, config)
    assert (second.version, second.created) == (2, True) and second.manifest_sha256 != first.manifest_sha256
    assert [row["status"] for row in queries.versions(registry, mosaics.MOSAIC)] == ["superseded", "staging"]
    assert bundle.verify(first.path, expected=first.manifest_sha256).ok
    assert [row["version"] for row in queries.listing(registry)] == [2]


def test_overlapping_groups_share_rows(registry, config):
    third = "2026-02-11T00:37:07"
    mosaics.make_mosaic(config)
    register(registry, config)
    # The shared tile's own products must not be made anew: its twins already stand.
    other = mosaics.make_mosaic(config, tiles=(mosaics.TILES[1], third))
    register_bundle(registry, config.layout, other, auto_publish=True)
    found = counts(registry)
    assert (found["tiles"], found["subband_files"], found["mosaic_tiles"], found["data_registry"]) == (3, 12, 4, 2)


def test_all_rows_or_none(registry, config):
    mosaics.make_mosaic(config)
    with registry.transaction() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(
                text(
                    "CREATE TRIGGER refuse BEFORE INSERT ON mosaic_tiles WHEN NEW.position = 1 "
                    "BEGIN SELECT RAISE(ABORT, 'refused for the test'); END"
                )
            )
        else:
            connection.execute(text("ALTER TABLE mosaic_tiles ADD CONSTRAINT refuse CHECK (position <> 1)"))
    with pytest.raises(RegistryError, match="refuse"):
        register(registry, config)
    assert set(counts(registry).values()) == {0}
    with registry.transaction() as connection:
        sqlite = connection.dialect.name == "sqlite"
        connection.execute(text("DROP TRIGGER refuse" if sqlite else "ALTER TABLE mosaic_tiles DROP CONSTRAINT refuse"))
    assert register(registry, config).version == 1
    assert counts(registry) == ROWS


def test_a_bundle_left_without_its_row_is_replaced(registry, config):
    mosaics.make_mosaic(config)
    home = config.layout.product("registered", mosaics.MOSAIC)
    (home / "v1").mkdir(parents=True)
    (home / "v1" / "half.fits").write_text("left by a process that died before its commit")
    done = register(registry, config)
    assert bundle.verify(done.path, expected=done.manifest_sha256).ok


@pytest.mark.parametrize("damage", ["removed", "altered"])
def test_a_bundle_damaged_on_the_stage_is_made_again(registry, config, damage):
    mosaics.make_mosaic(config)
    first = register(registry, config)
    if damage == "removed":
        shutil.rmtree(first.path)
    else:
        file = first.path / "data" / f"{mosaics.MOSAIC}.rms.fits"
        file.unlink()
        file.write_bytes(b"other bytes")
    again = register(registry, config)
    assert again.created is False and again.version == 1
    assert bundle.verify(first.path, expected=first.manifest_sha256).ok


@pytest.mark.parametrize("torn", ["", "no line of a manifest\n", None])
def test_a_torn_folder_without_a_row_does_not_block_its_version(registry, config, torn):
    """What a process left that died before it could write the row, and the disk did not keep."""
    mosaics.make_mosaic(config)
    left = config.layout.product("registered", mosaics.MOSAIC) / "v1"
    left.mkdir(parents=True)
    if torn is None:
        (left / bundle.MANIFEST).symlink_to("/etc/passwd")
    else:
        (left / bundle.MANIFEST).write_text(torn)
    done = register(registry, config)
    assert (done.version, done.path) == (1, left)
    assert bundle.verify(left, expected=done.manifest_sha256).ok


def test_remains_of_dead_processes_are_cleared(registry, config):
    mosaics.make_mosaic(config)
    home = config.layout.product("registered", mosaics.MOSAIC)
    mine = me()
    dead = home / f".bundle.part-{mine.installation}-{mine.machine}-999999999-1"
    dead.mkdir(parents=True)
    start = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    alive = home / f".bundle.part-{mine.installation}-{mine.machine}-1-{start}"
    alive.mkdir()
    register(registry, config)
    assert not dead.exists() and alive.exists()


def test_a_product_made_again_underneath_is_refused(registry, config):
    mosaics.make_mosaic(config)
    place = config.layout.twin("ms", mosaics.GROUP)
    write_twin(place, read_twin(place).model_copy(update={"qa": {"flagged_fraction": 0.5}}))
    with pytest.raises(RegistryError, match=r"ms/.*json was made again after .*rerun snakemake"):
        register(registry, config)
    assert set(counts(registry).values()) == {0}


def test_a_missing_twin_is_named(registry, config):
    mosaics.make_mosaic(config)
    place = config.layout.twin("ms", mosaics.GROUP)
    place.unlink()
    with pytest.raises(InputError, match=f"{place} does not exist"):
        register(registry, config)


def test_the_crossmatch_of_another_making_is_refused(registry, config):
    mosaics.make_mosaic(config)
    mosaics.make_mosaic(config, seed=2, facts={"n_images": 1}, crossmatch=False)
    with pytest.raises(RegistryError, match=r"(compares another making|was made again)"):
        register(registry, config)


def test_a_symlink_in_a_product_is_refused(registry, config, tmp_path):
    mosaics.make_mosaic(config)
    (tmp_path / "secret").write_text("outside of the stage")
    os.symlink(tmp_path / "secret", config.layout.product("mosaic", mosaics.MOSAIC) / "link.fits")
    with pytest.raises(RegistryError, match=r"/mosaic_20260211T002649/link\.fits is a symlink"):
        register(registry, config)
    assert set(counts(registry).values()) == {0}


def test_a_stage_folder_that_is_a_symlink_is_refused(registry, config, tmp_path):
    mosaics.make_mosaic(config)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.symlink(elsewhere, config.paths.stage / "registered")
    with pytest.raises(RegistryError, match="'registered', which is a symlink"):
        register(registry, config)
    assert list(elsewhere.iterdir()) == []


def test_an_id_in_any_form_is_understood(registry, config):
    mosaics.make_mosaic(config)
    done = register_bundle(registry, config.layout, "2026-02-11T00:26:49", auto_publish=True)
    assert done.data_id == mosaics.MOSAIC == naming.mosaic_id(mosaics.GROUP)


def test_ten_thousand_mosaics_do_not_slow_it_down(sqlite_config):
    """The rows of one more mosaic take less than 50 ms of processor time (issue 6, at a tenth of its size)."""
    mosaics.make_mosaic(sqlite_config)
    with contextlib.closing(open_registry(sqlite_config)) as registry:
        base = {
            "data_type": "mosaic", "status": "published", "stage_path": "/s", "sha256": "0" * 64, "metadata_json": "{}",
            "qa_status": "passed", "validation_status": "validated", "finalization_status": "finalized",
            "synthetic": False, "auto_publish": True, "attempts": 0, "created_at": "2026", "published_at": "2026",
        }  # fmt: skip
        rows = [
            base | {"data_id": f"mosaic_{i}", "version": 1, "published_path": f"/archive/{i}"} for i in range(10_000)
        ]
        with registry.transaction() as connection:
            connection.execute(insert(schema.data_registry), rows)
        done = register(registry, sqlite_config)
        contents = gather(sqlite_config.layout, mosaics.MOSAIC)
        row = new_row(sqlite_config.layout, contents.metadata, done.manifest_sha256, 2, auto_publish=True)
        durations = []
        for version in (2, 3, 4, 5, 6):
            started = time.process_time()
            with registry.transaction() as connection:
                insert_product(connection, row | {"version": version}, contents.lineage, contents.mosaic)
            durations.append(time.process_time() - started)
    assert min(durations) < 0.05


@pytest.fixture
def lost_bundle(registry, config):
    """The row of a registered mosaic whose bundle on the stage is gone."""
    mosaics.make_mosaic(config)
    path = register_bundle(registry, config.layout, mosaics.MOSAIC, auto_publish=True).path
    shutil.rmtree(path)
    return queries.get(registry, mosaics.MOSAIC)


def test_a_lost_bundle_is_made_again_with_its_record(registry, config, lost_bundle):
    assert reassemble(registry, config.layout, lost_bundle) is True
    path = Path(lost_bundle["stage_path"])
    assert bundle.verify(path, expected=lost_bundle["sha256"]).ok
    assert json.loads((path / bundle.PUBLICATION).read_text())["created_at"] == lost_bundle["created_at"]
    last = queries.events(registry, mosaics.MOSAIC)[-1]
    assert (last["event"], last["message"]) == ("reassembled", f"{path} was made again")
    assert reassemble(registry, config.layout, lost_bundle) is True  # it is whole: nothing is done
    assert queries.events(registry, mosaics.MOSAIC)[-1] == last


@pytest.mark.parametrize("now", ["another", "gone"])
def test_a_bundle_of_another_mosaic_is_not_put_in_its_place(registry, config, lost_bundle, now):
    if now == "another":
        mosaics.make_mosaic(config, seed=2)
    else:
        config.layout.twin("mosaic", mosaics.MOSAIC).unlink()
    assert reassemble(registry, config.layout, lost_bundle) is False
    assert not Path(lost_bundle["stage_path"]).exists()


@pytest.mark.parametrize("status", ["rejected", "superseded"])
def test_a_bundle_that_nobody_needs_any_more_is_not_made_again(registry, config, lost_bundle, status):
    with registry.transaction() as connection:
        connection.execute(schema.data_registry.update().values(status=status))
    assert reassemble(registry, config.layout, lost_bundle) is False
    folder = config.layout.product("registered", mosaics.MOSAIC)
    assert list(folder.iterdir()) == []  # nor is the temporary one left
