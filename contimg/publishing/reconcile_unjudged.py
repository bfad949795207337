"""A step of reconciling: products that are in the archive or were decided about, and that the registry has not judged.

A power cut may undo the verdict in the registry, a restored backup too, when what followed stands on the disk already.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from contimg.bundle import bundle
from contimg.bundle.record import decisions_in, read_record
from contimg.publishing.differences import Difference, Row, Scope, about
from contimg.publishing.finalize import finalize
from contimg.publishing.places import Places


def unjudged(scope: Scope) -> Iterator[Difference]:
    """Find products without a verdict that cannot wait for the next run to judge them: judged from a whole copy.

    Later steps ask whether the verdict lets them stand where they stand.
    """
    rows = [row for row in scope.settled_rows("staging") if row["finalization_status"] == "pending"]
    yield from scope.each(rows, functools.partial(_unjudged, scope))


def _unjudged(scope: Scope, row: Row) -> Iterator[Difference]:
    where = Places.of(scope.layout, row)
    own = [place for place in where.standing() if where.is_own(place)]
    waits = all(place == where.stage and not decisions_in(read_record(place), place) for place in own)
    whole = next((place for place in own if bundle.problem(place, row["sha256"]) is None), None)
    if waits or whole is None:
        return
    message = f"{row['data_id']} version {row['version']} stands in {whole} and had no verdict: judged"
    yield scope.repair(about("not_judged", row, whole, message), functools.partial(_judge, scope, row, whole))


def _judge(scope: Scope, row: Row, place: Path) -> None:
    finalize(scope.registry, scope.layout, row["data_id"], row["version"], place=place)
