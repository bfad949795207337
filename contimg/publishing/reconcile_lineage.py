"""Rows of what a mosaic was made of: lost with their tables, they are made again from the bundle."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from contimg.bundle import bundle
from contimg.bundle.find import read_lineage
from contimg.publishing.differences import Difference, Row, Scope, about
from contimg.publishing.places import Places
from contimg.registry import rows


def lost_lineage(scope: Scope) -> Iterator[Difference]:
    """Find mosaics whose rows of group, tiles or lineage are gone, as after a TRUNCATE: made again from the bundle.

    Looked for where everything is reconciled: a product that is registered or published was just written with them.
    """
    if scope.data_id is not None:
        return
    with scope.registry.read() as connection:
        incomplete = rows.without_lineage(connection)
    if incomplete:
        found = [row for row in scope.rows() if (row["data_id"], row["version"]) in incomplete]
        yield from scope.each(found, functools.partial(_lost_lineage, scope))


def _lost_lineage(scope: Scope, row: Row) -> Iterator[Difference]:
    place = next(
        (one for one in Places.of(scope.layout, row).standing() if bundle.manifest_digest(one) == row["sha256"]), None
    )
    if place is None:  # other steps say so
        return
    _, lineage, mosaic = read_lineage(place)
    with scope.registry.read() as connection:
        missing = rows.missing_lineage(connection, row, lineage, mosaic)
    if not missing:
        return
    what = f"{row['data_id']} version {row['version']} has no rows in {', '.join(missing)}"

    def insert() -> None:
        with scope.registry.transaction(lock=row["data_id"]) as connection:
            rows.insert_lineage(connection, row, lineage, mosaic)

    yield scope.repair(about("lineage_lost", row, place, f"{what}: made again from {place}"), insert)
