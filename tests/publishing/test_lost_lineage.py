"""Tables of what mosaics were made of that somebody emptied: reconciling fills them from the bundles."""

import pytest
from sqlalchemy import select

from contimg.publishing import decisions
from contimg.publishing.reconcile import reconcile
from contimg.registry import schema
from tests.support import mosaics

OF_LINEAGE = ("lineage", "mosaic_tiles", "mosaic_groups", "images", "caltables", "ms_index", "subband_files", "tiles")


def content(registry):
    """Return all rows of the tables, as sets: the order in which they were inserted means nothing."""
    with registry.read() as connection:
        tables = [schema.metadata.tables[name] for name in (*OF_LINEAGE, "data_registry")]
        return {table.name: {tuple(row) for row in connection.execute(select(table))} for table in tables}


def empty(registry, tables):
    with registry.transaction() as connection:
        for name in tables:
            connection.execute(schema.metadata.tables[name].delete())


@pytest.mark.parametrize("tables", [OF_LINEAGE, ("lineage",), ("mosaic_tiles",), ("mosaic_groups",), OF_LINEAGE[:3]])
def test_tables_that_were_emptied_are_filled_from_the_bundles(registry, config, tables):
    mosaics.run(config)
    before = content(registry)
    assert all(before[name] for name in tables)
    empty(registry, tables)
    (found,) = reconcile(registry, config.layout, dry_run=True)
    assert (found.code, found.repaired) == ("lineage_lost", False)
    (found,) = reconcile(registry, config.layout)
    assert (found.code, found.repaired, found.needs_person) == ("lineage_lost", True, False)
    assert content(registry) == before
    assert reconcile(registry, config.layout) == []


def test_also_of_what_is_withdrawn(registry, config):
    mosaics.run(config)
    decisions.withdraw(registry, config.layout, mosaics.MOSAIC, "wrong")
    before = content(registry)
    empty(registry, OF_LINEAGE)
    (found,) = reconcile(registry, config.layout)
    assert "has no rows in mosaic_groups, mosaic_tiles, lineage: made again from" in found.message
    assert content(registry) == before


@pytest.mark.parametrize("name", ["mosaic_tiles", "mosaic_groups", "lineage"])
def test_one_version_has_its_own(registry, config, name):
    """The rows of one version are no rows of another one, although both are of one mosaic."""
    mosaics.run(config)
    mosaics.run(config, seed=2)
    before = content(registry)
    assert {row[1] for row in before["mosaic_tiles"]} == {1, 2}
    table, groups = (schema.metadata.tables[one] for one in (name, "mosaic_groups"))
    first = select(groups.c.sha256).where(groups.c.version == 1)
    own = table.c.product_sha256.in_(first) if name == "lineage" else table.c.version == 1
    with registry.transaction() as connection:
        connection.execute(table.delete().where(own))
    found = reconcile(registry, config.layout)
    assert [(one.code, one.version) for one in found] == [("lineage_lost", 1)]
    assert content(registry) == before
