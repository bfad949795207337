"""Columns of which no constraint sees that they are odd: said with a remedy, and no command ends in a traceback."""

import contextlib
import logging

import pytest
from sqlalchemy import text

from contimg.archive.held_page import update_held_page
from contimg.errors import RegistryError
from contimg.publishing import decisions
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.columns import damage, held_reasons
from contimg.registry.engine import open_registry
from contimg.replicas import copy_rows
from tests.support import mosaics

ID = mosaics.MOSAIC


def edit(registry, **values):
    with registry.transaction() as connection:
        connection.execute(
            text(f"UPDATE data_registry SET {', '.join(f'{name} = :{name}' for name in values)}"), values
        )


@pytest.mark.parametrize("column", ["created_at", "staged_at", "published_at", "closed_at"])
@pytest.mark.parametrize("value", ["", "x", "2026-02-30T00:00:00.000Z"])
def test_what_is_no_time_is_damage(registry, config, column, value):
    mosaics.run(config)
    edit(registry, **{column: value})
    assert f"damaged in its column {column}" in damage(queries.get(registry, ID))


def test_an_odd_time_of_a_verification_is_that_of_none(registry, config):
    mosaics.run(config)
    edit(registry, verified_at="x")
    assert reconcile(registry, config.layout, ID) == []


def test_text_in_the_place_of_a_number_is_damage(sqlite_config):
    mosaics.run(sqlite_config)
    registry = open_registry(sqlite_config)
    edit(registry, attempts="x")
    assert "damaged in its column attempts" in damage(queries.get(registry, ID))


@pytest.mark.parametrize("version", ["one", 1.5, b"\x01"])
def test_a_version_that_is_no_number_is_named_with_the_remedy(sqlite_config, version):
    """It is part of the key by which each command asks: none can tell whose row that is."""
    mosaics.run(sqlite_config)
    with contextlib.closing(open_registry(sqlite_config)) as registry:
        with registry.transaction() as connection:
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            for table in ("mosaic_tiles", "mosaic_groups", "publish_events"):
                connection.execute(text(f"DELETE FROM {table}"))
            connection.execute(text("UPDATE data_registry SET version = :version"), {"version": version})
        for command in (
            lambda: decisions.withdraw(registry, sqlite_config.layout, ID, "wrong"),
            lambda: reconcile(registry, sqlite_config.layout),
            lambda: publish_mosaic(ID, sqlite_config, waits_s=()),
            lambda: copy_rows.missing(registry, "file:///replica", "all"),
            lambda: queries.listing(registry),
        ):
            with pytest.raises(RegistryError, match=r"a version is .*, which is no number.*restore it from a backup"):
                command()


def test_a_path_that_is_no_text_is_named_with_the_remedy(sqlite_config):
    mosaics.run(sqlite_config)
    with contextlib.closing(open_registry(sqlite_config)) as registry:
        with registry.transaction() as connection:
            connection.execute(text("UPDATE data_registry SET stage_path = x'ff'"))
        with pytest.raises(RegistryError, match=r"a path is b.*, which is no text.*restore it from a backup"):
            reconcile(registry, sqlite_config.layout)


@pytest.mark.parametrize("column", ["held_json", "metadata_json"])
@pytest.mark.parametrize("value", ["", "null", '"x"', '[{"message": 3}]', '{"verdict": {"verdict": "failed"}}'])
def test_a_damaged_row_is_not_on_the_page_of_held_mosaics(registry, config, column, value, caplog):
    mosaics.make_mosaic(config, reasons=[mosaics.FAILED])
    register_mosaic(ID, config)
    if (column, value) == ("held_json", "null"):
        return  # held without a reason
    edit(registry, **{column: value})
    with caplog.at_level(logging.WARNING):
        assert update_held_page(registry, config.layout, lambda _row: []) == ""
    assert f"{ID} is not on the page of held mosaics" in caplog.text and column in caplog.text


@pytest.mark.parametrize("value", ["3", '"x"', "[3]", "[{}]", '[{"message": "noise"}, 3]', '{"message": "noise"}'])
def test_reasons_that_are_none_are_damage(value):
    row = {"data_id": ID, "version": 1, "held_json": value}
    with pytest.raises(RegistryError, match="damaged in its column held_json"):
        held_reasons(row)
    assert held_reasons(row | {"held_json": '[{"message": "noise"}]'}) == [{"message": "noise"}]
    assert held_reasons(row | {"held_json": None}) == []
