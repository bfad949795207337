"""What a person or a monitor should hear of: what is held, missing data or calibrators, a lost registry or archive."""

from __future__ import annotations

import contextlib

from contimg.config import Config
from contimg.errors import ContimgError
from contimg.operations.status import group_states
from contimg.plan.model import Plan
from contimg.plotting.words import waiting

EVENTS = ("failed", "held", "low_disk", "no_data", "no_calibrator", "no_registry", "wrong_archive")
"""The kinds of alarm; `failed` and `low_disk` are raised by those who see them."""
OF_A_PLAN = ("held", "no_calibrator", "no_data", "no_registry", "wrong_archive")
"""Those of `alarms`."""


def alarms(config: Config, plan: Plan, silent_s: float) -> dict[str, str]:
    """Return the alarms that a plan and the state of the stage give, by kind, each as a sentence.

    Parameters
    ----------
    config : Config
    plan : Plan
    silent_s : float
        How long the inbox has not changed [s].
    """
    try:
        found = archive_alarms(config)
        states, _ = group_states(config, everything=False)
    except ContimgError as error:  # out of reach, or damaged: a run would say so, and the watch goes on when it is over
        found, states = {"no_registry": str(error)}, []
    held = [one for one in states if one["state"] == "held" or one["error"]]
    if held:
        first = held[0]
        found["held"] = f"{waiting(len(held))} for a person, first {first['mosaic']}: {first['next']}"
    lacking = [one for one in plan.waiting if one.code == "no_bandpass"]
    if lacking:
        found["no_calibrator"] = (
            f"{waiting(len(lacking))} for a calibrator, first {lacking[0].id}: {lacking[0].message}"
        )
    hours = silent_s / 3600
    if hours >= config.watch.no_data_h:
        found["no_data"] = (
            f"nothing came into {config.paths.incoming} for {hours:.1f} h "
            f"(watch.no_data_h is {config.watch.no_data_h:g}): look at the correlator and the inbox's mount"
        )
    return found


def archive_alarms(config: Config) -> dict[str, str]:
    """Return the alarms that registry and archive give together, each as a sentence.

    Raises
    ------
    RegistryError
        If the registry cannot be opened.
    """
    from contimg.publishing.archive_root import trouble
    from contimg.registry.engine import open_registry

    with contextlib.closing(open_registry(config)) as registry:
        return trouble(registry, config.layout)
