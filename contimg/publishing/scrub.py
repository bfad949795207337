"""Reading published bundles again, the longest unread first, so that rot is found while another copy is whole.

What is found wrong is noted with its time too: were it not, damaged bundles would be read first each night, and where
their reading takes all the time that there is, no other ever again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from contimg.bundle import bundle
from contimg.bundle.record import decisions_in, is_of, read_record, said, unknown_to
from contimg.errors import InputError, RegistryError
from contimg.publishing.recording import contradiction, decided, edited, recorded, unearned
from contimg.registry import queries, verifications
from contimg.registry.engine import Registry
from contimg.registry.relative_paths import roots_of
from contimg.storage.pace import Pace
from contimg.storage.safe_files import link_on_the_way


def verify_row(
    registry: Registry | None,
    row: Mapping[str, Any],
    progress: Callable[[int], None] | None = None,
    *,
    note: bool = True,
) -> dict[str, Any]:
    """Read every byte of a published bundle, compare it with its manifest, its record with the registry, and note when.

    Parameters
    ----------
    registry : Registry or None
        None: the bundle is compared with its own manifest alone.
    row : mapping
        With ``data_id``, ``version``, ``published_path``, and ``sha256`` (None: compared with its own manifest).
    progress : callable, optional
        Called with the number of bytes just read.
    note : bool
        False: nothing is written, for somebody who may only read.

    Returns
    -------
    dict
        With ``data_id``, ``version``, ``path``, ``ok``, ``files``, ``bytes`` and ``problems``, sentences.
    """
    path = Path(row["published_path"])
    result = {"data_id": row["data_id"], "version": row["version"], "path": str(path)}
    try:
        found = bundle.verify(path, expected=row["sha256"], tags=row.get("tags_sha256"), progress=progress)
        problems = [problem.message for problem in found.problems]
        roots = None if registry is None else roots_of(registry.engine)
        link = None if roots is None else link_on_the_way(roots.products, path)
        problems += [link] if link is not None else []
        if registry is not None and not problems:
            problems += record_problems(registry, row, path)
        files, size = found.n_files, found.n_bytes
    except InputError as error:
        files, size, problems = 0, 0, [str(error)]
    except OSError as error:
        where = f" ({error.filename})" if error.filename is not None else ""
        files, size, problems = 0, 0, [f"{path}: {error.strerror}{where}"]
    if registry is not None and note:
        verifications.note(registry, row, right=not problems)
    return result | {"ok": not problems, "files": files, "bytes": size, "problems": problems}


def record_problems(registry: Registry, row: Mapping[str, Any], path: Path) -> list[str]:
    """Return a sentence where a published bundle, or its own record, is gone, damaged, or contradicts the registry."""
    try:
        record = read_record(path)
        with registry.read() as connection:
            whole = queries.require(connection, row["data_id"], row["version"])
            known = recorded(connection, whole)
        if whole["status"] != "published":  # withdrawn meanwhile
            return []
        problem = contradiction(whole, path)
    except RegistryError as error:
        return [str(error)]
    if problem is not None:
        return [problem]
    if decided(whole, known):
        return [
            f"the registry's row does not say what was decided ({', '.join(decided(whole, known))}): contimg reconcile "
            f"{row['data_id']} corrects it"
        ]
    in_record = decisions_in(record, path) if is_of(record, whole) else []
    why = unearned(whole, [*known, *(one for one in in_record if one.decision == "approved")])
    if why is not None:
        return [f"{why}: restore the registry from a backup, or withdraw it"]
    names = edited(record, whole, known, archived=True)
    if not names:
        return []
    last = max((one.time for one in known), default="")
    lost = [one for one in unknown_to(known, in_record) if one.time > last]
    if lost:
        return [
            f"{path / bundle.PUBLICATION} says that {said(lost)}, which the registry does not know: 'contimg reconcile "
            f"{row['data_id']}' makes it hold; if it is wrong, restore the record from a copy first"
        ]
    what = "is missing" if not record else f"does not say what the registry does ({', '.join(names)})"
    return [f"{path / bundle.PUBLICATION} {what}: contimg reconcile {row['data_id']} writes it anew"]


def scrub(
    registry: Registry,
    *,
    unread_since: str | None = None,
    pace: Pace | None = None,
    note: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Verify published bundles one after the other, the longest unread first, and give the result of each.

    Interrupted and begun again it goes on with those that were not read yet.

    Parameters
    ----------
    registry : Registry
    unread_since : str, optional
        Only bundles that were not read since this time (UTC).
    pace : Pace, optional
    note : bool
        False: nothing is written, for somebody who may only read.
    progress : callable, optional
        Called with the number of bytes just read.
    """
    pace = Pace() if pace is None else pace

    def advance(count: int) -> None:
        pace.spend(count)
        if progress is not None:
            progress(count)

    for row in verifications.longest_unread(registry, unread_since):
        if pace.is_over:
            return
        yield verify_row(registry, row, advance, note=note)
