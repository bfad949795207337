"""The rule ``publish_mosaic``: publishes or holds a registered bundle, and writes its marker."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from contimg import naming
from contimg.archive.update import knows, update
from contimg.bundle import bundle
from contimg.errors import RegistryError
from contimg.products.judged import options_of
from contimg.publishing.publish import Outcome, PublishFailed, machine_faults, publish
from contimg.publishing.reconcile import reconcile
from contimg.registry import queries
from contimg.registry.engine import Registry, open_registry
from contimg.registry.refusals import RegistryUnavailable
from contimg.replicas.sync import replicate
from contimg.storage import safe_files, trees

if TYPE_CHECKING:
    from contimg.config import Config

_LOG = logging.getLogger(__name__)

WAITS_S = (1.0, 5.0, 25.0)


def publish_mosaic(mosaic_id: str, config: Config, *, waits_s: Sequence[float] = WAITS_S) -> Outcome:
    """Reconcile and publish a registered mosaic, and write its marker: the work of the rule ``publish_mosaic``.

    After faults that may pass by themselves it is tried again; all others are raised at once. Another process that
    publishes it is waited for, as long as a claim lasts.

    Parameters
    ----------
    mosaic_id : str
    config : Config
    waits_s : sequence of float
        How long to wait before each further attempt [s]; without any, nothing is waited for.

    Returns
    -------
    Outcome

    Raises
    ------
    ContimgError
        If the mosaic could not be published for a reason of the machine. A mosaic that is held is an
        outcome, not an error: its marker says why and with what command to approve it.
    """
    data_id = naming.as_mosaic_id(mosaic_id)
    for wait_s in waits_s:
        try:
            return _publish_once(data_id, config, wait_s=config.publish.claim_s)
        except (PublishFailed, RegistryUnavailable) as failure:
            if not getattr(failure, "transient", True):
                raise
        time.sleep(wait_s)
    return _publish_once(data_id, config)


def _publish_once(data_id: str, config: Config, *, wait_s: float = 0.0) -> Outcome:
    layout, options = config.layout, config.publish
    with (
        machine_faults(f"{data_id} was not published"),
        contextlib.closing(open_registry(config)) as registry,
    ):

        def publish_now(version: int | None = None) -> Outcome:
            return publish(
                registry, layout, data_id, version, claim_s=options.claim_s, max_attempts=options.max_attempts,
                wait_s=wait_s, read_only=options.read_only,
            )  # fmt: skip

        reconcile(
            registry, layout, data_id, judged_by=options_of(config), max_share=options.max_repair_share,
            replicas=options.replicas, every_byte=False,
        )  # fmt: skip
        outcome = publish_now()
        for version in queries.waiting(registry, data_id) if outcome.version > 1 else ():
            publish_now(version)  # an earlier one, whose published bundle was lost
        if outcome.status == "published":
            for done in replicate(registry, layout, options.replicas, data_id):
                if done.message:
                    hint = "" if "contimg replicas" in done.message else ": contimg replicas sync tries it again"
                    _LOG.warning("%s%s", done.message, hint)
        if options.remove_stage and outcome.status == "published":
            remove_staged(registry, layout, data_id, outcome.version)
        stale = options.update_archive and outcome.status == "published" and not knows(layout, outcome.path)
        if stale and update(registry, layout, data_id, whole=False):
            _LOG.info("tables, sky map and gallery of the archive have it")
    said = outcome.message if outcome.message.startswith(outcome.status) else f"{outcome.status}; {outcome.message}"
    _LOG.info("version %d of %s: %s (%s)", outcome.version, data_id, said, outcome.path)
    return outcome


def remove_staged(registry: Registry, layout: naming.Layout, data_id: str, version: int) -> bool:
    """Remove a published bundle's copy on the stage, after reading the archive's copy once more.

    Raises
    ------
    RegistryError
        If the copy in the archive is not whole; the stage is then left alone.
    """
    row = queries.get(registry, data_id, version)
    if row["status"] != "published":
        return False
    path = Path(row["published_path"])
    problem = bundle.archived_problem(path, row["sha256"], row["tags_sha256"])
    if problem is not None:
        raise RegistryError(f"{problem}: the staged copy is kept, run 'contimg reconcile'")
    relative = safe_files.relative_to_root(Path(row["stage_path"]), layout.stage, "paths.stage")
    with contextlib.suppress(FileNotFoundError), safe_files.open_folder(layout.stage, relative.parent) as parent:
        trees.remove_tree(parent, relative.name)
    return True
