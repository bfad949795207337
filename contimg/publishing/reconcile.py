"""Reconciling: compares disk and registry, lists every difference and repairs those that can be repaired.

Nothing is guessed: a repair either finishes what a dead process had begun (when all files are
there and verified) or undoes it (so that publishing begins again); other differences are
reported. What a person decided stands in the bundle's own record and is never undone. A second run
finds nothing to do. docs/design.md holds the table of all combinations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contimg.naming import Layout
from contimg.products.gates import Options
from contimg.publishing import archive_root
from contimg.publishing.differences import MAX_SHARE, Difference, Scope
from contimg.publishing.reconcile_bytes import closed, published, staged, unrecorded
from contimg.publishing.reconcile_decisions import edited_records, lost_decisions
from contimg.publishing.reconcile_lineage import lost_lineage
from contimg.publishing.reconcile_places import misplaced
from contimg.publishing.reconcile_remains import disowned, left_claims, marks, overtaken, remains
from contimg.publishing.reconcile_rows import damaged_rows, lost_rows
from contimg.publishing.reconcile_unjudged import unjudged
from contimg.registry.engine import Registry

if TYPE_CHECKING:
    from contimg.config.sections import ReplicaOptions

# The order matters: later steps finish what earlier ones have found and repaired in part.
STEPS = (
    damaged_rows, lost_rows, left_claims, remains, unjudged, lost_decisions, disowned, misplaced, unrecorded, overtaken,
    published, staged, closed, edited_records, lost_lineage, marks,
)  # fmt: skip


def reconcile(
    registry: Registry,
    layout: Layout,
    data_id: str | None = None,
    *,
    dry_run: bool = False,
    judged_by: Options | None = None,
    max_share: float = MAX_SHARE,
    replicas: Sequence[ReplicaOptions] = (),
    every_byte: bool = True,
) -> list[Difference]:
    """Compare and repair; return the differences in order of product, each in the order of repair.

    Parameters
    ----------
    registry : Registry
    layout : Layout
    data_id : str, optional
        Only this product; all when not given.
    dry_run : bool
        List the differences and change nothing.
    judged_by : mapping of str to Section, optional
        The thresholds of now, as `register_mosaic` has them: a bundle that was registered with them can be made again
        on the stage only with the same ones.
    max_share : float
        Largest share of the published mosaics that is taken out of sight by itself; above it a person must look.
    replicas : sequence of ReplicaOptions
        Where a whole copy is looked for, when a published bundle is lost and the stage has none.
    every_byte : bool
        False: what was found right before, and what nobody has touched since as the times of the files say, is not
        read. A product is registered and published so; a disk that rots is not seen then.

    Raises
    ------
    WrongArchive
        If ``paths.products`` is not the archive of this registry. Nothing was changed then.
    """
    archive_root.require(registry, layout, change=not dry_run)
    scope = Scope(registry, layout, data_id, dry_run, judged_by, max_share, replicas, every_byte)
    found = [difference for step in STEPS for difference in step(scope)]
    return sorted(found, key=lambda one: one.data_id)
