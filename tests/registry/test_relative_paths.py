"""Paths in rows: relative in the database, absolute for who reads them, and right after a root was moved."""

import contextlib
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from contimg.archive.update import rebuild
from contimg.publishing import decisions
from contimg.publishing.deciding import Named
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.publishing.scrub import scrub
from contimg.registry import queries
from contimg.registry.backup import backup
from contimg.registry.engine import open_registry, open_sqlite
from tests.support import mosaics

ID = mosaics.MOSAIC


def moved(config, name):
    """Move a root on the disk; return the configuration that names its new place."""
    old = getattr(config.paths, name)
    new = old.with_name(f"{name}_on_the_new_disk")
    shutil.move(old, new)
    return config.model_copy(update={"paths": config.paths.model_copy(update={name: new})})


def test_rows_are_read_and_searched_by_absolute_paths(registry, config):
    mosaics.run(config)
    row = queries.get(registry, ID)
    assert row["published_path"] == str(config.layout.bundle(ID, 1)) and Path(row["stage_path"]).is_dir()
    with registry.read() as connection:
        assert connection.execute(text("SELECT published_path FROM data_registry")).scalar_one() == (
            f"mosaics/2026-02-11/{ID}"
        )


def test_a_backup_holds_relative_paths(registry, config, tmp_path):
    mosaics.run(config)
    backup(registry, tmp_path / "b")
    with contextlib.closing(open_sqlite(tmp_path / "b")) as copy:
        assert queries.get(copy, ID)["published_path"] == f"mosaics/2026-02-11/{ID}"


@pytest.mark.parametrize("name", ["products", "stage"])
def test_after_a_move_a_changed_configuration_is_enough(registry, config, name):
    mosaics.run(config)
    mosaics.make_mosaic(config, seed=2)
    register_mosaic(ID, config)
    new = moved(config, name)
    with contextlib.closing(open_registry(new)) as opened:
        codes = {one.code for one in reconcile(opened, new.layout)}
        assert codes <= {"marker_differs"} and reconcile(opened, new.layout) == []
        assert publish_mosaic(ID, new, waits_s=()).version == 2
        assert [one["ok"] for one in scrub(opened)] == [True, True]
        decisions.withdraw(opened, new.layout, Named(ID, 2), "wrong")
        assert (new.paths.products / ".withdrawn" / "mosaics" / "2026-02-11" / f"{ID}.v2").is_dir()
        assert reconcile(opened, new.layout) == []
    assert not getattr(config.paths, name).exists()


def test_the_tables_name_the_new_place_from_the_next_publication_on(registry, config):
    """Also those of months without anything new."""
    mosaics.run(config)
    rebuild(registry, config.layout)
    new = moved(config, "products")
    with contextlib.closing(open_registry(new)) as opened:
        rebuild(opened, new.layout, "mosaic_20260411T002649")
    text_of = (new.paths.products / "obscore.vot").read_text()
    assert str(new.paths.products) in text_of and f"{config.paths.products}/" not in text_of
