"""The rule ``register_mosaic``: assembles a mosaic's bundle, registers and judges it, and writes its marker."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from contimg import naming
from contimg.products.gates import Options
from contimg.publishing import markers
from contimg.publishing.checkpoints import checkpoint
from contimg.publishing.finalize import finalize
from contimg.publishing.publish import machine_faults
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register import Registered, register
from contimg.registry import queries
from contimg.registry.engine import open_registry
from contimg.registry.refusals import RegistryUnavailable

if TYPE_CHECKING:
    from contimg.config import Config

_LOG = logging.getLogger(__name__)


def register_mosaic(
    mosaic_id: str, config: Config, *, judged_by: Options | None = None, waits_s: Sequence[float] = ()
) -> Registered:
    """Reconcile, register and finalize a mosaic, and write its marker: the work of the rule ``register_mosaic``.

    Parameters
    ----------
    mosaic_id : str
    config : Config
    judged_by : mapping of str to Section, optional
        Thresholds of the verdicts, as in `contimg.bundle.assembly.gather`.
    waits_s : sequence of float
        How long to wait before each further attempt, after one that found no database [s].

    Raises
    ------
    ContimgError
        If a product is missing or altered, or the machine fails.
    """
    data_id = naming.as_mosaic_id(mosaic_id)
    for wait_s in waits_s:
        with contextlib.suppress(RegistryUnavailable):
            return _register_once(data_id, config, judged_by)
        time.sleep(wait_s)
    return _register_once(data_id, config, judged_by)


def _register_once(data_id: str, config: Config, judged_by: Options | None) -> Registered:
    layout = config.layout
    with machine_faults(f"{data_id} was not registered"), contextlib.closing(open_registry(config)) as registry:
        reconcile(registry, layout, data_id, judged_by=judged_by, every_byte=False)
        options = config.publish
        registered = register(
            registry, layout, data_id, auto_publish=options.auto, judged_by=judged_by, doi=options.doi
        )
        row = queries.get(registry, data_id, registered.version)
        if row["status"] == "staging":  # what a person has rejected before it was judged may be damaged, and stay so
            finalize(registry, layout, data_id, registered.version, just_read=registered.created)
        row = queries.get(registry, data_id)
        markers.write(layout, "registered", markers.registered(row))
    checkpoint("register:marked")
    said = "registered" if registered.created else "was registered before:"
    _LOG.info("%s version %d of %s: verdict %s, manifest %s, bundle %s", said, registered.version, data_id,
              row["qa_status"], registered.manifest_sha256[:12], registered.path)  # fmt: skip
    return registered
