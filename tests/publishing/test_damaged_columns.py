"""Columns of which no constraint sees that they are odd: said with a remedy, and no command ends in a traceback."""

import logging

import pytest
from sqlalchemy import text

from contimg.archive.held_page import update_held_page
from contimg.errors import RegistryError
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.columns import damage, held_reasons
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
    from contimg.registry.engine import open_registry

    mosaics.run(sqlite_config)
    registry = open_registry(sqlite_config)
    edit(registry, attempts="x")
    assert "damaged in its column attempts" in damage(queries.get(registry, ID))


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
