"""A row of the registry, and how many a table has."""

from sqlalchemy import select

TILE = {"tile_id": "2026-02-11T00:26:49", "date": "2026-02-11", "synthetic": True}


def count(registry, table) -> int:
    with registry.read() as connection:
        return len(connection.execute(select(table)).all())
